"""Figures of a benchmark: sums give the pooled metrics, and differences are as sure as they say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmark_data import JAW
from codetalker.benchmark.against_truth import compare
from codetalker.benchmark.curves import FAST_HZ, frequencies, speed_spectrum, warping_ms
from codetalker.benchmark.figures import FALSE_SHARE, FOUND
from codetalker.benchmark.observed import THRESHOLDS, Detection, Observed, detection
from codetalker.benchmark.statistics import FEWEST, Sample, difference, estimate, holm
from codetalker.data.clip import Clip
from codetalker.evaluation.metrics import RigMetrics
from codetalker.motion import Motion
from codetalker.rig import bundled_head

NAMES = bundled_head().blendshape_names
FPS = 25.0


def spoken(seed: int, frames: int = 90) -> np.ndarray:
    """(T, 52) a jaw that opens and shuts a few times a second, and some motion elsewhere."""
    random = np.random.default_rng(seed)
    weights = random.uniform(0, 0.05, (frames, 52)).astype(np.float32)
    phase = np.cumsum(random.uniform(0.3, 0.9, frames))
    weights[:, JAW] = np.clip(0.3 * np.sin(phase) + 0.1, 0, 1)
    return weights


def clip(seed: int, frames: int = 90) -> Clip:
    return Clip(f"c{seed}", "anna", "val", Path("none"), spoken(seed, frames), FPS)


def motion(weights: np.ndarray) -> Motion:
    return Motion(weights, NAMES, FPS)


def observed(values: np.ndarray, name: str = "lve_mm2") -> list[Observed]:
    return [Observed(str(i), {name: (float(v), 1.0)}) for i, v in enumerate(values)]


def test_sums_over_clips_give_the_pooled_metrics() -> None:
    """Clips of different lengths, so that a mean over clips would be another figure."""
    metrics, seen = RigMetrics(bundled_head()), []
    for seed, frames in enumerate((60, 90, 150)):
        own, predicted = clip(seed, frames), spoken(seed + 9, frames) * 0.5
        metrics.add(own.name, predicted, own.weights, FPS)
        seen.append(compare(own, motion(predicted)))
    pooled, sample = metrics.result(), Sample([seen])

    def value(name: str) -> float:
        return estimate(sample, name).value

    assert value("lve_mm2") == pytest.approx(pooled["lve_mm2"])
    assert value("lip_error_mm") == pytest.approx(pooled["lip_error_mm"])
    assert value("fdd_abs_mm2") == pytest.approx(pooled["fdd_abs_mm2"])
    assert value("correlation") == pytest.approx(pooled["lip_gap_correlation"])
    assert value("closure_rate") == pytest.approx(pooled["closure_rate"])
    for region, share in pooled["motion_std_ratio"].items():
        assert value(f"motion_std_{region}") == pytest.approx(share, rel=1e-4)


def test_the_truth_is_perfect() -> None:
    seen = [compare(clip(seed), motion(spoken(seed))) for seed in range(3)]
    sample = Sample([seen])
    wanted = {"lve_mm2": 0, "correlation": 1, "fast_motion": 1, "dtw_ms": 0, FOUND: 1}
    for name, value in wanted.items():
        assert estimate(sample, name).value == pytest.approx(value, abs=1e-6), name


def test_a_system_does_not_differ_from_itself() -> None:
    sample = Sample([observed(np.random.default_rng(0).random(20))])
    found = difference(sample, sample, "lve_mm2")
    assert found.interval == (0, 0)
    assert not found.excludes_zero
    assert found.p == 1


def test_pairing_sees_a_small_difference_between_very_different_clips() -> None:
    values = np.random.default_rng(0).uniform(1, 100, 30)
    less = values - np.random.default_rng(1).uniform(0.1, 0.3, 30)
    one, other = Sample([observed(less)]), Sample([observed(values)])
    found = difference(one, other, "lve_mm2")
    assert found.excludes_zero
    assert found.p is not None and found.p < 0.001
    low, high = estimate(one, "lve_mm2").interval or (0, 0)
    assert high - low > 10
    assert found.interval is not None and found.interval[1] - found.interval[0] < 0.2


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """95 % nominal; percentiles over 25 clips cover a little less (binomial 3 sigma below 0.92)."""
    random, hits = np.random.default_rng(3), 0
    for _ in range(100):
        found = estimate(Sample([observed(random.normal(5, 1, 25))]), "lve_mm2")
        assert found.interval is not None
        hits += found.interval[0] <= 5 <= found.interval[1]
    assert hits >= 84


def test_several_trainings_count_as_their_mean_clip_by_clip() -> None:
    values = np.random.default_rng(0).random((3, 10))
    together = Sample([observed(row) for row in values])
    mean = Sample([observed(values.mean(0))])
    assert estimate(together, "lve_mm2") == estimate(mean, "lve_mm2")


@pytest.mark.parametrize("clips", [1, FEWEST - 1])
def test_a_few_clips_have_no_interval(clips: int) -> None:
    """Also where others of the protocol define other figures."""
    others = [Observed(f"o{i}", {"correlation": (0.5, 1.0)}) for i in range(10)]
    sample = Sample([[*observed(np.arange(clips) + 1.0), *others]])
    assert estimate(sample, "lve_mm2").interval is None
    assert estimate(sample, "lve_mm2").value == (clips + 1) / 2
    assert difference(sample, sample, "lve_mm2").interval is None
    assert estimate(sample, "correlation").interval is not None


def test_holm_multiplies_the_smallest_most_and_keeps_the_order() -> None:
    """Holm's own procedure, by hand."""
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03})
    assert found == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1, "b": 1}


