"""How sure is a figure? Confidence intervals over clips, by the bootstrap."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
COVERAGE = 0.95


def intervals(
    clips: int, figures: Callable[[NDArray[np.intp]], dict[str, float | None]]
) -> dict[str, list[float]]:
    """[low, high] of each figure: percentiles of the figure over clips drawn with replacement.

    Clips are what varies independently (frames and phones within one do not). The percentile
    method of Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13. The draw
    is the same every time.

    Args:
        clips: how many there are.
        figures: the figures of a selection, given as indices of clips.

    Returns:
        Nothing for a single clip, nor for figures that most draws leave undefined.
    """
    if clips < 2:
        return {}
    random = np.random.default_rng(0)
    draws = [figures(random.integers(0, clips, clips)) for _ in range(RESAMPLES)]
    ends = [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2]
    found = {}
    for name in draws[0]:
        defined = [value for draw in draws if (value := draw[name]) is not None]
        if len(defined) > RESAMPLES / 2:
            found[name] = np.quantile(defined, ends).tolist()
    return found
