"""Motion: validation, frame rates, and files that appear whole or not at all."""

from __future__ import annotations

import os
import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator

from codetalker import files
from codetalker.animation import Animation
from codetalker.audio import Waveform
from codetalker.curves import frame_count
from codetalker.errors import MotionError, OptionError, OutputError, RigError
from codetalker.motion import Motion
from codetalker.rig import bundled_head
from codetalker.vertex_motion import VertexMotion

NAMES = ("jawOpen", "mouthClose", "eyeBlinkLeft")


def wobble(frames: int = 75, fps: float = 25.0, names: tuple[str, ...] = NAMES) -> Motion:
    """Random weights, many of them 0 as in a closed mouth."""
    weights = np.random.default_rng(0).normal(0.2, 0.4, (frames, len(names)))
    return Motion(np.clip(weights, 0, 1).astype(np.float32), names, fps)


def sine(hertz: float, fps: float, seconds: float = 8.0) -> np.ndarray:
    return (0.5 + 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * fps)) / fps))[:, None]


def test_faster_motion_is_scipys_monotone_cubic() -> None:
    motion = wobble()
    faster = motion.resample(60)
    times = np.minimum(np.arange(len(faster)) / 60, 74 / 25)  # the last frame is held
    expected = PchipInterpolator(np.arange(75) / 25, motion.weights)(times)
    np.testing.assert_allclose(faster.weights, expected, atol=1e-6)


@given(fps=st.floats(5, 240), frames=st.integers(1, 40))
def test_resampling_never_leaves_the_range_and_covers_the_duration(fps: float, frames: int) -> None:
    motion = wobble(frames)
    result = motion.resample(fps)
    assert result.fps == fps
    assert len(result) == max(1, np.ceil(frames / 25 * fps - 1e-6))
    assert (result.weights >= motion.weights.min(axis=0)).all()
    assert (result.weights <= motion.weights.max(axis=0)).all()


def test_a_closure_of_two_frames_stays_closed_at_every_rate_from_its_own_up() -> None:
    weights = np.full((50, 1), 0.6, np.float32)
    weights[20:23] = 0
    motion = Motion(weights, ("jawOpen",), 25)
    for fps in (25, 30, 50, 60, 120):
        result = motion.resample(fps).weights[:, 0]
        times = np.arange(len(result)) / fps
        inside = (times >= 20 / 25) & (times <= 22 / 25)
        assert (result[inside] == 0).all()
        assert (result >= 0).all()


def test_slower_motion_keeps_slow_waves_and_drops_those_that_would_alias() -> None:
    for hertz, low, high in [(3, 0.95, 1.05), (5, 0.95, 1.05), (22, 0, 0.05), (40, 0, 0.02)]:
        slow = Motion(sine(hertz, 100), ("jawOpen",), 100).resample(25).weights[10:-10]
        size = slow.std() / (0.5 / np.sqrt(2))
        assert low <= size <= high, hertz


def test_frames_keep_their_time_through_resampling() -> None:
    ramp = Motion(np.arange(50, dtype=np.float32)[:, None] / 50, ("jawOpen",), 25)
    for fps in (24, 29.97, 60):
        result = ramp.resample(fps)
        times = np.minimum(np.arange(len(result)) / fps, 49 / 25)
        middle = slice(6, -6)
        expected = (times * 25 / 50)[middle]
        np.testing.assert_allclose(result.weights[middle, 0], expected, atol=0.02)


def test_the_sound_says_how_many_frames_there_are() -> None:
    sound = Waveform(np.zeros(int(5.01 * 16000), np.float32))
    motion = Motion(np.zeros((126, 1), np.float32), ("jawOpen",), 25, sound)
    assert len(motion.resample(30)) == 151  # ceil(5.01 * 30); the 126 frames last 5.04 s
    assert motion.resample(30).audio is sound


@pytest.mark.parametrize("fps", [0, -25, float("nan"), float("inf"), 241])
def test_an_impossible_rate_is_refused(fps: float) -> None:
    with pytest.raises(OptionError, match="out of range"):
        wobble().resample(fps)


@pytest.mark.parametrize(
    ("weights", "names", "fps", "message"),
    [
        (np.zeros((5, 2)), NAMES, 25, "do not fit"),
        (np.zeros(3), NAMES, 25, "do not fit"),
        (np.zeros((5, 2)), ("jawOpen", "jawOpen"), 25, "twice"),
        (np.zeros((5, 3)), NAMES, 0, "positive rate"),
        (np.zeros((5, 3)), NAMES, np.nan, "positive rate"),
        (np.full((5, 3), np.nan), NAMES, 25, "NaN"),
    ],
)
def test_a_malformed_motion_is_refused(
    weights: np.ndarray, names: tuple[str, ...], fps: float, message: str
) -> None:
    with pytest.raises(MotionError, match=message):
        Motion(weights, names, fps)


def test_vertices_are_looked_up_by_name() -> None:
    head = bundled_head()
    jaw = head.blendshape_names.index("jawOpen")
    motion = Motion(np.array([[0.0, 0.5], [0.0, 1.0]], np.float32), ("notOurs", "jawOpen"), 25)
    expected = head.template + np.array([0.5, 1.0])[:, None, None] * head.blendshapes[jaw]
    np.testing.assert_allclose(motion.on().vertices(), expected, atol=1e-7)
    with pytest.raises(RigError, match="ARKit"):
        Motion(np.zeros((1, 1)), ("notOurs",), 25).on()


