"""A user's own file comes back with the motion in it, and all else as it was."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import numpy as np
import pytest
import trimesh

from character_data import (
    HEAD,
    Bone,
    ShapedMesh,
    build_characters,
    character,
    face_file,
    heads,
    speech,
)
from codetalker import Character
from codetalker.cli import main
from codetalker.errors import RigError
from glb_reader import Glb

TARGETS = {
    "jawOpen": np.array([[0, -1.0, 0]] * 3),
    "mouthSmileLeft": np.array([[0.1, 0, 0]] * 3),
}
TRIANGLE = ShapedMesh("Face", np.eye(3), np.array([[0, 1, 2]]), TARGETS)


def opened(path: Path, content: bytes) -> Character:
    path.write_bytes(content)
    return Character.load(path)


def edited(content: bytes, change) -> bytes:
    """The file with `change` made to its JSON."""
    length = struct.unpack_from("<I", content, 12)[0]
    document = json.loads(content[20 : 20 + length])
    document = change(document) or document
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    rest = content[20 + length :]
    head = struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text) + len(rest), len(text), b"JSON")
    return head + text + rest


@pytest.mark.parametrize("name", ["skinned.glb", "quantised.glb", "sparse.glb", "vroid.glb"])
def test_what_is_not_touched_is_kept_to_the_byte(tmp_path: Path, name: str) -> None:
    before = Kept(face_file(tmp_path, name))
    out = speech(head=True).on(Character.load(tmp_path / name)).save(tmp_path / "out.glb")
    after = Kept(out)
    assert after.binary[: len(before.binary)] == before.binary
    for member, text in before.members.items():
        if member not in ("buffers", "bufferViews", "accessors", "animations"):
            assert after.members[member] == text, member
    for member in ("bufferViews", "accessors", "animations"):
        old = before.members.get(member, "[]").rstrip()[:-1].rstrip()
        assert after.members[member].startswith(old), member


class Kept:
    """The members' text and the buffer, by looking for names at the first level."""

    def __init__(self, path: Path) -> None:
        content = path.read_bytes()
        length = struct.unpack_from("<I", content, 12)[0]
        text = content[20 : 20 + length].decode()
        self.json = json.loads(text)
        self.binary = content[28 + length :][: self.json["buffers"][0]["byteLength"]]
        self.members, decoder = {}, json.JSONDecoder()
        for name in self.json:
            starts = [m.end() for m in re.finditer(rf'"{name}":\s*', text)]
            for start in starts:
                value, end = decoder.raw_decode(text, start)
                if value == self.json[name]:
                    self.members[name] = text[start:end]
                    break


def test_every_mesh_with_shapes_moves_and_the_clip_before_stays(tmp_path: Path) -> None:
    face = Character.load(face_file(tmp_path, "skinned.glb"))
    motion = speech(head=True)
    moved = motion.on(face)
    file = Glb(moved.save(tmp_path / "out.glb"))
    idle, clip = file.json["animations"]
    assert (idle["name"], clip["name"]) == ("idle", "speech")
    nodes = file.json["nodes"]
    channels = {(c["target"]["node"], c["target"]["path"]): c["sampler"] for c in clip["channels"]}
    shaped = [i for i, node in enumerate(nodes) if node["name"] in ("Face", "Mouth", "Eyes")]
    assert {node for node, path in channels if path == "weights"} == set(shaped)
    for node in shaped:
        sampler = clip["samplers"][channels[node, "weights"]]
        names = file.json["meshes"][nodes[node]["mesh"]]["extras"]["targetNames"]
        written = file.array(sampler["output"]).reshape(len(motion), len(names))
        for column, name in enumerate(names):
            np.testing.assert_array_equal(
                written[:, column], moved.weights[:, face.shapes.index(name)]
            )
        np.testing.assert_allclose(file.array(sampler["input"])[:, 0], np.arange(60) / 25)
    named = {nodes[node]["name"]: (node, path) for node, path in channels if path == "rotation"}
    turning = set(named)
    left, right = (
        file.array(clip["samplers"][channels[named[name]]]["output"])
        for name in ("LeftEye", "RightEye")
    )
    assert np.abs(left).max(0)[1] > 0.01
    np.testing.assert_allclose(left[:, 1], 2 * right[:, 1], atol=1e-3)  # as `speech` has it
    plain = Character.load(face_file(tmp_path, "arkit.glb"))
    assert motion.on(plain).eyes is None  # its shapes turn them
    assert turning == {"mixamorig:Head", "LeftEye", "RightEye"}


