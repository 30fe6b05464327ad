"""GLB: the head with its blendshapes as named morph targets, animated; for Blender, games, the web.

In the flow speech -> features -> codes -> motion -> mesh -> **file**.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from codetalker.files.gltf import (
    MorphAnimation,
    MorphMesh,
    PbrMaterial,
    Primitive,
    Texture,
    gltf_binary,
)
from codetalker.head_pose import quaternions
from codetalker.normals import VertexNormals
from codetalker.render.image import decode_png, encode_jpeg, encode_png
from codetalker.rig import Rig, Surface

if TYPE_CHECKING:
    from codetalker.animation import Animation

_CLAY = PbrMaterial("clay", colour=(0.45, 0.45, 0.45, 1.0))
_TRACE_M, _TRACE_NORMAL = 2.5e-4, 0.14
"""Changes of positions and normals at weight 1 below which they are left out of the file: a quarter
of a millimetre, and 8 degrees. A rig without materials, made to follow vertices, is left as it is
but for `_SAME_NORMAL`."""
_SAME_NORMAL = 1e-3
_FEW = 0.25
"""Of the shapes that move the part which most of them move: parts that fewer move, as eyes and
teeth, are objects of their own with those shapes alone."""
_MARGIN = 8  # pixels around what blended materials show of the texture


def write_glb(path: Path, animation: Animation) -> None:
    """Write the rig with the motion as its weights animation.

    Metres, y up, +z out of the face, as glTF has it. The sound is not in the file: glTF has no
    place for it.
    """
    path.write_bytes(glb_of(animation))


def glb_of(animation: Animation) -> bytes:
    """The file that `write_glb` writes."""
    rig = animation.rig
    meshes, textures = _face(rig)
    content = MorphAnimation(
        meshes=meshes,
        target_names=rig.blendshape_names,
        weights=animation.weights,
        fps=animation.fps,
        head=None if animation.head is None or rig.neck is None else quaternions(animation.head),
        textures=textures,
        copyright=rig.copyright,
    )
    return gltf_binary(content)


@lru_cache(maxsize=1)
def _face(rig: Rig) -> tuple[tuple[MorphMesh, ...], tuple[Texture, ...]]:
    """The rig as objects: the face with all shapes, what few shapes move, and what is still."""
    parts = _primitives(rig)
    moving = [_moving(part) for part in parts]
    most = max(moving, key=len)
    meshes: dict[tuple[int, ...], list[Primitive]] = {}
    for part, targets in zip(parts, moving, strict=True):
        few = len(targets) < _FEW * len(most)
        targets = targets if few else tuple(range(len(rig.blendshape_names)))
        meshes.setdefault(targets, []).append(_with_targets(part, targets))
    named = tuple(
        MorphMesh(
            rig.name if len(targets) == len(rig.blendshape_names) else parts[0].material.name,
            tuple(parts),
            targets,
        )
        for targets, parts in meshes.items()
    )
    return named, () if rig.surface is None else _textures(rig.surface)


def _moving(part: Primitive) -> tuple[int, ...]:
    """The shapes that move the part."""
    moved = part.position_offsets.any(axis=(1, 2)) | part.normal_offsets.any(axis=(1, 2))
    return tuple(np.flatnonzero(moved).tolist())


def _with_targets(part: Primitive, targets: tuple[int, ...]) -> Primitive:
    chosen = list(targets)
    return replace(
        part,
        position_offsets=part.position_offsets[chosen],
        normal_offsets=part.normal_offsets[chosen],
    )


def _textures(surface: Surface) -> tuple[Texture, ...]:
    """The colours as JPEG, and for blended materials their part of the texture as PNG with alpha,
    clear around it."""
    picture = decode_png(surface.texture)
    textures = [Texture(encode_jpeg(picture[..., :3]), "image/jpeg")]
    blended = np.array([material.blended for material in surface.materials])
    corners = surface.uv_triangles[blended[surface.triangle_material]]
    if len(corners):
        pixels = surface.uv[corners.ravel()] * picture.shape[1::-1]
        left, top = np.maximum(np.floor(pixels.min(axis=0)).astype(int) - _MARGIN, 0)
        right, bottom = np.ceil(pixels.max(axis=0)).astype(int) + _MARGIN
        clear = np.zeros_like(picture)
        clear[top:bottom, left:right] = picture[top:bottom, left:right]
        textures.append(Texture(encode_png(clear), "image/png"))
    return tuple(textures)


def _primitives(rig: Rig) -> list[Primitive]:
    """The rig cut by material, with smooth normals and their change under every blendshape."""
    smooth = VertexNormals(rig.triangles, len(rig.template))
    normals = smooth.of(rig.template)
    turned = np.stack([smooth.of(rig.template + offsets) for offsets in rig.blendshapes]) - normals
    turned = _without_traces(turned, _TRACE_NORMAL if rig.surface else _SAME_NORMAL)
    moved = _without_traces(rig.blendshapes, _TRACE_M if rig.surface else 0.0)
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
                texture=int(look.blended),
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
                position_offsets=moved[:, vertices],
                normal_offsets=turned[:, vertices],
                uvs=uvs,
                neck=None if rig.neck is None else rig.neck[vertices],
            )
        )
    return primitives


def _without_traces(offsets: NDArray[np.float32], least: float) -> NDArray[np.float32]:
    """Offsets of which those below `least` are 0, and those up to twice as long fade in."""
    length = np.linalg.norm(offsets, axis=-1, keepdims=True)
    return offsets * np.clip(2 - 2 * least / np.maximum(length, 1e-12), 0, 1).astype(np.float32)


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
