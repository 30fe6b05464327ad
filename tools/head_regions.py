"""Regions, loops and landmarks of the bundled head, found by walking on its quads."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from head_mesh import GROUPS, Mesh

# Where the edge loops start: an upper-midline (lips) or outer-corner (lids) vertex and the next.
_LOOP_STARTS = {
    "outer_lip_loop": (466, 2705),
    "inner_lip_loop": (474, 2712),
    "lid_loop_left": (2288, 2285),
    "lid_loop_right": (21, 18),
}
# fmt: off
LANDMARKS_68 = (
    2206, 2100, 2211, 997, 998, 741, 1410, 918, 732, 3103, 3583, 2944, 3175, 3174, 4362, 4251, 4357,
    1728, 1727, 896, 230, 233, 2489, 2486, 3081, 3889, 3890,
    132, 1531, 1602, 297, 334, 1606, 1540, 3774, 2579,
    21, 0, 54, 66, 47, 41, 2333, 2321, 2267, 2288, 2308, 2314,
    422, 1819, 457, 466, 2699, 3975, 2665, 2722, 2728, 496, 490, 484,
    432, 471, 474, 2710, 2675, 2725, 493, 487,
)
# fmt: on
"""iBUG-68 points: jaw 0-16, brows 17-26, nose 27-35, eyes 36-47, outer lip 48-59, inner 60-67."""
_NOSE_TIP, _NOSE_BASE = 30, 33

# Columns of the inner lip loop whose upper and lower vertex face each other, subject's right first.
_GAP_UPPER = (30, 32, 34, 36, 0, 2, 4, 6, 8)
_GAP_LOWER = (23, 22, 21, 20, 19, 18, 17, 16, 15)

_FACE_MOTION_M = 3e-4
_MOUTH_REACH_M = 0.018
_MOUTH_BELOW_NOSE_M = 0.004
_LOOPS_INSIDE_LIPS, _LOOPS_INSIDE_LIDS, _LOOPS_OUTSIDE_LIPS = 2, 1, 5

_NECK_SLOPE, _NECK_BASE_M, _NECK_TOP_M = 0.35, -0.115, -0.045
"""A plane that rises from under the chin to the nape, and the heights where a neck bends."""

Neighbours = list[set[int]]


def neck_shares(mesh: Mesh) -> NDArray[np.float32]:
    """(V,) the share of the head's turn that each vertex takes: 0 below the neck, 1 in the head."""
    height = mesh.vertices[:, 1] + _NECK_SLOPE * mesh.vertices[:, 2]
    t = np.clip((height - _NECK_BASE_M) / (_NECK_TOP_M - _NECK_BASE_M), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def find_regions(mesh: Mesh, deltas: NDArray[np.floating]) -> dict[str, NDArray]:
    """Every index array of the head asset, by name; `deltas` (52, V, 3) in metres."""
    neighbours = _neighbours(mesh)
    loops = {name: _walk(mesh, neighbours, *start) for name, start in _LOOP_STARTS.items()}
    inner_lip = loops["inner_lip_loop"]
    lids = loops["lid_loop_left"] + loops["lid_loop_right"]
    crown = int(mesh.vertices[:, 1].argmax())
    outside = _flood(neighbours, crown, {*inner_lip, *lids})
    inside_lips = _grow_inside(neighbours, inner_lip, outside, _LOOPS_INSIDE_LIPS)
    inside_lids = _grow_inside(neighbours, lids, outside, _LOOPS_INSIDE_LIDS)
    exterior = outside | inside_lips | inside_lids
    lips = _grow(neighbours, inner_lip, _LOOPS_OUTSIDE_LIPS) & outside
    lips |= _grow(neighbours, inner_lip, 1)
    red = (lips | inside_lips) - _flood(neighbours, crown, {*loops["outer_lip_loop"], *lids})

    height = mesh.vertices[:, 1]
    nose_tip, nose_base = (height[LANDMARKS_68[i]] for i in (_NOSE_TIP, _NOSE_BASE))
    motion = np.linalg.norm(deltas, axis=2).max(axis=0)
    outer = np.array(sorted(exterior))
    face = outer[motion[outer] >= _FACE_MOTION_M * (1 - 1e-6)]
    near = _within(mesh, [n & exterior for n in neighbours], lips, _MOUTH_REACH_M)
    mouth = lips | {i for i in near & exterior if height[i] < nose_base + _MOUTH_BELOW_NOSE_M}

    eyes = [mesh.vertices[mesh.vertex_group == GROUPS.index(g)] for g in ("eye_left", "eye_right")]
    centres = np.stack([e.mean(axis=0) for e in eyes])
    return {
        **{name: _indices(loop) for name, loop in loops.items()},
        "lip_gap_upper": _indices(inner_lip[i] for i in _GAP_UPPER),
        "lip_gap_lower": _indices(inner_lip[i] for i in _GAP_LOWER),
        "landmarks_68": _indices(LANDMARKS_68),
        "region_lips": _indices(sorted(lips)),
        "region_vermilion": _indices(sorted(red)),
        "region_mouth": _indices(sorted(mouth)),
        "region_upper_face": _indices(face[height[face] > nose_tip]),
        "region_lower_face": _indices(face[height[face] <= nose_tip]),
        "region_face": _indices(face),
        "region_exterior_skin": _indices(outer),
        "eye_centres": centres,
        "eye_radius": np.linalg.norm(eyes[0] - centres[0], axis=1).mean(),
    }


def _indices(vertices: Iterable[int]) -> NDArray[np.int32]:
    return np.fromiter(vertices, np.int32)


def _neighbours(mesh: Mesh) -> Neighbours:
    """For each vertex, the vertices at the other end of its edges."""
    found: Neighbours = [set() for _ in mesh.vertices]
    for quad in mesh.quads.tolist():
        for a, b in zip(quad, quad[1:] + quad[:1], strict=True):
            found[a].add(b)
            found[b].add(a)
    return found


def _walk(mesh: Mesh, neighbours: Neighbours, first: int, second: int) -> list[int]:
    """Follow an edge loop straight on, through vertices of four edges, until it closes."""
    quads = [set(quad) for quad in mesh.quads.tolist()]
    loop = [first, second]
    while True:
        before, here = loop[-2:]
        beside = set().union(*(q for q in quads if before in q and here in q))
        (ahead,) = neighbours[here] - beside
        if ahead == first:
            return loop
        loop.append(ahead)


def _grow(neighbours: Neighbours, seed: Iterable[int], steps: int) -> set[int]:
    """The seed and everything within so many edges of it."""
    grown = set(seed)
    for _ in range(steps):
        grown |= set().union(*(neighbours[i] for i in grown))
    return grown


def _flood(neighbours: Neighbours, seed: int, banks: set[int]) -> set[int]:
    """What can be reached from the seed without stepping on the banks."""
    flood, front = {seed}, [seed]
    while front:
        new = neighbours[front.pop()] - flood - banks
        flood |= new
        front += new
    return flood


def _grow_inside(
    neighbours: Neighbours, loop: list[int], outside: set[int], steps: int
) -> set[int]:
    """The loop and so many loops beyond it, on the side that the flood has not reached: they show
    when the mouth or the eyes move."""
    grown = set(loop)
    for _ in range(steps):
        grown |= set().union(*(neighbours[i] for i in grown)) - outside
    return grown


def _within(mesh: Mesh, neighbours: Neighbours, seed: set[int], reach: float) -> set[int]:
    """Vertices no further than `reach` metres along edges from the seed (Dijkstra)."""
    distance = dict.fromkeys(seed, 0.0)
    queue = [(0.0, i) for i in seed]
    while queue:
        so_far, here = heapq.heappop(queue)
        for there in neighbours[here] if so_far <= distance[here] else ():
            length = so_far + float(np.linalg.norm(mesh.vertices[here] - mesh.vertices[there]))
            if length <= min(reach, distance.get(there, np.inf)):
                distance[there] = length
                heapq.heappush(queue, (length, there))
    return set(distance)
