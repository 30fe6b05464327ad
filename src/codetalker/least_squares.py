"""Least squares within bounds: accelerated projected gradient (Beck and Teboulle 2009).

What blendshape weights are found with, wherever they are: for all frames at once, by a few hundred
products of small matrices. Momentum starts again where it leads uphill (O'Donoghue and Candes
2015).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]

_STEPS, _STILL = 500, 1e-6
"""At most, and the change of any weight in a step at which they end."""


def least_squares(
    curvature: Rows,
    slope: Rows,
    start: Rows,
    within: Callable[[Rows], Rows],
    smooth: float = 0.0,
) -> Rows:
    """(T, M) rows w with the least w C w / 2 - w s in each, within bounds.

    Args:
        curvature: (M, M), positive definite.
        slope: (T, M).
        start: (T, M) rows to begin with, within the bounds.
        within: the closest rows within the bounds.
        smooth: what half the square of a row's second difference over time counts.
    """
    step = 1 / (np.linalg.eigvalsh(curvature)[-1] + 16 * smooth)
    rows = ahead = start
    pace = np.ones((len(rows), 1))
    for _ in range(_STEPS):
        downhill = slope - ahead @ curvature
        if smooth:
            downhill -= smooth * _bend(ahead)
        before, rows = rows, within(ahead + step * downhill)
        change = rows - before
        if np.abs(change).max(initial=0) < _STILL:
            break
        uphill = ((ahead - rows) * change).sum(axis=1, keepdims=True) > 0
        if smooth:
            uphill = np.broadcast_to(((ahead - rows) * change).sum() > 0, uphill.shape)
        pace, last = np.where(uphill, 1, (1 + np.sqrt(1 + 4 * pace**2)) / 2), pace
        ahead = rows + np.where(uphill, 0, (last - 1) / pace) * change
    return rows


def _bend(rows: Rows) -> Rows:
    """The gradient of half the sum of squares of second differences."""
    second = np.diff(rows, 2, axis=0)
    return np.diff(np.pad(second, ((2, 2), (0, 0))), 2, axis=0)
