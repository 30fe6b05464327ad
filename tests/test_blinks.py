"""Blinks: counted once, as long as the lids are away from open."""

from __future__ import annotations

import numpy as np
import pytest

from codetalker.evaluation.blinks import blinks, lids
from rig_motion import column, motion


def curve(*points: tuple[float, float], fps: float = 25.0) -> np.ndarray:
    """The lids' weight through (second, weight) points, at whole frames of 4 s."""
    seconds, weights = zip(*points, strict=True)
    return np.interp(np.arange(round(4 * fps)) / fps, seconds, weights)


@pytest.mark.parametrize("fps", [25.0, 60.0])
def test_a_blink_lasts_while_the_lids_are_away_from_open(fps: float) -> None:
    """0 to 1 in 100 ms and back: above 0.2 for 160 ms."""
    (blink,) = blinks(curve((1, 0), (1.1, 1), (1.2, 0), fps=fps), fps)
    assert blink.start == pytest.approx(1.02, abs=0.5 / fps)
    assert blink.duration == pytest.approx(0.16, abs=0.5 / fps)


def test_times_lie_between_frames() -> None:
    (blink,) = blinks(np.array([0, 0, 0.4, 0.8, 0.6, 0.0]), 10.0)
    assert blink.start == pytest.approx(0.15)
    assert blink.end == pytest.approx(0.4 + 0.1 * (0.4 / 0.6))


def test_lids_that_half_close_do_not_blink() -> None:
    assert blinks(curve((1, 0), (1.2, 0.49), (1.4, 0)), 25.0) == []


def test_a_double_blink_without_open_lids_is_one_long_one() -> None:
    double = curve((1, 0), (1.16, 1), (1.32, 0.3), (1.48, 1), (1.64, 0))
    (blink,) = blinks(double, 25.0)
    assert blink.duration == pytest.approx(0.576, abs=0.02)
    apart = curve((1, 0), (1.16, 1), (1.32, 0.1), (1.48, 1), (1.64, 0))
    assert len(blinks(apart, 25.0)) == 2


def test_a_blink_may_touch_the_ends() -> None:
    first, last = blinks(np.array([0.9, 0.9, 0, 0, 0, 0.9]), 10.0)
    assert (first.start, last.end) == (0, 0.5)


def test_the_lids_are_both_eyes() -> None:
    weights = np.zeros((3, 52), np.float32)
    weights[1, column("eyeBlinkLeft")] = 1
    np.testing.assert_array_equal(lids(motion(weights)), [0, 0.5, 0])
