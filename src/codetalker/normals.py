"""Smooth vertex normals of a mesh whose vertices move and whose triangles stay.

In the flow ... -> motion -> **mesh** -> file or picture.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class VertexNormals:
    """Normals averaged over the triangles around each vertex, weighted by area.

    Args:
        triangles: (F, 3) int, counter-clockwise seen from outside.
        count: V, the number of vertices.
    """

    def __init__(self, triangles: NDArray[np.integer], count: int) -> None:
        self._triangles = triangles
        corners = triangles.ravel()
        order = np.argsort(corners, kind="stable")
        self._owner = order // 3
        self._vertices, self._starts = np.unique(corners[order], return_index=True)
        self._count = count

    def of(self, vertices: NDArray[np.float32]) -> NDArray[np.float32]:
        """(V, 3) positions -> (V, 3) float32 unit normals; +z where no triangle with area
        touches."""
        a, b, c = (vertices[self._triangles[:, i]] for i in range(3))
        faces = _cross(b - a, c - a)
        sums = np.add.reduceat(faces[:, self._owner], self._starts, axis=1)
        length = np.sqrt((sums * sums).sum(axis=0))
        sums /= np.maximum(length, 1e-20)
        sums[2, length == 0] = 1
        normals = np.tile(np.array([0, 0, 1], np.float32), (self._count, 1))
        normals[self._vertices] = sums.T
        return normals


def _cross(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, 3) x (N, 3) -> (3, N); several times faster than numpy's general one."""
    (ax, ay, az), (bx, by, bz) = a.T, b.T
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])
