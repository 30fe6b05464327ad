"""GLB: other readers find the head, its 52 targets and the motion, and pose it as we do."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from codetalker.files.gltf import MorphAnimation, PbrMaterial, Primitive, gltf_binary
from codetalker.motion import Motion
from codetalker.normals import VertexNormals
from codetalker.rig import bundled_head
from glb_reader import Glb


@pytest.fixture(scope="module")
def motion() -> Motion:
    """Five seconds at 25 fps; every blendshape is used."""
    names = bundled_head().blendshape_names
    weights = np.random.default_rng(0).random((125, len(names))).astype(np.float32)
    return Motion(weights, names, 25)


@pytest.fixture(scope="module")
def path(motion: Motion, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("glb") / "a.glb"
    motion.save(path)
    return path


@pytest.fixture(scope="module")
def glb(path: Path) -> Glb:
    return Glb(path)


def test_five_seconds_take_less_than_four_megabytes(path: Path) -> None:
    assert path.stat().st_size < 4e6


def test_targets_have_apples_names_in_every_part(glb: Glb) -> None:
    (mesh,) = glb.json["meshes"]
    assert tuple(mesh["extras"]["targetNames"]) == bundled_head().blendshape_names
    assert {len(part["targets"]) for part in mesh["primitives"]} == {52}
    assert len(mesh["weights"]) == 52


def test_the_animation_is_the_motion(glb: Glb, motion: Motion) -> None:
    (animation,) = glb.json["animations"]
    (sampler,), (channel,) = animation["samplers"], animation["channels"]
    assert channel["target"] == {"node": 0, "path": "weights"}
    assert sampler["interpolation"] == "LINEAR"
    times = glb.array(sampler["input"])[:, 0]
    np.testing.assert_allclose(times, np.arange(125) / 25, atol=1e-6)
    values = glb.array(sampler["output"]).reshape(125, 52)
    np.testing.assert_array_equal(values, motion.weights)


@pytest.mark.parametrize("frame", [0, 60, 124])
def test_a_frame_posed_by_another_reader_is_ours(glb: Glb, motion: Motion, frame: int) -> None:
    head = bundled_head()
    used = np.unique(head.triangles)
    posed = motion.on().vertices()[frame]
    ours = np.hstack([head.template, posed])[used]
    theirs = []
    for part in glb.json["meshes"][0]["primitives"]:
        base = glb.array(part["attributes"]["POSITION"])
        offsets = np.stack([glb.array(target["POSITION"]) for target in part["targets"]])
        theirs.append(np.hstack([base, base + np.tensordot(motion.weights[frame], offsets, 1)]))
    theirs = np.concatenate(theirs)
    for one, other in [(ours, theirs), (theirs, ours)]:
        distance, _ = cKDTree(one).query(other)
        assert distance.max() < 1e-6  # metres; float32 sums in another order


@pytest.fixture(scope="module")
def turning(motion: Motion, tmp_path_factory: pytest.TempPathFactory) -> tuple[Motion, Path]:
    angles = np.random.default_rng(1).uniform(-0.4, 0.4, (len(motion), 3))
    turning = replace(motion, head=angles.astype(np.float32))
    return turning, turning.save(tmp_path_factory.mktemp("turning") / "a.glb")


@pytest.mark.parametrize("frame", [0, 124])
def test_a_turned_head_skinned_by_another_reader_is_ours(
    turning: tuple[Motion, Path], frame: int
) -> None:
    motion, path = turning
    glb = Glb(path)
    (animation,), (skin,) = glb.json["animations"], glb.json["skins"]
    (rotation,) = [c for c in animation["channels"] if c["target"]["path"] == "rotation"]
    assert glb.json["nodes"][rotation["target"]["node"]]["name"] == "head"
    turn = glb.array(animation["samplers"][rotation["sampler"]]["output"])[frame]
    joint = np.stack([np.eye(3), Rotation.from_quat(turn).as_matrix()])
    assert skin["joints"].index(rotation["target"]["node"]) == 1
    np.testing.assert_array_equal(
        glb.array(skin["inverseBindMatrices"]).reshape(2, 4, 4), np.tile(np.eye(4), (2, 1, 1))
    )
    theirs = []
    for part in glb.json["meshes"][0]["primitives"]:
        offsets = np.stack([glb.array(target["POSITION"]) for target in part["targets"]])
        posed = glb.array(part["attributes"]["POSITION"])
        posed = posed + np.tensordot(motion.weights[frame], offsets, 1)
        joints = joint[glb.array(part["attributes"]["JOINTS_0"])]
        shares = glb.array(part["attributes"]["WEIGHTS_0"])
        np.testing.assert_allclose(shares.sum(1), 1, atol=1e-6)
        theirs.append(np.einsum("nk,nkij,nj->ni", shares, joints, posed))
    used = np.unique(bundled_head().triangles)
    ours, theirs = motion.on().vertices()[frame][used], np.concatenate(theirs)
    for one, other in [(ours, theirs), (theirs, ours)]:
        distance, _ = cKDTree(one).query(other)
        assert distance.max() < 1e-6  # metres; float32 sums in another order


def test_normals_are_those_of_the_posed_mesh_at_every_single_weight(glb: Glb) -> None:
    head = bundled_head()
    shape = head.blendshape_names.index("jawOpen")
    smooth = VertexNormals(head.triangles, len(head.template))
    expected = smooth.of(head.template + head.blendshapes[shape])
    for part in glb.json["meshes"][0]["primitives"]:
        attributes, target = part["attributes"], part["targets"][shape]
        base = glb.array(attributes["POSITION"])
        posed = base + glb.array(target["POSITION"])
        normals = glb.array(attributes["NORMAL"]) + glb.array(target["NORMAL"])
        template = np.hstack([head.template, head.template + head.blendshapes[shape]])
        _, vertex = cKDTree(template).query(np.hstack([base, posed]))
        off = np.linalg.norm(normals - expected[vertex], axis=1)
        assert np.quantile(off, 0.99) < 2e-3  # smaller changes are left out of the file


def test_parts_cover_every_triangle_with_its_texture_and_face_outwards(glb: Glb) -> None:
    head = bundled_head()
    assert head.surface is not None
    total = 0
    for part in glb.json["meshes"][0]["primitives"]:
        material = glb.json["materials"][part["material"]]
        look = next(m for m in head.surface.materials if m.name == material["name"])
        assert material["pbrMetallicRoughness"]["roughnessFactor"] == look.roughness
        points = glb.array(part["attributes"]["POSITION"])
        normals = glb.array(part["attributes"]["NORMAL"])
        uvs = glb.array(part["attributes"]["TEXCOORD_0"])
        corners = glb.array(part["indices"]).reshape(-1, 3)
        total += len(corners)
        assert corners.max() == len(points) - 1
        assert ((uvs >= 0) & (uvs <= 1)).all()
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
        a, b, c = (points[corners[:, i]] for i in range(3))
        outwards = np.einsum("fc,fc->f", np.cross(b - a, c - a), normals[corners].mean(axis=1))
        assert (outwards > 0).mean() > 0.98  # but for slivers where the surface folds
    assert total == len(head.triangles)
    image = glb.json["bufferViews"][glb.json["images"][0]["bufferView"]]
    png = glb.binary[image["byteOffset"] : image["byteOffset"] + image["byteLength"]]
    assert png == head.surface.texture


def test_trimesh_opens_it(path: Path) -> None:
    scene = trimesh.load(path)
    assert isinstance(scene, trimesh.Scene)
    head = bundled_head()
    used = head.template[np.unique(head.triangles)]
    np.testing.assert_allclose(scene.bounds, [used.min(axis=0), used.max(axis=0)], atol=1e-6)
    assert sum(len(mesh.faces) for mesh in scene.geometry.values()) == len(head.triangles)


def test_a_rig_without_materials_is_one_clay_part(tmp_path: Path) -> None:
    rig = replace(bundled_head(), name="plain", surface=None)
    Motion(np.zeros((1, 1)), ("jawOpen",), 25).on(rig).save(tmp_path / "a.glb")
    glb = Glb(tmp_path / "a.glb")
    (part,) = glb.json["meshes"][0]["primitives"]
    assert len(glb.array(part["indices"])) == 3 * len(rig.triangles)
    assert "images" not in glb.json
    assert [material["name"] for material in glb.json["materials"]] == ["clay"]


VALIDATE = """
const validator = require('gltf-validator'), fs = require('fs');
validator.validateBytes(new Uint8Array(fs.readFileSync(process.argv[1])))
  .then(report => console.log(JSON.stringify(report.issues)));
