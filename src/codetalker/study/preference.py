"""Preference: shares with Wilson intervals, and strengths of systems by Bradley and Terry."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from codetalker.evaluation.intervals import COVERAGE

Z = NormalDist().inv_cdf((1 + COVERAGE) / 2)


def wilson(wins: float, count: float, z: float = Z) -> tuple[float, float]:
    """The interval of a share (Wilson, J. Am. Stat. Assoc. 22, 1927): what shares are within `z`
    standard errors, of their own, of wins / count. `count` may be an effective one, not whole."""
    if not count:
        return 0.0, 1.0
    share, more = wins / count, z * z / count
    middle = (share + more / 2) / (1 + more)
    half = z * sqrt(share * (1 - share) / count + more / (4 * count)) / (1 + more)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def bradley_terry(wins: NDArray[np.float64]) -> NDArray[np.float64]:
    """Strengths in log odds, of mean 0: i is preferred to j with odds exp(s[i] - s[j]).

    The likelihood's maximum (Bradley and Terry, Biometrika 39, 1952) by Newton's method. Half a win
    is added each way to systems that were compared, so that it exists where one always wins.

    Args:
        wins: (K, K) how often i was preferred to j.
    """
    count = len(wins)
    games = wins + wins.T
    won = wins + 0.5 * (games > 0)
    games = won + won.T
    strengths = np.zeros(count)
    for _ in range(100):
        chance = 1 / (1 + np.exp(strengths[None] - strengths[:, None]))
        slope = (won - games * chance).sum(axis=1)
        bend = games * chance * chance.T
        curvature = np.diag(bend.sum(axis=1)) - bend
        step = np.linalg.lstsq(curvature, slope, rcond=None)[0]
        strengths += np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-10:
            break
    return strengths - strengths.mean()
