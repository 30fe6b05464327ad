"""Raters of known preference: it is found again within its interval, and guessers do not count."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codetalker.cli import main
from codetalker.errors import DataError
from codetalker.study.analysis import Analysis, analyse
from codetalker.study.answers import read_answers
from codetalker.study.folder import Study
from codetalker.study.report import html_of
from codetalker.study.store import Answer, Store, stored_answers
from study_raters import answers_of, guesses, prefers, small_study, write_folder


def asked(study: Study, share: float, attentive: int, guessing: int = 0, seed: int = 0) -> Analysis:
    random = np.random.default_rng(seed)
    raters = [prefers(share, random)] * attentive + [guesses(random)] * guessing
    answers = [a for i, rater in enumerate(raters) for a in answers_of(study, rater, i)]
    return analyse(study, answers)


def saved(study: Study, rater: int, path: Path) -> Path:
    """What the page of an exported study saves."""
    choose = prefers(1, np.random.default_rng(0))
    answers = [
        {
            "trial": trial,
            "films": films,
            "choices": {q.name: choose(study, films, q.name) for q in study.questions},
        }
        for trial, films in enumerate(study.trials(rater))
    ]
    content = {"study": study.id, "rater": f"{rater:032}", "number": rater, "answers": answers}
    path.write_text(json.dumps({"format_version": 1} | content))
    return path


def test_a_preference_of_forty_raters_is_found_within_its_interval() -> None:
    for found in asked(small_study(), 0.7, 40).findings:
        (share,) = found.shares
        assert share.answers == 40 * 12
        for low, high in (share.wilson, share.clustered):
            assert low < 0.7 < high
            assert high - low < 0.12
        strength = {s.system: s.interval for s in found.strengths}["A"]
        assert strength is not None
        assert strength[0] < np.log(0.7 / 0.3) / 2 < strength[1]


def test_strengths_order_three_systems() -> None:
    for found in asked(small_study(3, 8, 24), 0.75, 30).findings:
        strengths = [s.strength for s in found.strengths]
        assert strengths == sorted(strengths, reverse=True)
        assert sum(strengths) == pytest.approx(0)


def test_guessers_are_left_out_and_change_nothing() -> None:
    study = small_study()
    alone, among = asked(study, 0.7, 20), asked(study, 0.7, 20, guessing=20)
    assert (among.judged.raters, among.judged.failed, among.judged.unchecked) == (20, 20, 0)
    assert among.findings == alone.findings


def test_those_who_stop_before_enough_checks_are_left_out() -> None:
    study, random = small_study(), np.random.default_rng(0)
    answers = list(answers_of(study, prefers(0.7, random), 0))
    early = [replace(a, rater="early") for a in answers if a.trial < 9]
    judged = analyse(study, [*answers, *early]).judged
    assert (judged.raters, judged.failed, judged.unchecked) == (1, 0, 1)


def test_without_checks_everybody_counts() -> None:
    assert asked(small_study(checks=0), 0.7, 5, guessing=5).judged.raters == 10


def test_sides_that_are_preferred_for_themselves_are_seen() -> None:
    study = small_study(checks=0)
    answers = list(answers_of(study, lambda *_: "left", 0))
    found = analyse(study, answers).findings[0]
    assert found.left[0] == 1
    assert found.shares[0].share == 0.5  # balanced: it speaks for nobody


def test_agreement_is_that_of_raters_who_see_the_same_in_each_clip() -> None:
    study = small_study(checks=0)

    def by_clip(study: Study, films: tuple[str, str], question: str) -> str:
        pair = study.items[frozenset(films)]
        better = study.films[pair.films[int(pair.clip[4:]) % 2]]
        return "left" if films[0] == better else "right"

    found = analyse(study, [a for i in range(4) for a in answers_of(study, by_clip, i)]).findings[0]
    assert (found.alpha, found.agreement) == (1, 1)
    assert found.shares[0].share == 0.5


def test_the_report_is_one_page_that_asks_for_nothing() -> None:
    page = html_of(asked(small_study(3, 4, 12), 0.7, 6, guessing=2), "codetalker study analyse s")
    assert not re.search(r"(src|href)=|url\(|@import", page)
    assert "<h1>Faces &amp; &lt;voices&gt;</h1>" in page
    assert page.count("<svg") == page.count("</svg>") == 3 * 2 + 1
    assert "2 failed attention checks" in page
    assert "codetalker study analyse s" in page


def test_the_command_writes_page_and_figures_from_the_store_and_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = small_study()
    folder = write_folder(study, tmp_path / "s")
    store = Store(folder, study)
    rater = store.begin()
    for trial, films in enumerate(study.trials(0)):
        choose = prefers(0, np.random.default_rng(0))
        names = [q.name for q in study.questions]
        store.answer(rater.token, trial, {name: choose(study, films, name) for name in names})
    store.close()
    files = [saved(study, n, tmp_path / f"{n}.json") for n in (1, 2)]
    assert main(["study", "analyse", str(folder), *map(str, files), str(files[0])]) == 0
    assert "24 of 36" in capsys.readouterr().out
    figures = json.loads((folder / "report.json").read_text())
    assert figures["raters"]["kept"] == 3
    assert [q["shares"][0]["wins"] for q in figures["questions"]] == [24, 24, 24]
    assert (folder / "report.html").read_text().startswith("<!doctype html>")


WRONG_FILES = {
    "another study": ({"study": "0" * 16}, "it answers another study"),
    "another version": ({"format_version": 9}, "format version 9"),
    "films of another rater": ({"number": 3}, "not those of its rater's number"),
    "no such rater": ({"number": -1}, "not those of its rater's number"),
    "no answers": ({"answers": 3}, "must be a list"),
    "an unknown key": ({"name": "Ann"}, "has no key 'name'"),
}


@pytest.mark.parametrize("case", WRONG_FILES)
def test_a_wrong_file_is_refused_in_a_line(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes, told = WRONG_FILES[case]
    study = small_study()
    folder = write_folder(study, tmp_path / "s")
    path = saved(study, 1, tmp_path / "a.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    assert main(["study", "analyse", str(folder), str(path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {path} holds no answers")
    assert told in error
    assert error.count("\n") == 1
    assert not (folder / "report.html").exists()


def test_a_choice_that_is_none_and_questions_that_are_not_asked_are_refused(tmp_path: Path) -> None:
    study = small_study()
    path = saved(study, 1, tmp_path / "a.json")
    text = path.read_text()
    for old, new, told in (
        ('"realism": "left"', '"realism": "both"', "neither left nor right"),
        ('"realism"', '"beauty"', "not those of the study"),
    ):
        path.write_text(text.replace(old, new))
        with pytest.raises(DataError, match=told):
            read_answers(path, study)


def test_answers_that_differ_are_refused_and_no_answers_are_told() -> None:
    study = small_study(checks=0)
    answer = Answer("ann", 0, "realism", study.trials(0)[0], "left")
    with pytest.raises(DataError, match="two answers"):
        analyse(study, [answer, replace(answer, choice="right")])
    with pytest.raises(DataError, match="has no answers"):
        analyse(study, [])
    with pytest.raises(DataError, match="1 raters failed"):
        asked(small_study(), 0.7, 0, guessing=1)


def test_the_answers_to_another_study_and_a_file_of_something_else_are_refused(
    tmp_path: Path,
) -> None:
    folder = write_folder(small_study(), tmp_path / "s")
    Store(folder, small_study()).close()
    for _ in range(2):
        with pytest.raises(DataError, match="another study"):
            Store(folder, small_study(3))
    assert stored_answers(folder, small_study()) == []
    (folder / "answers.sqlite").write_bytes(b"no database" * 99)
    with pytest.raises(DataError, match="holds no answers"):
        stored_answers(folder, small_study())
