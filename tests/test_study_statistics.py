"""Statistics of a study against independent implementations and published examples."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import binom, binomtest

from codetalker.study.agreement import agreement, krippendorff_alpha
from codetalker.study.analysis import design_effect
from codetalker.study.attention import FEWEST, attentive
from codetalker.study.power import answers_needed, detectable, power, raters_needed
from codetalker.study.preference import bradley_terry, wilson


@given(st.integers(1, 2000), st.data())
def test_wilson_is_that_of_scipy(count: int, data: st.DataObject) -> None:
    wins = data.draw(st.integers(0, count))
    expected = binomtest(wins, count).proportion_ci(method="wilson")
    assert wilson(wins, count) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_wilson_of_nothing_is_everything() -> None:
    assert wilson(0, 0) == (0, 1)


@settings(max_examples=25)
@given(st.integers(2, 5), st.integers(0, 2**31))
def test_strengths_are_where_the_likelihood_is_highest(systems: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    wins = random.integers(0, 40, (systems, systems)).astype(float)
    np.fill_diagonal(wins, 0)

    def unlikely(free: np.ndarray) -> float:
        s = np.append(free, -free.sum())
        won = wins + 0.5 * (wins + wins.T > 0)
        np.fill_diagonal(won, 0)
        return (won * np.logaddexp(0, s[None] - s[:, None])).sum()

    best = minimize(unlikely, np.zeros(systems - 1), tol=1e-12).x
    assert bradley_terry(wins) == pytest.approx(np.append(best, -best.sum()), abs=1e-4)


def test_strengths_of_two_are_their_log_odds_and_exist_where_one_always_wins() -> None:
    one, other = bradley_terry(np.array([[0, 70], [30, 0.0]]))
    assert one - other == pytest.approx(np.log(70.5 / 30.5))
    one, other = bradley_terry(np.array([[0, 9], [0, 0.0]]))
    assert one - other == pytest.approx(np.log(9.5 / 0.5))


FOUR_OBSERVERS = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""
TWO_OBSERVERS = """
0 1 0 0 0 0 0 0 1 0
1 1 1 0 0 1 0 0 0 0
"""


def counted(table: str) -> np.ndarray:
    rows = [line.split() for line in table.strip().splitlines()]
    values = sorted({value for row in rows for value in row} - {"."})
    return np.array([[unit.count(value) for value in values] for unit in zip(*rows, strict=True)])


@pytest.mark.parametrize(("table", "alpha"), [(FOUR_OBSERVERS, 0.743), (TWO_OBSERVERS, 0.095)])
def test_alpha_is_that_of_krippendorffs_examples(table: str, alpha: float) -> None:
    """Computing Krippendorff's Alpha-Reliability (2011), sections A and C."""
    assert krippendorff_alpha(counted(table)) == pytest.approx(alpha, abs=5e-4)


@given(st.integers(0, 2**31))
def test_alpha_is_one_less_observed_over_expected_disagreement(seed: int) -> None:
    random = np.random.default_rng(seed)
    counts = random.integers(0, 5, (8, 2))
    units = [[0] * a + [1] * b for a, b in counts if a + b > 1]
    values = [value for unit in units for value in unit]
    apart = [a != b for a, b in combinations(values, 2)]
    if not any(apart):
        assert krippendorff_alpha(counts) is None
        return
    within = sum(
        2 * sum(a != b for a, b in combinations(unit, 2)) / (len(unit) - 1) for unit in units
    )
    assert krippendorff_alpha(counts) == pytest.approx(1 - within / len(values) / np.mean(apart))
    assert agreement(counts) == pytest.approx(1 - within / len(values))


def test_nothing_that_was_judged_twice_has_no_agreement() -> None:
    once = np.array([[1, 0], [0, 1]])
    assert krippendorff_alpha(once) is None
    assert agreement(once) is None
    assert agreement(np.zeros((0, 2), int)) is None


@pytest.mark.parametrize("count", [5, 6, 23, 54, 100])
@pytest.mark.parametrize("share", [0.55, 0.7, 0.9])
def test_power_is_how_often_the_test_says_so(share: float, count: int) -> None:
    chances = binom.pmf(np.arange(count + 1), count, share)
    told = [binomtest(wins, count).pvalue <= 0.05 for wins in range(count + 1)]
    assert power(share, count) == pytest.approx(chances[told].sum())


def test_enough_answers_are_enough_and_fewer_are_not() -> None:
    for share in (0.6, 0.7, 0.8):
        needed = answers_needed(share)
        assert power(share, needed - 1) < 0.8
        assert all(power(share, n) >= 0.8 for n in range(needed, needed + 60))
    assert detectable(answers_needed(0.7)) == pytest.approx(0.7, abs=0.006)
    assert detectable(3) is None
    assert raters_needed(0.7, 10) == -(-answers_needed(0.7) // 10)


def test_the_design_effect_is_the_variance_between_raters_who_differ() -> None:
    random = np.random.default_rng(0)
    each, raters = 20, 60
    shares, effects = [], []
    for _ in range(300):
        own = random.beta(3, 2, raters)
        won = random.binomial(each, own).astype(float)
        shares.append(won.sum() / each / raters)
        effects.append(design_effect(won, each - won))
    independent = 0.6 * 0.4 / each / raters
    assert np.mean(effects) == pytest.approx(np.var(shares) / independent, rel=0.15)


def test_an_interval_of_raters_who_differ_holds_what_it_promises() -> None:
    """95 % of 600 draws, give or take three standard errors; Wilson's own does not."""
    random = np.random.default_rng(1)
    each, raters, covered, plain = 20, 40, 0, 0
    for _ in range(600):
        won = random.binomial(each, random.beta(3, 2, raters)).astype(float)
        effect = design_effect(won, each - won)
        low, high = wilson(won.sum() / effect, each * raters / effect)
        covered += low < 0.6 < high
        low, high = wilson(won.sum(), each * raters)
        plain += low < 0.6 < high
    assert abs(covered / 600 - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 600)
    assert plain / 600 < 0.8


def test_the_design_effect_of_raters_who_are_alike_is_one() -> None:
    won = np.full(10, 14.0)
    assert design_effect(won, 20 - won) == 1
    assert design_effect(won[:1], won[:1]) == 1
    assert design_effect(won, 0 * won) == 1


@pytest.mark.parametrize("seen", range(12))
def test_a_guesser_is_taken_for_attentive_in_less_than_one_of_twenty_cases(seen: int) -> None:
    taken = sum(binom.pmf(n, seen, 0.5) for n in range(seen + 1) if attentive(n, seen))
    assert taken < 0.05
    assert attentive(seen, seen) == (seen >= FEWEST)
