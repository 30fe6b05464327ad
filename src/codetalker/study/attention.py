"""Attention: whose answers count, judged by the checks alone and never by what a rater prefers.

A check is passed by giving the right answer to each of its questions, which somebody who guesses
does for one of two at best. A rater is kept whose passed checks a guesser would reach in less than
one of twenty cases.
"""

from __future__ import annotations

from math import comb

CHANCE = 0.05


def attentive(passed: int, seen: int) -> bool:
    """Whether so many passed checks of those seen are more than guessing."""
    return sum(comb(seen, i) for i in range(passed, seen + 1)) < CHANCE * 2**seen


FEWEST = next(count for count in range(1, 100) if attentive(count, count))
"""Checks with which anybody can be told from a guesser: 5."""