def test_closures_are_compared_at_equal_false_ones() -> None:
    """A face that is 1 mm more shut throughout finds as many closures, at another threshold."""
    random = np.random.default_rng(0)
    shut, wide = random.normal(1, 1, 200), random.normal(4, 1, 400)
    samples = [Sample([[Observed("a", {}, detection(shut - by, wide - by))]]) for by in (0.0, 1.0)]
    values = [estimate(sample, FOUND).value for sample in samples]
    assert values[0] == pytest.approx(values[1], abs=0.02)
    threshold = np.quantile(wide, FALSE_SHARE)
    assert values[0] == pytest.approx((shut < threshold).mean(), abs=0.02)


def test_a_face_that_does_not_move_finds_what_it_mistakes() -> None:
    still = Sample([[Observed("a", {}, detection(np.zeros(50), np.zeros(70)))]])
    assert estimate(still, FOUND).value <= FALSE_SHARE + 1e-9


def test_observations_survive_json() -> None:
    one = compare(clip(1), motion(spoken(4)))
    again = Observed.from_json(one.as_json())
    assert again.sums == dict(one.sums)
    assert one.detection is not None and again.detection is not None
    for name, value in vars(one.detection).items():
        np.testing.assert_array_equal(getattr(again.detection, name), value)
    assert isinstance(again.detection, Detection)


@pytest.mark.parametrize("late", [-4, 3])
def test_warping_finds_a_shift(late: int) -> None:
    gap = np.maximum(spoken(5, 300)[:, JAW] * 30, 0.5)
    moved = np.roll(gap, late)
    found = warping_ms(moved, gap, FPS)
    assert found is not None
    assert found[0] == pytest.approx(late * 40, abs=15)
    assert found[1] == pytest.approx(abs(late) * 40, abs=15)


def test_smoothed_lips_are_slow() -> None:
    own = clip(2, 200)
    smooth = own.weights.copy()
    smooth[:, JAW] = np.convolve(smooth[:, JAW], np.ones(5) / 5, "same")
    value = estimate(Sample([[compare(own, motion(smooth))]]), "fast_motion").value
    assert value < 0.5
    same = estimate(Sample([[compare(own, motion(own.weights))]]), "fast_motion").value
    assert same == pytest.approx(1)


def test_a_sine_has_its_power_at_its_frequency() -> None:
    gap = np.sin(2 * np.pi * 5 * np.arange(300) / FPS)
    power = speed_spectrum(gap, FPS)
    assert frequencies(FPS)[power.argmax()] == pytest.approx(5, abs=0.2)
    assert power[frequencies(FPS) >= FAST_HZ].sum() > 0.99 * power.sum()
    half = speed_spectrum(gap / 2, FPS)
    np.testing.assert_allclose(half * 4, power, rtol=1e-9)


def test_early_and_late_closures_are_no_false_ones() -> None:
    """A prediction two frames late shuts in no frame that counts as open."""
    own = clip(3, 200)
    late = np.concatenate([own.weights[[0, 0]], own.weights[:-2]])
    found = compare(own, motion(late)).detection
    assert found is not None and found.openings > 20
    assert found.false[THRESHOLDS <= 0.4].max() == 0
    much_later = np.concatenate([own.weights[[0] * 5], own.weights[:-5]])
    mistaken = compare(own, motion(much_later)).detection
    assert mistaken is not None and mistaken.false[THRESHOLDS <= 0.4].max() > 0


def test_between_words_no_lips_must_be_open() -> None:
    """Some people keep the mouth open there; closures count wherever they are."""
    own = clip(6, 200)
    still = motion(np.zeros_like(own.weights))
    everywhere = compare(own, still).detection
    spoken_later = compare(replace(own, words=((4.0, 6.0, "bin"),)), still).detection
    assert everywhere is not None and spoken_later is not None
    assert 0 < spoken_later.openings < 0.7 * everywhere.openings
    assert spoken_later.closures == everywhere.closures
