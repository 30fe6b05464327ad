"""Answers: what the server has kept and what raters have sent as files, as judgements of systems.

Whose judgements count is said by the attention checks alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from codetalker.errors import DataError
from codetalker.reading import Malformed, read_json, refusing
from codetalker.study.attention import attentive
from codetalker.study.design import Check, Pair
from codetalker.study.folder import Study
from codetalker.study.store import LEFT, RIGHT, Answer
from codetalker.typed import build

_VERSION = 1


@dataclass(frozen=True)
class Judgement:
    """A rater's answer to one question on one pair.

    Attributes:
        rater: index among those who are kept.
        pair: that was shown.
        question: name of the question.
        first: whether the pair's first system is preferred, rather than its second.
        left: whether the film on the left is.
    """

    rater: int
    pair: Pair
    question: str
    first: bool
    left: bool


@dataclass(frozen=True)
class Judged:
    """The judgements of those who are kept, and how many there were in all.

    Attributes:
        judgements: of those who are kept.
        raters: how many are kept.
        failed: raters who are left out since they failed checks.
        unchecked: raters who are left out since they saw too few checks to be told from guessers.
    """

    judgements: tuple[Judgement, ...]
    raters: int
    failed: int
    unchecked: int


@dataclass(frozen=True)
class _Trial:
    trial: int
    films: tuple[str, str]
    choices: dict[str, str]


@dataclass(frozen=True)
class _File:
    study: str
    rater: str
    number: int
    answers: tuple[_Trial, ...]
    format_version: int


def read_answers(path: Path, study: Study) -> list[Answer]:
    """Read the file that a rater has saved.

    Raises:
        DataError: it is none, or of another study.
    """
    remedy = "ask the rater for the file that the page saves"
    missing = f"{path} does not exist; check the spelling of the path"
    with refusing(DataError, f"{path} holds no answers", remedy, missing):
        file = build(_File, read_json(path), "answers")
        if file.format_version != _VERSION:
            raise Malformed(f"it has format version {file.format_version}, not {_VERSION}")
        if file.study != study.id:
            raise Malformed("it answers another study")
        trials = study.trials(file.number) if file.number >= 0 else ()
        for trial in file.answers:
            if not 0 <= trial.trial < len(trials) or trial.films != trials[trial.trial]:
                raise Malformed("its films are not those of its rater's number")
            if trial.choices.keys() != {question.name for question in study.questions}:
                raise Malformed("its questions are not those of the study")
            if not set(trial.choices.values()) <= {LEFT, RIGHT}:
                raise Malformed("a choice is neither left nor right")
    return [
        Answer(file.rater, trial.trial, question, trial.films, choice)
        for trial in file.answers
        for question, choice in trial.choices.items()
    ]


def judged(study: Study, answers: Iterable[Answer]) -> Judged:
    """The judgements of attentive raters; of a study without checks, of all.

    Raises:
        DataError: a rater has given two answers to the same question.
    """
    raters: dict[str, dict[tuple[int, str], Answer]] = defaultdict(dict)
    for answer in answers:
        own = raters[answer.rater].setdefault((answer.trial, answer.question), answer)
        if own != answer:
            raise DataError(
                f"the rater {answer.rater[:8]} has two answers to the same question; leave out the "
                "older file"
            )
    kept: list[Judgement] = []
    counts = {"kept": 0, "failed": 0, "unchecked": 0}
    for own in raters.values():
        fate = _fate(study, list(own.values()))
        if fate == "kept":
            kept += _judgements(study, counts["kept"], own.values())
        counts[fate] += 1
    return Judged(tuple(kept), counts["kept"], counts["failed"], counts["unchecked"])


def _fate(study: Study, answers: Sequence[Answer]) -> str:
    if not study.checks:
        return "kept"
    passed: dict[int, bool] = {}
    for answer in answers:
        item = study.items[frozenset(answer.films)]
        if isinstance(item, Check) and answer.question in item.questions:
            right = study.films[item.films[0]] == _preferred(answer)
            passed[answer.trial] = passed.get(answer.trial, True) and right
    if not attentive(len(passed), len(passed)):
        return "unchecked"
    return "kept" if attentive(sum(passed.values()), len(passed)) else "failed"


def _judgements(study: Study, rater: int, answers: Iterable[Answer]) -> Iterable[Judgement]:
    for answer in answers:
        pair = study.items[frozenset(answer.films)]
        if isinstance(pair, Pair):
            first = study.films[pair.films[0]] == _preferred(answer)
            yield Judgement(rater, pair, answer.question, first, answer.choice == LEFT)


def _preferred(answer: Answer) -> str:
    return answer.films[answer.choice == RIGHT]
