"""A served study: fifty raters at once, nothing that was acknowledged is lost, nothing is kept of
who asks."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

httpx = pytest.importorskip("httpx")
pytest.importorskip("uvicorn")

from codetalker.cli import main  # noqa: E402
from codetalker.study.analysis import analyse  # noqa: E402
from codetalker.study.folder import ANSWERS, Study  # noqa: E402
from codetalker.study.store import LEFT, RIGHT, Refused, Store, stored_answers  # noqa: E402
from study_raters import Rater, guesses, prefers, small_study, write_folder  # noqa: E402

JSON = {"content-type": "application/json"}


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The command, its address, and all that it says is checked to be that."""
    command = [sys.executable, "-m", "codetalker", "study", "serve", str(folder), "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as run:
        assert run.stdout
        try:
            line = run.stdout.readline()
            yield re.match(r"http://\S+/", line)[0], run  # type: ignore[index]
        finally:
            run.send_signal(signal.SIGINT)
            rest = run.stdout.read()
    assert rest == ""


@pytest.fixture
def study() -> Study:
    return small_study()


@pytest.fixture
def folder(study: Study, tmp_path: Path) -> Path:
    return write_folder(study, tmp_path / "study")


def judge(address: str, study: Study, rater: Rater, told: Callable[[str, int], object]) -> None:
    """Answer all, and tell of each trial that the server has acknowledged."""
    with httpx.Client(base_url=address, timeout=30) as client:
        begun = client.post("raters", content="{}", headers=JSON).json()
        for trial, films in enumerate(begun["trials"]):
            client.get(f"films/{films[0]}").raise_for_status()
            choices = {q.name: rater(study, tuple(films), q.name) for q in study.questions}
            sent = {"rater": begun["rater"], "trial": trial, "choices": choices}
            client.post("answers", json=sent).raise_for_status()
            told(begun["rater"], trial)


def test_fifty_raters_at_once_are_all_kept_and_their_preference_found(
    study: Study, folder: Path
) -> None:
    random = [np.random.default_rng(i) for i in range(50)]
    raters = [prefers(0.7, r) for r in random[:40]] + [guesses(r) for r in random[40:]]
    with served(folder) as (address, _), ThreadPoolExecutor(50) as pool:
        list(pool.map(lambda rater: judge(address, study, rater, lambda *_: None), raters))
    answers = stored_answers(folder, study)
    assert len(answers) == 50 * 18 * 3
    found = analyse(study, answers)
    assert (found.judged.raters, found.judged.failed) == (40, 10)
    for question in found.findings:
        low, high = question.shares[0].clustered
        assert low < 0.7 < high


def test_nothing_that_was_acknowledged_is_lost_when_the_server_is_killed(
    study: Study, folder: Path
) -> None:
    acknowledged: set[tuple[str, int]] = set()

    def told(rater: str, trial: int) -> None:
        acknowledged.add((rater, trial))
        if len(acknowledged) == 60:
            os.kill(run.pid, signal.SIGKILL)

    def until_killed(number: int) -> None:
        with suppress(httpx.TransportError):
            judge(address, study, guesses(np.random.default_rng(number)), told)

    with served(folder) as (address, run), ThreadPoolExecutor(8) as pool:
        list(pool.map(until_killed, range(8)))
    assert 60 <= len(acknowledged) < 8 * 18
    kept: dict[tuple[str, int], int] = {}
    for answer in stored_answers(folder, study):
        kept[answer.rater, answer.trial] = kept.get((answer.rater, answer.trial), 0) + 1
    assert acknowledged <= kept.keys()
    assert set(kept.values()) == {3}  # a trial is there whole or not at all
    token = next(iter(acknowledged))[0]
    with served(folder) as (address, _):
        onward = httpx.get(f"{address}raters/{token}").json()
    assert {(token, trial) for trial in onward["answered"]} == {k for k in kept if k[0] == token}


def test_raters_have_numbers_in_turn_and_keep_their_order(study: Study, folder: Path) -> None:
    with served(folder) as (address, _):
        for number in range(3):
            begun = httpx.post(f"{address}raters", content="{}", headers=JSON).json()
            trials = [list(films) for films in study.trials(number)]
            assert begun["trials"] == trials
            again = httpx.get(f"{address}raters/{begun['rater']}").json()
            assert again == begun


def test_what_raters_get_tells_nothing_of_systems_and_checks(study: Study, folder: Path) -> None:
    with served(folder) as (address, _):
        public = httpx.get(f"{address}public.json").json()
        assert set(public) == {"study", "mode", "title", "questions", "trials"}
        assert public["trials"] == 18
        for path in ("study.json", "answers.sqlite", "films/../study.json", "docs", "openapi.json"):
            assert httpx.get(address + path).status_code == 404


def test_nothing_is_kept_of_who_asks(study: Study, folder: Path) -> None:
    headers = {"user-agent": "Browser-of-Ann", "x-forwarded-for": "203.0.113.7", "cookie": "ann=1"}
    with served(folder) as (address, _), httpx.Client(base_url=address, headers=headers) as client:
        begun = client.post("raters", content="{}", headers=JSON)
        choices = {q.name: LEFT for q in study.questions}
        sent = {"rater": begun.json()["rater"], "trial": 0, "choices": choices}
        assert client.post("answers", json=sent).status_code == 204
        assert "set-cookie" not in begun.headers
    with closing(sqlite3.connect(folder / ANSWERS)) as database:
        dump = "\n".join(database.iterdump())
    assert not re.search(r"Ann|203\.0|127\.0\.0\.1|20\d\d-\d\d", dump)


def test_the_page_is_there_with_films_in_parts_and_its_own_address_alone(folder: Path) -> None:
    with served(folder) as (address, _):
        page = httpx.get(address)
        assert "<main>" in page.text
        assert "default-src 'self'" in page.headers["content-security-policy"]
        assert page.headers["referrer-policy"] == "no-referrer"
        film = httpx.get(f"{address}films/000.mp4", headers={"range": "bytes=2-5"})
        assert (film.status_code, film.content) == (206, b"lmfi")


def test_what_the_page_would_not_send_is_refused(study: Study, folder: Path) -> None:
    left, right = ({q.name: side for q in study.questions} for side in (LEFT, RIGHT))
    with served(folder) as (address, _), httpx.Client(base_url=address) as client:
        token = client.post("raters", content="{}", headers=JSON).json()["rater"]
        good = {"rater": token, "trial": 0, "choices": left}
        wrong = {
            404: [good | {"rater": "0" * 32}],
            413: [good | {"more": "x" * 5000}],
            422: [
                {},
                [],
                good | {"trial": -1},
                good | {"trial": 18},
                good | {"trial": "0"},
                good | {"trial": 1 << 70},
                good | {"choices": left | {"beauty": LEFT}},
                good | {"choices": {"realism": LEFT}},
                good | {"choices": left | {"realism": "both"}},
                good | {"choices": left | {"realism": None}},
            ],
        }
        for status, bodies in wrong.items():
            for body in bodies:
                assert client.post("answers", json=body).status_code == status, body
        assert client.post("answers", content="{", headers=JSON).status_code == 422
        assert client.post("answers", content="{}").status_code == 415  # as other sites' pages
        assert client.post("answers", json=good).status_code == 204
        assert client.post("answers", json=good).status_code == 204  # its page had not heard it
        assert client.post("answers", json=good | {"choices": right}).status_code == 409
    assert {a.choice for a in stored_answers(folder, study)} == {LEFT}


def test_a_study_that_is_full_takes_no_more_raters(
    study: Study, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codetalker.study.store.MOST_RATERS", 2)
    with closing(Store(folder, study)) as store:
        assert [store.begin().number for _ in range(2)] == [0, 1]
        with pytest.raises(Refused, match="403"):
            store.begin()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["serve", "nothing"], "nothing is no study"),
        (["serve", "study", "--port", "99999"], "--port is 99999"),
        (["serve", "study", "--host", "nowhere.invalid"], "cannot be listened at"),
        (["export", "nothing", "-o", "out"], "nothing is no study"),
        (["export", "study", "-o", "study"], "study would replace the input study"),
        (["export", "study", "-o", "out", "--raters", "0"], "--raters is 0"),
        (["analyse", "nothing"], "nothing is no study"),
        (["analyse", "study"], "the study has no answers"),
        (["analyse", "study", "gone.json"], "gone.json does not exist"),
        (["analyse", "study", "--json", "study/study.json"], "would replace the input"),
        (["analyse", "study", "-o", "report.json"], "name the report NAME.html"),
        (["analyse", "study", "-o", "gone/report.html"], "does not exist; create it first"),
    ],
)
def test_mistakes_are_told_in_a_line(
    arguments: list[str],
    told: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder.parent)
    before = sorted(folder.parent.rglob("*"))
    assert main(["study", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert told in error
    assert error.count("\n") == 1
    assert sorted(folder.parent.rglob("*")) == before
