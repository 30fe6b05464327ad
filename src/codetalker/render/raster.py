"""Scan conversion: triangles on a picture plane -> the samples that they cover.

In the flow ... -> mesh -> **picture**. Triangles are cut into spans (one row of one triangle),
spans into samples, whole arrays at a time, so that numpy does the loops.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SMALLEST_AREA = 1e-5
"""Square samples; thinner triangles cover nothing and would divide by zero."""


@dataclass(frozen=True)
class Fragments:
    """The samples that N triangles cover, before any of them hides another.

    Attributes:
        sample: (M,) intp, row * width + column.
        span: (M,) intp, the span that a sample belongs to.
        step: (M,) float32, columns from the span's first sample.
        triangle: (S,) intp, the triangle of each span, an index into the triangles given.
        to_first: two (S,) float32, x and y from the triangle's first corner to the span's first
            sample.
        edges: (N, 2, 2) float64, inverse of the two edge vectors, for gradients.
    """

    sample: NDArray[np.intp]
    span: NDArray[np.intp]
    step: NDArray[np.float32]
    triangle: NDArray[np.intp]
    to_first: tuple[NDArray[np.float32], NDArray[np.float32]]
    edges: NDArray[np.float64]

    def interpolate(self, corners: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 3) values at the triangles' corners -> (M,) float32 values at the samples."""
        first = corners[:, 0]
        a, b = corners[:, 1] - first, corners[:, 2] - first
        d_x = (a * self.edges[:, 0, 0] + b * self.edges[:, 0, 1]).astype(np.float32)
        d_y = (a * self.edges[:, 1, 0] + b * self.edges[:, 1, 1]).astype(np.float32)
        tri = self.triangle
        slope = d_x.take(tri)
        start = first.astype(np.float32).take(tri)
        start += slope * self.to_first[0]
        start += d_y.take(tri) * self.to_first[1]
        value = slope.take(self.span)
        value *= self.step
        value += start.take(self.span)
        return value

    def per_triangle(self, values: NDArray) -> NDArray:
        """(N,) values of the triangles -> (M,) values at the samples."""
        return values.take(self.triangle).take(self.span)

    def keep(self, mask: NDArray[np.bool_]) -> Fragments:
        """Only the samples where the (M,) mask is true."""
        which = np.flatnonzero(mask)
        return Fragments(
            self.sample.take(which),
            self.span.take(which),
            self.step.take(which),
            self.triangle,
            self.to_first,
            self.edges,
        )


def scan(points: NDArray[np.floating], height: int, width: int) -> Fragments:
    """Cover the picture with triangles; no sample of a shared edge is lost or taken twice.

    Args:
        points: (N, 3, 2) corners of N triangles, x to the right and y down, in samples; the centre
            of the upper left sample is at (0.5, 0.5). Either winding.
        height, width: the picture, in samples; what lies outside is left out.
    """
    points = points.astype(np.float64)
    edges, solid = _inverse_edges(points)
    low, mid, high = _sorted_by_height(points)
    long_edge, lower_edge, upper_edge = _Edge(low, high), _Edge(low, mid), _Edge(mid, high)
    first_row = _first_centre(low[1], height)
    rows = np.where(solid, _first_centre(high[1], height) - first_row, 0)

    tri, row = _enumerate(rows)
    row += first_row.take(tri)
    centre = row + 0.5
    long_x = long_edge.crossing(tri, centre)
    short_x = np.where(
        centre < mid[1].take(tri),
        lower_edge.crossing(tri, centre),
        upper_edge.crossing(tri, centre),
    )
    first = _first_centre(np.minimum(long_x, short_x), width)
    columns = _first_centre(np.maximum(long_x, short_x), width) - first

    full = np.flatnonzero(columns > 0)
    tri, row, first, columns = (array.take(full) for array in (tri, row, first, columns))
    span, step = _enumerate(columns)
    return Fragments(
        sample=(row * width + first).take(span) + step,
        span=span,
        step=step.astype(np.float32),
        triangle=tri,
        to_first=(
            (first + 0.5 - points[:, 0, 0].take(tri)).astype(np.float32),
            (centre.take(full) - points[:, 0, 1].take(tri)).astype(np.float32),
        ),
        edges=edges,
    )


