"""Teeth and tongue of the bundled head as they lie in a mouth, and follow its jaw.

The source has both rows of teeth edge to edge, and a slab for a tongue that fills the mouth to the
palate. Here the lower row rests behind the upper one, the side teeth leave room for the cheeks, the
tongue is round, furrowed and rests on the floor of the mouth; lower teeth and tongue turn with the
jaw as one. The upper front teeth stay where they are: what a lip does in f and v is measured there.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from head_brush import smoothstep
from head_mesh import GROUPS, TARGET_UNIT, Mesh

_FRONT_M, _MOLARS_M, _NARROWER = 0.0125, 0.026, 0.10
"""Half widths where the front teeth end and where the arches are narrowed in full, by a share."""
_FREEWAY_M, _OVERJET_M = 0.0028, 0.0026
"""How much lower and further back than in the source the lower teeth rest."""
_BACK, _ARCH_MIDDLE_Z = 0.3, 0.092
"""Share of the backs of the teeth that is kept."""
_WIDER = 1.12
"""Angle of the open jaw over that of the source, whose lower lip sinks by more than its teeth."""
JAW = ("jawOpen", "jawForward", "jawLeft", "jawRight")

# Sections of the tongue at rest, from root to tip: height, upwards and downwards half thickness and
# half width in mm over the distance from the source's root, 0, to its tip, 1.
_ALONG = (0.0, 0.18, 0.35, 0.5, 0.62, 0.74, 0.85, 0.94, 1.0)
_DEPTH_MM = (52.0, 62.0, 73.0, 83.5, 92.5, 101.5, 109.0, 114.5, 117.0)
_HEIGHT_MM = (-53.0, -47.5, -45.2, -45.0, -45.8, -46.8, -47.6, -47.9, -48.0)
_HALF_MM = (10.0, 11.0, 11.5, 10.5, 9.0, 7.0, 5.2, 3.6, 2.0)
_WIDE_MM = (22.0, 21.5, 20.0, 18.5, 17.4, 15.6, 13.0, 9.2, 5.0)
_FURROW_MM = (0.0, 0.0, 0.8, 1.5, 1.8, 1.7, 1.2, 0.6, 0.0)
_OUT_NARROWER = 0.88
"""Width of a tongue that is out, of the source's."""


def set_mouth(
    mesh: Mesh, deltas: NDArray[np.int16], names: tuple[str, ...]
) -> tuple[Mesh, NDArray[np.int16]]:
    """The mesh with teeth and tongue in place, and the (52, V, 3) offsets in `TARGET_UNIT`."""
    source, vertices, offsets = (
        mesh.vertices.astype(np.float64),
        mesh.vertices.copy(),
        deltas.copy(),
    )
    upper, lower, tongue = (
        np.flatnonzero(mesh.vertex_group == GROUPS.index(group))
        for group in ("teeth_upper", "teeth_lower", "tongue")
    )
    shape = {name: deltas[names.index(name)] * TARGET_UNIT for name in (*JAW, "tongueOut")}
    section = _Section(source[tongue])

    thin = _with_thin_edges(mesh, source)
    vertices[upper] = _narrowed(thin[upper])
    vertices[lower] = _narrowed(thin[lower]) - [0, _FREEWAY_M, _OVERJET_M]
    vertices[tongue] = section.at_rest()
    follows = np.concatenate([lower, tongue])
    offsets[:, np.concatenate([upper, follows])] = 0
    for name in JAW:
        after = _turned(source[lower], shape[name][lower], vertices[follows])
        moved = after - vertices[follows]
        offsets[names.index(name), follows] = np.rint(moved / TARGET_UNIT)
    out = section.put_out(shape["tongueOut"][tongue]) - vertices[tongue]
    offsets[names.index("tongueOut"), tongue] = np.rint(out / TARGET_UNIT)
    return replace(mesh, vertices=vertices), offsets


def _with_thin_edges(mesh: Mesh, vertices: NDArray) -> NDArray:
    """(V, 3) metres with the backs of the teeth cut short below the edge that they share with the
    fronts: what is left of them hardly turns the smooth normals there, and teeth are lit from the
    front. Lower side teeth, which are seen from behind across the mouth, keep theirs."""
    quads = mesh.quads[mesh.in_group("teeth_upper", "teeth_lower")]
    lower = mesh.vertex_group == GROUPS.index("teeth_lower")
    kept = lower & (np.abs(vertices[:, 0]) > _FRONT_M)
    corners = vertices[quads]
    across = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    outwards = corners.mean(axis=1) - [0, 0, _ARCH_MIDDLE_Z]
    front = (across[:, [0, 2]] * outwards[:, [0, 2]]).sum(axis=1) > 0
    cut = vertices.copy()
    sides = quads[~front][:, [[0, 1], [1, 2], [2, 3], [3, 0]]].reshape(-1, 2)
    for edge, back in np.concatenate([sides, sides[:, ::-1]]):
        if edge in quads[front] and back not in quads[front] and not kept[back]:
            cut[back] = vertices[edge] + _BACK * (vertices[back] - vertices[edge])
    return cut


