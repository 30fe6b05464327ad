"""Mouth cues: the drawn mouths follow the lips, in the files that 2D programs read."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codetalker.files.cues import mouth_cues
from codetalker.motion import Motion
from codetalker.visemes import VISEMES, from_visemes
from rig_motion import MOUTH, column, motion

PRESTON_BLAIR = {"AI", "E", "etc", "FV", "L", "MBP", "O", "U", "WQ", "rest"}


def held(*visemes: str, frames: int = 6, fps: float = 25.0) -> Motion:
    """Each for some frames."""
    shares = np.eye(15)[[VISEMES.index(name) for name in visemes for _ in range(frames)]]
    return motion(from_visemes(shares), fps)


def read_tsv(path: Path) -> list[tuple[float, str]]:
    """Rhubarb's README: start seconds, a tab, the shape; the last line ends the animation."""
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    return [(float(start), shape) for start, shape in lines]


def read_dat(path: Path) -> list[tuple[int, str]]:
    """As Moho and OpenToonz read it: frames from 1, each mouth until the next."""
    first, *lines = path.read_text().splitlines()
    assert first == "MohoSwitch1"
    return [(int(frame), mouth) for frame, mouth in (line.split(" ") for line in lines)]


def test_each_mouth_of_the_chart_is_drawn_for_its_sound() -> None:
    spoken = {"PP": "A", "DD": "B", "E": "C", "aa": "D", "oh": "E", "ou": "F", "FF": "G"}
    for viseme, mouth in spoken.items():
        drawn = [cue.mouth for cue in mouth_cues(held("sil", "aa", viseme, "aa", "sil"))]
        assert drawn[2:-2] == [mouth] or (viseme == "aa" and drawn == ["X", "D", "X"]), viseme


def test_closed_lips_are_a_pause_where_they_last() -> None:
    assert [cue.mouth for cue in mouth_cues(held("aa", "sil", "aa", frames=15))] == ["D", "X", "D"]
    assert [cue.mouth for cue in mouth_cues(held("aa", "PP", "aa", frames=3))] == ["D", "A", "D"]


def test_a_p_of_two_frames_between_vowels_is_drawn_closed() -> None:
    weights = np.concatenate([held(name, frames=n).weights for name, n in
                              [("aa", 5), ("PP", 2), ("E", 5)]])  # fmt: skip
    assert [(cue.mouth, cue.start, cue.end) for cue in mouth_cues(motion(weights))] == [
        ("D", 0, 5),
        ("A", 5, 7),
        ("C", 7, 12),
    ]


def test_a_mouth_that_trembles_is_drawn_still() -> None:
    weights = held("E", frames=40).weights.copy()
    weights[::2, column("jawOpen")] += 0.06
    assert len(mouth_cues(motion(weights))) == 1


@given(st.integers(0, 2**31), st.integers(0, 60), st.sampled_from([5.0, 25.0, 29.97, 240.0]))
@settings(max_examples=25)
def test_cues_follow_each_other_and_cover_every_frame(seed: int, frames: int, fps: float) -> None:
    random = np.random.default_rng(seed)
    spoken = motion(random.random((frames, 52), np.float32) * random.random((frames, 1)), fps)
    cues = mouth_cues(spoken)
    assert [cue.start for cue in cues] == [0, *(cue.end for cue in cues)][: len(cues)]
    assert (cues[-1].end if cues else 0) == frames
    assert all(cue.start < cue.end for cue in cues)
    assert all(one.mouth != other.mouth for one, other in pairwise(cues))
    assert {cue.mouth for cue in cues} <= set("ABCDEFGX")


def test_the_mouths_are_those_of_the_frames_at_every_rate() -> None:
    slow, fast = held("sil", "aa", "ou", frames=10), held("sil", "aa", "ou", frames=20, fps=50)
    assert [(cue.mouth, 2 * cue.start) for cue in mouth_cues(slow)] == [
        (cue.mouth, cue.start) for cue in mouth_cues(fast)
    ]


def test_the_tsv_has_the_start_of_every_mouth_and_the_end(tmp_path: Path) -> None:
    spoken = held("sil", "aa", "ou", "sil", frames=5)
    table = read_tsv(spoken.save(tmp_path / "a.tsv"))
    assert table == [(0.0, "X"), (0.2, "D"), (0.4, "F"), (0.6, "X"), (0.8, "X")]


@pytest.mark.parametrize("fps", [24, 29.97, 240])
def test_no_two_lines_of_the_tsv_start_together(tmp_path: Path, fps: float) -> None:
    spoken = held("aa", "PP", "ou", "FF", "E", frames=2, fps=fps)
    starts = [start for start, _ in read_tsv(spoken.save(tmp_path / "a.tsv"))]
    assert (np.diff(starts) > 0).all()
    assert starts[-1] == pytest.approx(spoken.duration, abs=1e-3)


def test_the_switch_file_counts_frames_from_1_and_ends_at_rest(tmp_path: Path) -> None:
    spoken = held("sil", "aa", "PP", "oh", "FF", "sil", frames=5)
    table = read_dat(spoken.save(tmp_path / "a.dat"))
    assert table == [
        (1, "rest"), (6, "AI"), (11, "MBP"), (16, "O"), (21, "FV"), (26, "rest"), (31, "rest"),
    ]  # fmt: skip
    assert {mouth for _, mouth in table} <= PRESTON_BLAIR


def test_the_drawings_open_and_close_with_the_lips(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    shares = np.eye(15)[random.integers(0, 15, 60)].repeat(4, axis=0)
    spoken = motion(from_visemes(shares))
    openness = dict(zip("AXGBEFCD", [0, 0, 1.4, 5, 8, 5, 10, 17], strict=True))
    drawn = np.concatenate(
        [[openness[cue.mouth]] * (cue.end - cue.start) for cue in mouth_cues(spoken)]
    )
    assert np.corrcoef(drawn, spoken.weights @ MOUTH.gap)[0, 1] > 0.9


def test_a_motion_of_no_frames_is_a_mouth_at_rest(tmp_path: Path) -> None:
    empty = held("aa")[:0]
    assert read_tsv(empty.save(tmp_path / "a.tsv")) == [(0.0, "X")]
    assert read_dat(empty.save(tmp_path / "a.dat")) == [(1, "rest")]
