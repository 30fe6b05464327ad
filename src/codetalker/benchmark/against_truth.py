"""One clip of a system against its true motion, as sums."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from codetalker.benchmark.curves import FAST_HZ, frequencies, speed_spectrum, warping_ms
from codetalker.benchmark.observed import Detection, Observed, detection
from codetalker.data.clip import Clip
from codetalker.evaluation.face_errors import variation
from codetalker.evaluation.lipgap import OPEN_MM, PREDICTED_S, closures
from codetalker.evaluation.metrics import RigMetrics
from codetalker.evaluation.mouth import Mouth
from codetalker.motion import Motion
from codetalker.rig import bundled_head

APART_S = 0.08
"""Frames this close to shut lips are no openings: a closure that comes early or late is no false
one."""
_WEIGHTED = {
    "lve_mm2": "frames",
    "lip_error_mm": "frames",
    "fdd_abs_mm2": "clips",
    "closure_rate": "closures",
}
"""Figure of `RigMetrics` -> what clips are weighed with, so that sums give its pooled value."""


@lru_cache(maxsize=1)
def mouth() -> Mouth:
    """Of the bundled head."""
    return Mouth(bundled_head())


def gap_mm(motion: Motion) -> NDArray[np.float64]:
    """(T,) mean lip gap of a motion, mm from rest."""
    return motion.weights_for(bundled_head().blendshape_names).astype(np.float64) @ mouth().gap


def compare(clip: Clip, motion: Motion) -> Observed:
    """The sums of a clip; the motion is brought to its frame rate."""
    rig = bundled_head()
    weights = motion.resample(clip.fps).weights_for(rig.blendshape_names)
    metrics = RigMetrics(rig)
    metrics.add(clip.name, weights, clip.weights, clip.fps, clip.silence())
    found = metrics.result()
    sums = {
        name: (found[name] * found[count], float(found[count]))
        for name, count in _WEIGHTED.items()
        if found[name] is not None
    }
    if found["lip_gap_clips"]:
        sums["correlation"] = found["lip_gap_correlation"], 1.0
    for region, share in found["motion_std_ratio"].items():
        true = variation(_offsets(clip.weights, region))
        if share is not None:
            sums[f"motion_std_{region}"] = share**2 * true, true
    frames = min(len(weights), len(clip.weights))
    predicted, true = weights[:frames] @ mouth().gap, clip.weights[:frames] @ mouth().gap
    fast = frequencies(clip.fps) >= FAST_HZ
    powers = [float(speed_spectrum(gap, clip.fps)[fast].sum()) for gap in (predicted, true)]
    sums["fast_motion"] = powers[0], powers[1]
    warped = warping_ms(predicted, true, clip.fps)
    if warped is not None:
        sums["dtw_offset_ms"], sums["dtw_ms"] = (warped[0], 1.0), (warped[1], 1.0)
    return Observed(clip.name, sums, _detection(clip, predicted, true))


def _detection(
    clip: Clip, predicted: NDArray[np.floating], true: NDArray[np.floating]
) -> Detection:
    """True closures, and frames within words in and around which the true lips are open.

    Between words some people keep the mouth open, and nothing in the sound tells.
    """
    fps, silent = clip.fps, clip.silence(0, 0)
    spoken = np.ones(len(true), np.bool_) if silent is None else ~silent[: len(true)]
    reach = int(PREDICTED_S * fps + 1e-6)
    least = [predicted[max(c.start - reach, 0) : c.stop + reach].min() for c in closures(true, fps)]
    apart = int(APART_S * fps + 1e-6)
    padded = np.pad(true, apart, mode="edge")
    widest = np.lib.stride_tricks.sliding_window_view(padded, 2 * apart + 1).min(1) > OPEN_MM
    return detection(np.array(least), predicted[widest & spoken])


def _offsets(weights: NDArray[np.float32], region: str) -> NDArray[np.float32]:
    """(T, R, 3) mm of a region's vertices from rest."""
    basis = bundled_head().basis(region) * np.float32(1000)
    offsets = np.asarray(weights @ basis.reshape(len(basis), -1), np.float32)
    return offsets.reshape(len(weights), -1, 3)
