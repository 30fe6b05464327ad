"""Vertices over time as `.npy` files have them: (T, V, 3), or (T, 3V) as the official code does.

The numbers alone do not say how they lie; so what lies otherwise is found by its shape or, flat, by
the neutral face that it moves about.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codetalker.arrays import map_npy
from codetalker.errors import DataError
from codetalker.reading import refusing

_NEARER = 4
"""How much nearer to the neutral face its numbers must come in another order: a face that speaks
is off by hundredths of its size, a scrambled one by a third of it."""


def map_array(path: Path) -> NDArray[Any]:
    """The array of a `.npy` file, mapped into memory.

    Raises:
        DataError: the file is missing, damaged, or holds anything but plain values.
    """
    with refusing(DataError, f"{path} is not a readable npy file", "make it again"):
        return map_npy(path)


def as_vertices(array: NDArray[Any], name: str) -> NDArray[Any]:
    """(T, V, 3) or (T, 3V) numbers, as (T, V, 3).

    Raises:
        DataError: the array is anything else; the message opens with `name`.
    """
    if array.dtype.kind not in "fiu":
        raise DataError(f"{name} holds values of type {array.dtype}, not numbers")
    flat = array.ndim == 2 and array.shape[1] and array.shape[1] % 3 == 0
    if not len(array.shape) or not len(array) or not (flat or array.shape[1:][1:] == (3,)):
        raise DataError(f"{name} has shape {array.shape}, not (frames, V, 3) or (frames, 3V)")
    return array.reshape(len(array), -1, 3)


def check_order(vertices: NDArray[Any], template: NDArray[Any], name: str) -> None:
    """See that (T, V, 3) vertices and their (V, 3) neutral face agree in the order of numbers.

    Raises:
        DataError: one of them has all x, then all y, then all z; the message opens with `name`.
    """
    frame = np.asarray(vertices[len(vertices) // 2], np.float64)

    def distance(one: NDArray[Any], other: NDArray[Any]) -> float:
        return float(np.abs(one - other).mean())

    turned = min(
        distance(_by_vertex(frame), template), distance(frame, _by_vertex(np.asarray(template)))
    )
    if _NEARER * turned < distance(frame, template):
        raise DataError(
            f"{name} or the neutral face has all x, then all y, then all z; store x, y, z of each "
            "vertex together"
        )


def _by_vertex(points: NDArray[Any]) -> NDArray[Any]:
    """What lies as all x, all y, all z, taken so: (V, 3)."""
    return points.reshape(3, -1).T
