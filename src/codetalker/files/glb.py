"""GLB: the head with its blendshapes as named morph targets, animated; for Blender, games, the web.

In the flow speech -> features -> codes -> motion -> mesh -> **file**.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from codetalker.files.gltf import MorphAnimation, PbrMaterial, Primitive, write_gltf
from codetalker.head_pose import quaternions
from codetalker.normals import VertexNormals
from codetalker.rig import Rig

if TYPE_CHECKING:
    from codetalker.animation import Animation

_CLAY = PbrMaterial("clay", colour=(0.45, 0.45, 0.45, 1.0))
_SAME_NORMAL = 1e-3  # changes below this are left out of the file: 0.06 degrees


def write_glb(path: Path, animation: Animation) -> None:
    """Write the rig with the motion as its weights animation.

    Metres, y up, +z out of the face, as glTF has it. The sound is not in the file: glTF has no
    place for it.
    """
    rig = animation.rig
    content = MorphAnimation(
        name=rig.name,
        primitives=rig_primitives(rig),
        target_names=rig.blendshape_names,
        weights=animation.weights,
        fps=animation.fps,
        head=None if animation.head is None or rig.neck is None else quaternions(animation.head),
        texture_png=rig.surface.texture if rig.surface else None,
        copyright=rig.copyright,
    )
    write_gltf(path, content)


@lru_cache(maxsize=1)
def rig_primitives(rig: Rig) -> tuple[Primitive, ...]:
    """The rig cut by material, with smooth normals and their change under every blendshape."""
    smooth = VertexNormals(rig.triangles, len(rig.template))
    normals = smooth.of(rig.template)
    turned = np.stack([smooth.of(rig.template + offsets) for offsets in rig.blendshapes]) - normals
    turned[np.abs(turned).max(axis=2) < _SAME_NORMAL] = 0
    surface = rig.surface
    cuts: list[tuple[PbrMaterial, NDArray[np.bool_]]]
    if surface is None:
        cuts = [(_CLAY, np.ones(len(rig.triangles), bool))]
    else:
        looks = [
            PbrMaterial(
                look.name,
                roughness=look.roughness,
                alpha_mode="BLEND" if look.blended else "OPAQUE",
                double_sided=look.blended,
                textured=True,
            )
            for look in surface.materials
        ]
        cuts = [(look, surface.triangle_material == i) for i, look in enumerate(looks)]
    primitives = []
    for material, chosen in cuts:
        vertices, uvs, triangles = _own_vertices(rig, chosen)
        primitives.append(
            Primitive(
                material=material,
                positions=rig.template[vertices],
                normals=normals[vertices],
                triangles=triangles,
                position_offsets=rig.blendshapes[:, vertices],
                normal_offsets=turned[:, vertices],
                uvs=uvs,
                neck=None if rig.neck is None else rig.neck[vertices],
            )
        )
    return tuple(primitives)


def _own_vertices(
    rig: Rig, chosen: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.float32] | None, NDArray[np.intp]]:
    """The chosen triangles on vertices of their own, one for each pair of vertex and uv.

    Returns (N,) vertex of the rig, (N, 2) uv or None, (F, 3) triangles.
    """
    corners = rig.triangles[chosen].reshape(-1).astype(np.int64)
    if rig.surface is None:
        vertices, triangles = np.unique(corners, return_inverse=True)
        return vertices, None, triangles.reshape(-1, 3)
    uv_corners = rig.surface.uv_triangles[chosen].reshape(-1)
    pairs = corners * len(rig.surface.uv) + uv_corners
    _, first, triangles = np.unique(pairs, return_index=True, return_inverse=True)
    return corners[first], rig.surface.uv[uv_corners[first]], triangles.reshape(-1, 3)
