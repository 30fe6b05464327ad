"""Curves over time: from one frame rate to another, and from uneven times to a frame rate.

In the flow speech -> features -> codes -> **motion** -> mesh -> file. Used by `codetalker.motion`.
Frame i lies at time i / fps before and after.
"""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray

_LOBES = 3  # of the Lanczos kernel to either side
_NOISE = 1e-6  # frames; a duration of 0.1 s at 30 fps is 3 frames, not ceil(3.0000000000000004)


_USUAL = (24000 / 1001, 24, 25, 30000 / 1001, 30, 48, 50, 60000 / 1001, 60, 120)
_NEAR, _SAME = 0.1, 0.0005
"""Of a usual rate: how near uneven times must be to mean it, and exact ones to be it."""


def frame_count(duration: float, fps: float) -> int:
    """Frames that cover `duration` seconds: ceil(duration * fps), and one at least."""
    return max(1, ceil(duration * fps - _NOISE))


def resample_curves(
    curves: NDArray[np.float32], fps: float, new_fps: float, count: int
) -> NDArray[np.float32]:
    """(T, K) curves at `fps` -> (count, K) at `new_fps`; before and after, the ends are held.

    Neither way leaves the range of the neighbouring frames: a closed mouth (0) stays closed.
    """
    if len(curves) < 2:
        return np.repeat(curves, count, axis=0)
    positions = np.clip(np.arange(count) * (fps / new_fps), 0, len(curves) - 1)
    if new_fps > fps:
        return _monotone_cubic(curves, positions)
    return _band_limited(curves, positions, fps / new_fps)


def _monotone_cubic(
    curves: NDArray[np.float32], positions: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Piecewise cubic Hermite without overshoot (Fritsch and Butland 1984, "PCHIP")."""
    secants = np.diff(curves, axis=0)
    before, after = secants[:-1], secants[1:]
    products = before * after
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = np.where(products > 0, 2 * products / (before + after), 0)
    slopes = np.concatenate([_end_slope(secants[:2]), inner, _end_slope(secants[:-3:-1])])
    left = np.minimum(positions.astype(int), len(curves) - 2)
    s = (positions - left)[:, None].astype(np.float32)  # 0..1 between the two frames
    rise = (3 - 2 * s) * s * s
    start, end = curves[left], curves[left + 1]
    result = (
        start * (1 - rise)
        + end * rise
        + slopes[left] * (s * (1 - s) ** 2)
        - slopes[left + 1] * (s * s * (1 - s))
    )
    # Monotone between the two but for rounding: an exact 0 stays 0.
    return np.clip(result, np.minimum(start, end), np.maximum(start, end)).astype(np.float32)


def _end_slope(secants: NDArray[np.float32]) -> NDArray[np.float32]:
    """(1, K) one-sided slope at an end from the two secants next to it, the nearest first."""
    first, second = secants[0], secants[-1]
    slope = (3 * first - second) / 2
    slope = np.where(slope * first <= 0, 0, slope)
    turns = (first * second < 0) & (np.abs(slope) > 3 * np.abs(first))
    return np.where(turns, 3 * first, slope)[None]


def _band_limited(
    curves: NDArray[np.float32], positions: NDArray[np.floating], ratio: float
) -> NDArray[np.float32]:
    """Lanczos low-pass at the new Nyquist frequency, kept within the frames under its main lobe."""
    reach = _LOBES * ratio
    first = np.floor(positions - reach).astype(int)
    total = np.zeros((len(positions), curves.shape[1]), np.float32)
    weight_sum = np.zeros((len(positions), 1), np.float32)
    low, high = np.full_like(total, np.inf), np.full_like(total, -np.inf)
    for tap in range(ceil(2 * reach) + 2):
        index = first + tap
        distance = (index - positions) / ratio  # in new frames
        weight = np.where(
            np.abs(distance) < _LOBES, np.sinc(distance) * np.sinc(distance / _LOBES), 0
        ).astype(np.float32)[:, None]
        value = curves[np.clip(index, 0, len(curves) - 1)]
        total += weight * value
        weight_sum += weight
        near = np.abs(distance)[:, None] < 1
        low = np.where(near, np.minimum(low, value), low)
        high = np.where(near, np.maximum(high, value), high)
    return np.clip(total / weight_sum, low, high)


def usual_rate(times: NDArray[np.floating]) -> float:
    """The frame rate of (T,) rising times: a usual one near to the middle of their intervals.

    Two that are a thousandth apart, 30 and 29.97, are told apart by the whole time.
    """
    if len(times) < 2:
        return 25.0
    rate = 1 / float(np.median(np.diff(times)))
    mean = (len(times) - 1) / float(times[-1] - times[0])
    exact = [usual for usual in _USUAL if abs(usual - mean) < _SAME * usual]
    near = min(exact or _USUAL, key=lambda usual: abs(usual - (mean if exact else rate)))
    return float(near) if abs(near - rate) < _NEAR * near else rate


def between(
    moments: NDArray[np.floating], times: NDArray[np.floating], values: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(M, ...) values at moments, linearly between (T, ...) ones at rising times; the ends hold."""
    if len(times) < 2:
        return np.repeat(values, len(moments), axis=0)
    after = np.clip(np.searchsorted(times, moments), 1, len(times) - 1)
    share = np.clip((moments - times[after - 1]) / (times[after] - times[after - 1]), 0, 1)
    share = share.reshape(-1, *[1] * (values.ndim - 1)).astype(np.float32)
    return (values[after - 1] * (1 - share) + values[after] * share).astype(np.float32)