"""


@pytest.mark.parametrize("head", ["still", "turning"])
def test_the_khronos_validator_finds_nothing_wrong(
    path: Path, turning: tuple[Motion, Path], head: str
) -> None:
    node = shutil.which("node")
    probe = [node or "node", "-e", "require('gltf-validator')"]
    if node is None or subprocess.run(probe, capture_output=True).returncode:
        pytest.skip("needs node and, under NODE_PATH, the npm package gltf-validator")
    path = path if head == "still" else turning[1]
    run = subprocess.run([node, "-e", VALIDATE, path], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout)["messages"] == []


@pytest.mark.parametrize(("count", "kind"), [(65534, 5123), (65535, 5123), (65536, 5125)])
def test_no_index_is_the_one_that_restarts_primitives(
    count: int, kind: int, tmp_path: Path
) -> None:
    """65535 in 16 bits is no vertex (glTF 2.0, 3.7.2.1): the last of 65536 needs 32."""
    points = np.zeros((count, 3), np.float32)
    triangles = np.array([[0, 1, count - 1]], np.int32)
    offsets = np.zeros((1, count, 3), np.float32)
    offsets[0, -1] = 1
    material = PbrMaterial("clay")
    part = Primitive(material, points, points + 1, triangles, offsets, 0 * offsets)
    weights = np.zeros((1, 1), np.float32)
    content = gltf_binary(MorphAnimation("face", (part,), ("open",), weights, 25))
    (tmp_path / "a.glb").write_bytes(content)
    glb = Glb(tmp_path / "a.glb")
    (part,) = glb.json["meshes"][0]["primitives"]
    indices = glb.json["accessors"][part["indices"]]
    moved = glb.json["accessors"][part["targets"][0]["POSITION"]]["sparse"]["indices"]
    assert (indices["componentType"], moved["componentType"]) == (kind, kind)
    assert glb.array(part["indices"]).ravel().tolist() == [0, 1, count - 1]


def test_a_mesh_of_more_than_65535_vertices_has_wider_indices(tmp_path: Path) -> None:
    steps = np.linspace(0, 1, 257, dtype=np.float32)
    points = np.stack([*np.meshgrid(steps, steps), np.zeros((257, 257))], axis=-1).reshape(-1, 3)
    corner = np.arange(256 * 257)[np.arange(256 * 257) % 257 < 256]
    triangles = np.stack([corner, corner + 1, corner + 257], axis=1).astype(np.int32)
    offsets = np.zeros((1, len(points), 3), np.float32)
    offsets[0, -2] = 1
    rig = replace(
        bundled_head(),
        template=points.astype(np.float32),
        triangles=triangles,
        blendshape_names=("jawOpen",),
        blendshapes=offsets,
        neck=None,
        surface=None,
    )
    Motion(np.zeros((1, 1)), ("jawOpen",), 25).on(rig).save(tmp_path / "a.glb")
    glb = Glb(tmp_path / "a.glb")
    (part,) = glb.json["meshes"][0]["primitives"]
    corners = glb.array(part["indices"]).reshape(-1, 3)
    points = glb.array(part["attributes"]["POSITION"])
    np.testing.assert_array_equal(points[corners], rig.template[triangles])
    moved = glb.array(part["targets"][0]["POSITION"]).any(axis=1)
    np.testing.assert_array_equal(points[moved], rig.template[[-2]])
