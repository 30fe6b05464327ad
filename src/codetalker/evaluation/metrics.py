"""Metrics of a predicted motion against the true one, streamed clip by clip.

Two front doors on the same core (`face_errors`): `RigMetrics` for blendshape weights on a rig, in
millimetres; `VertexMetrics` for vertex animations, in the data set's own unit. docs/metrics.md
defines every figure.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from codetalker.errors import DataError
from codetalker.evaluation.face_errors import (
    FaceErrors,
    Floats,
    ratio,
    require_finite,
    squared_lengths,
)
from codetalker.evaluation.lipgap import (
    closures,
    correlation,
    gap_basis,
    is_closed,
    lagged_correlations,
)
from codetalker.rig import Rig

MAX_LENGTH_DIFFERENCE = 0.05
"""Prediction and truth may differ by this share of the truth's frames (and always by one frame)."""

Result = dict[str, Any]
"""Name of the figure -> float, int, None, or a dict of these: what JSON can hold."""


def lip_motion_mm(rig: Rig, weights: Floats) -> NDArray[np.float32]:
    """(T, K) weights -> (T,) mean distance of the lip vertices from rest, mm."""
    return _distances(_pose(weights, rig.basis("lips"))).mean(1) * 1000


def silence_motion_mm(rig: Rig, weights: Floats, silence: NDArray[np.bool_]) -> float | None:
    """Mean distance of the lip vertices from rest in the frames of silence, mm.

    Args:
        rig: the head.
        weights: (T, K) any motion on it.
        silence: (T,) true in the frames to look at; None is returned if there is none.
    """
    still = np.asarray(weights, np.float32)[silence]
    if not len(still):
        return None
    return float(lip_motion_mm(rig, still).mean())


class RigMetrics:
    """Compares blendshape weights on a rig, in millimetres on its surface."""

    def __init__(self, rig: Rig, max_length_difference: float = MAX_LENGTH_DIFFERENCE) -> None:
        self._rig = rig
        self._tolerance = max_length_difference
        self._errors = FaceErrors()
        self._all = rig.basis() * np.float32(1000)
        self._lips = self._all[:, rig.regions["lips"]]
        self._upper = self._all[:, rig.regions["upper_face"]]
        self._gap = gap_basis(rig).astype(np.float64) * 1000
        self._fps: float | None = None
        self._correlations: list[float] = []
        self._lagged = np.zeros(0)
        self._closures = self._closed = 0
        self._silence = np.zeros(3)  # frames, predicted and true displacement summed over them

    def add(
        self,
        name: str,
        predicted: Floats,
        true: Floats,
        fps: float,
        silence: NDArray[np.bool_] | None = None,
    ) -> None:
        """Add one clip.

        Args:
            name: the clip, for messages.
            predicted: (T, K) weights.
            true: (T, K) weights; the overlap is compared.
            fps: the frame rate of both, the same for all clips.
            silence: (T,) true in frames of silence, if they are known.

        Raises:
            DataError: lengths more than 5% apart, not finite, or another frame rate.
        """
        if self._fps not in (None, fps):
            raise DataError(f"clip {name!r} has {fps:g} frames per second after {self._fps:g}")
        frames = self._errors.overlap(name, len(predicted), len(true), self._tolerance)
        predicted = np.asarray(predicted[:frames], np.float32)
        true = np.asarray(true[:frames], np.float32)
        if predicted.shape != true.shape or true.shape[1] != len(self._all):
            raise DataError(
                f"clip {name!r}: {predicted.shape[1]} weights predicted for {true.shape[1]} true "
                f"ones on a rig of {len(self._all)} blendshapes"
            )
        require_finite(name, predicted=predicted, true=true)
        self._fps = fps
        self._add_vertices(predicted, true)
        self._add_gap(predicted @ self._gap, true @ self._gap, fps)
        if silence is not None:
            self._add_silence(predicted, true, silence[:frames])

    def _add_vertices(self, predicted: Floats, true: Floats) -> None:
        distances = _distances(_pose(predicted - true, self._all))
        self._errors.add(
            distances,
            distances[:, self._rig.regions["lips"]],
            (_pose(predicted, self._lips), _pose(predicted, self._upper)),
            (_pose(true, self._lips), _pose(true, self._upper)),
        )

    def _add_gap(self, predicted: Floats, true: Floats, fps: float) -> None:
        value = correlation(predicted, true)
        if value is not None:
            lagged = lagged_correlations(predicted, true, fps)
            self._lagged = lagged if not self._correlations else self._lagged + lagged
            self._correlations.append(value)
        found = closures(true, fps)
        self._closures += len(found)
        self._closed += sum(is_closed(predicted, closure, fps) for closure in found)

    def _add_silence(self, predicted: Floats, true: Floats, mask: NDArray[np.bool_]) -> None:
        count = int(mask.sum())
        moved = [
            silence_motion_mm(self._rig, weights, mask) or 0.0 for weights in (predicted, true)
        ]
        self._silence += [count, count * moved[0], count * moved[1]]

    def result(self) -> Result:
        """The figures of all clips so far, under the names of docs/metrics.md.

        None stands for what these clips do not define, such as `closure_rate` without a closure.

        Raises:
            DataError: no clip was added.
        """
        errors, count = _some(self._errors), len(self._correlations)
        silent = float(self._silence[0])
        return {
            "clips": errors.clips,
            "frames": errors.frames,
            "length_differences": errors.unequal,
            "lve_mm2": errors.lve,
            "lip_error_mm": errors.lip_error,
            "mve_mm": errors.mve,
            "fdd": errors.fdd,
            "fdd_abs": errors.fdd_abs,
            "fdd_mm2": errors.fdd,
            "fdd_abs_mm2": errors.fdd_abs,
            "motion_std_ratio": errors.motion_std_ratio,
            "lip_gap_correlation": ratio(sum(self._correlations), count),
            "lip_gap_clips": count,
            "av_offset_ms": self._offset_ms(),
            "closure_rate": ratio(self._closed, self._closures),
            "closures": self._closures,
            "silence_motion_mm": ratio(float(self._silence[1]), silent),
            "silence_motion_true_mm": ratio(float(self._silence[2]), silent),
            "silence_frames": int(silent),
        }

    def _offset_ms(self) -> float | None:
        if self._fps is None or not self._lagged.any():
            return None
        lags = np.arange(len(self._lagged)) - len(self._lagged) // 2
        return float(lags[self._lagged.argmax()] * 1000 / self._fps)


