"""A jaw that is a bone opens the mouth where no shape does, and the lower teeth go with it."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh

from character_data import HEAD, Bone, build_characters, character, face_file, speech
from codetalker import Character
from codetalker.characters.bones import JAW_TURN
from codetalker.characters.character import JAW_SHAPE
from codetalker.cli import main
from codetalker.errors import RigError
from glb_reader import Glb


@pytest.fixture
def face(tmp_path: Path) -> Character:
    return Character.load(face_file(tmp_path, "jaw_bone.glb"))


def alone(name: str = "jaw") -> bytes:
    """A head without a shape, whose jaw bone is called so."""
    apple = build_characters.arkit_targets()
    meshes = build_characters.with_jaw_bone(build_characters.head_meshes(apple))
    *above, jaw, teeth = build_characters.JAW_BONES
    bones = (*above, Bone(name, jaw.parent, jaw.place, jaw.rotation), teeth)
    return character([replace(mesh, targets={}) for mesh in meshes], bones)


def jaw_turns(path: Path) -> np.ndarray:
    """(T, 4) quaternions of the jaw's track."""
    file = Glb(path)
    clip = file.json["animations"][-1]
    (jaw,) = (i for i, n in enumerate(file.json["nodes"]) if "jaw" in n["name"].lower())
    (sampler,) = (c["sampler"] for c in clip["channels"] if c["target"]["node"] == jaw)
    return file.array(clip["samplers"][sampler]["output"])


def test_as_a_shape_it_does_what_jaw_open_does(face: Character) -> None:
    assert face.shapes[-1] == JAW_SHAPE
    assert face.driven[JAW_SHAPE] == {"jawOpen": 1.0}
    assert "jawOpen" not in face.missing
    moved = face.rig.blendshapes[-1]
    numbers = np.concatenate([build_characters.cut(name)[0] for name in build_characters.MESHES])
    meant = HEAD.blendshapes[HEAD.blendshape_names.index("jawOpen")][numbers]
    far = np.linalg.norm(meant, axis=1) > 0.02  # metres: chin, lower lip and lower teeth
    assert far.sum() > 100
    assert np.linalg.norm(moved - meant, axis=1)[far].max() < 0.008
    assert np.abs(moved[~meant.any(axis=1)]).max() < 1e-6


def test_its_track_turns_the_bone_about_the_faces_own_axis(face: Character, tmp_path: Path) -> None:
    animation = speech().on(face)
    turns = jaw_turns(animation.save(tmp_path / "out.glb"))
    rest = trimesh.transformations.quaternion_matrix((0.5, 0.5, 0.5, 0.5))[:3, :3]
    for (x, y, z, w), weight in zip(turns, animation.weights[:, -1], strict=True):
        turn = trimesh.transformations.quaternion_matrix((w, x, y, z))[:3, :3] @ rest.T
        wanted = trimesh.transformations.rotation_matrix(weight * JAW_TURN, (1, 0, 0))[:3, :3]
        np.testing.assert_allclose(turn, wanted, atol=1e-6)
    assert animation.weights[:, -1].max() > 0.3


def test_where_a_shape_opens_the_mouth_the_bone_is_left_alone(tmp_path: Path) -> None:
    apple = build_characters.arkit_targets()
    meshes = build_characters.with_jaw_bone(build_characters.head_meshes(apple))
    path = tmp_path / "a.glb"
    path.write_bytes(character(meshes, build_characters.JAW_BONES))
    face = Character.load(path)
    assert JAW_SHAPE not in face.shapes
    clip = Glb(speech().on(face).save(tmp_path / "b.glb")).json["animations"][-1]
    assert {c["target"]["path"] for c in clip["channels"]} == {"weights"}
    (tmp_path / "map.toml").write_text('jawOpen = {}\n"bone: jaw" = "jawOpen"\n')
    assert Character.load(path, tmp_path / "map.toml").bones["jaw"]


@pytest.mark.parametrize(
    "name",
    [
        "jaw",
        "Jaw",
        "mJaw",
        "c_jaw.x",
        "CC_Base_JawRoot",
        "mixamorig:Jaw",
        "DEF-jaw",
        "jaw_master",
        "FACIAL_C_Jaw",
        "lowerJaw",
        "Jaw_M",
        "J_Adj_C_Jaw",
    ],
)
def test_a_jaw_alone_is_enough_whatever_it_is_called(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.glb").write_bytes(alone(name))
    face = Character.load(tmp_path / "a.glb")
    assert face.shapes == (JAW_SHAPE,)
    weights = speech().on(face).weights
    assert weights[:, 0].max() > 0.3


@pytest.mark.parametrize("name", ["CC_Base_UpperJaw", "jaw_end", "jaw.L", "Jawline"])
def test_what_is_no_jaw_is_not_turned(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.glb").write_bytes(alone(name))
    with pytest.raises(RigError, match="no morph targets"):
        Character.load(tmp_path / "a.glb")


def test_the_commands_show_it_and_film_it(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "a.glb"
    path.write_bytes(alone())
    assert main(["character", str(path), "-o", str(tmp_path / "sheet.png")]) == 0
    shown = capsys.readouterr().out
    assert JAW_SHAPE in shown
    assert "jaw (jaw)" in shown
    content = speech().on(Character.load(path)).save(tmp_path / "out.glb").read_bytes()
    document = json.loads(content[20 : 20 + struct.unpack_from("<I", content, 12)[0]])
    assert [a["name"] for a in document["animations"]] == ["idle", "speech"]
