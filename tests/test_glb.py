"""GLB: other readers find the head, its 52 targets and the motion, and pose it as we do, but for
what nobody sees."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import trimesh
from PIL import Image
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from codetalker.files.gltf import MorphAnimation, MorphMesh, PbrMaterial, Primitive, gltf_binary
from codetalker.motion import Motion
from codetalker.normals import VertexNormals
from codetalker.render.camera import Camera
from codetalker.render.image import encode_png
from codetalker.render.renderer import Finish, Renderer
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


def test_five_seconds_take_less_than_one_and_a_fifth_megabytes(path: Path) -> None:
    assert path.stat().st_size < 1.2e6


def test_the_face_is_one_mesh_with_apples_names(glb: Glb) -> None:
    mesh = glb.mesh("head")
    assert tuple(mesh["extras"]["targetNames"]) == bundled_head().blendshape_names
    assert {len(part["targets"]) for part in mesh["primitives"]} == {52}
    assert len(mesh["weights"]) == 52
    materials = [glb.json["materials"][part["material"]]["name"] for part in mesh["primitives"]]
    assert {"skin", "lips"} <= set(materials)


def test_other_meshes_have_only_the_targets_that_move_them(glb: Glb) -> None:
    others = [mesh for mesh in glb.json["meshes"] if mesh["name"] != "head"]
    names = {mesh["name"]: mesh.get("extras", {}).get("targetNames", []) for mesh in others}
    moved = {n for n in bundled_head().blendshape_names if "Look" in n or "Blink" in n}
    assert set(names["eye_white"]) == moved
    assert not names["cloth"]
    for mesh in others:
        targets = [part.get("targets", []) for part in mesh["primitives"]]
        for target in zip(*targets, strict=True):
            assert any(glb.array(part["POSITION"]).any() for part in target), mesh["name"]
        assert ("weights" in mesh) == bool(names[mesh["name"]])


def test_the_animation_is_the_motion(glb: Glb, motion: Motion) -> None:
    (animation,) = glb.json["animations"]
    moved = [node for node in glb.json["nodes"] if "weights" in glb.json["meshes"][node["mesh"]]]
    assert len(animation["channels"]) == len(animation["samplers"]) == len(moved)
    for channel in animation["channels"]:
        sampler = animation["samplers"][channel["sampler"]]
        assert channel["target"]["path"] == "weights"
        assert sampler["interpolation"] == "LINEAR"
        times = glb.array(sampler["input"])[:, 0]
        np.testing.assert_allclose(times, np.arange(125) / 25, atol=1e-6)
        node = glb.json["nodes"][channel["target"]["node"]]
        names = glb.json["meshes"][node["mesh"]]["extras"]["targetNames"]
        values = glb.array(sampler["output"]).reshape(125, -1)
        np.testing.assert_array_equal(values, motion.weights_for(tuple(names)))


OFF_MM = 0.25
"""What a shape may do to a vertex that is left out of the file, at weight 1."""


@pytest.mark.parametrize("shape", ["jawOpen", "mouthPucker", "eyeLookUpLeft", "cheekPuff"])
def test_a_shape_posed_by_another_reader_is_ours(glb: Glb, shape: str) -> None:
    head = bundled_head()
    weights = np.eye(52, dtype=np.float32)[head.blendshape_names.index(shape)]
    used = np.unique(head.triangles)
    ours = np.hstack([head.template, head.vertices(weights[None])[0]])[used]
    parts = list(glb.posed(head.blendshape_names, weights))
    theirs = np.concatenate([np.hstack([part.positions, part.posed]) for part in parts])
    for one, other in [(ours, theirs), (theirs, ours)]:
        distance, _ = cKDTree(one).query(other)
        assert distance.max() * 1000 < OFF_MM
    far = np.linalg.norm(ours[:, 3:] - ours[:, :3], axis=1) * 1000 > 2 * OFF_MM
    distance, _ = cKDTree(theirs).query(ours[far])
    assert far.any()
    assert distance.max() < 1e-6  # metres; what is seen to move is exact


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
    for part in glb.posed(motion.names, motion.weights[frame]):
        joints = joint[glb.array(part.primitive["attributes"]["JOINTS_0"])]
        shares = glb.array(part.primitive["attributes"]["WEIGHTS_0"])
        np.testing.assert_allclose(shares.sum(1), 1, atol=1e-6)
        theirs.append(np.einsum("nk,nkij,nj->ni", shares, joints, part.posed))
    assert {node["skin"] for node in glb.json["nodes"] if "mesh" in node} == {0}
    used = np.unique(bundled_head().triangles)
    ours, theirs = motion.on().vertices()[frame][used], np.concatenate(theirs)
    for one, other in [(ours, theirs), (theirs, ours)]:
        distance, _ = cKDTree(one).query(other)
        assert np.quantile(distance, 0.99) * 1000 < 3 * OFF_MM  # all shapes at a time


def test_normals_are_those_of_the_posed_mesh_at_every_single_weight(glb: Glb) -> None:
    head = bundled_head()
    shape = head.blendshape_names.index("jawOpen")
    smooth = VertexNormals(head.triangles, len(head.template))
    expected = smooth.of(head.template + head.blendshapes[shape])
    weights = np.eye(52, dtype=np.float32)[shape]
    for part in glb.posed(head.blendshape_names, weights):
        template = np.hstack([head.template, head.template + head.blendshapes[shape]])
        _, vertex = cKDTree(template).query(np.hstack([part.positions, part.posed]))
        off = np.linalg.norm(part.posed_normals - expected[vertex], axis=1)
        assert np.quantile(off, 0.99) < 0.141  # 8 degrees; smaller changes are left out of the file


def test_nothing_is_lost_to_sight(path: Path, glb: Glb, motion: Motion) -> None:
    """Drawn with the file's positions, normals and pictures, faces that speak look the same."""
    head = bundled_head()
    assert head.surface
    parts = [part for mesh in glb.json["meshes"] for part in mesh["primitives"]]
    sizes = np.cumsum([0, *(len(glb.array(p["attributes"]["POSITION"])) for p in parts)])
    corners = [glb.array(p["indices"]).reshape(-1, 3).astype(np.int32) for p in parts]
    looks = [glb.json["materials"][p["material"]]["name"] for p in parts]
    known = [material.name for material in head.surface.materials]
    rest = np.concatenate([glb.array(p["attributes"]["POSITION"]) for p in parts])
    triangles = np.concatenate([c + start for c, start in zip(corners, sizes, strict=False)])
    colours, alpha = (np.asarray(Image.open(BytesIO(picture))) for picture in pictures(glb))
    texture = np.dstack([colours, alpha[..., 3]])
    texture[alpha[..., 3] > 0, :3] = alpha[alpha[..., 3] > 0, :3]
    surface = replace(
        head.surface,
        triangle_material=np.concatenate(
            [np.full(len(c), known.index(look), np.uint8) for c, look in zip(corners, looks,
                                                                            strict=True)]
        ),
        uv=np.concatenate([glb.array(p["attributes"]["TEXCOORD_0"]) for p in parts]),
        uv_triangles=triangles,
        texture=encode_png(texture),
    )  # fmt: skip
    lips = cKDTree(rest).query(head.template[head.lip_gap])[1].astype(np.int32)
    camera = Camera.portrait(head.template, head.landmarks)
    theirs = Renderer(rest, triangles, finish=Finish.of(surface, lips), camera=camera, size=256)
    ours = Renderer.of(head, 256)
    spoken = {"jawOpen": 0.5, "mouthSmileLeft": 0.6, "mouthSmileRight": 0.6, "browInnerUp": 0.5}
    shut = {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0, "mouthPucker": 0.7, "jawOpen": 0.15}
    for pose in ({}, spoken, shut):
        weights = np.array([pose.get(name, 0.0) for name in head.blendshape_names], np.float32)
        posed = list(glb.posed(head.blendshape_names, weights))
        normals = np.concatenate([part.posed_normals for part in posed])
        theirs._normals = SimpleNamespace(  # the file's, not those of the renderer
            of=lambda _, given=normals: given / np.linalg.norm(given, axis=1, keepdims=True)
        )
        seen = theirs.frame(np.concatenate([part.posed for part in posed]))
        meant = ours.frame(head.vertices(weights[None])[0])
        off = np.abs(seen.astype(float) - meant)
        assert off.mean() < 1, pose  # of 255
        assert np.quantile(off, 0.999) < 24, pose
        assert np.abs(meant.astype(float) - ours.frame(head.template)).mean() > 1 or not pose


