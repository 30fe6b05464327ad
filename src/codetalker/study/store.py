"""Store: the answers of a served study, in `answers.sqlite` beside it.

An answer that has been taken is on the disk: the journal is written ahead (WAL) and synchronised
before `answer` returns. What is kept of a rater is a random token and a number.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from threading import Lock

from codetalker.errors import DataError, OutputError
from codetalker.study.folder import ANSWERS, Study, Trial

LEFT, RIGHT = "left", "right"
MOST_RATERS = 10_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS study (id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS raters (number INTEGER PRIMARY KEY, token TEXT UNIQUE NOT NULL);
CREATE TABLE IF NOT EXISTS answers (
    number INTEGER NOT NULL REFERENCES raters, trial INTEGER NOT NULL, question TEXT NOT NULL,
    "left" TEXT NOT NULL, "right" TEXT NOT NULL, choice TEXT NOT NULL,
    PRIMARY KEY (number, trial, question)) WITHOUT ROWID;
"""
_OWN = "INSERT INTO study SELECT ? WHERE NOT EXISTS (SELECT 1 FROM study)"


class Refused(Exception):
    """The page asks for what cannot be; its argument is an HTTP status."""


@dataclass(frozen=True)
class Rater:
    """Somebody who has begun.

    Attributes:
        token: random, known to the rater's browser.
        number: from 0, from which the order follows.
        answered: trials whose answers are kept.
    """

    token: str
    number: int
    answered: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Answer:
    """What a rater prefers.

    Attributes:
        rater: token.
        trial: which of the rater's trials, from 0.
        question: name of the question.
        films: that were shown on the left and on the right.
        choice: `left` or `right`.
    """

    rater: str
    trial: int
    question: str
    films: Trial
    choice: str


class Store:
    """Raters and answers; it may be used by several threads, and closed by `close`.

    Args:
        folder: of the study.
        study: that it holds.

    Raises:
        DataError: the file there is of another study, or none.
        OutputError: it cannot be written.
    """

    def __init__(self, folder: Path, study: Study) -> None:
        self._path, self._study, self._lock = folder / ANSWERS, study, Lock()
        with _explained(self._path):
            self._database = sqlite3.connect(
                self._path, check_same_thread=False, isolation_level=None
            )
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.executescript(_SCHEMA)
            self._database.execute(_OWN, (study.id,))
        _check_study(self._database, self._path, study)

    def close(self) -> None:
        self._database.close()

    def begin(self) -> Rater:
        """A new rater, of the next number.

        Raises:
            Refused: there are too many.
        """
        token = token_hex(16)
        with self._writing() as database:
            (number,) = database.execute("SELECT count(*) FROM raters").fetchone()
            if number >= MOST_RATERS:
                raise Refused(403)
            database.execute("INSERT INTO raters VALUES (?, ?)", (number, token))
        return Rater(token, number)

    def rater(self, token: str) -> Rater:
        """Somebody who goes on.

        Raises:
            Refused: nobody has the token.
        """
        with self._lock:
            return self._rater(token)

    def answer(self, token: str, trial: int, choices: dict[str, str]) -> None:
        """Keep the answers to all questions of a trial; it returns once they are on the disk.

        The same ones may be given again, by a page that has not heard that they were kept.

        Raises:
            Refused: nobody has the token, the trial has other questions or sides, or it has been
                answered otherwise.
        """
        questions = {question.name for question in self._study.questions}
        if choices.keys() != questions or not set(choices.values()) <= {LEFT, RIGHT}:
            raise Refused(422)
        with self._writing() as database:
            rater = self._rater(token)
            trials = self._study.trials(rater.number)
            if not 0 <= trial < len(trials):
                raise Refused(422)
            if trial in rater.answered:
                query = "SELECT question, choice FROM answers WHERE number = ? AND trial = ?"
                if dict(database.execute(query, (rater.number, trial))) != choices:
                    raise Refused(409)
                return
            for question, choice in choices.items():
                row = (rater.number, trial, question, *trials[trial], choice)
                database.execute("INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?)", row)

    def _rater(self, token: str) -> Rater:
        query = "SELECT number FROM raters WHERE token = ?"
        found = self._database.execute(query, (token,)).fetchone()
        if found is None:
            raise Refused(404)
        query = "SELECT DISTINCT trial FROM answers WHERE number = ?"
        return Rater(token, found[0], frozenset(t for (t,) in self._database.execute(query, found)))

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction, which is on the disk when it ends, or has not been."""
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            finally:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")


def stored_answers(folder: Path, study: Study) -> list[Answer]:
    """All answers that have been kept, also while the study is served; none where it never was.

    Raises:
        DataError: the file is of another study, or none.
    """
    path = folder / ANSWERS
    if not path.is_file():
        return []
    query = (
        'SELECT token, trial, question, "left", "right", choice FROM answers JOIN raters '
        "USING (number) ORDER BY number, trial, question"
    )
    address = f"{path.resolve().as_uri()}?mode=ro"
    with _explained(path), closing(sqlite3.connect(address, uri=True)) as database:
        _check_study(database, path, study)
        rows = database.execute(query).fetchall()
    return [Answer(token, trial, name, (a, b), choice) for token, trial, name, a, b, choice in rows]


def _check_study(database: sqlite3.Connection, path: Path, study: Study) -> None:
    with _explained(path):
        if database.execute("SELECT id FROM study").fetchall() != [(study.id,)]:
            raise DataError(f"{path} has the answers to another study; move it elsewhere")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OutputError(f"{path} cannot be used: {error}; see to its folder's mode") from error
    except sqlite3.DatabaseError as error:
        raise DataError(f"{path} holds no answers ({error}); move it elsewhere") from error
