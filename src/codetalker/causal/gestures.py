"""Postures that a corpus lacks, blended into its motion so that the codebook holds them.

In the flow codes <-> **motion**, before training stage 1 only. Low-resolution capture of calm
speech shows few rounded or spread lips and no lip at the teeth.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from codetalker.arkit import MOUTH_CHANNELS
from codetalker.rig import Rig

LABIODENTAL = {
    "mouthRollLower": 0.9,
    "jawOpen": 0.08,
    "mouthUpperUpLeft": 0.25,
    "mouthUpperUpRight": 0.25,
}
"""f and v: the rim of the lower lip under the upper front teeth, the upper lip clear of it."""
WIDENING = (
    "mouthPucker", "mouthFunnel", "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft",
    "mouthStretchRight", "mouthDimpleLeft", "mouthDimpleRight",
)  # fmt: skip
"""Blendshapes that draw the corners of the mouth together or apart."""


class Gestures:
    """Draws short postures from takes of the whole range of motion, and from `LABIODENTAL`."""

    def __init__(self, rig: Rig, takes: Sequence[NDArray[np.float32]]) -> None:
        names = rig.blendshape_names
        self._takes = list(takes)
        self._mouth = [c for c in MOUTH_CHANNELS if c < len(names)]
        self._widening = [names.index(n) for n in WIDENING if n in names]
        self._labiodental = np.zeros(len(names), np.float32)
        for name, weight in LABIODENTAL.items():
            if name in names:
                self._labiodental[names.index(name)] = weight

    def blend(
        self, motion: NDArray[np.float32], random: np.random.Generator
    ) -> NDArray[np.float32]:
        """(T, K) with one to three postures of 3 to 8 frames in the mouth's channels."""
        motion = motion.copy()
        for _ in range(random.integers(1, 4)):
            length = int(random.integers(3, 9))
            first = int(random.integers(max(1, len(motion) - length)))
            rows = slice(first, min(first + length, len(motion)))
            envelope = np.hanning(length + 2)[1:-1, None] ** 0.5
            envelope = envelope[: rows.stop - rows.start] * random.uniform(0.6, 1.0)
            mouth = motion[rows][:, self._mouth]
            posture = self._posture(random)[self._mouth]
            motion[rows, self._mouth] = mouth + envelope * (posture - mouth)
        return motion

    def widen(
        self, motion: NDArray[np.float32], random: np.random.Generator
    ) -> NDArray[np.float32]:
        """(T, K) whose corners move up to 2.5 times as far."""
        motion = motion.copy()
        motion[:, self._widening] *= np.float32(random.uniform(1.0, 2.5))
        return motion.clip(0, 1)

    def _posture(self, random: np.random.Generator) -> NDArray[np.float32]:
        if not self._takes or random.random() < 0.5:
            return self._labiodental
        take = self._takes[random.integers(len(self._takes))]
        return take[random.integers(len(take))]
