"""Vertex motion: files that others read, principal shapes with their error, bad input."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from codetalker.audio import Waveform
from codetalker.errors import MotionError, OptionError, OutputError
from codetalker.files.mesh import read_mesh
from codetalker.vertex_motion import VertexMotion

SIDE, FRAMES = 9, 24


def sheet() -> tuple[np.ndarray, np.ndarray]:
    """A square of SIDE x SIDE vertices, 20 cm wide, and its triangles."""
    x, y = np.meshgrid(*[np.linspace(-0.1, 0.1, SIDE)] * 2)
    vertices = np.stack([x, y, 0.1 * np.cos(9 * x)], -1).reshape(-1, 3).astype(np.float32)
    corners = np.arange(SIDE * (SIDE - 1)).reshape(SIDE - 1, SIDE)[:, :-1].reshape(-1, 1, 1)
    halves = np.array([[0, 1, SIDE], [1, SIDE + 1, SIDE]])
    return vertices, (corners + halves).reshape(-1, 3).astype(np.int32)


def motion(modes: int = 3, fps: float = 25.0, audio: Waveform | None = None) -> VertexMotion:
    """A sheet that moves in `modes` independent ways, by about a centimetre."""
    template, triangles = sheet()
    random = np.random.default_rng(1)
    ways = random.normal(size=(modes, len(template), 3)) / modes
    times = np.arange(FRAMES)[:, None] / fps
    curves = np.sin(times * (4 + 3 * np.arange(modes)))
    offsets = 0.01 * np.tensordot(curves, ways, 1)
    return VertexMotion((template + offsets).astype(np.float32), template, fps, triangles, audio)


def test_npz_holds_the_contract_and_comes_back(tmp_path):
    saved = motion()
    assert saved.save(tmp_path / "m.npz") == tmp_path / "m.npz"
    with np.load(tmp_path / "m.npz", allow_pickle=False) as arrays:
        assert arrays["vertices"].shape == (FRAMES, SIDE**2, 3)
        assert arrays["vertices"].dtype == np.float32
        assert arrays["template"].shape == (SIDE**2, 3)
        assert float(arrays["fps"]) == 25.0
    loaded = VertexMotion.load(tmp_path / "m.npz")
    assert np.array_equal(loaded.vertices, saved.vertices)
    assert np.array_equal(loaded.template, saved.template)
    assert loaded.triangles is not None
    assert np.array_equal(loaded.triangles, saved.triangles)


@pytest.mark.parametrize("suffix", [".obj", ".ply"])
def test_sequences_are_folders_of_numbered_meshes(suffix, tmp_path):
    saved = motion()
    folder = saved.save(tmp_path / f"talk{suffix}")
    assert folder == tmp_path / "talk"
    files = sorted(folder.iterdir())
    assert [file.name for file in files][:2] == [f"talk_00000{suffix}", f"talk_00001{suffix}"]
    assert len(files) == FRAMES
    last = read_mesh(files[-1])
    assert np.array_equal(last.vertices, saved.vertices[-1])
    with pytest.raises(OutputError, match="already exists"):
        saved.save(tmp_path / f"talk{suffix}")


@pytest.mark.parametrize("modes", [1, 3, 8])
def test_shapes_reproduce_the_motion_within_their_stated_error(modes):
    saved = motion(modes)
    shapes = saved.as_shapes()
    assert len(shapes.rig.blendshape_names) <= modes
    posed = shapes.vertices()
    actual = np.linalg.norm(posed - saved.vertices, axis=-1).max()
    assert actual == pytest.approx(shapes.error, rel=0.01, abs=1e-7)
    assert shapes.error <= 5e-4 * np.linalg.norm(np.ptp(saved.template, axis=0))
    assert np.abs(shapes.weights).max() == pytest.approx(1)


def test_fewer_shapes_leave_a_larger_error_and_say_so():
    saved = motion(8)
    few = saved.as_shapes(limit=2)
    posed = few.vertices()
    actual = np.linalg.norm(posed - saved.vertices, axis=-1).max()
    assert len(few.rig.blendshape_names) == 2
    assert few.error == pytest.approx(actual, rel=0.01)
    assert few.error > 5e-4 * np.linalg.norm(np.ptp(saved.template, axis=0))
    assert "2 shapes" in few.rig.name


@pytest.mark.parametrize("tolerance", [5e-4, 5e-3])
def test_there_are_no_more_shapes_than_the_tolerance_asks_for(tolerance):
    saved = motion(8)
    size = np.linalg.norm(np.ptp(saved.template, axis=0))
    shapes = saved.as_shapes(tolerance=tolerance)
    count = len(shapes.rig.blendshape_names)
    assert shapes.error <= tolerance * size
    assert saved.as_shapes(limit=count - 1).error > tolerance * size


def test_glb_poses_the_vertices_by_its_own_numbers(tmp_path):
    """Read with nothing of ours: morph targets times weights give the vertices."""
    saved = motion(3)
    saved.save(tmp_path / "m.glb")
    data = (tmp_path / "m.glb").read_bytes()
    (length,) = struct.unpack_from("<I", data, 12)
    document = json.loads(data[20 : 20 + length])
    binary = data[20 + length + 8 :]

    def floats(index: int) -> np.ndarray:
        accessor = document["accessors"][index]
        view = document["bufferViews"][accessor["bufferView"]]
        width = {"SCALAR": 1, "VEC3": 3}[accessor["type"]]
        start = view["byteOffset"] + accessor.get("byteOffset", 0)
        return np.frombuffer(binary, "<f4", accessor["count"] * width, start).reshape(-1, width)

    (primitive,) = document["meshes"][0]["primitives"]
    rest = floats(primitive["attributes"]["POSITION"])
    targets = np.stack([floats(target["POSITION"]) for target in primitive["targets"]])
    weights = floats(document["animations"][0]["samplers"][0]["output"])
    posed = rest + np.tensordot(weights.reshape(FRAMES, -1), targets, 1)
    assert np.linalg.norm(posed - saved.vertices, axis=-1).max() < 2e-4  # metres
    assert "error at most" in document["nodes"][0]["name"]


def test_mp4_shows_every_frame_with_sound(tmp_path):
    import av

    tone = np.sin(np.arange(16_000) / 10).astype(np.float32) / 4
    saved = motion(2, audio=Waveform(tone))
    calls = []
    saved.save(tmp_path / "m.mp4", lambda *call: calls.append(call), size=64)
    with av.open(str(tmp_path / "m.mp4")) as film:
        pictures = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
        assert len(film.streams.audio) == 1
    assert len(pictures) == FRAMES
    assert pictures[0].shape == (64, 64, 3)
    assert np.abs(pictures[0].astype(int) - pictures[8]).max() > 20
    assert calls[-1] == (FRAMES, FRAMES)


def test_resampling_keeps_the_duration_and_the_slow_motion():
    slow = motion(1)
    fast = slow.resample(50.0)
    assert len(fast) == 2 * FRAMES
    assert fast.duration == slow.duration
    np.testing.assert_allclose(fast.vertices[::2], slow.vertices, atol=1e-6)
    with pytest.raises(OptionError):
        slow.resample(0)


def test_glb_and_mp4_need_triangles(tmp_path):
    template, _ = sheet()
    bare = VertexMotion(template[None], template, 25.0)
    for suffix in (".glb", ".mp4"):
        with pytest.raises(MotionError, match="no triangles"):
            bare.save(tmp_path / f"m{suffix}")
    assert bare.save(tmp_path / "m.npz").exists()
    assert not list(tmp_path.glob("*m.[gm]*"))


def test_a_still_face_can_be_written(tmp_path):
    template, triangles = sheet()
    still = VertexMotion(np.repeat(template[None], 5, 0), template, 25.0, triangles)
    still.save(tmp_path / "still.glb")
    assert still.as_shapes().error < 1e-6


def test_an_unknown_suffix_names_the_nearest(tmp_path):
    with pytest.raises(OutputError, match=r"did you mean \.glb"):
        motion().save(tmp_path / "m.glv")


def test_an_unknown_option_names_the_format_and_the_nearest(tmp_path):
    with pytest.raises(
        OptionError, match=r"format \.mp4 has no option 'sizes'; did you mean 'size'"
    ):
        motion().save(tmp_path / "m.mp4", sizes=64)
    for suffix in (".npz", ".glb", ".obj"):
        with pytest.raises(OptionError, match=f"format {suffix} has no option 'size'; it has none"):
            motion().save(tmp_path / f"m{suffix}", size=64)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("vertices", "fps", "message"),
    [
        (np.zeros((4, 80, 3), np.float32), 25.0, "do not fit"),
        (np.full((4, 81, 3), np.nan, np.float32), 25.0, "NaN"),
        (np.zeros((4, 81, 3), np.float32), 0.0, "positive rate"),
    ],
)
def test_impossible_motions_are_refused(vertices, fps, message):
    with pytest.raises(MotionError, match=message):
        VertexMotion(vertices, sheet()[0], fps)


def test_other_files_are_no_vertex_motion(tmp_path):
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    (tmp_path / "text.npz").write_text("no zip")
    for name in ("none.npz", "other.npz", "text.npz"):
        with pytest.raises(MotionError, match=name):
            VertexMotion.load(tmp_path / name)
