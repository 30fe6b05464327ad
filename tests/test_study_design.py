"""The design of a study: everything is balanced over raters, and follows from seed and number."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codetalker.errors import DataError
from codetalker.study.design import Check, Pair, williams
from codetalker.study.folder import MANIFEST, Study, read_study
from study_raters import small_study, write_folder


def shown(study: Study, number: int) -> list[tuple[tuple[str, str], Pair | Check]]:
    return [(films, study.items[frozenset(films)]) for films in study.trials(number)]


@given(st.integers(1, 30))
def test_rows_of_the_square_put_everything_everywhere_equally_often(count: int) -> None:
    rows = [williams(count, row) for row in range(2 * count)]
    for place in range(count):
        assert set(Counter(row[place] for row in rows).values()) == {2}
    following = Counter(two for row in rows for two in pairwise(row))
    assert len(following) == count * (count - 1)
    assert set(following.values()) <= {2}


@given(st.integers(2, 4), st.integers(1, 7), st.integers(1, 40), st.integers(0, 30))
def test_pairs_are_judged_equally_often_and_sides_alternate(
    systems: int, clips: int, per_rater: int, raters: int
) -> None:
    every = systems * (systems - 1) // 2 * clips
    study = small_study(systems, clips, min(per_rater, every), checks=0)
    times, left = Counter(), Counter()
    for number in range(raters):
        for (first, _), item in shown(study, number):
            times[item.films] += 1
            left[item.films] += study.films[item.films[0]] == first
    assert max(times.values(), default=0) - min(times.values(), default=0) <= 1 or not times
    for pair, count in times.items():
        assert abs(2 * left[pair] - count) <= 1


@given(st.integers(0, 10**6))
def test_a_rater_sees_each_system_as_often_left_as_right(number: int) -> None:
    study = small_study(systems=3, clips=8, per_rater=24)
    left = Counter(
        (item.systems, study.films[item.films[0]] == films[0])
        for films, item in shown(study, number)
        if isinstance(item, Pair)
    )
    assert set(left.values()) == {4}


@given(st.integers(0, 10**6))
def test_every_check_is_seen_once_spread_and_as_often_left_as_right(number: int) -> None:
    study = small_study(checks=6)
    checks = [
        (i, item, films[0] == study.films[item.films[0]])
        for i, (films, item) in enumerate(shown(study, number))
        if isinstance(item, Check)
    ]
    assert {check for _, check, _ in checks} == set(study.checks)
    assert sum(right_is_left for *_, right_is_left in checks) == 3
    places = [place for place, *_ in checks]
    assert all(place // 3 == i for i, place in enumerate(places))  # one in each stretch of three


def test_pairs_come_at_every_place() -> None:
    study = small_study(clips=6, per_rater=6, checks=0)
    places = Counter(
        (place, item) for n in range(24) for place, (_, item) in enumerate(shown(study, n))
    )
    assert set(places.values()) == {4}


def test_the_order_follows_from_seed_and_number_and_differs_between_raters() -> None:
    assert small_study().trials(7) == small_study().trials(7)
    assert len({small_study().trials(n) for n in range(50)}) == 50


def test_a_study_is_read_as_it_was_written(tmp_path: Path) -> None:
    study = small_study(3)
    assert read_study(write_folder(study, tmp_path / "s")) == study
    assert read_study(tmp_path / "s").id == study.id


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"seed": 3', '"seed": "x"', "study.json.seed must be int"),
        ('"per_rater": 12', '"per_rater": 13', "out of range"),
        ('"format_version": 1', '"format_version": 2', "format version 2"),
        ('"title"', '"titel"', "did you mean 'title'?"),
        ("000.mp4", "../000.mp4", "no name of a file"),
        ('"first"', "", "is no study"),
        ("000.mp4", "999.mp4", "lacks the film films/999.mp4"),
        ('"spoilt": "still"', '"spoilt": 3', "must be str"),
    ],
)
def test_a_damaged_study_is_refused_in_a_line(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    folder = write_folder(small_study(), tmp_path / "s")
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text.replace(old, new, 1) if old in text else text[:-20])
    with pytest.raises(DataError, match=r"^[^\n]*$") as caught:
        read_study(folder)
    assert told in str(caught.value)


def test_what_is_no_study_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="codetalker study build"):
        read_study(tmp_path)
