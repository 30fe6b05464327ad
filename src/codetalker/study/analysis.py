"""Analysis: what a study's answers say, as figures with their intervals.

The raters are what varies independently: intervals of strengths, and how much wider than Wilson's
an interval has to be since each rater answers many times, are found by drawing raters anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from codetalker.errors import DataError
from codetalker.evaluation.intervals import COVERAGE, intervals
from codetalker.study.agreement import agreement, krippendorff_alpha
from codetalker.study.answers import Judged, Judgement, judged
from codetalker.study.attention import CHANCE
from codetalker.study.folder import Study
from codetalker.study.power import EFFECTS, LEVEL, POWER, answers_needed, detectable, raters_needed
from codetalker.study.preference import bradley_terry, wilson
from codetalker.study.store import Answer

_VERSION = 1


@dataclass(frozen=True)
class Share:
    """How often one system is preferred to another.

    Attributes:
        systems: the one and the other.
        wins: answers that prefer the first.
        answers: in all.
        share: of the first; None without answers.
        wilson: 95 % interval as if every answer were independent.
        clustered: 95 % interval with the answers of a rater taken together: Wilson's of the
            effective number of answers.
        design_effect: answers per independent one, 1 or more.
        detectable: share that so many effective answers show with a power of 80 %, or None.
    """

    systems: tuple[str, str]
    wins: int
    answers: int
    share: float | None
    wilson: tuple[float, float]
    clustered: tuple[float, float]
    design_effect: float
    detectable: float | None


@dataclass(frozen=True)
class Strength:
    """A system's strength by Bradley and Terry, in log odds around the mean, and its interval."""

    system: str
    strength: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Findings:
    """The answers to one question.

    Attributes:
        question: its name.
        text: as raters read it.
        shares: of every two systems.
        strengths: of every system.
        agreement: share of two raters' answers on two films that are the same, or None.
        alpha: Krippendorff's, nominal; None where nothing was judged twice or all agree.
        alpha_interval: 95 %, by drawing pairs of films anew.
        left: share of the films on the left, with Wilson's interval.
    """

    question: str
    text: str
    shares: tuple[Share, ...]
    strengths: tuple[Strength, ...]
    agreement: float | None
    alpha: float | None
    alpha_interval: tuple[float, float] | None
    left: tuple[float, float, float]


@dataclass(frozen=True)
class Needed:
    """Before a study: what it takes to show a share with a power of 80 %.

    Attributes:
        share: that one system is preferred with.
        answers: to one question on two systems.
        raters: who give so many, if answers are independent.
    """

    share: float
    answers: int
    raters: int


@dataclass(frozen=True)
class Analysis:
    """All figures.

    Attributes:
        study: that they are of.
        judged: whose answers count.
        findings: for each question.
        needed: power before the study.
    """

    study: Study
    judged: Judged
    findings: tuple[Findings, ...]
    needed: tuple[Needed, ...]

    def as_json(self) -> dict[str, object]:
        """The stable form: keys are only ever added."""
        kept = self.judged
        return {
            "format_version": _VERSION,
            "study": self.study.id,
            "title": self.study.title,
            "systems": list(self.study.systems),
            "raters": {
                "kept": kept.raters,
                "excluded_failed_checks": kept.failed,
                "excluded_too_few_checks": kept.unchecked,
            },
            "answers": len(kept.judgements),
            "exclusion_rule": rule(self.study),
            "coverage": COVERAGE,
            "questions": [asdict(found) for found in self.findings],
            "power": {
                "level": LEVEL,
                "power": POWER,
                "needed": [asdict(needed) for needed in self.needed],
            },
        }


def rule(study: Study) -> str:
    """Whose answers count, in a sentence."""
    if not study.checks:
        return "The study has no attention checks; nobody is left out."
    return (
        f"Of {len(study.checks)} attention checks a rater must have seen and passed so many that "
        f"guessing would do as well in less than {CHANCE:.0%} of cases; nothing else counts."
    )


def needed(study: Study) -> tuple[Needed, ...]:
    """Power before the study, for every two systems and each question."""
    couples = len(list(combinations(study.systems, 2)))
    each = study.per_rater / couples
    return tuple(Needed(e, answers_needed(e), raters_needed(e, each)) for e in EFFECTS)


