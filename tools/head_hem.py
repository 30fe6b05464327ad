"""The jersey of the bundled head ends in a clean hem.

The mesh is cut along its quads, which tears the edge at every one of them. Here the edge is laid
out as an oval, and the cloth between it and the collar as smooth as it can be: every vertex in the
middle of its neighbours. No blendshape moves any of it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from head_mesh import Mesh
from head_surface import below_collar

_COLLAR_M = 0.012
"""How far below its upper edge the collar is left as it is."""
_HALF_WIDTH_M, _FRONT_M, _BACK_M, _HEIGHT_M, _DROP_M = 0.112, 0.066, -0.074, -0.140, 0.010
"""The oval: half its width, front, back, height at the sides, and how much lower front and back
are."""


def lay_hem(mesh: Mesh) -> Mesh:
    """The mesh with its lower edge an oval and its cloth smooth."""
    edge = _edge(mesh)
    vertices = mesh.vertices.astype(np.float64)
    vertices[edge] = _oval(vertices[edge])
    skin = np.unique(mesh.quads[mesh.in_group("skin")])
    free = np.setdiff1d(skin[below_collar(mesh.vertices[skin]) > _COLLAR_M], edge)
    pairs = mesh.quads[mesh.in_group("skin")][:, [[0, 1], [1, 2], [2, 3], [3, 0]]].reshape(-1, 2)
    pairs = np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0)
    pairs = pairs[np.isin(pairs[:, 0], free)]
    row = np.searchsorted(free, pairs[:, 0])
    system = np.diag(np.bincount(row).astype(float))
    fixed = ~np.isin(pairs[:, 1], free)
    np.add.at(system, (row[~fixed], np.searchsorted(free, pairs[~fixed, 1])), -1.0)
    known = np.zeros((len(free), 3))
    np.add.at(known, row[fixed], vertices[pairs[fixed, 1]])
    vertices[free] = np.linalg.solve(system, known)
    return replace(mesh, vertices=vertices.astype(np.float32))


def _edge(mesh: Mesh) -> NDArray[np.intp]:
    """The vertices of the lower edge in turn, from the middle of the chest to the left."""
    quads = mesh.quads[mesh.in_group("skin")]
    sides = np.stack([quads, np.roll(quads, -1, axis=1)], axis=-1).reshape(-1, 2)
    alone = {tuple(side) for side in sides.tolist()} - {
        tuple(side) for side in sides[:, ::-1].tolist()
    }
    following = dict(alone)
    middle = [i for i in following if abs(mesh.vertices[i, 0]) < 1e-6]
    loop = [max(middle, key=lambda i: mesh.vertices[i, 2])]
    while (ahead := following[loop[-1]]) != loop[0]:
        loop.append(ahead)
    left = mesh.vertices[loop[1], 0] > 0
    return np.array(loop if left else [loop[0], *loop[:0:-1]])


def _oval(edge: NDArray) -> NDArray:
    """Points of an oval, as far apart along it as along the edge."""
    steps = np.linalg.norm(np.roll(edge, -1, axis=0)[:, [0, 2]] - edge[:, [0, 2]], axis=1)
    turn = 2 * np.pi * np.concatenate([[0], np.cumsum(steps)[:-1]]) / steps.sum()
    middle, half = (_FRONT_M + _BACK_M) / 2, (_FRONT_M - _BACK_M) / 2
    height = _HEIGHT_M - _DROP_M * np.cos(turn) ** 2
    return np.stack([_HALF_WIDTH_M * np.sin(turn), height, middle + half * np.cos(turn)], axis=1)
