"""The bundled head: the geometry that models are trained on, and what covers it."""

from __future__ import annotations

import io
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from codetalker.errors import RigError
from codetalker.rig import Rig, bundled_head
from conftest import SHARED

TRAINING_RIG = SHARED / "corpus/rig/head.npz"
COLLAR_Y, UPPER_TEETH = -0.103, 3
APPLE_ENDS = ("eyeBlinkLeft", "eyeLookDownLeft", "noseSneerRight", "tongueOut")


@pytest.fixture(scope="module")
def head() -> Rig:
    return bundled_head()


def asset() -> dict[str, np.ndarray]:
    with files("codetalker").joinpath("assets/head.npz").open("rb") as stream:
        return dict(np.load(stream, allow_pickle=False))


def pose(head: Rig, **weights: float) -> np.ndarray:
    row = np.zeros((1, len(head.blendshape_names)), np.float32)
    for name, weight in weights.items():
        row[0, head.blendshape_names.index(name)] = weight
    return head.vertices(row)[0]


def lip_gap(head: Rig, vertices: np.ndarray) -> float:
    upper, lower = head.lip_gap
    return float((vertices[upper, 1] - vertices[lower, 1]).mean())


@pytest.mark.skipif(not TRAINING_RIG.exists(), reason="the training corpus is not here")
def test_the_head_is_the_one_that_the_corpus_was_fitted_to(head: Rig) -> None:
    """Its skin, but for the jersey below and for lids that blink, and the upper front teeth."""
    theirs = np.load(TRAINING_RIG)
    ours = asset()
    assert head.blendshape_names == tuple(theirs["blendshape_names"])
    rest, shapes = theirs["vertices"], theirs["blendshape_deltas"]
    above = (ours["vertex_group"] == 0) & (rest[:, 1] > COLLAR_Y)
    skin = np.union1d(np.flatnonzero(above), head.regions["face"])
    assert len(skin) > 4200
    front = (np.abs(rest[:, 0]) < 0.0125) & (rest[:, 2] > 0.128)
    teeth = np.flatnonzero((ours["vertex_group"] == UPPER_TEETH) & front)
    assert len(teeth) == 9
    for kept in (skin, teeth):
        np.testing.assert_allclose(head.template[kept], rest[kept], atol=1e-7)
    for name, mine, their in zip(head.blendshape_names, head.blendshapes, shapes, strict=True):
        away = np.linalg.norm(mine - their, axis=1)[skin]
        if name.startswith("eyeBlink"):
            assert away.max() < 3e-3
            assert not np.isin(head.regions["lower_face"], skin[away > 0]).any()
        else:
            assert away.max() < 1e-7, name
    indices = [
        name
        for name in theirs.files
        if theirs[name].dtype.kind in "iu" and not name.startswith(("mp468", "quads_uv"))
    ]
    assert len(indices) >= 20
    for name in indices:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    np.testing.assert_allclose(ours["eye_centres"], theirs["eye_centres"], atol=1e-7)


def test_names_are_apples_in_apples_order(head: Rig) -> None:
    names = head.blendshape_names
    assert len(names) == len(set(names)) == 52
    assert (names[0], names[1], names[-2], names[-1]) == APPLE_ENDS


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 51), st.integers(0, 51), st.floats(-1, 2), st.floats(-1, 2))
def test_posing_is_linear(first: int, second: int, a: float, b: float) -> None:
    head = bundled_head()
    weights = np.zeros((3, 52), np.float32)
    weights[0, first] += a
    weights[1, second] += b
    weights[2] = weights[0] + weights[1]
    one, two, both = head.vertices(weights) - head.template
    # The rig is within 0.2 m of its origin: float32 rounds positions to 1.5e-8 m.
    np.testing.assert_allclose(one + two, both, atol=1e-7)


def test_weights_of_another_width_are_refused(head: Rig) -> None:
    with pytest.raises(RigError, match="52 blendshapes"):
        head.vertices(np.zeros((4, 51), np.float32))
    with pytest.raises(RigError, match="52 blendshapes"):
        head.vertices(np.zeros(52, np.float32))


def test_the_mouth_opens_and_closes(head: Rig) -> None:
    rest = lip_gap(head, head.template)
    assert rest == pytest.approx(head.lip_gap_rest)
    opened = lip_gap(head, pose(head, jawOpen=0.6))
    closed = lip_gap(head, pose(head, jawOpen=0.6, mouthClose=0.6))
    assert opened - rest > 0.008
    assert abs(closed - rest) < 0.002


def test_left_and_right_are_the_subjects(head: Rig) -> None:
    for name, index in (("mouthSmileLeft", 0), ("browOuterUpRight", 0), ("eyeBlinkLeft", 0)):
        moved = np.linalg.norm(pose(head, **{name: 1.0}) - head.template, axis=1)
        where = np.average(head.template[:, index], weights=moved)
        assert (where > 0) == name.endswith("Left")


def test_the_mesh_mirrors_onto_itself(head: Rig) -> None:
    mirror = asset()["mirror_vertex"]
    np.testing.assert_array_equal(mirror[mirror], np.arange(len(mirror)))
    np.testing.assert_allclose(head.template[mirror] * [-1, 1, 1], head.template, atol=1e-7)


def test_triangles_face_outwards(head: Rig) -> None:
    groups = asset()["vertex_group"][head.triangles[:, 0]]
    for eye, centre in zip((1, 2), asset()["eye_centres"], strict=True):
        corners = head.template[head.triangles[groups == eye]] - centre
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        assert (np.einsum("fc,fc->f", normals, corners.mean(axis=1)) > 0).all()


def test_every_triangle_has_a_material_and_a_place_in_the_texture(head: Rig) -> None:
    surface = head.surface
    assert surface is not None
    assert surface.uv_triangles.shape == head.triangles.shape
    assert surface.uv.min() >= 0
    assert surface.uv.max() <= 1
    picture = np.asarray(Image.open(io.BytesIO(surface.texture)).convert("RGBA"))
    middle = surface.uv[surface.uv_triangles].mean(axis=1)
    row, column = (middle[:, ::-1] * picture.shape[0]).astype(int).T
    assert set(surface.triangle_material) == set(range(len(surface.materials)))
    for number, material in enumerate(surface.materials):
        here = surface.triangle_material == number
        texels = picture[row[here], column[here]] / 255
        if material.name in ("skin", "hair", "cloth", "lips", "pupil"):
            np.testing.assert_allclose(texels[:, :3].mean(axis=0), material.colour, atol=0.15)
        assert material.blended or (texels[:, 3] == 1).all()


def test_a_uv_coordinate_belongs_to_one_vertex(head: Rig) -> None:
    """So that writers of formats with one index for everything can split vertices along seams."""
    surface = head.surface
    assert surface is not None
    pairs = np.unique(np.c_[surface.uv_triangles.ravel(), head.triangles.ravel()], axis=0)
    assert len(pairs) == len(surface.uv)
