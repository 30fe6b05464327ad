"""Speech windows: offline is live, every frame has its window, and the future stays unseen."""

from __future__ import annotations

from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codetalker.audio import SAMPLE_RATE
from codetalker.windows import FRAME, MEL_REACH, SpeechWindows

WINDOWS = st.builds(
    SpeechWindows,
    left=st.integers(0, 50),
    hop=st.sampled_from([2, 4, 8]),
    look_ahead=st.integers(0, 12),
    past=st.just(0),
    fps=st.sampled_from([25, 50]),
)
LENGTHS = st.integers(1, 30_000)


def numbered(length: int) -> np.ndarray:
    """Samples that hold their own number, from 1 on."""
    return np.arange(1, length + 1, dtype=np.float32)


@given(WINDOWS, LENGTHS)
def test_windows_hold_all_motion_frames_and_no_window_too_many(
    windows: SpeechWindows, length: int
) -> None:
    frames = ceil(length / SAMPLE_RATE * windows.fps)
    count = windows.count(length)
    assert (count - 1) * windows.frames_per_hop < frames <= count * windows.frames_per_hop


@given(WINDOWS, LENGTHS)
def test_cut_is_the_recording_between_silences(windows: SpeechWindows, length: int) -> None:
    """Window w starts w hops after the lead; sample n of the recording lies where it belongs."""
    cut = windows.cut(numbered(length))
    assert cut.shape == (windows.count(length), windows.samples)
    place = np.arange(windows.samples) - windows.lead + 1
    for index, window in enumerate(cut):
        numbers = place + index * windows.hop_samples
        inside = (numbers >= 1) & (numbers <= length)
        np.testing.assert_array_equal(window, np.where(inside, numbers, 0))


@given(WINDOWS, st.integers(1, 20_000), st.integers(0, 20_000))
def test_more_sound_later_only_adds_windows(windows: SpeechWindows, length: int, more: int) -> None:
    """What a stream has cut is what the whole recording gives, up to the sound that was missing."""
    first, whole = windows.cut(numbered(length)), windows.cut(numbered(length + more))
    for early, late in zip(first, whole, strict=False):
        heard = late <= length
        np.testing.assert_array_equal(early[heard], late[heard])
        assert not early[~heard].any()


@given(WINDOWS, st.integers(0, 40))
def test_a_window_hears_no_further_than_the_latency(windows: SpeechWindows, index: int) -> None:
    last = (windows.samples - windows.lead) + index * windows.hop_samples
    first_frame = index * windows.frames_per_hop
    assert last / SAMPLE_RATE == pytest.approx(first_frame / windows.fps + windows.latency)


def test_the_hop_comes_after_the_left_context_and_the_mel_reach() -> None:
    windows = SpeechWindows(left=32, hop=4, look_ahead=6, past=4)
    assert windows.lead == MEL_REACH + 32 * FRAME
    assert windows.frames == 42
    assert windows.kept == 14
    assert windows.frames_per_hop == 2
    assert windows.latency == 0.2


@pytest.mark.parametrize(
    "numbers",
    [
        {"hop": 3},
        {"hop": 0},
        {"left": 3},
        {"look_ahead": -1},
        {"fps": 0},
        {"fps": 100},
        {"fps": 30},
    ],
)
def test_windows_that_cannot_be_are_refused(numbers: dict[str, int]) -> None:
    with pytest.raises(ValueError):
        SpeechWindows(**numbers)
