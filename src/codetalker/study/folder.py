"""The study folder: `study.json`, `films/NAME.mp4` and, once it is served, `answers.sqlite`.

Films have names that tell nothing; what they are is in `study.json`, which raters do not get.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from codetalker.errors import DataError
from codetalker.reading import Malformed, check_file_name, read_json, refusing
from codetalker.study.design import Check, Films, Pair, Question, order_of
from codetalker.typed import build

MANIFEST, FILMS, ANSWERS = "study.json", "films", "answers.sqlite"
FORMAT_VERSION = 1
Trial = tuple[str, str]
"""File names of the films on the left and on the right."""


@dataclass(frozen=True)
class Study:
    """What is asked, of which films.

    Attributes:
        title: that raters read.
        seed: that the order is drawn from.
        per_rater: pairs that a rater judges, beside all checks.
        systems: that are compared.
        questions: that are asked of every two films.
        films: file names.
        pairs: two systems each.
        checks: of the raters' attention.

    Raises:
        Malformed: its parts do not belong together.
    """

    title: str
    seed: int
    per_rater: int
    systems: tuple[str, ...]
    questions: tuple[Question, ...]
    films: tuple[str, ...]
    pairs: tuple[Pair, ...]
    checks: tuple[Check, ...]
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        if self.format_version != FORMAT_VERSION:
            raise Malformed(f"it has format version {self.format_version}, not {FORMAT_VERSION}")
        if self.seed < 0 or not 1 <= self.per_rater <= len(self.pairs):
            raise Malformed("its seed or pairs per rater are out of range")
        names = {question.name for question in self.questions}
        asked = {name for check in self.checks for name in check.questions}
        shown = [film for item in (*self.pairs, *self.checks) for film in item.films]
        if not (names and asked <= names and len(names) == len(self.questions)):
            raise Malformed("its questions do not fit its checks, or occur twice")
        if {system for pair in self.pairs for system in pair.systems} != set(self.systems):
            raise Malformed("its pairs are not of its systems")
        if not all(0 <= film < len(self.films) for film in shown):
            raise Malformed("its pairs show films that it lacks")
        if {len(two) for two in self.items} != {2}:
            raise Malformed("a film is compared with itself")
        if len(self.items) != len(self.pairs) + len(self.checks):
            raise Malformed("two films are compared twice")
        for film in self.films:
            check_file_name(film)

    @cached_property
    def items(self) -> dict[frozenset[str], Pair | Check]:
        """What is compared, by the file names of its films."""
        return {
            frozenset(self.films[film] for film in item.films): item
            for item in (*self.pairs, *self.checks)
        }

    @cached_property
    def id(self) -> str:
        """That answers name: 16 hexadecimal digits of its content."""
        return sha256(self.to_json().encode()).hexdigest()[:16]

    def trials(self, number: int) -> tuple[Trial, ...]:
        """What the rater of that number, from 0, compares, one after another."""
        shown = order_of(self.pairs, self.checks, self.per_rater, self.seed, number)
        return tuple(self._named(films) for films in shown)

    def public(self, mode: str) -> dict[str, object]:
        """What the page may know."""
        return {
            "study": self.id,
            "mode": mode,
            "title": self.title,
            "questions": [asdict(question) for question in self.questions],
            "trials": self.per_rater + len(self.checks),
        }

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    def _named(self, films: Films) -> Trial:
        left, right = films
        return self.films[left], self.films[right]


def read_study(folder: Path) -> Study:
    """Read and check a study folder.

    Raises:
        DataError: it is none, is damaged, or lacks a film.
    """
    path = folder / MANIFEST
    remedy = "make one with: codetalker study build A B -o FOLDER"
    missing = f"{folder} is no study: there is no {MANIFEST} in it; {remedy}"
    with refusing(DataError, f"{path} is no study", remedy, missing):
        study = build(Study, read_json(path), MANIFEST)
    for film in study.films:
        if not (folder / FILMS / film).is_file():
            raise DataError(f"{folder} lacks the film {FILMS}/{film}; build the study again")
    return study
