"""The renderer: coverage, depth, shading, and the pictures it makes."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from codetalker.audio import Waveform
from codetalker.errors import OptionError
from codetalker.motion import Motion
from codetalker.normals import VertexNormals
from codetalker.render.camera import Camera
from codetalker.render.colour import linear_from_srgb, srgb_from_linear
from codetalker.render.image import decode_png, encode_png
from codetalker.render.raster import nearest, scan
from codetalker.render.renderer import Finish, Renderer
from codetalker.render.strip import Strip, strip
from codetalker.rig import Rig, bundled_head

SIDE = 24
CORNERS = arrays(np.float64, (3, 2), elements=st.floats(-6, SIDE + 6, width=32))


def pose(head: Rig, **weights: float) -> np.ndarray:
    row = np.zeros((1, len(head.blendshape_names)), np.float32)
    for name, weight in weights.items():
        row[0, head.blendshape_names.index(name)] = weight
    return head.vertices(row)[0]


def edge_sides(triangle: np.ndarray) -> np.ndarray:
    """(SIDE, SIDE, 3) signed areas of the sample centres with the three edges."""
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    sides = []
    for i in range(3):
        (ax, ay), (bx, by) = triangle[i], triangle[(i + 1) % 3]
        sides.append((bx - ax) * (y - ay) - (by - ay) * (x - ax))
    return np.stack(sides, axis=-1)


@settings(max_examples=200, deadline=None)
@given(CORNERS)
def test_a_triangle_covers_the_samples_inside_it(triangle: np.ndarray) -> None:
    covered = np.zeros(SIDE * SIDE, int)
    np.add.at(covered, scan(triangle[None], SIDE, SIDE).sample, 1)
    sides = edge_sides(triangle)
    inside = (sides > 1e-3).all(axis=-1) | (sides < -1e-3).all(axis=-1)
    outside = (sides > 1e-3).any(axis=-1) & (sides < -1e-3).any(axis=-1)
    assert (covered.reshape(SIDE, SIDE)[inside] == 1).all()
    assert (covered.reshape(SIDE, SIDE)[outside] == 0).all()


@settings(max_examples=50, deadline=None)
@given(arrays(np.float64, (3, 3, 2), elements=st.floats(-0.2, 0.2)))
def test_neighbours_share_no_sample_and_leave_none_out(jitter: np.ndarray) -> None:
    """A jittered grid of 32 triangles tiles the picture, vertices on sample centres included."""
    grid = np.stack(np.meshgrid(np.arange(5.0), np.arange(5.0)), axis=-1)
    grid[1:4, 1:4] += jitter
    grid = grid * SIDE / 4
    corner = [grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]]
    a, b, c, d = (part.reshape(-1, 2) for part in corner)
    triangles = np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])
    assert sorted(scan(triangles, SIDE, SIDE).sample) == list(range(SIDE * SIDE))


@settings(max_examples=50, deadline=None)
@given(CORNERS, st.tuples(*[st.floats(-2, 2)] * 3))
def test_interpolation_reproduces_a_plane(
    triangle: np.ndarray, plane: tuple[float, float, float]
) -> None:
    a, b, c = plane
    fragments = scan(triangle[None], SIDE, SIDE)
    edges = triangle[1:] - triangle[0]
    sharp = abs(np.linalg.det(edges)) / max(np.square(edges).sum(), 1e-9)
    values = fragments.interpolate((triangle @ [a, b] + c)[None].astype(np.float32))
    row, column = np.divmod(fragments.sample, SIDE)
    expected = a * (column + 0.5) + b * (row + 0.5) + c
    # Corner values are float32 (1e-5 at this size); a sliver of low sharpness magnifies that.
    np.testing.assert_allclose(values, expected, atol=1e-4 / max(sharp, 1e-9))


def test_the_nearest_surface_is_seen() -> None:
    rng = np.random.default_rng(3)
    triangles = rng.uniform(0, SIDE, (40, 3, 2))
    depths = rng.uniform(0, 1, (40, 3)).astype(np.float32)
    fragments = scan(triangles, SIDE, SIDE)
    depth = fragments.interpolate(depths)
    buffer = np.full(SIDE * SIDE, np.inf, np.float32)
    seen = fragments.keep(nearest(fragments, depth, buffer))
    for sample, owner in zip(seen.sample, seen.per_triangle(np.arange(40)), strict=True):
        here = fragments.sample == sample
        closest = fragments.per_triangle(np.arange(40))[here][depth[here].argmin()]
        assert owner == closest
    assert set(seen.sample) == set(fragments.sample)


def test_normals_of_a_sphere_point_from_its_centre() -> None:
    sphere = trimesh.creation.icosphere(subdivisions=3, radius=2.0)
    normals = VertexNormals(sphere.faces.astype(np.int32), len(sphere.vertices)).of(
        sphere.vertices.astype(np.float32)
    )
    np.testing.assert_allclose(normals, sphere.vertices / 2.0, atol=0.02)


def test_normals_without_a_triangle_of_any_area_point_out_of_the_face() -> None:
    corners = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0], [5, 5, 5]], np.float32)
    normals = VertexNormals(np.array([[0, 1, 2]], np.int32), len(corners)).of(corners)
    np.testing.assert_array_equal(normals, [[0, 0, 1]] * 4)


@given(arrays(np.float64, 5, elements=st.floats(0, 1)))
def test_srgb_and_linear_light_are_inverse(values: np.ndarray) -> None:
    np.testing.assert_allclose(srgb_from_linear(linear_from_srgb(values)), values, atol=1e-6)


@pytest.mark.parametrize("channels", [3, 4])
def test_png_is_read_by_another_reader(channels: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (7, 13, channels)).astype(np.uint8)
    data = encode_png(picture)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), picture)
    np.testing.assert_array_equal(decode_png(data)[:, :, :channels], picture)


def test_a_sphere_in_clay_is_a_shaded_disc() -> None:
    """Any mesh is drawn without materials: right place, right size, lit from above."""
    sphere = trimesh.creation.icosphere(subdivisions=4, radius=1.0)
    camera = Camera((0.0, 0.0, 0.0), extent=4.0, distance=1000.0)
    renderer = Renderer(
        sphere.vertices.astype(np.float32),
        sphere.faces.astype(np.int32),
        camera=camera,
        size=80,
    )
    picture = renderer.frame(sphere.vertices.astype(np.float32)).astype(int)
    row, column = np.mgrid[:80, :80] + 0.5
    radius = np.hypot(row - 40, column - 40)
    red_over_blue = picture[:, :, 0] - picture[:, :, 2]  # clay is warm, the backdrop is cool
    assert (red_over_blue[radius < 15] > 0).all()
    assert (red_over_blue[radius > 21.5] < 0).all()
    assert picture[28, 32].sum() > picture[54, 46].sum() + 60


def test_a_mesh_keeps_the_colours_of_its_vertices() -> None:
    box = trimesh.creation.box()
    colours = np.tile([0.1, 0.6, 0.1], (8, 1))
    vertices, triangles = box.vertices.astype(np.float32), box.faces.astype(np.int32)
    renderer = Renderer(vertices, triangles, finish=Finish.clay(triangles, colours), size=32)
    red, green, blue = renderer.frame(vertices)[16, 16].astype(int)
    assert green > red + 40
    assert green > blue + 40


def test_a_frame_does_not_depend_on_the_frames_before() -> None:
    head = bundled_head()
    used, fresh = Renderer.of(head, 96), Renderer.of(head, 96)
    used.frame(pose(head, jawOpen=1.0, mouthSmileLeft=1.0))
    used.frame(pose(head, mouthPucker=1.0))
    blink = pose(head, eyeBlinkLeft=1.0)
    np.testing.assert_array_equal(used.frame(blink), fresh.frame(blink))


def test_drawing_the_still_parts_once_changes_nothing() -> None:
    head = bundled_head()
    assert head.surface is not None
    all_moving = Renderer(
        head.template,
        head.triangles,
        finish=Finish.of(head.surface, head.lip_gap),
        camera=Camera.portrait(head.template, head.landmarks),
        size=96,
    )
    vertices = pose(head, jawOpen=0.5)
    difference = np.abs(
        Renderer.of(head, 96).frame(vertices).astype(int) - all_moving.frame(vertices)
    ).max(axis=2)
    # Where a still and a moving triangle share an edge, rounding of depth may pick the other one.
    assert (difference > 2).mean() < 0.001


def test_the_portrait_shows_a_face() -> None:
    head = bundled_head()
    size = 128
    renderer = Renderer.of(head, size)
    camera = Camera.portrait(head.template, head.landmarks)
    rest = renderer.frame(head.template).astype(int)
    points = camera.project(head.template[head.landmarks], size)[:, :2]
    assert points.min() > 0
    assert points.max() < size
    column, row = points[30].astype(int)
    red, green, blue = rest[row, column]
    assert red > green > blue  # skin at the tip of the nose
    assert rest[0, 0].max() < 60  # dark backdrop in the corner
    np.testing.assert_allclose(rest[-1], rest[-1, ::-1], atol=1)  # faded out at the bottom

    shut = renderer.frame(pose(head, eyeBlinkLeft=1.0, eyeBlinkRight=1.0)).astype(int)
    changed = np.abs(shut - rest).max(axis=2) > 25
    rows = np.flatnonzero(changed.any(axis=1))
    eyes = points[36:48, 1]
    assert changed.sum() > 20
    assert rows.min() > eyes.min() - 0.08 * size
    assert rows.max() < eyes.max() + 0.06 * size

    open_ = renderer.frame(pose(head, jawOpen=0.7)).astype(int)
    inside = points[[62, 66]].mean(axis=0).astype(int)
    column, row = inside[0], inside[1] + int(0.02 * size)
    assert open_[row, column].sum() < 0.8 * rest[row + int(0.06 * size), column].sum()


def motion(seconds: float, audio: bool) -> Motion:
    head = bundled_head()
    weights = np.zeros((round(25 * seconds), 52), np.float32)
    weights[:, head.blendshape_names.index("jawOpen")] = np.linspace(0, 0.5, len(weights))
    tone = np.sin(np.arange(int(16000 * seconds)) * 0.3).astype(np.float32)
    tone[: len(tone) // 2] = 0
    return Motion(weights, head.blendshape_names, 25.0, Waveform(tone) if audio else None)


def test_a_rig_without_known_lips_is_drawn() -> None:
    """A user's own character: its teeth are lit, and a strip of it has a flat curve."""
    head = replace(bundled_head(), lip_gap=np.zeros((2, 0), np.int32))
    vertices = pose(head, jawOpen=0.7)
    known, unknown = (Renderer.of(h, 64).frame(vertices) for h in (bundled_head(), head))
    np.testing.assert_array_equal(known, unknown)  # the mouth is wide open: lit either way
    picture = strip(motion(0.2, audio=False).on(head), 2, look=Strip(tile=32, wave=40))
    assert ((picture[32:].astype(int) @ [-1, 0, 1]) > 40).sum(axis=0).max() <= 2


def test_a_strip_shows_sound_where_it_is() -> None:
    picture = strip(motion(1.0, audio=True).on(), 4, look=Strip(tile=32, wave=40))
    assert picture.shape == (32 + 40 + 18, 4 * 32, 3)
    blue = (picture[32:].astype(int) @ [-1, 0, 1]) > 40
    ink = blue.sum(axis=0)
    assert np.median(ink[70:]) > 30  # the tone fills the second half
    assert np.median(ink[2:60]) < 6


def test_a_strip_without_sound_shows_the_lips() -> None:
    picture = strip(
        motion(1.0, audio=False).on(), [0.1, 0.9], look=Strip(tile=32, wave=40, mouth=False)
    )
    ink = ((picture[32:].astype(int) @ [-1, 0, 1]) > 40).sum(axis=0)
    assert ink[60] > ink[30] > ink[5]
    assert (picture[:32, :32] != picture[:32, 32:]).any()


@pytest.mark.parametrize("times", [0, [], [1.0], [-0.1], 201])
def test_a_strip_of_nothing_is_refused(times: int | list[float]) -> None:
    with pytest.raises(OptionError):
        strip(motion(1.0, audio=True).on(), times)