def analyse(study: Study, answers: Iterable[Answer]) -> Analysis:
    """All figures of a study.

    Raises:
        DataError: there are no answers, none of an attentive rater, or two that differ.
    """
    kept = judged(study, answers)
    if not kept.failed + kept.unchecked + kept.raters:
        raise DataError(
            "the study has no answers; serve it, or name the files that raters have sent"
        )
    if not kept.judgements:
        raise DataError(
            f"no answers count: {kept.failed} raters failed the attention checks and "
            f"{kept.unchecked} saw too few of them; ask more raters"
        )
    findings = tuple(
        _findings(study, q.name, q.text, [j for j in kept.judgements if j.question == q.name], kept)
        for q in study.questions
    )
    return Analysis(study, kept, findings, needed(study))


def _findings(
    study: Study, name: str, text: str, judgements: list[Judgement], kept: Judged
) -> Findings:
    wins = _wins(study, judgements, kept.raters)
    names = study.systems
    ends = intervals(
        kept.raters,
        lambda drawn: dict(
            zip(names, bradley_terry(wins[drawn].sum(axis=0)).tolist(), strict=True)
        ),
    )
    strengths = bradley_terry(wins.sum(axis=0))
    counts = _counts(judgements)
    alphas = intervals(len(counts), lambda drawn: {"alpha": krippendorff_alpha(counts[drawn])})
    left = sum(judgement.left for judgement in judgements)
    return Findings(
        question=name,
        text=text,
        shares=tuple(_shares(study, wins, i, j) for i, j in combinations(range(len(names)), 2)),
        strengths=tuple(
            Strength(system, float(strength), _two(ends.get(system)))
            for system, strength in zip(names, strengths, strict=True)
        ),
        agreement=agreement(counts),
        alpha=krippendorff_alpha(counts),
        alpha_interval=_two(alphas.get("alpha")),
        left=(left / max(len(judgements), 1), *wilson(left, len(judgements))),
    )


def _shares(study: Study, wins: NDArray[np.float64], i: int, j: int) -> Share:
    total = wins.sum(axis=0)
    won, answers = total[i, j], total[i, j] + total[j, i]
    effect = design_effect(wins[:, i, j], wins[:, j, i])
    return Share(
        systems=(study.systems[i], study.systems[j]),
        wins=int(won),
        answers=int(answers),
        share=float(won / answers) if answers else None,
        wilson=wilson(won, answers),
        clustered=wilson(won / effect, answers / effect),
        design_effect=effect,
        detectable=detectable(answers / effect),
    )


def design_effect(won: NDArray[np.float64], lost: NDArray[np.float64]) -> float:
    """How much the variance of a share is larger than that of as many independent answers, from
    how far raters are from it together (Kish, Survey Sampling, 1965: the ratio estimator's)."""
    games = won + lost
    raters, total = int((games > 0).sum()), games.sum()
    if raters < 2:
        return 1.0
    share = won.sum() / total
    independent = share * (1 - share) / total
    clustered = np.square(won - share * games).sum() / total**2 * raters / (raters - 1)
    return float(max(clustered / independent, 1)) if independent else 1.0


def _wins(study: Study, judgements: list[Judgement], raters: int) -> NDArray[np.float64]:
    """(raters, K, K) how often each rater preferred one system to another."""
    index = {system: i for i, system in enumerate(study.systems)}
    wins = np.zeros((raters, len(index), len(index)))
    for judgement in judgements:
        first, second = (index[system] for system in judgement.pair.systems)
        better, worse = (first, second) if judgement.first else (second, first)
        wins[judgement.rater, better, worse] += 1
    return wins


def _counts(judgements: list[Judgement]) -> NDArray[np.int64]:
    """(pairs, 2) how many raters preferred the first film of a pair, and the second."""
    units = {pair: i for i, pair in enumerate(dict.fromkeys(j.pair for j in judgements))}
    counts = np.zeros((len(units), 2), np.int64)
    for judgement in judgements:
        counts[units[judgement.pair], 0 if judgement.first else 1] += 1
    return counts


def _two(ends: list[float] | None) -> tuple[float, float] | None:
    return None if ends is None else (ends[0], ends[1])
