"""What an animator looks for in the bundled head: mouth, eyes and hem."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from codetalker.render.camera import Camera
from codetalker.render.renderer import Finish, Renderer
from codetalker.rig import Rig, Surface, bundled_head
from test_rig import asset, pose

BRIGHT = 110  # of 255: teeth in the light have more
JAW = ("jawOpen", "jawForward", "jawLeft", "jawRight")
BOTH = ("Left", "Right")
ROUNDED_M = 2e-4
"""Offsets are whole tenths of a millimetre: two vertices can be off by 0.09 mm each."""
GAZES = {
    "ahead": {},
    "up": {f"eyeLookUp{side}": 1.0 for side in BOTH},
    "down": {f"eyeLookDown{side}": 1.0 for side in BOTH},
    "left": {"eyeLookOutLeft": 1.0, "eyeLookInRight": 1.0},
    "right": {"eyeLookInLeft": 1.0, "eyeLookOutRight": 1.0},
    "squinting": {f"eyeSquint{side}": 1.0 for side in BOTH},
}


@pytest.fixture(scope="module")
def head() -> Rig:
    return bundled_head()


def vertices_of(*groups: str) -> np.ndarray:
    names = list(asset()["group_names"])
    return np.isin(asset()["vertex_group"], [names.index(group) for group in groups])


def surface_of(head: Rig) -> Surface:
    assert head.surface is not None
    return head.surface


def seen(head: Rig, group: np.ndarray, camera: Camera, size: int, **weights: float) -> int:
    """Pixels in which vertices of a group are nearest; lashes let through."""
    blended = [material.blended for material in surface_of(head).materials]
    triangles = head.triangles[~np.array(blended)[surface_of(head).triangle_material]]
    finish = Finish.clay(triangles, group[:, None] * np.array([0.0, 1.0, 0.0]))
    drawn = Renderer(
        head.template, triangles, finish=finish, camera=camera, size=size, samples=1
    ).frame(pose(head, **weights))
    red, green, _ = np.moveaxis(drawn.astype(int), 2, 0)
    return int((green > red + 40).sum())


# --- the mouth -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", JAW)
def test_lower_teeth_and_tongue_turn_with_the_jaw_as_one(head: Rig, shape: str) -> None:
    jaw = np.flatnonzero(vertices_of("teeth_lower", "tongue"))
    before, after = head.template[jaw].astype(float), pose(head, **{shape: 1.0})[jaw].astype(float)
    chosen = np.random.default_rng(0).permutation(len(jaw))[:120]
    apart = [np.linalg.norm(p[chosen, None] - p[chosen], axis=2) for p in (before, after)]
    np.testing.assert_allclose(*apart, atol=ROUNDED_M)
    assert np.linalg.norm(after - before, axis=1).max() > 5e-3


def test_nothing_moves_the_upper_teeth_and_only_jaw_and_tongue_out_the_rest(head: Rig) -> None:
    moved = {
        part: {
            name
            for name, offsets in zip(head.blendshape_names, head.blendshapes, strict=True)
            if np.abs(offsets[vertices_of(part)]).max() > 0
        }
        for part in ("teeth_upper", "teeth_lower", "tongue")
    }
    assert moved["teeth_upper"] == set()
    assert moved["teeth_lower"] == set(JAW)
    assert moved["tongue"] == {*JAW, "tongueOut"}


def test_the_lower_teeth_bite_behind_the_upper_ones(head: Rig) -> None:
    upper, lower = (head.template[vertices_of(f"teeth_{row}")] for row in ("upper", "lower"))
    upper, lower = (row[np.abs(row[:, 0]) < 0.010] for row in (upper, lower))
    upper_edge, lower_edge = upper[upper[:, 1].argmin()], lower[lower[:, 1].argmax()]
    assert 0.001 < upper_edge[2] - lower_edge[2] < 0.004


def test_the_tongue_is_round_and_furrowed_and_leaves_room(head: Rig) -> None:
    tongue = head.template[vertices_of("tongue")]
    top = tongue[(np.abs(tongue[:, 2] - 0.095) < 0.006)]
    height = {
        band: top[(np.abs(top[:, 0]) > low) & (np.abs(top[:, 0]) < high), 1].max()
        for band, low, high in (("furrow", -1, 1e-4), ("back", 2e-3, 8e-3), ("side", 0.013, 1))
    }
    assert height["back"] > height["furrow"] + 5e-4
    assert height["back"] > height["side"] + 1e-3
    lower = head.template[vertices_of("teeth_lower")]
    assert tongue[:, 2].max() < lower[np.abs(lower[:, 0]) < 0.01, 2].max() - 5e-3
    out = pose(head, tongueOut=1.0, jawOpen=0.4)
    lips = out[head.lip_gap[1]]
    assert out[vertices_of("tongue"), 2].max() > lips[:, 2].max() + 5e-3


def test_lower_teeth_show_no_more_than_the_upper_ones(head: Rig) -> None:
    """In a wide vowel and in the pose of most speech."""
    camera = Camera((0, -0.045, 0.12), 0.07)
    for jaw, lips in ((0.5, 0.45), (0.15, 0.2)):
        vowel = {"jawOpen": jaw} | {
            f"mouth{part}{side}": lips for part in ("LowerDown", "UpperUp") for side in BOTH
        }
        upper, lower = (
            seen(head, vertices_of(f"teeth_{row}"), camera, 300, **vowel)
            for row in ("upper", "lower")
        )
        assert upper > lower, vowel


def test_teeth_do_not_shine_through_lips_that_rest(head: Rig) -> None:
    """They do not move, but the light that the lips let through does."""
    camera = Camera((0, -0.037, 0.12), 0.03)
    shut, lit = (
        Renderer.of(face, 200, camera=camera).frame(head.template).astype(int)
        for face in (head, replace(head, lip_gap=np.zeros((2, 0), np.int32)))
    )
    behind_lips = (lit - shut).max(axis=2) > 40
    assert behind_lips.sum() > 50
    assert shut[behind_lips].max() < BRIGHT


def test_the_inside_of_the_mouth_is_darker_towards_the_throat(head: Rig) -> None:
    """In the picture itself, so that every program shows it."""
    surface = surface_of(head)
    picture = np.asarray(Image.open(io.BytesIO(surface.texture)).convert("L")).astype(float)
    column, row = (surface.uv[surface.uv_triangles].mean(axis=1) * picture.shape).astype(int).T
    grey = picture[row, column]
    depth = head.template[head.triangles].mean(axis=1)[:, 2]
    names = [material.name for material in surface.materials]
    for name, least in (("mouth", 1.5), ("teeth", 2.0), ("tongue", 2.0)):
        here = surface.triangle_material == names.index(name)
        edges = np.quantile(depth[here], [0, 0.25, 0.5, 0.75, 1])
        steps = [
            grey[here & (depth >= low) & (depth <= high)].mean() for low, high in pairwise(edges)
        ]
        assert steps[0] <= steps[1] + 2 <= steps[2] + 4 <= steps[3] + 6, name
        assert steps[3] > least * steps[0], name
        if name == "mouth":
            assert steps[0] < 30  # of 255
    front = (surface.triangle_material == names.index("teeth")) & (depth > 0.129)
    assert 120 < np.quantile(grey[front], 0.8) < 245  # bright, not glowing


# --- the eyes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("gaze", GAZES)
@pytest.mark.parametrize("blink", [0.8, 1.0])
def test_no_eye_shows_through_lids_that_are_shut(head: Rig, gaze: str, blink: float) -> None:
    eyes = vertices_of("eye_left", "eye_right")
    weights = GAZES[gaze] | {f"eyeBlink{side}": blink for side in BOTH}
    for yaw in (-0.4, 0.0, 0.4):
        camera = Camera((0, 0.03, 0.11), 0.12, distance=0.6, yaw=yaw)
        assert seen(head, eyes, camera, 500, **weights) <= 2, yaw
    assert seen(head, eyes, camera, 500, **GAZES[gaze]) > 500 or gaze == "down"


def test_the_lids_leave_the_bottom_of_the_iris_and_not_its_top(head: Rig) -> None:
    """The painted iris, in the middle column of the left eye as it is drawn: more of it is hidden
    above than below, and never more than a quarter of its height."""
    surface = surface_of(head)
    names = [material.name for material in surface.materials]
    whole = np.isin(head.triangles, np.flatnonzero(vertices_of("eye_left"))).all(axis=1)
    eye = asset()["eye_centres"][0]
    camera = Camera((float(eye[0]), float(eye[1]), float(eye[2])), 0.03, distance=5.0)

    def iris_rows(triangles: np.ndarray) -> np.ndarray:
        part = replace(
            surface,
            triangle_material=surface.triangle_material[triangles],
            uv_triangles=surface.uv_triangles[triangles],
        )
        finish = Finish.of(part, np.zeros((2, 0), np.int32))
        drawn = Renderer(
            head.template, head.triangles[triangles], finish=finish, camera=camera, size=300
        ).frame(head.template)
        red, _, blue = drawn[:, 150].astype(float).T
        iris = (blue > 0.97 * red) | (red + blue < 110)
        return np.flatnonzero(iris & (np.abs(np.arange(300) - 150) < 80))

    bare = iris_rows(whole)
    opaque = surface.triangle_material != names.index("lashes")
    shown = iris_rows(opaque)
    above, below = shown.min() - bare.min(), bare.max() - shown.max()
    assert above > below, (above, below)


# --- the jersey ----------------------------------------------------------------------------------


def test_the_hem_is_one_clean_closed_curve(head: Rig) -> None:
    quads = asset()["quads"][asset()["face_group"] == 0]
    sides = [tuple(side) for i in range(4) for side in quads[:, [i, (i + 1) % 4]].tolist()]
    uses = Counter(tuple(sorted(side)) for side in sides)
    following = dict(side for side in sides if uses[tuple(sorted(side))] == 1)
    loop = [next(iter(following))]
    while (ahead := following[loop[-1]]) != loop[0]:
        loop.append(ahead)
    assert len(loop) == len(following)
    steps = np.diff(head.template[[*loop, *loop[:2]]], axis=0)
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    turns = np.degrees(np.arccos(np.clip((steps[1:] * steps[:-1]).sum(axis=1), -1, 1)))
    assert turns.max() < 30
    assert turns.sum() < 400  # a flat oval turns by 360
    assert head.neck is not None
    assert head.neck[loop].max() == 0
