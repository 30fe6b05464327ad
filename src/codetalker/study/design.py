"""Design: which films a rater compares, in which order, and which of the two is on the left.

Everything follows from the study's seed and the rater's number, so that it is balanced over raters:

- Pairs: raters take turns through all of them, so that each is judged equally often, give or take
  one; of each two systems the sides alternate within a rater, and from turn to turn.
- Order: rows of a Latin square balanced for what comes before what (Williams, Aust. J. Sci. Res. A
  2, 1949), which a rater's pairs run through turn by turn.
- Attention checks: everybody sees all, one at a random place in each stretch of the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, product
from math import gcd

import numpy as np


@dataclass(frozen=True)
class Question:
    """What raters are asked of two films.

    Attributes:
        name: in answers and figures.
        text: as raters read it.
    """

    name: str
    text: str


REALISM, LIP_SYNC, EXPRESSIVENESS = "realism", "lip_sync", "expressiveness"
QUESTIONS = (
    Question(REALISM, "Which whole face moves more like a real person?"),
    Question(LIP_SYNC, "Whose lips fit the voice better?"),
    Question(EXPRESSIVENESS, "Which face is more expressive?"),
)
"""The first two are those of CodeTalker (CVPR 2023), section 4.4."""


@dataclass(frozen=True)
class Pair:
    """Two systems on the same sound.

    Attributes:
        clip: the sound's name.
        systems: names of both.
        films: of both, as indices into the study's films.
    """

    clip: str
    systems: tuple[str, str]
    films: tuple[int, int]


@dataclass(frozen=True)
class Check:
    """A film and a spoilt one: attentive raters know the right answer.

    Attributes:
        clip: the sound's name.
        spoilt: how the second film is.
        films: the right one and the spoilt one, as indices into the study's films.
        questions: names of those that have a right answer.
    """

    clip: str
    spoilt: str
    films: tuple[int, int]
    questions: tuple[str, ...]


Films = tuple[int, int]
"""On the left and on the right, as indices into the study's films."""


def pairs_of(
    films: Sequence[Sequence[int]], systems: Sequence[str], clips: Sequence[str]
) -> tuple[Pair, ...]:
    """Every two systems on every clip, the systems varying fastest.

    Args:
        films: index of each system's film of each clip, (systems, clips).
    """
    two = list(combinations(range(len(systems)), 2))
    return tuple(
        Pair(clips[c], (systems[a], systems[b]), (films[a][c], films[b][c]))
        for c, (a, b) in product(range(len(clips)), two)
    )


def order_of(
    pairs: Sequence[Pair], checks: Sequence[Check], count: int, seed: int, number: int
) -> tuple[Films, ...]:
    """The films that a rater compares, one after another.

    Args:
        pairs: as `pairs_of` gives them.
        checks: shown to every rater.
        count: pairs that a rater judges, at most all.
        seed: of the study.
        number: of the rater, from 0.
    """
    turns = len(pairs) // gcd(len(pairs), count)  # raters until the first pair is first again
    chosen = [divmod(number * count + i, len(pairs)) for i in range(count)]
    rows = 2 * count
    row = number // turns + _random(seed, 0, number % turns).integers(rows)
    labels = _random(seed, 1, number // (turns * rows)).permutation(count)
    shown = []
    two = len({pair.systems for pair in pairs})
    for place in labels[williams(count, int(row % rows))]:
        turn, index = chosen[place]
        swapped = (sum(divmod(index, two)) + turn + seed) % 2
        shown.append(_sides(pairs[index].films, swapped))
    return _with_checks(shown, checks, _random(seed, 2, number))


def williams(count: int, row: int) -> list[int]:
    """A row, 0 to 2 * count - 1, of the square in which everything is at every place equally often,
    and before everything else equally often; of an even count already in the first `count` rows."""
    base = [(i + 1) // 2 if i % 2 else (count - i // 2) % count for i in range(count)]
    places = [(place + row) % count for place in base]
    return places if row < count else places[::-1]


def _with_checks(
    shown: list[Films], checks: Sequence[Check], random: np.random.Generator
) -> tuple[Films, ...]:
    swapped = random.permutation(np.arange(len(checks)) % 2)  # as often right as left
    bounds = np.linspace(0, len(shown), len(checks) + 1).round().astype(int)
    places = [random.integers(a, max(b, a + 1)) for a, b in pairwise(bounds)]
    for i, check in reversed(list(enumerate(random.permutation(len(checks))))):
        shown.insert(int(places[i]), _sides(checks[check].films, int(swapped[i])))
    return tuple(shown)


def _sides(films: Films, swapped: int) -> Films:
    return (films[1], films[0]) if swapped else films


def _random(seed: int, use: int, number: int) -> np.random.Generator:
    return np.random.default_rng([seed, use, number])
