"""Metrics: the published numbers exactly, and the laws that the other figures obey."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codetalker.errors import DataError
from codetalker.evaluation.lipgap import closures, gap_basis
from codetalker.evaluation.metrics import RigMetrics, VertexMetrics, silence_motion_mm
from codetalker.rig import bundled_head
from conftest import SHARED

FIXTURES = SHARED / "paper" / "fixtures"
RIG = bundled_head()
JAW = RIG.blendshape_names.index("jawOpen")
FPS = 25.0

needs_fixtures = pytest.mark.skipif(not FIXTURES.is_dir(), reason="the parity fixtures are absent")


def scored(predicted, true, **options) -> dict:
    metrics = RigMetrics(RIG)
    metrics.add("clip", predicted, true, FPS, **options)
    return metrics.result()


def random_weights(seed: int, frames: int = 40) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.random((frames, 52)) * 0.3).astype(np.float32)


def weights_of_gap(gap_mm: np.ndarray) -> np.ndarray:
    """Weights (T, 52) that open the mouth by so many millimetres."""
    weights = np.zeros((len(gap_mm), 52), np.float32)
    weights[:, JAW] = gap_mm / (gap_basis(RIG)[JAW] * 1000)
    return weights


# --- the published numbers -----------------------------------------------------------------------


@needs_fixtures
@pytest.mark.parametrize(
    ("dtype", "expected"), [(np.float32, "float32"), (np.float64, "float64_inputs")]
)
def test_lve_and_fdd_are_the_official_ones(dtype, expected) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    arrays = safetensors.load_file(FIXTURES / "metrics_small" / "arrays.safetensors")
    official = json.loads((FIXTURES / "metrics_small" / "expected.json").read_text())[expected]
    # the official script truncates any longer prediction without a word
    metrics = VertexMetrics(arrays["lve_index"], arrays["fdd_index"], max_length_difference=1.0)
    for key in arrays:
        if key.startswith("gt."):
            name = key.removeprefix("gt.")
            template = arrays["template." + name.split("_")[0]]
            metrics.add(
                name,
                arrays["pred." + name].astype(dtype),
                arrays[key].astype(dtype),
                template.astype(dtype),
            )
    result = metrics.result()
    assert result["frames"] == official["frames"]
    assert result["lve"] == pytest.approx(official["lve"], rel=1e-6)
    assert result["fdd"] == pytest.approx(official["fdd"], rel=1e-6)


def full_size_clips():
    """The clips of fixture `metrics_full`, regenerated as its README says."""
    for i, subject in enumerate(["F2", "F3", "F4", "M3", "M4", "M5"]):
        template = np.random.RandomState(100 + i).randn(23370, 3) * 0.3
        for j, sentence in enumerate(["e37", "e38", "e39", "e40"]):
            source, frames = np.random.RandomState(1000 + 10 * i + j), 4 + j
            true = template.reshape(1, -1) + 0.01 * source.randn(frames, 70110)
            predicted = template.reshape(1, -1) + 0.012 * source.randn(frames + 1, 70110)
            yield (
                f"{subject}_{sentence}",
                predicted.astype(np.float32),
                true.astype(np.float32),
                template,
            )


@needs_fixtures
def test_lve_and_fdd_at_full_size() -> None:
    """Exact with the official region files (CODETALKER_REGIONS names their folder).

    Without them any regions of the official sizes do: the fixture's noise is the same for all
    vertices, so that other vertices differ by sampling error only, 0.3% in both figures.
    """
    official = json.loads((FIXTURES / "metrics_full" / "expected.json").read_text())
    regions = os.environ.get("CODETALKER_REGIONS")
    if regions:
        lips, upper = (
            np.fromstring(Path(regions, name).read_text(), int, sep=",")
            for name in ("lve.txt", "fdd.txt")
        )
    else:
        shuffled = np.random.default_rng(0).permutation(23370)
        lips, upper = shuffled[:4996], shuffled[4996 : 4996 + 7784]
    metrics = VertexMetrics(lips, upper)
    for clip in full_size_clips():
        metrics.add(*clip)
    result = metrics.result()
    assert result["frames"] == official["frames"]
    tolerance = 1e-6 if regions else 0.04
    assert result["lve"] == pytest.approx(official["lve"], rel=tolerance)
    assert result["fdd"] == pytest.approx(official["fdd"], rel=tolerance)


def test_lve_agrees_with_torchmetrics() -> None:
    torch = pytest.importorskip("torch")
    other = pytest.importorskip("torchmetrics.functional.multimodal").lip_vertex_error
    rng = np.random.default_rng(3)
    true, predicted = rng.random((2, 20, 50, 3))
    lips = np.arange(7, 30)
    metrics = VertexMetrics(lips, np.arange(30, 50))
    metrics.add("clip", predicted, true, true[0])
    reference = other(torch.tensor(predicted), torch.tensor(true), lips.tolist())
    assert metrics.result()["lve"] == pytest.approx(float(reference), rel=1e-9)


# --- laws ----------------------------------------------------------------------------------------


def test_rig_and_vertex_metrics_agree() -> None:
    """The weights' figures are those of the vertices that they pose."""
    predicted, true = random_weights(1), random_weights(2)
    vertices = VertexMetrics(RIG.regions["lips"], RIG.regions["upper_face"], unit_mm=1000)
    vertices.add("clip", RIG.vertices(predicted), RIG.vertices(true), RIG.template)
    one, other = scored(predicted, true), vertices.result()
    for name in ("lve_mm2", "lip_error_mm", "mve_mm"):
        assert one[name] == pytest.approx(other[name], rel=1e-4)  # float32 metres
    assert one["fdd"] == pytest.approx(other["fdd"] * 1e6, rel=1e-3)
    assert one["motion_std_ratio"] == pytest.approx(other["motion_std_ratio"], rel=1e-4)


