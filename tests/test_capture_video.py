"""capture from films: what a camera sees becomes the motion that was there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from codetalker.capture.points import iod
from codetalker.cli import main
from codetalker.data.corpus import read_corpus
from codetalker.motion import Motion
from conftest import SHARED
from filmed import TRACKER, agreement, gaps_of, needs_tracker, pictures_of, spoken, write_film

GRID = SHARED / "corpus/grid_others"
pytestmark = needs_tracker


def captured(folder: Path, *films: Path, more: tuple[str, ...] = ()) -> dict:
    """What capture.json says of films."""
    given = [*map(str, films), "-o", str(folder), "--tracker", TRACKER, *more]
    assert main(["capture", *given]) == 0
    return json.loads((folder / "capture.json").read_text())


@pytest.fixture(scope="module")
def motion() -> Motion:
    return spoken()


@pytest.fixture(scope="module")
def pictures(motion: Motion) -> np.ndarray:
    return pictures_of(motion, 512)


@pytest.fixture(scope="module")
def times(motion: Motion) -> np.ndarray:
    return np.arange(len(motion)) / motion.fps


@pytest.fixture(scope="module")
def small(pictures: np.ndarray) -> np.ndarray:
    return pictures[:, ::2, ::2]


@pytest.mark.skipif(not GRID.is_dir(), reason="the four GRID videos are not beside the repository")
@pytest.mark.parametrize("name", ["brbk7n", "id2_vcd_swwp2s", "lwbsza", "pwij3p"])
def test_grid_videos_give_the_weights_that_are_known(name: str, tmp_path: Path) -> None:
    with np.load(GRID / "motion.npz") as known:
        true = known["weights"][known["names"].tolist().index(name)].astype(np.float32)
    record = captured(tmp_path / "a", GRID / "video" / f"{name}.mpg")
    (clip,) = read_corpus(tmp_path / "a")
    assert clip.fps == 25 and len(clip.weights) == len(true)
    gap, wanted = gaps_of(clip.weights), gaps_of(true)
    assert np.corrcoef(gap, wanted)[0, 1] >= 0.99
    assert np.sqrt(np.mean((gap - wanted) ** 2)) / (iod() * 1000) <= 0.0035
    assert abs(record["clips"][0]["sound_offset_ms"]) <= 20


def test_a_turning_head_in_a_noisy_film_speaks_as_it_did(
    motion: Motion, pictures: np.ndarray, times: np.ndarray, tmp_path: Path
) -> None:
    film = write_film(tmp_path / "anna.mp4", pictures, times, motion.audio)
    record = captured(tmp_path / "a", film)
    (clip,) = read_corpus(tmp_path / "a")
    correlation, closed = agreement(clip.weights, motion.weights, 25)
    assert correlation >= 0.97 and closed >= 0.95
    with np.load(tmp_path / "a/motion.npz") as arrays:
        yaw = arrays["head_pose"][:, 1]
    assert motion.head is not None
    assert np.corrcoef(yaw, motion.head[:, 1])[0, 1] > 0.99
    lids = clip.weights[:, 0], motion.weights[:, 0]
    assert np.corrcoef(*lids)[0, 1] > 0.9
    assert record["clips"][0]["gap_correlation"] > 0.99
    assert abs(record["clips"][0]["sound_offset_ms"]) <= 20


def test_a_film_held_upright_is_seen_upright(
    motion: Motion, small: np.ndarray, times: np.ndarray, tmp_path: Path
) -> None:
    lying = np.rot90(small, -1, axes=(1, 2))
    film = write_film(tmp_path / "a.mp4", lying, times, motion.audio, turned=90)
    captured(tmp_path / "a", film)
    (clip,) = read_corpus(tmp_path / "a")
    assert agreement(clip.weights, motion.weights, 25)[0] > 0.95


def test_a_variable_frame_rate_keeps_its_time(
    motion: Motion, small: np.ndarray, times: np.ndarray, tmp_path: Path
) -> None:
    rng = np.random.default_rng(2)
    kept = np.flatnonzero((rng.random(len(times)) > 0.2) | (np.arange(len(times)) == 0))
    film = write_film(tmp_path / "a.mp4", small[kept], times[kept], motion.audio)
    captured(tmp_path / "a", film)
    (clip,) = read_corpus(tmp_path / "a")
    assert clip.fps == 25
    count = min(len(clip.weights), len(motion))
    assert agreement(clip.weights[:count], motion.weights[:count], 25)[0] > 0.94


def test_sixty_frames_a_second_of_ten_bits_are_seen(
    motion: Motion, small: np.ndarray, times: np.ndarray, tmp_path: Path
) -> None:
    fast = np.arange(int(times[-1] * 60)) / 60
    shown = np.rint(fast * 25).astype(int)
    film = write_film(tmp_path / "a.mov", small[shown], fast, motion.audio, layout="yuv420p10le")
    record = captured(tmp_path / "a", film, more=("--fps", "25"))
    (clip,) = read_corpus(tmp_path / "a")
    count = min(len(clip.weights), len(motion))
    assert record["fps"] == 25
    assert agreement(clip.weights[:count], motion.weights[:count], 25)[0] > 0.94


def test_a_face_that_is_lost_for_a_second_divides_the_film(
    motion: Motion, small: np.ndarray, times: np.ndarray, tmp_path: Path
) -> None:
    hidden = small.copy()
    hidden[60:85] = 128
    film = write_film(tmp_path / "a.mp4", hidden, times, motion.audio)
    record = captured(tmp_path / "a", film)
    assert [clip["name"] for clip in record["clips"]] == ["a_1", "a_2"]
    for clip, told in zip(read_corpus(tmp_path / "a"), record["clips"], strict=True):
        first = round(told["start"] * 25)
        true = motion.weights[first : first + len(clip.weights)]
        assert agreement(clip.weights, true, 25)[0] > 0.9
        assert clip.waveform().duration == pytest.approx(clip.duration, abs=0.01)


def test_of_two_people_the_larger_is_followed_and_two_alike_are_refused(
    motion: Motion, small: np.ndarray, times: np.ndarray, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    behind = np.full_like(small, 128)
    behind[:, 64:192, 64:192] = small[::-1, ::2, ::2]
    two = np.concatenate([behind, small], axis=2)
    film = write_film(tmp_path / "a.mp4", two[:75], times[:75], motion.audio)
    captured(tmp_path / "a", film)
    (clip,) = read_corpus(tmp_path / "a")
    assert agreement(clip.weights[:75], motion.weights[:75], 25)[0] > 0.9
    alike = np.concatenate([small[::-1], small], axis=2)
    twins = write_film(tmp_path / "b.mp4", alike[:75], times[:75], motion.audio)
    assert main(["capture", str(twins), "-o", str(tmp_path / "b"), "--tracker", TRACKER]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error:") and "two faces" in error


@pytest.mark.parametrize("moved", [-0.12, 0.09, 0.2])
def test_sound_that_was_moved_is_found_and_moved_back(
    moved: float, motion: Motion, small: np.ndarray, times: np.ndarray, tmp_path: Path
) -> None:
    assert motion.audio
    samples = motion.audio.samples
    by = round(abs(moved) * 16000)
    shifted = np.pad(samples, (by, 0)) if moved > 0 else samples[by:]
    sound = type(motion.audio)(shifted, 16000)
    film = write_film(tmp_path / "a.mp4", small, times, sound)
    record = captured(tmp_path / "a", film, more=("--align",))
    assert abs(record["clips"][0]["sound_offset_ms"] - 1000 * moved) <= 20


def test_a_film_is_tracked_once(
    small: np.ndarray, times: np.ndarray, motion: Motion, tmp_path: Path
) -> None:
    film = write_film(tmp_path / "a.mp4", small[:50], times[:50], motion.audio)
    captured(tmp_path / "a", film)
    other = write_film(tmp_path / "b.mp4", small[:55], times[:55], motion.audio)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "a/tracked").iterdir()}
    captured(tmp_path / "a", film, other)
    for path, when in kept.items():
        assert path.stat().st_mtime_ns == when
    assert len(list((tmp_path / "a/tracked").iterdir())) == 2
    shutil.rmtree(tmp_path / "a/audio")
    given = ["capture", str(film), str(other), "-o", str(tmp_path / "a"), "--tracker", "nobody"]
    assert main(given) == 0
    assert len(read_corpus(tmp_path / "a")) == 2
