"""Timing of the mouth, judged by one curve: the lip gap.

The gap is the mean vertical distance of the facing inner-lip vertices less its value at rest. Does
the predicted gap follow the true one, is it early or late, does it close where it must (/p b m/)?
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codetalker.rig import Rig

CLOSED_MM = 0.4
"""A true gap below this is a closure ..."""
OPEN_MM = 1.6
"""... if the mouth opens further than this ..."""
OPENING_S = 0.24
"""... within this time before and after it."""
PREDICTED_MM = 0.7
"""The closure is predicted if the predicted gap falls below this ..."""
PREDICTED_S = 0.04
"""... within this time of it."""
OFFSET_S = 0.4
"""The largest lag that is tried."""
_STILL_MM = 0.05
"""A gap that varies less (standard deviation) is a still mouth and has no correlation."""


def gap_basis(rig: Rig) -> NDArray[np.float32]:
    """(K,) change of the mean lip gap per unit of blendshape weight, metres."""
    return rig.lip_gap_basis.mean(1)


def correlation(predicted: NDArray[np.floating], true: NDArray[np.floating]) -> float | None:
    """Pearson correlation of two gap curves (T,) in mm.

    None where the true mouth is still; 0 where only the predicted one is.
    """
    if len(true) < 2 or true.std() < _STILL_MM:
        return None
    if predicted.std() < _STILL_MM:
        return 0.0
    return float(np.corrcoef(predicted, true)[0, 1])


def lagged_correlations(
    predicted: NDArray[np.floating], true: NDArray[np.floating], fps: float
) -> NDArray[np.float64]:
    """Correlation with the prediction moved earlier by -n ... n frames, n = `OFFSET_S` in frames.

    The highest value lies at +k where the prediction lags k frames behind the truth. Lags without
    overlap or movement give 0.
    """
    reach = round(OFFSET_S * fps)
    length = len(true)
    values = np.zeros(2 * reach + 1)
    for index, lag in enumerate(range(-reach, reach + 1)):
        late = predicted[max(lag, 0) : length + min(lag, 0)]
        early = true[max(-lag, 0) : length + min(-lag, 0)]
        values[index] = correlation(late, early) or 0.0
    return values


@dataclass(frozen=True)
class Closure:
    """Frames `start` up to but not including `stop` in which the lips are closed."""

    start: int
    stop: int


def closures(gap: NDArray[np.floating], fps: float) -> list[Closure]:
    """The lip closures of a gap curve (T,) in mm: closed stretches between two openings."""
    reach = _frames(OPENING_S, fps)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], gap < CLOSED_MM, [False]])))
    return [
        Closure(int(start), int(stop))
        for start, stop in edges.reshape(-1, 2)
        if (gap[max(start - reach, 0) : start] > OPEN_MM).any()
        and (gap[stop : stop + reach] > OPEN_MM).any()
    ]


def is_closed(gap: NDArray[np.floating], closure: Closure, fps: float) -> bool:
    """Whether a predicted gap curve (T,) in mm closes at a true closure."""
    reach = _frames(PREDICTED_S, fps)
    return bool((gap[max(closure.start - reach, 0) : closure.stop + reach] < PREDICTED_MM).any())


def _frames(seconds: float, fps: float) -> int:
    """Whole frames within a time; the allowance keeps 0.24 s at 25 fps six frames."""
    return int(seconds * fps + 1e-6)
