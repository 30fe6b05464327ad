"""Power: how many answers show that a share is not one half, and what so many could have shown."""

from __future__ import annotations

from math import ceil, lgamma, log

import numpy as np
from numpy.typing import NDArray

LEVEL, POWER = 0.05, 0.8
EFFECTS = (0.55, 0.6, 0.65, 0.7, 0.8)
"""Shares of which is said how many answers show them."""
_MOST = 20_000


def power(share: float, count: int) -> float:
    """How likely the exact two-sided binomial test of one half at 5 % tells so many independent
    answers of which that share prefers one from a coin."""
    tail = np.cumsum(_binomial(0.5, count))
    lowest = int((2 * tail <= LEVEL).sum())  # wins that are too few
    if not lowest:
        return 0.0
    chances = _binomial(share, count)
    return float(chances[:lowest].sum() + chances[count - lowest + 1 :].sum())


def answers_needed(share: float) -> int:
    """The fewest answers from which on the power is 80 %; that of a test goes up in teeth."""
    if not 0.5 < share < 1:
        raise ValueError(share)
    count = 1
    while power(share, 2 * count) < POWER and count < _MOST:
        count *= 2
    enough = 2 * count
    for tried in range(2 * count, count // 2, -1):
        if power(share, tried) < POWER:
            break
        enough = tried
    return enough


def detectable(count: float) -> float | None:
    """The smallest share above one half, in steps of 0.005, that so many answers show with a power
    of 80 %; None if no share."""
    whole = int(count)
    shares = np.arange(0.505, 1, 0.005)
    found = [share for share in shares if power(float(share), whole) >= POWER]
    return float(min(found)) if found else None


def raters_needed(share: float, answers_per_rater: float) -> int:
    """Raters who together give enough answers, each so many on average."""
    return ceil(answers_needed(share) / answers_per_rater)


def _binomial(share: float, count: int) -> NDArray[np.float64]:
    """(count + 1,) chances of 0 to `count` wins."""
    logs = np.array([lgamma(i + 1) for i in range(count + 1)])
    wins = np.arange(count + 1)
    chosen = logs[-1] - logs - logs[::-1]
    return np.exp(chosen + wins * log(share) + (count - wins) * log(1 - share))
