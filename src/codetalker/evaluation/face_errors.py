"""Sums over frames behind the vertex metrics: one core for blendshape rigs and for raw vertices.

Sits beside the flow: it compares a predicted motion with the true one once both are offsets of
vertices. The caller streams clips through `FaceErrors.add` and reads the figures at the end; only
sums are kept, so that a data set of any size fits in memory.

LVE and FDD are those of the official evaluation (Xing et al., CodeTalker, 2023, section 4.2, as
released): LVE takes the *squared* distance and pools all frames; FDD takes the *squared* norm, is
signed, and weighs every clip alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from codetalker.errors import DataError

Floats = NDArray[np.floating]


def squared_lengths(vectors: Floats) -> Floats:
    """(..., 3) -> (...); several times faster than a sum over so short an axis."""
    return np.einsum("...c,...c->...", vectors, vectors)


def dynamics(offsets: Floats) -> NDArray[np.float64]:
    """Standard deviation over time of the squared offset: (T, R, 3) -> (R,), squared units."""
    return squared_lengths(offsets).std(0, dtype=np.float64)


def variation(offsets: Floats) -> float:
    """Sum over frames and vertices of the squared deviation from the clip's mean shape."""
    return float(squared_lengths(offsets - offsets.mean(0)).sum(dtype=np.float64))


def ratio(numerator: float, denominator: float) -> float | None:
    """Quotient, or None where it is undefined."""
    return numerator / denominator if denominator > 0 else None


def require_finite(name: str, **arrays: Floats) -> None:
    """Refuse NaN and infinity: one bad frame would silently poison every mean.

    Raises:
        DataError: naming the clip, the array and its first bad frame.
    """
    for which, array in arrays.items():
        if not np.isfinite(array).all():
            frame = int(np.argmin(np.isfinite(array).reshape(len(array), -1).all(1)))
            raise DataError(f"clip {name!r}: the {which} motion is not finite at frame {frame}")


@dataclass
class FaceErrors:
    """Running sums of the errors of a face, in the unit of the offsets that it is given."""

    clips: int = 0
    frames: int = 0
    unequal: dict[str, int] = field(default_factory=dict)
    _lip_maximum: float = 0.0
    _lip_distance: float = 0.0
    _distance: float = 0.0
    _dynamics: list[float] = field(default_factory=list)
    _variation: NDArray[np.float64] = field(default_factory=lambda: np.zeros((2, 2)))

    def overlap(self, name: str, predicted: int, true: int, tolerance: float) -> int:
        """Frames to compare; a difference is noted, and refused above one frame and `tolerance`.

        Raises:
            DataError: the lengths differ too much, or there is nothing to compare.
        """
        if min(predicted, true) == 0:
            raise DataError(f"clip {name!r} has no frames to compare")
        difference = predicted - true
        if abs(difference) > max(1.0, tolerance * true):
            raise DataError(
                f"clip {name!r}: {predicted} frames predicted for {true} true ones, more than "
                f"{tolerance:.0%} apart; check the frame rate and that both are of the same clip"
            )
        if difference:
            self.unequal[name] = difference
        return min(predicted, true)

    def add(
        self,
        distances: Floats,
        lip_distances: Floats,
        predicted: tuple[Floats, Floats],
        true: tuple[Floats, Floats],
    ) -> None:
        """Add one clip.

        Args:
            distances: (T, V) predicted to true distance of every vertex.
            lip_distances: (T, L) the same of the lip vertices.
            predicted: offsets from the neutral face of the lips (T, L, 3) and of the upper
                face (T, U, 3).
            true: the same of the truth.
        """
        self.clips += 1
        self.frames += len(distances)
        self._lip_maximum += float(np.square(lip_distances.max(1)).sum(dtype=np.float64))
        self._lip_distance += float(lip_distances.mean(1, dtype=np.float64).sum())
        self._distance += float(distances.mean(1, dtype=np.float64).sum())
        self._dynamics.append(float(dynamics(true[1]).mean() - dynamics(predicted[1]).mean()))
        for column in range(2):
            self._variation[:, column] += variation(predicted[column]), variation(true[column])

    @property
    def lve(self) -> float:
        """Lip vertex error: mean over frames of the largest squared lip distance."""
        return self._lip_maximum / self.frames

    @property
    def lip_error(self) -> float:
        """Mean distance of the lip vertices."""
        return self._lip_distance / self.frames

    @property
    def mve(self) -> float:
        """Mean distance of all vertices."""
        return self._distance / self.frames

    @property
    def fdd(self) -> float:
        """Upper-face dynamics deviation, signed: negative where the prediction moves too much."""
        return float(np.mean(self._dynamics))

    @property
    def fdd_abs(self) -> float:
        """The same with the absolute value of every clip, so that clips do not cancel."""
        return float(np.abs(self._dynamics).mean())

    @property
    def motion_std_ratio(self) -> dict[str, float | None]:
        """Predicted over true standard deviation of position about the clip's mean, pooled."""
        squares = [ratio(*pair) for pair in self._variation.T.tolist()]
        return {
            region: None if square is None else square**0.5
            for region, square in zip(("lips", "upper_face"), squares, strict=True)
        }