def _narrowed(teeth: NDArray) -> NDArray:
    """Arches whose sides leave room between teeth and cheeks; front teeth stay."""
    share = 1 - _NARROWER * smoothstep(_FRONT_M, _MOLARS_M, np.abs(teeth[:, 0]))
    return teeth * np.stack([share, np.ones_like(share), np.ones_like(share)], axis=1)


def _turned(teeth: NDArray, offsets: NDArray, points: NDArray) -> NDArray:
    """(N, 3) points after the rotation and shift that fit the teeth's offsets best (Kabsch, 1976);
    a rotation is one about the hinge of the jaw, and wider by `_WIDER`."""
    middle, goal = teeth.mean(axis=0), (teeth + offsets).mean(axis=0)
    left, _, right = np.linalg.svd((teeth - middle).T @ (teeth + offsets - goal))
    turn = (left @ right).T
    angle = np.arctan2(turn[2, 1], turn[1, 1])
    if abs(angle) < 1e-3:
        return points + goal - middle
    shift = goal - turn @ middle
    hinge = np.array([0, *np.linalg.solve((np.eye(3) - turn)[1:, 1:], shift[1:])])
    cos, sin = np.cos(_WIDER * angle), np.sin(_WIDER * angle)
    return hinge + (points - hinge) @ np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]])


class _Section:
    """Where each of (N, 3) vertices of the source's tongue lies: `along` it, 0 at the root to 1 at
    the tip, and in its section, `sideways` and `upwards`, whose box -1..1 is mapped to a disc."""

    def __init__(self, source: NDArray) -> None:
        self.source = source
        x, y, z = source.T
        middle = np.abs(x) < 1e-5
        above = y > np.interp(z, *_chord(source[middle]))
        rows = [
            np.flatnonzero(middle & side)[np.argsort(z[middle & side])] for side in (~above, above)
        ]
        floor, top = (np.interp(z, z[row], y[row]) for row in rows)
        steps = np.linspace(z.min(), z.max(), 13)
        widest = [np.abs(x[np.abs(z - step) < 0.004]).max() for step in steps]
        self.width = np.interp(z, steps, widest)
        self.height, self.half = (top + floor) / 2, np.maximum((top - floor) / 2, 0.002)
        self.along = (z - z.min()) / np.ptp(z)
        u = np.clip(x / self.width, -1, 1)
        v = np.clip((y - self.height) / self.half, -1, 1)
        self.sideways = np.sign(u) * np.abs(u) ** 1.2 * np.sqrt(1 - v**2 / 2)
        self.upwards = v * np.sqrt(1 - u**2 / 2)

    def at_rest(self) -> NDArray:
        """(N, 3) metres of the tongue on the floor of the mouth."""
        depth, height, half, wide, furrow = (
            np.interp(self.along, _ALONG, row) / 1000
            for row in (_DEPTH_MM, _HEIGHT_MM, _HALF_MM, _WIDE_MM, _FURROW_MM)
        )
        return self._placed(self.sideways * wide, depth, height, half, furrow)

    def put_out(self, offsets: NDArray) -> NDArray:
        """(N, 3) metres of the tongue where the source's offsets bring its slab."""
        _, rise, forward = offsets.T
        furrow = np.interp(self.along, _ALONG, _FURROW_MM) / 1000
        wide = self.sideways * self.width * _OUT_NARROWER
        depth = self.source[:, 2] + forward
        return self._placed(wide, depth, self.height + rise, self.half, furrow)

    def _placed(
        self, x: NDArray, depth: NDArray, height: NDArray, half: NDArray, furrow: NDArray
    ) -> NDArray:
        dip = furrow * np.exp(-((x / 0.0025) ** 2)) * (self.upwards > 0.3)
        return np.stack([x, height + half * self.upwards - dip, depth], axis=1)


def _chord(line: NDArray) -> tuple[NDArray, NDArray]:
    """Depths and heights of the mean line between the upper and the lower side of a midline."""
    z, y = line[:, 2], line[:, 1]
    steps = np.linspace(z.min(), z.max(), 8)
    near = [y[np.abs(z - step) < 0.012] for step in steps]
    return steps, np.array([(part.min() + part.max()) / 2 for part in near])
