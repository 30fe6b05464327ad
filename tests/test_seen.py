"""Lip gap seen in video: known curves give known figures, and the shared score agrees."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from codetalker.data.phones import write_flac
from codetalker.data.seen import SeenClip, read_seen
from codetalker.errors import DataError
from codetalker.evaluation.seen import score_clip, separation, summary
from conftest import SHARED
from rig_motion import MOUTH, column, motion, opened

EYES_MM = 87.88
"""Between the outer corners of the bundled head's eyes."""


def gap(frames: int = 200, seed: int = 0) -> np.ndarray:
    """(T,) mm: openings up to 8 mm, shut a fifth of the time."""
    knots = np.random.default_rng(seed).uniform(-2, 8, frames // 4 + 2).clip(0)
    return np.interp(np.arange(frames) / 4, np.arange(len(knots)), knots)


def seen(gap_mm: np.ndarray, width_mm: np.ndarray | None = None, fps: float = 25.0) -> SeenClip:
    """A clip whose lips are 1.3 mm apart where they are shut, as lips in videos are."""
    width = np.full(len(gap_mm), 50.0) if width_mm is None else width_mm
    times = np.arange(len(gap_mm)) / fps
    return SeenClip("clip", Path("clip.flac"), times, (gap_mm + 1.3) / EYES_MM, width / EYES_MM)


def predicted(gap_mm: np.ndarray) -> np.ndarray:
    return opened(gap_mm, MOUTH.central_gap)


def test_the_truth_itself_is_perfect() -> None:
    true = gap()
    figures = score_clip(seen(true), motion(predicted(true)))
    assert figures["correlation"] == pytest.approx(1)
    assert (figures["separation"], figures["shut_found"], figures["false_shut"]) == (1, 1, 0)
    assert figures["spread"] == pytest.approx(1, rel=1e-4)
    assert figures["lag_ms"] == 0


@pytest.mark.parametrize("frames", [-4, 3])
def test_a_shift_of_picture_and_sound_is_found_and_does_not_count(frames: int) -> None:
    true = gap()
    figures = score_clip(seen(true), motion(predicted(np.roll(true, frames))))
    assert figures["lag_ms"] == 40 * frames
    assert figures["correlation"] == pytest.approx(1)
    beyond = score_clip(seen(true), motion(predicted(np.roll(true, 9))))
    assert beyond["correlation"] < 0.9


def test_spread_is_the_ratio_of_deviations() -> None:
    true = gap()
    figures = score_clip(seen(true), motion(predicted(0.4 * true)))
    assert figures["spread"] == pytest.approx(0.4, rel=1e-4)
    assert figures["correlation"] == pytest.approx(1)


def test_shut_and_open_are_told_apart_by_fixed_thresholds() -> None:
    """Seen shut below 0.5 mm, open above 3 mm; predicted shut below 0.7 mm."""
    true = np.repeat(np.tile([0.0, 4.0, 0.4, 6.0, 2.0], 8), 5)  # 2 shut, 2 open, 1 neither
    guess = np.repeat(np.tile([0.6, 4.0, 0.8, 0.6, 2.0], 8), 5)
    figures = score_clip(seen(true), motion(predicted(guess)))
    assert figures["lag_ms"] == 0
    assert figures["shut_found"] == pytest.approx(0.5, abs=0.05)  # the ends are not counted
    assert figures["false_shut"] == pytest.approx(0.5, abs=0.05)


def test_width_is_compared_at_the_lag_of_the_gap() -> None:
    true = gap()
    width = 50 + gap(seed=3)
    weights = predicted(np.roll(true, 2))
    wider = column("mouthStretchLeft")
    weights[:, wider] = np.roll(width - 50, 2) / MOUTH.width[wider] * 0.5
    weights[:, column("jawOpen")] -= (
        weights[:, wider] * MOUTH.central_gap[wider] / MOUTH.central_gap[column("jawOpen")]
    )
    own = weights @ MOUTH.width
    figures = score_clip(seen(true, width), motion(weights))
    assert figures["lag_ms"] == 80
    inside = slice(8, -8)
    expected = np.corrcoef(np.roll(own, -2)[inside], width[inside])[0, 1]
    assert figures["width_correlation"] == pytest.approx(expected, abs=0.01)
    assert figures["width_correlation"] > 0.9


def test_frames_without_a_face_do_not_count() -> None:
    true = gap()
    clip = seen(true)
    clip.gap[60:120] = np.nan
    guess = true.copy()
    guess[61:119] = 4.0
    figures = score_clip(clip, motion(predicted(guess)))
    assert figures["correlation"] == pytest.approx(1)
    assert figures["frames"] == 200 - 12 - 60


def test_a_mouth_that_never_opens_has_no_separation() -> None:
    figures = score_clip(seen(np.tile([0.0, 0.3], 50)), motion(np.zeros((100, 52), np.float32)))
    assert (figures["separation"], figures["false_shut"]) == (None, None)
    assert figures["shut_found"] == 1
    total = summary([figures, score_clip(seen(gap()), motion(predicted(gap())))])
    assert total["separation"] == 1
    assert total["clips"] == 2


def test_separation_is_the_area_under_the_roc_curve() -> None:
    random = np.random.default_rng(2)
    shut, open_ = random.integers(0, 9, 60) / 3, random.integers(2, 12, 90) / 3
    expected = mannwhitneyu(open_, shut).statistic / (60 * 90)
    assert separation(shut, open_) == pytest.approx(expected)


def test_all_is_the_mean_over_clips_within_its_interval() -> None:
    rows = [
        score_clip(seen(gap(seed=s)), motion(predicted(gap(seed=s + s // 3)))) for s in range(6)
    ]
    total = summary(rows)
    assert total["correlation"] == pytest.approx(np.mean([row["correlation"] for row in rows]))
    low, high = total["intervals"]["correlation"]
    assert low <= total["correlation"] <= high
    assert low < high


def test_no_overlap_is_refused() -> None:
    with pytest.raises(DataError, match="'clip': the motion hardly overlaps"):
        score_clip(seen(gap()), motion(predicted(gap(8))))


@pytest.mark.skipif(not (SHARED / "free_speech").is_dir(), reason="the clips seen are absent")
def test_the_shared_score_agrees(tmp_path: Path) -> None:
    rig = SHARED / "corpus" / "rig" / "head.npz"
    clips, rows = read_seen(SHARED / "free_speech"), []
    for number, clip in enumerate(clips):
        random = np.random.default_rng(number)
        frames = round(clip.duration * 25) + 3
        smooth = np.apply_along_axis(
            np.convolve, 0, random.random((frames + 6, 52)) ** 3, np.ones(7) / 7, "valid"
        )
        made = motion(smooth.astype(np.float32))
        made.save(tmp_path / f"{clip.name}.npz")
        rows.append(score_clip(clip, made))
    command = [sys.executable, SHARED / "free_speech" / "score.py", rig, SHARED / "free_speech"]
    said = subprocess.run([*command, tmp_path], capture_output=True, text=True, check=True).stdout
    expected = json.loads(said.splitlines()[-1])
    total = summary(rows)
    for ours, theirs in {"width_correlation": "width"}.items() | {
        (name, name)
        for name in ("correlation", "separation", "shut_found", "false_shut", "spread",
                     "width_spread", "clips")
    }:  # fmt: skip
        assert total[ours] == pytest.approx(expected[theirs], abs=1e-3), ours


# --- the folder ----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_seen(tmp_path)
    return tmp_path


def write_seen(folder: Path, **arrays: object) -> None:
    """Two clips, `b` before `a` in the arrays, 100 frames each."""
    for name in "ab":
        write_flac(folder / "audio" / f"{name}.flac", np.zeros(64000, np.float32))
    stored = {
        "names": np.array(["b", "a"]), "starts": np.array([0, 100]),
        "lengths": np.array([100, 100]), "time": np.tile(np.arange(100) / 25, 2),
        "gap": np.arange(200) / 1000, "width": np.full(200, 0.5),
    }  # fmt: skip
    np.savez(folder / "lip_gap.npz", **(stored | arrays))


def test_clips_are_read_with_their_own_frames(folder: Path) -> None:
    b, a = read_seen(folder)
    assert (b.name, a.name, a.duration) == ("b", "a", pytest.approx(3.96))
    np.testing.assert_allclose(a.gap, np.arange(100, 200) / 1000)
    assert a.waveform().duration == 4


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"gap": np.zeros(199)}, r"gap has shape \(199,\), not \(frames = 200\)"),
        ({"lengths": np.array([100, 101])}, "'a' lies outside"),
        ({"starts": np.array([-1, 100])}, "starts is -1"),
        ({"time": np.zeros(200)}, "'b' do not rise"),
        ({"gap": np.full(200, np.nan)}, "no face was seen"),
        ({"names": np.array(["b", "c"])}, r"c\.flac is missing"),
        ({"names": np.array(["b", "b"])}, "names no clip, or one twice"),
        ({"names": np.array([{}], object)}, "is damaged"),
    ],
)
def test_a_malformed_folder_is_one_clear_line(folder: Path, arrays: dict, message: str) -> None:
    write_seen(folder, **arrays)
    with pytest.raises(DataError, match=message) as caught:
        read_seen(folder)
    assert "\n" not in str(caught.value)


def test_another_folder_is_told_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no lip_gap\.npz"):
        read_seen(tmp_path)