def nearest(
    fragments: Fragments, depth: NDArray[np.float32], buffer: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Hidden-surface removal: (M,) mask of the samples that are nearest so far.

    Args:
        fragments: what is drawn.
        depth: (M,) float32 of the samples, smaller is nearer.
        buffer: (height * width,) float32 nearest depth so far; updated in place.
    """
    np.minimum.at(buffer, fragments.sample, depth)
    return depth <= buffer[fragments.sample]


class DepthTiles:
    """The furthest depth in each tile of a picture: tells early what must be hidden.

    Args:
        buffer: (side * side,) float32 nearest depth of each sample, as `nearest` leaves it.
        side: the picture's height and width, in samples.
    """

    _TILE = 32

    def __init__(self, buffer: NDArray[np.float32], side: int) -> None:
        starts = np.arange(0, side, self._TILE)
        grid = buffer.reshape(side, side)
        rows = np.stack([grid[i : i + self._TILE].max(axis=0) for i in starts])
        self._furthest = np.maximum.reduceat(rows, starts, axis=1)

    def may_show(self, corners: NDArray[np.float32]) -> NDArray[np.bool_]:
        """(N, 3, 3) corners x, y, depth -> (N,) false for triangles that are hidden for certain."""
        low = np.minimum(np.minimum(corners[:, 0], corners[:, 1]), corners[:, 2])
        high = np.maximum(np.maximum(corners[:, 0], corners[:, 1]), corners[:, 2])
        last = len(self._furthest) - 1
        a, b = (np.clip(c[:, :2] / self._TILE, 0, last).astype(np.intp) for c in (low, high))
        small = (b - a <= 1).all(axis=1)
        tiles = [self._furthest[y, x] for y in (a[:, 1], b[:, 1]) for x in (a[:, 0], b[:, 0])]
        return np.asarray(~small | (low[:, 2] <= np.max(tiles, axis=0)))


def _inverse_edges(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    a, b = points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]
    twice_area = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    solid = np.abs(twice_area) > _SMALLEST_AREA
    adjugate = np.stack([b[:, 1], -a[:, 1], -b[:, 0], a[:, 0]], axis=1).reshape(-1, 2, 2)
    return adjugate / np.where(solid, twice_area, 1.0)[:, None, None], solid


def _sorted_by_height(points: NDArray[np.float64]) -> list[tuple[NDArray, NDArray]]:
    """(x, y) of each triangle's corners, the uppermost corners first."""
    order = points[:, :, 1].argsort(axis=1)
    rows = np.arange(len(points))
    return [(points[rows, order[:, i], 0], points[rows, order[:, i], 1]) for i in range(3)]


def _first_centre(position: NDArray[np.float64], limit: int) -> NDArray[np.intp]:
    """Index of the first sample whose centre is not before the position, kept in 0..limit."""
    ceiling = np.ceil(position - 0.5)
    return np.maximum(np.minimum(ceiling, limit), 0).astype(np.intp)


class _Edge:
    """One edge of every triangle, from its upper to its lower end. Two triangles give a shared
    edge the same ends in the same order, hence the same bits, hence no gap between them."""

    def __init__(self, start: tuple[NDArray, NDArray], end: tuple[NDArray, NDArray]) -> None:
        rise = end[1] - start[1]
        self._slope = (end[0] - start[0]) / np.where(rise > 0, rise, 1.0)
        self._start = start

    def crossing(self, which: NDArray[np.intp], y: NDArray[np.floating]) -> NDArray[np.float64]:
        """x where the edges `which` cross the rows at `y`."""
        x, top = self._start
        return (y - top.take(which)) * self._slope.take(which) + x.take(which)


def _enumerate(counts: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For counts [2, 0, 3]: owners [0, 0, 2, 2, 2] and indices within them [0, 1, 0, 1, 2]."""
    owner = np.repeat(np.arange(len(counts)), counts)
    starts = np.cumsum(counts) - counts
    return owner, np.arange(len(owner)) - np.repeat(starts, counts)
