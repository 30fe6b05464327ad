"""GLB: the head with its blendshapes as named morph targets, animated; for Blender, games, the web.

In the flow speech -> features -> codes -> motion -> mesh -> **file**.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codetalker.files.gltf import Material, MorphAnimation, Part, write_gltf
from codetalker.motion import Motion
from codetalker.normals import VertexNormals
from codetalker.rig import Rig, bundled_head

_HEAD_COPYRIGHT = "MakeHuman base mesh and Mika Suominen's Face Units, both CC0 1.0"
_CLAY = Material("clay", colour=(0.45, 0.45, 0.45, 1.0))
_SAME_NORMAL = 1e-3  # changes below this are left out of the file: 0.06 degrees


def write_glb(path: Path, motion: Motion, *, rig: Rig | None = None) -> None:
    """Write the rig, the bundled head for None, with the motion as its weights animation.

    Metres, y up, +z out of the face, as glTF has it. The sound is not in the file: glTF has no
    place for it.
    """
    chosen = rig or bundled_head()
    animation = MorphAnimation(
        name=chosen.name,
        parts=_head_parts() if rig is None else rig_parts(rig),
        target_names=chosen.blendshape_names,
        weights=motion.weights_for(chosen.blendshape_names),
        fps=motion.fps,
        texture_png=chosen.surface.texture if chosen.surface else None,
        copyright=_HEAD_COPYRIGHT if rig is None else "",
    )
    write_gltf(path, animation)


@lru_cache(maxsize=1)
def _head_parts() -> tuple[Part, ...]:
    return rig_parts(bundled_head())


def rig_parts(rig: Rig) -> tuple[Part, ...]:
    """The rig cut by material, with smooth normals and their change under every blendshape."""
    smooth = VertexNormals(rig.triangles, len(rig.template))
    normals = smooth.of(rig.template)
    turned = np.stack([smooth.of(rig.template + offsets) for offsets in rig.blendshapes]) - normals
    turned[np.abs(turned).max(axis=2) < _SAME_NORMAL] = 0
    surface = rig.surface
    cuts: list[tuple[Material, NDArray[np.bool_]]]
    if surface is None:
        cuts = [(_CLAY, np.ones(len(rig.triangles), bool))]
    else:
        looks = [
            Material(
                look.name,
                roughness=look.roughness,
                alpha_mode="BLEND" if look.blended else "OPAQUE",
                double_sided=look.blended,
                textured=True,
            )
            for look in surface.materials
        ]
        cuts = [(look, surface.triangle_material == i) for i, look in enumerate(looks)]
    parts = []
    for material, chosen in cuts:
        vertices, uvs, triangles = _own_vertices(rig, chosen)
        parts.append(
            Part(
                material=material,
                positions=rig.template[vertices],
                normals=normals[vertices],
                triangles=triangles,
                position_offsets=rig.blendshapes[:, vertices],
                normal_offsets=turned[:, vertices],
                uvs=uvs,
            )
        )
    return tuple(parts)


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
