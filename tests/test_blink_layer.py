"""Procedural blinks: as long and as often as people's, and the same however a stream is cut."""

from __future__ import annotations

import numpy as np
import pytest

from codetalker.causal.blinks import CURVES, LEARNED, Blinks, draw_curve, lids

FPS = 25
CLOSED, OPEN = 0.5, 0.2


def run(seconds: float, seed: int, resting: bool) -> np.ndarray:
    """(T,) lid weights over learned lids that are lowered all the time."""
    since, curve, weights = 1 << 20, 0, []
    for frame in range(round(seconds * FPS)):
        since += 1
        if Blinks().draw(since, resting, FPS, seed, frame):
            since, curve = 0, draw_curve(seed, frame)
        weights.append(lids(curve, since, np.full(2, 0.9, np.float32)))
    pairs = np.array(weights)
    np.testing.assert_array_equal(pairs[:, 0], pairs[:, 1])
    return pairs[:, 0]


@pytest.mark.parametrize("resting", [False, True])
def test_blinks_are_10_to_25_a_minute_and_none_lasts_half_a_second(resting: bool) -> None:
    counts, lengths = 0, []
    for seed in range(6):
        weights = run(60, seed, resting)
        edges = np.flatnonzero(np.diff(np.r_[False, weights > OPEN, False].astype(int)))
        lengths += np.diff(edges)[::2].tolist()
        counts += len(edges) // 2
        assert weights.max() > CLOSED
    assert 10 <= counts / 6 <= 25
    assert 0.16 <= np.median(lengths) / FPS <= 0.3
    assert max(lengths) / FPS < 0.5


def test_lids_are_open_or_blink_whatever_was_learned() -> None:
    quiet = lids(0, len(CURVES[0]), np.array([0.05, 0.9], np.float32))
    np.testing.assert_allclose(quiet, [0.05, LEARNED])
    for curve, shape in enumerate(CURVES):
        assert max(shape) == 1.0
        assert shape[0] > OPEN > shape[-1]
        blinking = [lids(curve, i, np.zeros(2, np.float32))[0] for i in range(len(shape))]
        np.testing.assert_allclose(blinking, shape, rtol=1e-6)


def test_a_blink_depends_on_seed_and_frame_alone() -> None:
    draws = [[Blinks().draw(400, False, FPS, seed, f) for f in range(500)] for seed in (1, 2, 1)]
    assert draws[0] == draws[2] != draws[1]