def test_a_head_bone_turns_as_the_bundled_head_whatever_its_rest(tmp_path: Path) -> None:
    """The bone's rest has it turned about x, in a parent that is turned about z."""
    half = float(np.sqrt(0.5))
    bones = (
        Bone("Hips", -1, (0, 0, 0), (0, 0, half, half)),
        Bone("Head", 0, (0, 1, 0), (half, 0, 0, half)),
    )
    shares = np.tile([0.0, 1.0], (3, 1))
    mesh = ShapedMesh("Face", np.eye(3), np.array([[0, 1, 2]]), TARGETS, shares=shares)
    face = opened(tmp_path / "a.glb", character([mesh], bones))
    motion = speech(head=True)
    file = Glb(motion.on(face).save(tmp_path / "out.glb"))
    clip = file.json["animations"][-1]
    (channel,) = [c for c in clip["channels"] if c["target"]["path"] == "rotation"]
    turns = file.array(clip["samplers"][channel["sampler"]]["output"])
    from codetalker.head_pose import matrices

    parent = rotation((0, 0, half, half))
    rest = parent @ rotation((half, 0, 0, half))
    for turn, wanted in zip(turns, matrices(motion.head), strict=True):
        np.testing.assert_allclose(parent @ rotation(turn) @ rest.T, wanted, atol=1e-5)


def rotation(q) -> np.ndarray:
    return trimesh.transformations.quaternion_matrix([q[3], *q[:3]])[:3, :3]


@pytest.mark.parametrize("name", ["arkit.glb", "quantised.glb", "sparse.glb", "skinned.glb"])
def test_geometry_is_read_whatever_it_is_stored_as(tmp_path: Path, name: str) -> None:
    rig = Character.load(face_file(tmp_path, name)).rig
    plain = Character.load(face_file(tmp_path, "arkit.glb")).rig
    np.testing.assert_allclose(rig.template, plain.template, atol=2e-5)
    jaw, plain_jaw = (r.blendshapes[r.blendshape_names.index("jawOpen")] for r in (rig, plain))
    np.testing.assert_allclose(jaw, plain_jaw, atol=2e-5)
    scene = trimesh.load(tmp_path / "arkit.glb", process=False)
    other = np.concatenate([g.vertices for g in scene.geometry.values()])
    assert np.abs(np.sort(other, 0) - np.sort(plain.template, 0)).max() < 1e-5


def test_a_vertex_between_two_bones_stands_where_both_hold_it(tmp_path: Path) -> None:
    """One joint is bound a metre lower than it stands, so its half lifts the face by half."""
    bones = (Bone("a", -1, (0, 0, 0)), Bone("b", 0, (0, 1, 0)))
    shares = np.tile([0.75, 0.25], (3, 1))
    mesh = ShapedMesh("Face", np.eye(3), np.array([[0, 1, 2]]), TARGETS, shares=shares)

    def lifted(document):
        document["nodes"][2]["translation"][1] += 1.0

    face = opened(tmp_path / "a.glb", edited(character([mesh], bones), lifted))
    np.testing.assert_allclose(face.rig.template, np.eye(3) + np.array([0, 0.25, 0]), atol=1e-6)


def test_a_vrm_0_face_looks_the_other_way_and_its_expressions_name_its_shapes(
    tmp_path: Path,
) -> None:
    for name in ("vrm0.vrm", "vrm1.vrm"):
        face = Character.load(face_file(tmp_path, name))
        assert face.system == "vowels"
        assert not face.missing
        assert [face.driven[f"shape {i}"] for i in range(5)] == [
            {vowel: 1.0} for vowel in ("aa", "ih", "ou", "ee", "oh")
        ]
        assert face.rig.template[:, 2].max() == pytest.approx(HEAD.template[:, 2].max(), abs=1e-4)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_face_that_looks_elsewhere_is_turned_by_what_its_sides_show(
    quarters: int, tmp_path: Path
) -> None:
    turn = np.round(trimesh.transformations.rotation_matrix(quarters * np.pi / 2, (0, 1, 0)))
    turn = turn[:3, :3].T
    meshes = [
        ShapedMesh(
            m.name, m.vertices @ turn, m.triangles, {n: d @ turn for n, d in m.targets.items()}
        )
        for m in build_characters.head_meshes(build_characters.arkit_targets())
    ]
    face = opened(tmp_path / "a.glb", character(meshes, sparse=True))
    plain = Character.load(face_file(tmp_path, "arkit.glb"))
    np.testing.assert_allclose(face.rig.template, plain.rig.template, atol=1e-6)
    np.testing.assert_allclose(face.rig.blendshapes, plain.rig.blendshapes, atol=1e-6)
    assert face.lips is not None


def test_two_meshes_of_one_name_both_move(tmp_path: Path) -> None:
    face = opened(tmp_path / "a.glb", character([TRIANGLE, TRIANGLE]))
    file = Glb(speech().on(face).save(tmp_path / "out.glb"))
    nodes = [c["target"]["node"] for c in file.json["animations"][0]["channels"]]
    assert nodes == [0, 1]


def test_a_name_twice_in_a_mesh_moves_once(tmp_path: Path) -> None:
    twice = {"targetNames": ["jawOpen", "jawOpen"]}
    face = opened(tmp_path / "a.glb", put("meshes", 0, "extras", value=twice))
    assert face.shapes == ("jawOpen", "jawOpen #2")
    weights = speech().on(face).weights
    assert weights[:, 0].max() > 0.4
    assert not weights[:, 1].any()


