"""Manner: how a stream speaks, which may change while it speaks, without a jump.

In the flow speech -> **features -> codes -> motion**. A change is a straight line from one manner
to the other: what frame i has depends on i alone, so that any chunking gives the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from codetalker.arguments import number

OTHERS = 3
"""Numbers of a manner beside its style."""
MOST_STRENGTH = 3.0
"""The largest scale of the articulation."""


@dataclass(frozen=True, eq=False)
class Manner:
    """How one speaks.

    Attributes:
        style: (width,) float32, the speaking style's embedding.
        strength: scale of the articulation.
        life: how lively, 0 to 1; see `causal.life`.
        voice: how much of that goes with the voice, 0 to 1.
    """

    style: NDArray[np.float32]
    strength: float
    life: float
    voice: float

    def row(self) -> NDArray[np.float64]:
        """(width + 3,) numbers: all of it."""
        return np.array([*self.style, self.strength, self.life, self.voice], np.float64)

    @classmethod
    def of(cls, row: NDArray[np.float64]) -> Manner:
        """That of a `row`."""
        *_, strength, life, voice = row.tolist()
        return cls(row[:-OTHERS].astype(np.float32), strength, life, voice)


@dataclass(frozen=True, eq=False)
class Course:
    """The manner of every frame: one, and another since the last change.

    Attributes:
        rows: (2, width + 3) float64, the manners before and after.
        span: (2,) int64, the first frame of the change, and how many frames it takes, 1 or more.
    """

    rows: NDArray[np.float64]
    span: NDArray[np.int64]

    @classmethod
    def steady(cls, manner: Manner) -> Course:
        """One that does not change."""
        return cls(np.stack([manner.row()] * 2), np.array([0, 1], np.int64))

    def is_sound(self) -> bool:
        """Whether it is one that changes lead to."""
        strength, life, voice = self.rows[:, -OTHERS:].T
        shares = np.concatenate([strength / MOST_STRENGTH, life, voice])
        return bool(((shares >= 0) & (shares <= 1)).all() and self.span[1] >= 1)

    def at(self, frame: int) -> Manner:
        """That of a frame."""
        before, after = self.rows
        first, frames = self.span.tolist()
        share = (frame - first + 1) / frames
        return Manner.of(after if share >= 1 else before + max(share, 0.0) * (after - before))

    def changed(self, frame: int, frames: int, **changes: object) -> Course:
        """The course that turns, from a frame on, to where it was going with some `changes`."""
        after = replace(Manner.of(self.rows[1]), **changes)  # type: ignore[arg-type]
        rows = np.stack([self.at(frame - 1).row(), after.row()])
        return Course(rows, np.array([frame, frames], np.int64))


def checked_strength(strength: float) -> float:
    """A scale of the articulation that can be asked for.

    Raises:
        OptionError: it is not from 0 to 3.
    """
    return number(strength, "strength", 0, MOST_STRENGTH, "where 1 is as trained")
