"""Bootstrap intervals: as wide as theory says, the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from codetalker.evaluation.intervals import intervals


def mean_of(values: np.ndarray):
    return lambda chosen: {"mean": float(values[chosen].mean())}


def test_the_interval_of_a_mean_is_two_standard_errors_either_side() -> None:
    values = np.random.default_rng(1).normal(5, 2, 400)
    low, high = intervals(400, mean_of(values))["mean"]
    error = values.std() / 20
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.25 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.25 * error)
    assert intervals(400, mean_of(values))["mean"] == [low, high]


def test_one_clip_has_no_interval() -> None:
    assert intervals(1, mean_of(np.ones(1))) == {}


def test_what_most_draws_leave_undefined_has_none() -> None:
    def figures(chosen: np.ndarray) -> dict[str, float | None]:
        return {"rare": 1.0 if (chosen == 0).all() else None, "often": float((chosen == 0).any())}

    assert intervals(3, figures).keys() == {"often"}
