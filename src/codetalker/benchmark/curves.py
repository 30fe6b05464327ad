"""Curves of the lip gap: how fast it moves, and how far it is warped against the truth.

A regression that follows the mean of what it cannot tell apart moves slowly: its spectrum falls off
where the truth's does not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.floating]

SEGMENT = 64
"""Frames of a piece of a spectrum; pieces overlap by half."""
FAST_HZ = 4.0
"""Syllables come about four times a second: what is faster are the sounds within them."""
BAND_S = 0.4
"""The largest shift of the warping."""
OPEN_MM = 0.4
"""Warping is judged where the true lips are further apart than this: at rest, any is as good."""


def speed_spectrum(gap: Curve, fps: float) -> NDArray[np.float64]:
    """(SEGMENT / 2 + 1,) power of the speed of a (T,) gap in mm, (mm/s)², by frequency (Welch).

    Zeros where the curve is shorter than a piece.
    """
    speed = np.diff(gap.astype(np.float64)) * fps
    window = np.hanning(SEGMENT).astype(np.float64)
    starts = range(0, len(speed) - SEGMENT + 1, SEGMENT // 2)
    pieces = np.array([speed[i : i + SEGMENT] for i in starts]).reshape(-1, SEGMENT)
    power = np.abs(np.fft.rfft(pieces * window, axis=1)) ** 2 / np.square(window).sum()
    return power.sum(0) / max(len(pieces), 1)


def frequencies(fps: float) -> NDArray[np.float64]:
    """(SEGMENT / 2 + 1,) Hz of what `speed_spectrum` gives."""
    return np.fft.rfftfreq(SEGMENT, 1 / fps).astype(np.float64)


def warping_ms(predicted: Curve, true: Curve, fps: float) -> tuple[float, float] | None:
    """How late the prediction is and how far it is moved at all, ms, on the path of least cost.

    Dynamic time warping (Sakoe and Chiba, 1978) of both curves at unit variance, within `BAND_S`,
    over the frames in which the true lips are open. None for a mouth that does not move.
    """
    if min(predicted.std(), true.std()) < 1e-6:
        return None
    one, other = ((curve - curve.mean()) / curve.std() for curve in (predicted, true))
    path = _path(one, other, round(BAND_S * fps))
    late = np.array([i - j for i, j in path if true[j] > OPEN_MM], np.float64)
    if not len(late):
        return None
    return float(late.mean() * 1000 / fps), float(np.abs(late).mean() * 1000 / fps)


def _path(one: Curve, other: Curve, band: int) -> list[tuple[int, int]]:
    """Pairs of frames of the path of least cost from both beginnings to both ends."""
    rows, columns = len(one), len(other)
    band = max(band, abs(rows - columns))
    cost = np.full((rows + 1, columns + 1), np.inf)
    cost[0, 0] = 0
    for i in range(1, rows + 1):
        for j in range(max(1, i - band), min(columns, i + band) + 1):
            least = min(cost[i - 1, j - 1], cost[i - 1, j], cost[i, j - 1])
            cost[i, j] = abs(one[i - 1] - other[j - 1]) + least
    i, j, path = rows, columns, []
    while i and j:
        path.append((i - 1, j - 1))
        steps = ((i - 1, j - 1), (i - 1, j), (i, j - 1))
        i, j = min(steps, key=lambda step: cost[step])
    return path