def pictures(glb: Glb) -> list[bytes]:
    views = [glb.json["bufferViews"][image["bufferView"]] for image in glb.json["images"]]
    return [glb.binary[v["byteOffset"] : v["byteOffset"] + v["byteLength"]] for v in views]


def test_parts_cover_every_triangle_with_its_texture_and_face_outwards(glb: Glb) -> None:
    head = bundled_head()
    assert head.surface is not None
    total = 0
    for part in (part for mesh in glb.json["meshes"] for part in mesh["primitives"]):
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
        assert (
            outwards > 0
        ).mean() > 0.96  # but for slivers where the surface folds: teeth's edges
    assert total == len(head.triangles)


def test_colours_are_the_texture_and_only_lashes_let_through(glb: Glb) -> None:
    head = bundled_head()
    assert head.surface
    meant = np.asarray(Image.open(BytesIO(head.surface.texture)))
    colours, alpha = (Image.open(BytesIO(picture)) for picture in pictures(glb))
    assert (colours.format, alpha.format, alpha.mode) == ("JPEG", "PNG", "RGBA")
    chroma = [tuple(factors[1:3]) for factors in vars(colours)["layer"][1:]]
    assert chroma == [(1, 1), (1, 1)]  # what Godot's reader takes
    assert np.abs(np.asarray(colours).astype(int) - meant[..., :3]).mean() < 1.5  # of 255
    textures = {
        material["name"]: material["pbrMetallicRoughness"]["baseColorTexture"]["index"]
        for material in glb.json["materials"]
    }
    assert {name for name, texture in textures.items() if texture == 1} == {"lashes"}
    (lashes,) = [
        part
        for mesh in glb.json["meshes"]
        for part in mesh["primitives"]
        if glb.json["materials"][part["material"]]["name"] == "lashes"
    ]
    used = glb.array(lashes["attributes"]["TEXCOORD_0"]) * 1024
    (left, top), (right, bottom) = np.floor(used.min(0)), np.ceil(used.max(0))
    box = np.s_[int(top) : int(bottom), int(left) : int(right)]
    np.testing.assert_array_equal(np.asarray(alpha)[box], meant[box])


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
    mesh = MorphMesh("face", (part,), (0,))
    content = gltf_binary(MorphAnimation((mesh,), ("open",), weights, 25))
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
