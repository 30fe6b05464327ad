"""A character's meshes as one rig, in the axes that the package's own has.

In the flow ... -> motion -> **mesh** -> file, picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from codetalker.characters.gltf_file import Gltf
from codetalker.characters.names import Shares
from codetalker.characters.scene import Part
from codetalker.rig import Rig

_MOVED = 0.02
"""Of the most that any shape moves anything: what belongs to the face."""


def front_of(
    gltf: Gltf,
    parts: Sequence[Part],
    mesh_shapes: Mapping[int, tuple[str, ...]],
    driven: Mapping[str, Shares],
) -> NDArray[np.float64]:
    """(3, 3) the scene's axes -> those of a face that looks along +z: as glTF has it, VRM 0.x does
    not, and what a character's left and right shapes move shows for sure."""
    across = np.zeros(3)
    for part in parts:
        for shape, offsets in zip(mesh_shapes.get(part.mesh, ()), part.offsets, strict=True):
            sides = {source.endswith("Left") for source in driven.get(shape, ())}
            moved = np.linalg.norm(offsets, axis=1).astype(np.float64)
            if len(sides) == 1 and sided(driven[shape]) and moved.sum() > 0:
                middle = moved @ part.vertices / moved.sum()
                across += middle if sides == {True} else -middle
    if not across[[0, 2]].any():
        return np.diag([-1.0, 1.0, -1.0]) if "VRM" in gltf.extensions else np.eye(3)
    quarter = np.round(np.arctan2(across[2], across[0]) / (np.pi / 2)) * (np.pi / 2)
    c, s = np.round([np.cos(quarter), np.sin(quarter)])
    return np.array([[c, 0, s], [0, 1.0, 0], [-s, 0, c]])


def sided(shares: Shares) -> bool:
    """Whether what drives a shape is on one side of the face, rather than to one side of it."""
    return all(
        source.endswith(("Left", "Right"))
        and source.removesuffix("Left").removesuffix("Right") not in ("jaw", "mouth")
        for source in shares
    )


def rig_of(
    name: str,
    parts: Sequence[Part],
    mesh_shapes: Mapping[int, tuple[str, ...]],
    shapes: tuple[str, ...],
    front: NDArray[np.float64],
    bones: Mapping[str, Sequence[NDArray[np.float32]]],
    copyright: str,
) -> Rig:
    """All parts at rest, turned by `front`, with the shapes as blendshapes, those of `bones` by
    where they have each part's vertices; its region `face` is what they move."""
    turn = front.T.astype(np.float32)
    starts = np.cumsum([0, *(len(part.vertices) for part in parts)])
    offsets = np.zeros((len(shapes), starts[-1], 3), np.float32)
    for part, start in zip(parts, starts, strict=False):
        for shape, moved in zip(mesh_shapes.get(part.mesh, ()), part.offsets, strict=True):
            offsets[shapes.index(shape), start : start + len(part.vertices)] = moved @ turn
    for shape, posed in bones.items():
        rest = np.concatenate([part.vertices for part in parts])
        offsets[shapes.index(shape)] = (np.concatenate(posed) - rest) @ turn
    triangles = [p.triangles + start for p, start in zip(parts, starts, strict=False)]
    reach = np.sqrt((offsets**2).sum(axis=2)).max(axis=0)
    return Rig(
        name=name,
        template=np.concatenate([part.vertices for part in parts]) @ turn,
        triangles=np.concatenate(triangles).astype(np.int32),
        blendshape_names=shapes,
        blendshapes=offsets,
        regions={"face": np.flatnonzero(reach > _MOVED * reach.max()).astype(np.int32)},
        lip_gap=np.zeros((2, 0), np.int32),
        landmarks=np.zeros(0, np.int32),
        surface=None,
        copyright=copyright,
    )