class VertexMetrics:
    """Compares vertex animations with the published metrics and their unsigned neighbours.

    Args:
        lips: indices of the lip vertices (the official `lve.txt`).
        upper_face: indices of the upper-face vertices (the official `fdd.txt`).
        unit_mm: millimetres per unit of the data, None where it has no physical unit (BIWI).
        max_length_difference: as `MAX_LENGTH_DIFFERENCE`.
    """

    def __init__(
        self,
        lips: NDArray[np.integer],
        upper_face: NDArray[np.integer],
        unit_mm: float | None = None,
        max_length_difference: float = MAX_LENGTH_DIFFERENCE,
    ) -> None:
        self._lips, self._upper = lips, upper_face
        self._unit_mm = unit_mm
        self._tolerance = max_length_difference
        self._errors = FaceErrors()

    def add(self, name: str, predicted: Floats, true: Floats, template: Floats) -> None:
        """Add one clip: vertices (T, V, 3), or (T, 3V) as the official files have them.

        `template` (V, 3) is the subject's neutral face.

        Raises:
            DataError: lengths more than 5% apart, another vertex count, or not finite.
        """
        frames = self._errors.overlap(name, len(predicted), len(true), self._tolerance)
        neutral = np.asarray(template).reshape(-1, 3)
        size, wanted = predicted[0].size, neutral.size
        if size != wanted or true[0].size != wanted:
            raise DataError(
                f"clip {name!r}: {size // 3} vertices predicted for {true[0].size // 3} true ones "
                f"and a template of {len(neutral)}"
            )
        self._check_regions(len(neutral))
        predicted = np.asarray(predicted[:frames]).reshape(frames, -1, 3)
        true = np.asarray(true[:frames]).reshape(frames, -1, 3)
        require_finite(name, predicted=predicted, true=true)
        lips, true_lips = (_offsets(v, neutral, self._lips) for v in (predicted, true))
        upper, true_upper = (_offsets(v, neutral, self._upper) for v in (predicted, true))
        self._errors.add(
            _distances(predicted - true),
            _distances(lips - true_lips),
            (lips, upper),
            (true_lips, true_upper),
        )

    def _check_regions(self, vertices: int) -> None:
        for region in (self._lips, self._upper):
            if not len(region) or region.min() < 0 or region.max() >= vertices:
                raise DataError(f"a region file does not fit a mesh of {vertices} vertices")

    def result(self) -> Result:
        """The figures of all clips so far: in the data's unit, and in mm where it is known.

        Raises:
            DataError: no clip was added.
        """
        errors = _some(self._errors)
        figures: Result = {
            "clips": errors.clips,
            "frames": errors.frames,
            "length_differences": errors.unequal,
            "lve": errors.lve,
            "lip_error": errors.lip_error,
            "mve": errors.mve,
            "fdd": errors.fdd,
            "fdd_abs": errors.fdd_abs,
            "motion_std_ratio": errors.motion_std_ratio,
        }
        if self._unit_mm is not None:
            figures["lve_mm2"] = errors.lve * self._unit_mm**2
            figures["lip_error_mm"] = errors.lip_error * self._unit_mm
            figures["mve_mm"] = errors.mve * self._unit_mm
            figures["fdd_mm2"] = errors.fdd * self._unit_mm**2
            figures["fdd_abs_mm2"] = errors.fdd_abs * self._unit_mm**2
        return figures


def _pose(weights: Floats, basis: NDArray[np.float32]) -> NDArray[np.float32]:
    """(T, K) weights, (K, R, 3) basis -> (T, R, 3) offsets in the unit of the basis."""
    flat = basis.reshape(len(basis), -1)
    return (np.asarray(weights, np.float32) @ flat).reshape(len(weights), -1, 3)


def _distances(differences: Floats) -> Floats:
    """(T, R, 3) -> (T, R)."""
    return np.sqrt(squared_lengths(differences))


def _offsets(vertices: Floats, neutral: Floats, region: NDArray[np.integer]) -> Floats:
    """(T, R, 3) motion of a region, in float64: FDD is a small difference of close figures."""
    return np.subtract(vertices[:, region], neutral[region], dtype=np.float64)


def _some(errors: FaceErrors) -> FaceErrors:
    if not errors.clips:
        raise DataError("there are no clips to evaluate; check the split, speaker and folder names")
    return errors