def test_fdd_is_in_mm2_only_where_the_unit_is_known() -> None:
    predicted, true = random_weights(1), random_weights(2)
    vertices = RIG.vertices(predicted), RIG.vertices(true), RIG.template
    rig, results = scored(predicted, true), []
    for unit_mm in (1000, None):
        metrics = VertexMetrics(RIG.regions["lips"], RIG.regions["upper_face"], unit_mm)
        metrics.add("clip", *vertices)
        results.append(metrics.result())
    metres, unknown = results
    for name in ("fdd", "fdd_abs"):
        assert rig[f"{name}_mm2"] == rig[name]
        assert metres[f"{name}_mm2"] == pytest.approx(1e6 * metres[name], rel=1e-12)
        assert metres[f"{name}_mm2"] == pytest.approx(rig[f"{name}_mm2"], rel=1e-3)
        assert metres[name] == unknown[name] != 0
        assert f"{name}_mm2" not in unknown


def test_truth_against_itself_is_perfect() -> None:
    rhythm = np.random.default_rng(9).uniform(2, 6, 50)  # no period, so that only lag 0 fits
    true = weights_of_gap(rhythm * np.tile([0.0, 0, 1, 1, 1], 10))
    result = scored(true, true)
    assert result["lve_mm2"] == result["lip_error_mm"] == result["mve_mm"] == result["fdd"] == 0
    assert result["lip_gap_correlation"] == pytest.approx(1)
    assert result["av_offset_ms"] == 0
    assert result["closures"] == 9
    assert result["closure_rate"] == 1
    assert result["motion_std_ratio"] == {"lips": pytest.approx(1), "upper_face": pytest.approx(1)}


def test_still_face_has_no_motion_and_no_correlation() -> None:
    true = random_weights(4)
    result = scored(np.zeros_like(true), true)
    assert result["motion_std_ratio"] == {"lips": 0, "upper_face": 0}
    assert result["lip_gap_correlation"] == 0
    assert result["av_offset_ms"] is None
    assert result["fdd"] == result["fdd_abs"] > 0


@settings(max_examples=10, deadline=None)
@given(scale=st.floats(0.2, 2.0), seed=st.integers(0, 99))
def test_motion_std_ratio_is_the_scale_of_the_motion(scale: float, seed: int) -> None:
    true = random_weights(seed)
    result = scored(np.float32(scale) * true, true)
    assert result["motion_std_ratio"]["lips"] == pytest.approx(scale, rel=1e-4)
    assert result["motion_std_ratio"]["upper_face"] == pytest.approx(scale, rel=1e-4)
    assert np.sign(result["fdd"]) == np.sign(1 - scale)


def test_unsigned_fdd_does_not_cancel() -> None:
    true = random_weights(5)
    metrics = RigMetrics(RIG)
    metrics.add("strong", 1.2 * true, true, FPS)
    metrics.add("weak", 0.7 * true, true, FPS)
    result = metrics.result()
    assert abs(result["fdd"]) < 0.7 * result["fdd_abs"]


@settings(max_examples=10, deadline=None)
@given(lag=st.integers(-6, 6), seed=st.integers(0, 99))
def test_av_offset_finds_the_lag(lag: int, seed: int) -> None:
    """Positive where the predicted mouth is late."""
    gap = np.convolve(np.random.default_rng(seed).random(90) * 8, np.ones(3) / 3, "same")
    predicted, true = weights_of_gap(gap[10 - lag : 80 - lag]), weights_of_gap(gap[10:80])
    assert scored(predicted, true)["av_offset_ms"] == pytest.approx(1000 * lag / FPS)


