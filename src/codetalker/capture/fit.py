"""The fit: the blendshape weights that move the bundled head's points as a speaker's move.

In the flow film -> landmarks -> still head -> **weights** -> corpus. Least squares within bounds on
the displacements of lips, skin, jaw and brows, with rows of their own for what people see: the gap
between the lips and the mouth's width. Jaw and lips are solved as "open" and "open with the lips
together", so `mouthClose` is never above `jawOpen` and lips that are together stay so.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from codetalker.arkit import ARKIT_NAMES
from codetalker.capture.points import (
    BROWS,
    GAP,
    GAP_COLUMNS,
    INNER_LIP,
    JAW,
    OUTER_LIP,
    POINTS,
    face_points,
    mouth_width,
)
from codetalker.least_squares import least_squares
from codetalker.rig import bundled_head

SHAPES = tuple(
    name for name in ARKIT_NAMES if name.startswith(("jaw", "mouth", "brow", "nose", "cheekSquint"))
)
"""What is fitted; lids and gaze are measured, puffed cheeks and the tongue are not seen."""
_OPEN, _CLOSE = SHAPES.index("jawOpen"), SHAPES.index("mouthClose")

_LIP, _JAW, _BROW, _SKIN = 5.0, 1.0, 1.0, 0.3
"""What a square millimetre counts, by where the point is."""
_DEPTH = 0.3
"""What it counts in depth, which the tracker guesses."""
_GAP, _WIDTH = 60.0, 20.0
"""What a square millimetre of each gap and of the width counts."""
_REACH_MM = 0.5
"""Skin that no shape moves so far has no say."""
_SMALL, _SPARSE, _EVEN = 10.0, 6.0, 2.0
"""What weights count that are large (squared), that are at all, and that differ by side."""
_SMOOTH_S = 0.015
"""Over what time the weights are smooth: their second difference counts so much."""

Array = NDArray[np.float64]


def fit(displacements: NDArray[np.floating], fps: float) -> NDArray[np.float32]:
    """(T, 468, 3) displacements from the neutral face in metres -> (T, 52) weights, 0..1."""
    effect, counts = _rows()
    wanted = _seen(np.asarray(displacements, np.float64)) * counts
    curvature = effect @ effect.T
    size = float(np.trace(curvature)) / len(curvature)
    curvature += _SMALL * np.eye(len(curvature)) + _EVEN * _uneven()
    slope = wanted @ effect.T - _SPARSE
    smooth = size * (_SMOOTH_S * fps) ** 4
    start = np.zeros_like(slope)
    found = least_squares(curvature, slope, start, lambda rows: rows.clip(0, 1), smooth)
    weights = np.zeros((len(found), len(ARKIT_NAMES)), np.float32)
    weights[:, [ARKIT_NAMES.index(name) for name in SHAPES]] = found
    together = found[:, _CLOSE]
    opened = np.minimum(found[:, _OPEN] + together, 1)
    weights[:, ARKIT_NAMES.index("jawOpen")] = opened
    weights[:, ARKIT_NAMES.index("mouthClose")] = np.minimum(together, opened)
    return weights


@lru_cache(maxsize=1)
def _rows() -> tuple[Array, Array]:
    """(M, R) what each solved shape does to each thing seen, times (R,) the root of its count."""
    shapes = face_points().shapes[[ARKIT_NAMES.index(name) for name in SHAPES]]
    gaps = bundled_head().lip_gap_basis[[ARKIT_NAMES.index(name) for name in SHAPES], GAP_COLUMNS]
    seen = np.hstack([_flat(shapes), gaps * 1000.0, mouth_width(shapes)[:, None] * 1000.0])
    seen[_CLOSE] += seen[_OPEN]
    moved = np.linalg.norm(shapes, axis=2).max(0) * 1000 > _REACH_MM
    point = np.where(moved, _SKIN, 0.0)
    for group, count in ((BROWS, _BROW), (JAW, _JAW), (OUTER_LIP, _LIP), (INNER_LIP, _LIP)):
        point[list(group)] = count
    each = point[:, None] * (1.0, 1.0, _DEPTH)
    counts = np.sqrt(np.concatenate([each.ravel(), np.full(gaps.shape[1], _GAP), [_WIDTH]]))
    return (seen * counts).astype(np.float64), counts


def _seen(points: Array) -> Array:
    """(T, 468, 3) displacements in metres -> (T, R) what the rows are of, mm."""
    upper, lower = (points[:, list(row), 1] for row in GAP)
    return np.hstack(
        [_flat(points), (upper - lower) * 1000.0, mouth_width(points)[:, None] * 1000.0]
    )


def _flat(points: Array) -> Array:
    return points[:, :POINTS].reshape(len(points), -1) * 1000.0


@lru_cache(maxsize=1)
def _uneven() -> Array:
    """(M, M) quadratic form: how much the sides differ."""
    form = np.zeros((len(SHAPES), len(SHAPES)))
    for i, name in enumerate(SHAPES):
        if name.endswith("Left") and name[:-4] + "Right" in SHAPES:
            row = np.zeros(len(SHAPES))
            row[[i, SHAPES.index(name[:-4] + "Right")]] = 1, -1
            form += np.outer(row, row)
    return form
