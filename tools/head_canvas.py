"""What the painters paint on: for each texel of the atlas, the place on the head that it covers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codetalker.normals import VertexNormals
from codetalker.render.raster import nearest, scan
from head_mesh import Mesh
from head_surface import MATERIALS, Cover

_MARGIN = 6
"""Texels that islands grow outwards, so that no gap shows where they meet on the head."""
_DIRECTIONS, _MAP, _BIAS_M = 160, 400, 1.5e-3


@dataclass(frozen=True)
class Canvas:
    """M covered texels of a square picture.

    Attributes:
        size: texels along each side.
        texel: (M,) index, row * size + column.
        material: (M,) index into the materials.
        position, normal: (M, 3), metres and unit vectors of the face at rest.
        openness: (M,) 0..1, how much of the light around the head reaches the place.
    """

    size: int
    texel: NDArray[np.intp]
    material: NDArray[np.intp]
    position: NDArray[np.float32]
    normal: NDArray[np.float32]
    openness: NDArray[np.float32]

    def of(self, *materials: str) -> NDArray[np.intp]:
        """Which of the M texels show these materials."""
        return np.flatnonzero(np.isin(self.material, [MATERIALS.index(m) for m in materials]))

    def picture(self, colours: NDArray[np.floating]) -> NDArray[np.uint8]:
        """(M, 4) colours 0..1 -> (size, size, 4) uint8, islands grown by a margin."""
        grid = np.zeros((self.size, self.size, 4), np.float32)
        known = np.zeros((self.size, self.size), bool)
        grid.reshape(-1, 4)[self.texel] = colours
        known.ravel()[self.texel] = True
        for _ in range(_MARGIN):
            total, count = np.zeros_like(grid), np.zeros(known.shape, np.float32)
            for shift in ((0, 1), (0, -1), (1, 0), (-1, 0)):
                total += np.roll(grid * known[:, :, None], shift, (0, 1))
                count += np.roll(known, shift, (0, 1))
            new = ~known & (count > 0)
            grid[new] = total[new] / count[new, None]
            known |= new
        return np.rint(255 * np.clip(grid, 0, 1)).astype(np.uint8)


def stretch(mesh: Mesh, surface: Cover, mouth_open: NDArray[np.floating], size: int) -> Canvas:
    """Make the canvas; `mouth_open` (V, 3) offsets let light into the mouth."""
    triangles = mesh.triangles
    normals = VertexNormals(triangles, len(mesh.vertices))
    texels = scan(surface.uv[surface.uv_triangles] * size, size, size)
    inside = np.isin(mesh.vertex_group, range(3, 6))
    inside[np.unique(triangles[surface.triangle_material == MATERIALS.index("mouth")])] = True
    shut, open_ = mesh.vertices, (mesh.vertices + mouth_open).astype(np.float32)
    openness = np.where(
        inside,
        _openness(open_, triangles, normals.of(open_)),
        _openness(shut, triangles, normals.of(shut)),
    )

    def spread(values: NDArray) -> NDArray[np.float32]:
        return texels.interpolate(values[triangles].astype(np.float32))

    rest_normals = normals.of(shut)
    normal = np.stack([spread(rest_normals[:, i]) for i in range(3)], axis=1)
    return Canvas(
        size=size,
        texel=texels.sample,
        material=texels.per_triangle(surface.triangle_material).astype(np.intp),
        position=np.stack([spread(shut[:, i]) for i in range(3)], axis=1),
        normal=normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9),
        openness=np.clip(spread(openness), 0, 1),
    )


def _openness(vertices: NDArray, triangles: NDArray, normals: NDArray) -> NDArray[np.float32]:
    """(V,) share of the light from front, sides and above that other parts do not block."""
    reached, total = np.zeros(len(vertices)), np.full(len(vertices), 1e-9)
    for towards in _sky():
        weight = np.maximum(normals @ towards, 0)
        reached += weight * _visible(vertices, triangles, towards)
        total += weight
    return (reached / total).astype(np.float32)


def _sky() -> NDArray[np.float64]:
    """Directions spread over the sphere but for what lies below and behind (a Fibonacci spiral)."""
    i = np.arange(_DIRECTIONS) + 0.5
    y = 1 - 2 * i / _DIRECTIONS
    turn = np.pi * (1 + 5**0.5) * i
    ring = np.sqrt(1 - y * y)
    directions = np.stack([ring * np.cos(turn), y, ring * np.sin(turn)], axis=1)
    return directions[(y > -0.6) & (directions[:, 2] > -0.8)]


def _visible(vertices: NDArray, triangles: NDArray, towards: NDArray) -> NDArray[np.bool_]:
    """(V,) whether each vertex can be seen from far away in a direction."""
    across = np.cross([0.0, 1.0, 0.0] if abs(towards[1]) < 0.9 else [1.0, 0.0, 0.0], towards)
    across /= np.linalg.norm(across)
    plane = vertices @ np.stack([across, np.cross(towards, across)], axis=1)
    low, high = plane.min(axis=0), plane.max(axis=0)
    points = (plane - low) / (high - low).max() * (_MAP - 2) + 1
    depth = -(vertices @ towards).astype(np.float32)
    drawn = scan(points[triangles], _MAP, _MAP)
    buffer = np.full(_MAP * _MAP, np.inf, np.float32)
    nearest(drawn, drawn.interpolate(depth[triangles]), buffer)
    column, row = points.astype(np.intp).T
    return depth <= buffer[row * _MAP + column] + _BIAS_M
