"""What a blink of the bundled head does beside lowering the upper lid.

The eye draws back by 1 to 2 mm, as eyes do (Evinger et al., 1984): its cornea stands out of the
ball and would come through a lid that moves over it in a straight line. The lower lid yields to the
upper one, which closes in front of it: in the source they meet at a weight of 0.75 and then cross,
but for the corner at the nose, which stays open.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from head_brush import polyline_distance, smoothstep
from head_mesh import GROUPS, TARGET_UNIT, Mesh

_EYE_BACK_M, _LID_BACK_M = 0.0020, 0.0016
_LID_EDGE_M, _LID_END_M = 0.0008, 0.0040
"""From the margin of the lower lid, how far it yields in full and how far at all."""
_STILL_M = 0.003
"""Least motion of what belongs to the upper lid, at weight 1."""
_MEET, _OVERLAP_M = 0.75, 0.0008
"""Weight at which the lids meet, and how far the upper one is then below the edge of the lower."""
_CORNER_M, _CORNER_END_M, _CORNER_REACH_M = 0.005, 0.008, 0.005
"""From the corner at the nose, where lids close better in full and at all; how far from them skin
follows."""


def close_over(
    mesh: Mesh,
    deltas: NDArray[np.int16],
    names: tuple[str, ...],
    regions: dict[str, NDArray],
) -> NDArray[np.int16]:
    """(52, V, 3) offsets in `TARGET_UNIT` with which a blink takes eye and lower lid back."""
    offsets = deltas.copy()
    skin = np.flatnonzero(mesh.vertex_group == GROUPS.index("skin"))
    for side in ("left", "right"):
        blink = offsets[names.index(f"eyeBlink{side.title()}")]
        moved = np.linalg.norm(blink * TARGET_UNIT, axis=1)
        loop = regions[f"lid_loop_{side}"]
        margin = mesh.vertices[np.append(loop, loop[0])]
        distance = polyline_distance(mesh.vertices[skin], margin)
        yields = 1 - smoothstep(_LID_EDGE_M, _LID_END_M, distance)
        yields *= 1 - smoothstep(0, _STILL_M, moved[skin])
        blink[skin, 2] -= np.rint(yields * _LID_BACK_M / TARGET_UNIT).astype(np.int16)
        blink[:, 1] -= np.rint(_corner(mesh, blink, loop) / TARGET_UNIT).astype(np.int16)
        eye = mesh.vertex_group == GROUPS.index(f"eye_{side}")
        blink[eye, 2] = -round(_EYE_BACK_M / TARGET_UNIT)
    return offsets


def _corner(mesh: Mesh, blink: NDArray[np.int16], loop: NDArray[np.int32]) -> NDArray:
    """(V,) metres that a blink must lower each vertex more for the inner corner to close."""
    rest = mesh.vertices[loop]
    met = rest + _MEET * TARGET_UNIT * blink[loop]
    inner, outer = (rest[np.argsort(np.abs(rest[:, 0]))[i]] for i in (0, -1))
    upper = rest[:, 1] > np.interp(np.abs(rest[:, 0]), *np.abs(np.stack([inner, outer]).T[:2]))
    under = met[~upper][np.argsort(np.abs(met[~upper, 0]))]
    gap = met[:, 1] - np.interp(np.abs(met[:, 0]), np.abs(under[:, 0]), under[:, 1])
    near = 1 - smoothstep(_CORNER_M, _CORNER_END_M, np.linalg.norm(rest - inner, axis=1))
    lower = upper * near * np.maximum(gap + _OVERLAP_M, 0) / _MEET
    distance = np.linalg.norm(mesh.vertices[:, None] - rest, axis=2)
    share = 1 - smoothstep(0, _CORNER_REACH_M, distance.min(axis=1))
    return share * lower[distance.argmin(axis=1)] * (mesh.vertex_group != _eye(mesh, loop))


def _eye(mesh: Mesh, loop: NDArray[np.int32]) -> int:
    return GROUPS.index("eye_left" if mesh.vertices[loop[0], 0] > 0 else "eye_right")
