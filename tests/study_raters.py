"""Studies without pictures and raters without eyes: for tests of what is kept and counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from codetalker.study.design import LIP_SYNC, QUESTIONS, Check, Pair, pairs_of
from codetalker.study.folder import FILMS, MANIFEST, Study
from codetalker.study.store import LEFT, RIGHT, Answer

Rater = Callable[[Study, tuple[str, str], str], str]
"""Of a study, the two films and the question: `left` or `right`."""


def small_study(systems: int = 2, clips: int = 12, per_rater: int = 12, checks: int = 6) -> Study:
    """A study whose films are names alone."""
    names = tuple("ABCDEFGH"[:systems])
    count = systems * clips
    table = [range(s * clips, (s + 1) * clips) for s in range(systems)]
    every = tuple(question.name for question in QUESTIONS)
    return Study(
        title="Faces & <voices>",
        seed=3,
        per_rater=per_rater,
        systems=names,
        questions=QUESTIONS,
        films=tuple(f"{i:03}.mp4" for i in range(count + checks)),
        pairs=pairs_of(table, names, [f"clip{i}" for i in range(clips)]),
        checks=tuple(
            Check("clip", "still", (i, count + i), every if i % 2 else (LIP_SYNC,))
            for i in range(checks)
        ),
    )


def write_folder(study: Study, folder: Path) -> Path:
    """The study as a folder, its films without content."""
    (folder / FILMS).mkdir(parents=True)
    for film in study.films:
        (folder / FILMS / film).write_bytes(b"film" * 1000)
    (folder / MANIFEST).write_text(study.to_json())
    return folder


def prefers(share: float, random: np.random.Generator, attention: float = 1.0) -> Rater:
    """A rater who prefers the first of two systems with a probability, and sees what is spoilt
    with another."""

    def choose(study: Study, films: tuple[str, str], question: str) -> str:
        item = study.items[frozenset(films)]
        first = random.random() < (share if isinstance(item, Pair) else attention)
        chosen = study.films[item.films[0 if first else 1]]
        return LEFT if films[0] == chosen else RIGHT

    return choose


def guesses(random: np.random.Generator) -> Rater:
    """A rater who answers at random."""
    return lambda study, films, question: (LEFT, RIGHT)[int(random.integers(2))]


def answers_of(study: Study, rater: Rater, number: int) -> Iterator[Answer]:
    """All that a rater of that number answers."""
    for trial, films in enumerate(study.trials(number)):
        for question in study.questions:
            choice = rater(study, films, question.name)
            yield Answer(f"rater{number}", trial, question.name, films, choice)
