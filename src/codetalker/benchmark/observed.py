"""What one clip says of a system: sums, so that figures of any clips are quotients of them.

Every figure of a benchmark is the sum of numerators over the sum of denominators, or read off the
curve of such quotients over thresholds. So confidence intervals need no motion, only these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

THRESHOLDS = np.round(np.arange(-2.0, 8.05, 0.1), 1)
"""mm of lip gap below which lips count as shut: the points of a detection curve."""


@dataclass(frozen=True, eq=False)
class Detection:
    """How many of the lips that must shut do, and of those that must not, by threshold.

    Attributes:
        found: (thresholds,) of `closures`, how many have a predicted gap below each threshold.
        closures: how many there are.
        false: (thresholds,) the same of `openings`.
        openings: how many there are.
    """

    found: NDArray[np.int64]
    closures: int
    false: NDArray[np.int64]
    openings: int


@dataclass(frozen=True, eq=False)
class Observed:
    """One clip.

    Attributes:
        clip: its name.
        sums: figure -> numerator and denominator; nothing where the clip does not define one.
        detection: of closures, where they are known.
    """

    clip: str
    sums: Mapping[str, tuple[float, float]]
    detection: Detection | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        detection = None
        if self.detection is not None:
            detection = {
                name: value.tolist() if isinstance(value, np.ndarray) else value
                for name, value in vars(self.detection).items()
            }
        return {"clip": self.clip, "sums": dict(self.sums), "detection": detection}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Observed:
        """What `as_json` gave."""
        sums = {name: (float(a), float(b)) for name, (a, b) in row["sums"].items()}
        kept = row["detection"]
        if kept is None:
            return cls(row["clip"], sums)
        found, false = np.array(kept["found"]), np.array(kept["false"])
        return cls(row["clip"], sums, Detection(found, kept["closures"], false, kept["openings"]))


@dataclass(frozen=True)
class Measured:
    """All that a protocol has found of a system.

    Attributes:
        clips: what each says.
        curves: plain numbers for plots, by name.
    """

    clips: tuple[Observed, ...]
    curves: dict[str, list[float]] = field(default_factory=dict)


def detection(must_shut: NDArray[np.floating], must_not: NDArray[np.floating]) -> Detection:
    """Of the least gaps where lips must shut and of those where they must not, mm."""
    below, wrongly = (
        np.searchsorted(np.sort(gaps), THRESHOLDS, side="left") for gaps in (must_shut, must_not)
    )
    return Detection(below, len(must_shut), wrongly, len(must_not))