def test_the_motion_file_holds_the_documented_arrays(tmp_path: Path) -> None:
    motion = wobble(names=bundled_head().blendshape_names)
    motion.save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert set(file.files) == {"weights", "names", "fps", "format_version"}
        np.testing.assert_array_equal(file["weights"], motion.weights)
        assert file["weights"].dtype == np.float32
        assert file["weights"].shape == (75, 52)
        assert list(file["names"]) == list(motion.names)
        assert file["fps"] == 25
        assert file["format_version"] == 1


def test_a_saved_motion_loads_as_it_was(tmp_path: Path) -> None:
    motion = wobble(fps=29.97)
    motion.save(tmp_path / "a.npz")
    loaded = Motion.load(tmp_path / "a.npz")
    np.testing.assert_array_equal(loaded.weights, motion.weights)
    assert (loaded.names, loaded.fps) == (motion.names, motion.fps)


def store(path: Path, **arrays: object) -> Path:
    np.savez(path, **{key: np.asarray(value) for key, value in arrays.items()})
    return path


GOOD = {"weights": np.zeros((2, 1)), "names": ["jawOpen"], "fps": 25.0, "format_version": 1}


def pickled(path: Path) -> Path:
    np.savez(path, **(GOOD | {"names": np.array(["jawOpen"], dtype=object)}))
    return path


BAD_FILES = {
    "missing": (lambda path: path, "does not exist"),
    "text": (lambda path: path.write_text("hello"), "no readable motion file"),
    "truncated": (
        lambda path: path.write_bytes(store(path, **GOOD).read_bytes()[:300]),
        "no readable motion file",
    ),
    "vertices": (lambda path: store(path, vertices=np.zeros((2, 9, 3)), fps=25.0), "lacks"),
    "pickle": (pickled, "no readable motion file"),
    "newer": (lambda path: store(path, **(GOOD | {"format_version": 2})), "upgrade"),
    "text weights": (lambda path: store(path, **(GOOD | {"weights": [["a"]]})), "no readable"),
    "no rate": (lambda path: store(path, **(GOOD | {"fps": 0.0})), "positive rate"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_motion_file_gives_one_line(tmp_path: Path, case: str) -> None:
    make, message = BAD_FILES[case]
    path = tmp_path / "a.npz"
    make(path)
    with pytest.raises(MotionError, match=message) as caught:
        Motion.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.glbb", "did you mean .glb"),
        ("a.nzp", "did you mean .npz"),
        ("a.tar", "choose from .npz, .csv, .glb, .mp4, .html"),
        ("a", "no format has the suffix ''"),
        ("no/a.npz", "does not exist; create it"),
        ("folder.npz", "is a directory"),
    ],
)
def test_a_path_that_cannot_be_written_gives_one_line(
    tmp_path: Path, name: str, message: str
) -> None:
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(OutputError, match=message):
        wobble().save(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "option", "hint"),
    [
        ("a.mp4", "sise", "the format .mp4 has no option 'sise'; did you mean 'size'?"),
        ("a.mp4", "zzz", "choose from size"),
        ("a.glb", "size", "the format .glb has no option 'size'; it has none"),
        ("a.glb", "motion", "the format .glb has no option 'motion'"),
        ("a.csv", "size", "the format .csv has no option 'size'; it has none"),
    ],
)
def test_an_unknown_option_names_the_format_and_the_nearest(
    tmp_path: Path, name: str, option: str, hint: str
) -> None:
    with pytest.raises(OptionError, match=re.escape(hint)):
        wobble().save(tmp_path / name, **{option: 1})
    assert not list(tmp_path.iterdir())


def test_an_unwritable_folder_gives_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(OutputError, match="not writable"):
        wobble().save(tmp_path / "a.npz")


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interrupted_file_leaves_the_old_one_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    path = tmp_path / "a.npz"
    wobble().save(path)
    before = path.read_bytes()

    def half(temporary: Path, motion: Motion) -> None:
        temporary.write_bytes(b"half a file")
        raise failure

    monkeypatch.setattr("codetalker.files.npz.write_weights", half)
    expected = OutputError if isinstance(failure, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        wobble(10).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_every_form_has_one_writer_for_a_suffix_and_every_writer_is_there() -> None:
    faces = (".glb", ".mp4", ".html")
    others = (".usd", ".usda", ".usdz", ".fbx", ".obj", ".ply")
    mouths = (".json", ".tsv", ".dat")
    assert files.formats_of(Motion) == (".npz", ".csv", *faces, *mouths, *others, ".vrma")
    assert files.formats_of(Animation) == (*faces, *others)
    assert files.formats_of(VertexMotion) == (".npz", *faces, *others)
    for form in files.FORMATS:
        module, function = form.writer.split(":")
        if module == "codetalker.files.usd" and find_spec("pxr") is None:
            continue
        assert callable(getattr(import_module(module), function))


@pytest.mark.parametrize(
    ("duration", "fps", "frames"),
    [
        (0.07, 100, 7),
        (0.1, 30, 3),
        (0.1 + 1e-5, 30, 4),
        (0.7, 10, 7),
        (6.05, 25, 152),
        (0.0, 25, 1),
        (0.04, 25, 1),
    ],
)
def test_frames_cover_the_sound_and_rounding_makes_none(
    duration: float, fps: float, frames: int
) -> None:
    assert frame_count(duration, fps) == frames


def test_slower_motion_stays_within_the_frames_that_it_stands_for() -> None:
    """Those nearer than a frame of the result; the next ones beside them do not count."""
    weights = np.full((41, 1), 0.5, np.float32)
    weights[[18, 22]], weights[[17, 23]] = 1, 0
    assert Motion(weights, ("jawOpen",), 50).resample(25).weights[10] == 0.5
