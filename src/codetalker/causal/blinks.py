"""Blinks: a procedural layer over the learned motion of the lids. Nothing here is learned.

In the flow speech -> features -> codes -> **motion**. A hazard decides frame by frame whether a
blink begins: none right after another, then ever more likely, and more so while the mouth rests,
as people blink in pauses (Bentivoglio and others 1997, Nakano and Kitazawa 2010).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codetalker.causal.draws import BLINKS, uniform

JAW = "jawOpen"
LIDS = ("eyeBlinkLeft", "eyeBlinkRight")
CURVES = (
    (0.45, 1.0, 0.9, 0.6, 0.28, 0.1),
    (0.35, 0.95, 1.0, 0.7, 0.35, 0.12),
    (0.3, 0.9, 1.0, 0.9, 0.6, 0.3, 0.1),
)
"""Lid weights of a blink in frames of 40 ms: down in two or three, up in three or four."""
LEARNED = 0.15
"""Learned lids are kept up to this weight: a lid that is lowered further is a blink."""


@dataclass(frozen=True)
class Blinks:
    """How often. Rates are per second.

    Attributes:
        refractory: seconds after a blink begins in which no other does.
        rise: what each further second adds to the hazard.
        most: that the hazard rises to.
        resting: factor while the jaw is at rest.
    """

    refractory: float = 1.0
    rise: float = 0.12
    most: float = 0.5
    resting: float = 2.0

    @property
    def is_sane(self) -> bool:
        """Whether these are times and rates of a face."""
        return all(0 <= value <= 1000 for value in vars(self).values())

    def draw(self, since: int, resting: bool, fps: float, seed: int, frame: int) -> bool:
        """Whether a blink begins in this frame, `since` frames after the last one began."""
        waited = since / fps - self.refractory
        if waited <= 0:
            return False
        hazard = min(self.rise * waited, self.most) * (self.resting if resting else 1.0)
        return bool(uniform(seed, frame, BLINKS, 1)[0] < hazard / fps)


def lids(curve: int, since: int, learned: NDArray[np.float32]) -> NDArray[np.float32]:
    """(2,) lid weights `since` frames after the blink of that curve began."""
    shape = CURVES[curve]
    blinking = shape[since] if 0 <= since < len(shape) else 0.0
    return np.maximum(np.minimum(learned, np.float32(LEARNED)), np.float32(blinking))


def draw_curve(seed: int, frame: int) -> int:
    """Which of the curves a blink that begins in this frame takes."""
    return int(uniform(seed, frame, BLINKS, 2)[1] * len(CURVES))
