"""Motions with a known mouth, for tests of the measures."""

from __future__ import annotations

import numpy as np

from codetalker.evaluation.mouth import Mouth
from codetalker.motion import Motion
from codetalker.rig import bundled_head

HEAD = bundled_head()
MOUTH = Mouth(HEAD)


def column(name: str) -> int:
    return HEAD.blendshape_names.index(name)


def opened(gap_mm: np.ndarray, basis: np.ndarray = MOUTH.gap) -> np.ndarray:
    """(T,) gap -> (T, 52) weights of a jaw that opens the mouth so far; below 0 the lips press."""
    weights = np.zeros((len(gap_mm), 52), np.float32)
    weights[:, column("jawOpen")] = gap_mm / basis[column("jawOpen")]
    return weights


def motion(weights: np.ndarray, fps: float = 25.0) -> Motion:
    return Motion(weights, HEAD.blendshape_names, fps)
