"""How sure a figure and a difference are: the bootstrap over clips, paired, and Holm's correction.

`codetalker.evaluation.intervals` takes any figure; here every one is made of sums over clips
(`observed`), so that ten thousand draws are one product of matrices, and systems share the draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from codetalker.benchmark.figures import FALSE_SHARE, FIGURES, FOUND
from codetalker.benchmark.observed import Observed
from codetalker.evaluation.intervals import COVERAGE

DRAWS = 10_000
FEWEST = 5
"""Clips that define a figure, without which nothing is said of how sure it is."""
_ENDS = ((1 - COVERAGE) / 2, (1 + COVERAGE) / 2)
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A figure of one system, or the difference of two.

    Attributes:
        value: over all clips.
        interval: percentiles that cover 95 %; None for fewer than `FEWEST` clips.
        p: of a difference: how likely one as far from zero would be if there were none; two-sided,
            from the share of draws on the other side of zero.
    """

    value: float
    interval: tuple[float, float] | None
    p: float | None = None

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside the interval."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]


class Sample:
    """The clips of one protocol as one system spoke them; of several trainings, their mean.

    Args:
        trainings: what each has observed, of the same clips in the same order.
    """

    def __init__(self, trainings: Sequence[Sequence[Observed]]) -> None:
        self.clips = tuple(observed.clip for observed in trainings[0])
        count = len(self.clips)
        self._sums: dict[str, NDArray[np.float64]] = {}
        for training in trainings:
            for i, observed in enumerate(training):
                for name, pair in observed.sums.items():
                    sums = self._sums.setdefault(name, np.zeros((count, 2)))
                    sums[i] += np.array(pair) / len(trainings)
        kept = [[o.detection for o in t if o.detection is not None] for t in trainings]
        self.curves: NDArray[np.float64] | None = None
        if count and all(len(own) == count for own in kept):
            rows = [[np.stack([_padded(d.found, d.closures), _padded(d.false, d.openings)])
                     for d in own] for own in kept]  # fmt: skip
            self.curves = np.mean(rows, axis=0)  # (clips, 2, thresholds + 1), the last the count

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of what it defines, in the order in which they are shown."""
        there = {name for name, sums in self._sums.items() if sums[:, 1].sum() > 0}
        if self.curves is not None and (self.curves[..., -1].sum(0) > 0).all():
            there.add(FOUND)
        return tuple(name for name in FIGURES if name in there)

    def values(self, name: str, draws: Values) -> Values:
        """(D,) the figure of each draw, NaN where it is not defined.

        Args:
            draws: (D, clips) how often each clip is drawn.
        """
        if name == FOUND:
            return self._found(draws)
        top, bottom = (draws @ self._sums[name]).T
        with np.errstate(invalid="ignore", divide="ignore"):
            quotient = np.where(bottom > 0, top / bottom, np.nan)
        return np.sqrt(quotient) if FIGURES[name].root else quotient

    def clips_of(self, name: str) -> int:
        """How many clips define a figure."""
        return len(self.clips) if name == FOUND else int((self._sums[name][:, 1] > 0).sum())

    def roc(self) -> tuple[Values, Values]:
        """(thresholds,) shares of false and of found closures, from the strictest threshold."""
        assert self.curves is not None
        total = self.curves.sum(0)
        return total[1, :-1] / total[1, -1], total[0, :-1] / total[0, -1]

    def _found(self, draws: Values) -> Values:
        assert self.curves is not None
        count, width = len(self.clips), self.curves.shape[-1]
        totals = (draws @ self.curves.reshape(count, -1)).reshape(-1, 2, width)
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = totals[..., :-1] / totals[..., -1:]
        return np.array([np.interp(FALSE_SHARE, false, found) for found, false in shares])


@lru_cache(maxsize=8)
def draws(clips: int, count: int) -> Values:
    """(count, clips) how often each clip is drawn, the same every time."""
    random = np.random.default_rng(0)
    return random.multinomial(clips, np.full(clips, 1 / clips), count).astype(np.float64)


def estimate(sample: Sample, name: str) -> Estimate:
    """A figure with its interval."""
    whole = sample.values(name, _all(sample))[0]
    if sample.clips_of(name) < FEWEST:
        return Estimate(float(whole), None)
    return _estimate(whole, sample.values(name, _drawn(sample)))


def difference(one: Sample, other: Sample, name: str) -> Estimate:
    """A figure of one system less that of another on the same clips, paired."""
    assert one.clips == other.clips
    whole = one.values(name, _all(one))[0] - other.values(name, _all(other))[0]
    if min(one.clips_of(name), other.clips_of(name)) < FEWEST:
        return Estimate(float(whole), None)
    drawn = one.values(name, _drawn(one)) - other.values(name, _drawn(other))
    found = _estimate(whole, drawn)
    if found.interval is None:
        return found
    drawn = drawn[np.isfinite(drawn)]
    sides = [(drawn <= 0).sum() + 1, (drawn >= 0).sum() + 1]
    return Estimate(found.value, found.interval, min(1.0, 2 * min(sides) / (len(drawn) + 1)))


def holm(values: Mapping[str, float]) -> dict[str, float]:
    """p values corrected for how many there are (Holm, 1979): the family keeps its level."""
    ordered = sorted(values, key=lambda name: values[name])
    corrected, highest = {}, 0.0
    for rank, name in enumerate(ordered):
        highest = max(highest, min(1.0, (len(ordered) - rank) * values[name]))
        corrected[name] = highest
    return corrected


def _estimate(whole: float, drawn: Values) -> Estimate:
    defined = drawn[np.isfinite(drawn)]
    if len(defined) <= DRAWS / 2:
        return Estimate(float(whole), None)
    low, high = np.quantile(defined, _ENDS)
    return Estimate(float(whole), (float(low), float(high)))


def _all(sample: Sample) -> Values:
    return np.ones((1, len(sample.clips)))


def _drawn(sample: Sample) -> Values:
    return draws(len(sample.clips), DRAWS)


def _padded(counts: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    return np.append(counts, total)