def test_clips_pool_by_frames() -> None:
    """One stream of clips gives the frame-weighted mean of the clips alone."""
    pairs = [(random_weights(i), random_weights(i + 50)) for i in range(3)]
    pairs[0] = (pairs[0][0][:10], pairs[0][1][:10])
    metrics = RigMetrics(RIG)
    for index, (predicted, true) in enumerate(pairs):
        metrics.add(str(index), predicted, true, FPS)
    alone = [scored(*pair) for pair in pairs]
    for name in ("lve_mm2", "lip_error_mm", "mve_mm"):
        weighted = sum(r[name] * r["frames"] for r in alone) / sum(r["frames"] for r in alone)
        assert metrics.result()[name] == pytest.approx(weighted, rel=1e-6)
    assert metrics.result()["fdd"] == pytest.approx(np.mean([r["fdd"] for r in alone]))


# --- closures and silence ------------------------------------------------------------------------


def test_a_closure_lies_between_two_openings_that_are_near() -> None:
    shut, wide = [0.1], [5.0]
    far = [1.0] * 7  # 280 ms neither closed nor open
    gap = np.array(shut + wide + shut + wide + far + shut + far + wide + shut)
    assert [(c.start, c.stop) for c in closures(gap, FPS)] == [(2, 3)]
    reach = np.array(wide + [1.0] * 5 + shut * 2 + [1.0] * 5 + wide)
    assert len(closures(reach, FPS)) == 1  # six frames, 240 ms, to either opening


@pytest.mark.parametrize(("shift", "closed"), [(0, 1.0), (1, 1.0), (-1, 1.0), (2, 0.0), (-2, 0.0)])
def test_a_predicted_closure_may_be_a_frame_off(shift: int, closed: float) -> None:
    gap = np.full(20, 5.0)
    gap[10] = 0.0
    assert (
        scored(weights_of_gap(np.roll(gap, shift)), weights_of_gap(gap))["closure_rate"] == closed
    )


def test_a_mouth_that_stays_ajar_misses_the_closure() -> None:
    gap = np.full(20, 5.0)
    gap[10] = 0.0
    ajar = np.where(gap == 0, 0.8, gap)
    assert scored(weights_of_gap(ajar), weights_of_gap(gap))["closure_rate"] == 0
    assert scored(weights_of_gap(gap), weights_of_gap(ajar))["closure_rate"] is None


def test_silence_motion_is_the_lips_distance_from_rest() -> None:
    weights = weights_of_gap(np.array([0.0, 0, 3, 3, 0]))
    silence = np.array([True, True, False, True, False])
    posed = RIG.vertices(weights)[3, RIG.regions["lips"]]
    moved = np.linalg.norm(posed - RIG.template[RIG.regions["lips"]], axis=-1).mean() * 1000
    assert silence_motion_mm(RIG, weights, silence) == pytest.approx(moved / 3, rel=1e-4)
    result = scored(weights, np.zeros_like(weights), silence=silence)
    assert result["silence_motion_mm"] == pytest.approx(moved / 3, rel=1e-4)
    assert result["silence_motion_true_mm"] == 0
    assert result["silence_frames"] == 3
    assert silence_motion_mm(RIG, weights, np.zeros(5, bool)) is None


# --- bad input -----------------------------------------------------------------------------------


def test_lengths_are_compared_over_the_overlap_and_reported() -> None:
    true = random_weights(6, 100)
    result = scored(true[:96], true)
    assert result["frames"] == 96
    assert result["lve_mm2"] == 0
    assert result["length_differences"] == {"clip": -4}
    with pytest.raises(DataError, match="94 frames predicted for 100 true ones"):
        scored(true[:94], true)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(bad: float) -> None:
    true = random_weights(7)
    predicted = true.copy()
    predicted[13, 5] = bad
    with pytest.raises(DataError, match="'clip': the predicted motion is not finite at frame 13"):
        scored(predicted, true)


def test_mismatches_are_refused() -> None:
    true = random_weights(8)
    with pytest.raises(DataError, match="51 weights predicted"):
        scored(true[:, :51], true)
    with pytest.raises(DataError, match="no frames"):
        scored(true[:0], true)
    with pytest.raises(DataError, match="no clips"):
        RigMetrics(RIG).result()
    metrics = RigMetrics(RIG)
    metrics.add("one", true, true, 25.0)
    with pytest.raises(DataError, match="'two' has 30 frames per second after 25"):
        metrics.add("two", true, true, 30.0)
    vertices = np.zeros((5, 10, 3))
    with pytest.raises(DataError, match="does not fit a mesh of 10 vertices"):
        VertexMetrics(np.array([3, 10]), np.array([1])).add("clip", vertices, vertices, vertices[0])
    with pytest.raises(DataError, match="9 vertices predicted for 10 true ones"):
        VertexMetrics(np.array([3]), np.array([1])).add(
            "clip", vertices[:, :9], vertices, vertices[0]
        )
