"""Brushes of the painters: blending, smooth steps, noise and distances in space."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray


def blend(colour: NDArray, other: ArrayLike, weight: NDArray) -> None:
    """Move (M, 3) colours towards another by (M,) weights 0..1, in place."""
    colour += weight[:, None] * (np.asarray(other) - colour)


def smoothstep(low: float, high: float, value: NDArray) -> NDArray:
    """0 below `low`, 1 above `high`, smooth in between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def noise(place: NDArray, grain: float, seed: int) -> NDArray:
    """(M,) smooth random values within -1..1 at (M, 3) places; `grain` metres between knots."""
    scaled = place / grain
    corner = np.floor(scaled).astype(np.int64)
    t = scaled - corner
    t = t * t * (3 - 2 * t)
    total = np.zeros(len(place))
    for offset in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(offset, t, 1 - t), axis=1)
        total += weight * _hash(corner + offset, seed)
    return total


def _hash(knot: NDArray[np.int64], seed: int) -> NDArray:
    mixed = (
        knot[:, 0] * 73856093 ^ knot[:, 1] * 19349663 ^ knot[:, 2] * 83492791 ^ seed * 2654435761
    )
    mixed = (mixed ^ (mixed >> 13)) * 1274126177 & 0x7FFFFFFF
    return (mixed ^ (mixed >> 16)) % 65536 / 32767.5 - 1


def polyline_distance(place: NDArray, line: NDArray) -> NDArray:
    """(M,) metres from (M, 3) places to a line through (N, 3) points."""
    best = np.full(len(place), np.inf)
    for start, end in pairwise(line):
        best = np.minimum(best, segment_distance(place, start, end)[0])
    return best


def segment_distance(place: NDArray, start: NDArray, end: NDArray) -> tuple[NDArray, NDArray]:
    """(M,) metres to a straight segment, and (M,) how far along it the nearest point is, 0..1."""
    along = end - start
    t = np.clip((place - start) @ along / max(along @ along, 1e-18), 0, 1)
    return np.linalg.norm(place - start - t[:, None] * along, axis=1), t
