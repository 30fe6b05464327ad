"""Blinks of a motion: how many, how long."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codetalker.motion import Motion

LIDS = ("eyeBlinkLeft", "eyeBlinkRight")
CLOSED = 0.5
"""A blink lowers the lids beyond this weight ..."""
OPEN = 0.2
"""... and lasts from where they pass this on the way down to where they do on the way up."""
LOWERED = 0.3
"""Lids beyond this are lowered."""


@dataclass(frozen=True)
class Blink:
    """From `start` to `end`, seconds."""

    start: float
    end: float

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.end - self.start


def lids(motion: Motion) -> NDArray[np.float64]:
    """(T,) mean weight of the lids."""
    return motion.weights_for(LIDS).mean(1, dtype=np.float64)


def blinks(lids: NDArray[np.floating], fps: float) -> list[Blink]:
    """The blinks of a curve (T,) of the lids' weight; times are taken linearly between frames.

    Lids that go down again before they have been open are one long blink.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], lids > OPEN, [False]])))
    return [
        Blink(_crossing(lids, start - 1, fps), _crossing(lids, stop - 1, fps))
        for start, stop in edges.reshape(-1, 2)
        if lids[start:stop].max() > CLOSED
    ]


def _crossing(lids: NDArray[np.floating], frame: int, fps: float) -> float:
    """When the lids pass `OPEN` between this frame and the next; at the ends, there."""
    if not 0 <= frame < len(lids) - 1:
        return max(frame, 0) / fps
    return (frame + (OPEN - lids[frame]) / (lids[frame + 1] - lids[frame])) / fps