def test_primitives_may_share_their_vertices(tmp_path: Path) -> None:
    def shared(document):
        primitives = document["meshes"][0]["primitives"]
        primitives.append(dict(primitives[0]))

    plain = Character.load(face_file(tmp_path, "arkit.glb"))
    face = opened(tmp_path / "a.glb", edited(heads()["arkit.glb"], shared))
    assert len(face.parts) == len(plain.parts) + 1
    np.testing.assert_allclose(face.weights(speech()), plain.weights(speech()), atol=0.01)


def nan_delta(content: bytes) -> bytes:
    document = json.loads(content[20 : 20 + struct.unpack_from("<I", content, 12)[0]])
    target = document["meshes"][0]["primitives"][0]["targets"][0]["POSITION"]
    view = document["bufferViews"][document["accessors"][target]["bufferView"]]
    start = len(content) - document["buffers"][0]["byteLength"] + view["byteOffset"]
    return content[:start] + struct.pack("<f", float("nan")) + content[start + 4 :]


PLAIN = character([TRIANGLE])


def put(*path, value):
    def change(document):
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = value

    return edited(PLAIN, change)


BAD = {
    "empty": (b"", "does not start as a binary glTF"),
    "text": (b"glTF is what this is, but no binary one", "version"),
    "cut": (PLAIN[:-100], "bytes, and has"),
    "cut within JSON": (edited(PLAIN, lambda d: [1]), "must be an object"),
    "glTF 1": (PLAIN[:4] + b"\1\0\0\0" + PLAIN[8:], "version 1"),
    "external buffer": (put("buffers", 0, value={"uri": "a.bin", "byteLength": 4}), "a.bin"),
    "external image": (put("images", 0, value={"uri": "http://x/y.png"}), "http://x/y.png"),
    "cyclic": (put("nodes", 0, "children", value=[0]), "circle"),
    "two parents": (
        put("nodes", value=[{"mesh": 0}, {"children": [0]}, {"children": [0]}]),
        "child of two",
    ),
    "meshopt": (put("extensionsUsed", value=["EXT_meshopt_compression"]), "gltf-transform cp"),
    "draco": (put("extensionsUsed", value=["KHR_draco_mesh_compression"]), "gltf-transform cp"),
    "no shapes": (
        character([ShapedMesh("Face", np.eye(3), np.array([[0, 1, 2]]))]),
        "no morph targets",
    ),
    "nothing shown": (put("nodes", value=[{}]), "no morph targets"),
    "NaN": (nan_delta(PLAIN), "no finite numbers"),
    "beyond the file": (put("accessors", 1, "count", value=10**6), "beyond the end"),
    "immense": (put("accessors", 1, "count", value=10**12), "values together"),
    "negative": (put("accessors", 1, "count", value=-1), "values together"),
    "no such accessor": (put("meshes", 0, "primitives", 0, "indices", value=99), "accessor 99"),
    "triangles beyond": (put("accessors", 1, "count", value=2), "beyond what it refers to"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_one_clear_line_and_nothing_is_written(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, said = BAD[what]
    path = tmp_path / "bad.glb"
    path.write_bytes(content)
    example = Path(__file__).parents[1] / "examples" / "sense_and_sensibility.flac"
    out = tmp_path / "out.glb"
    assert main(["animate", str(example), "--character", str(path), "-o", str(out)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert str(path) in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_a_huge_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codetalker.characters.gltf_file.MAX_BYTES", 1 << 20)
    with pytest.raises(RigError, match="larger than 1 MiB"):
        opened(tmp_path / "a.glb", PLAIN + bytes(1 << 20))


def test_shapes_with_other_names_ask_for_a_map(tmp_path: Path) -> None:
    targets = {"Mund": TARGETS["jawOpen"], "Lachen": TARGETS["mouthSmileLeft"]}
    mesh = ShapedMesh("Face", np.eye(3), np.array([[0, 1, 2]]), targets)
    path = tmp_path / "a.glb"
    with pytest.raises(RigError, match=r"Mund, Lachen.*--names map.toml"):
        opened(path, character([mesh]))
    (tmp_path / "map.toml").write_text('Mund = "jawOpen"\nLachen = "mouthSmileLeft"\n')
    assert Character.load(path, tmp_path / "map.toml").driven["Mund"] == {"jawOpen": 1.0}
    with pytest.raises(RigError, match="open the mouth"):
        opened(path, character([mesh], names=False))


def test_half_the_shapes_move_and_the_other_half_is_told(tmp_path: Path) -> None:
    face = Character.load(face_file(tmp_path, "half.glb"))
    assert len(face.missing) == 26
    assert "lacks 26 of Apple's shapes: " in face.lack
    assert speech().on(face).weights[:, face.shapes.index("jawOpen")].max() > 0.2


def test_every_head_of_the_tools_is_read(tmp_path: Path) -> None:
    for name in heads():
        face = Character.load(face_file(tmp_path, name))
        assert face.lips is not None, name
        assert face.system in ("shapes", "visemes", "vowels")
    assert build_characters.POSES.keys() >= {"PP", "aa"}
