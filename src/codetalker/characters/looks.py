"""How a character looks: its materials, with one picture of all their base colours.

In the flow ... -> motion -> **mesh** -> file, picture. A texture that cannot be shown (of another
kind than PNG and JPEG, moved by an extension, damaged) leaves its material the plain colour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from codetalker.characters.gltf_file import GltfFile, Pbr, at
from codetalker.characters.gltf_file import Material as Look
from codetalker.characters.scene import Part
from codetalker.errors import RigError
from codetalker.reading import Malformed
from codetalker.render.colour import CLAY, linear_from_srgb, srgb_from_linear
from codetalker.render.image import decode_picture, encode_png
from codetalker.rig import Material, Surface

_WHITE = 0.99
_MOST_LOOKS = 256
_SIDE, _PIXELS = 512, 1 << 22
"""Of a texture at most; of all of them."""


def surface_of(file: GltfFile, parts: Sequence[Part]) -> Surface:
    """The materials of the parts, their colours one below the other in one texture.

    Raises:
        RigError: there are too many.
    """
    looks = [*file.gltf.materials, Look()]
    which = np.concatenate([np.full(len(part.triangles), part.material) for part in parts])
    kinds, which = np.unique(which % len(looks), return_inverse=True)  # -1 is the last
    if len(kinds) > _MOST_LOOKS:
        raise RigError(f"a character of {len(kinds)} materials; join those that look the same")
    looks = [looks[kind] for kind in kinds]
    paints = [_paint(look) for look in looks]
    different = [paint for i, paint in enumerate(paints) if paint not in paints[:i]]
    place = np.array([different.index(paint) for paint in paints])
    side = min(_SIDE, math.isqrt(_PIXELS // len(different)))
    tiles = [_tile(file, looks[paints.index(paint)], side) for paint in different]
    sizes = np.array([tile.shape[1::-1] for tile in tiles])
    tops = np.cumsum([0, *sizes[:-1, 1]])
    whole = np.zeros((sizes[:, 1].sum(), sizes[:, 0].max(), 4), np.uint8)
    for tile, start in zip(tiles, tops, strict=True):
        whole[start : start + len(tile), : tile.shape[1]] = tile
    corners = np.concatenate([part.uv[part.triangles] for part in parts])  # (F, 3, 2)
    corners = corners - np.floor(corners.min(axis=1, keepdims=True))  # textures repeat
    size, top = sizes[place][which][:, None], tops[place][which][:, None]
    pixels = np.clip(corners * size, 0.5, size - 0.5)
    pixels[..., 1] += top
    colours = [tiles[i].reshape(-1, 4)[:, :3].mean(axis=0) / 255 for i in place]
    return Surface(
        materials=tuple(
            Material(
                look.name,
                (float(red), float(green), float(blue)),
                min(max(look.pbrMetallicRoughness.roughnessFactor, 0.3), 1.0),
                look.alphaMode != "OPAQUE",
            )
            for look, (red, green, blue) in zip(looks, colours, strict=True)
        ),
        triangle_material=which.astype(np.uint8),
        uv=(pixels.reshape(-1, 2) / whole.shape[1::-1]).astype(np.float32),
        uv_triangles=np.arange(3 * len(which), dtype=np.int32).reshape(-1, 3),
        texture=encode_png(whole),
    )


def _paint(look: Look) -> tuple[object, ...]:
    """What materials share that can share a tile of the picture."""
    pbr = look.pbrMetallicRoughness
    return pbr.baseColorFactor, pbr.baseColorTexture, look.alphaMode, look.alphaCutoff


def _tile(file: GltfFile, look: Look, side: int) -> NDArray[np.uint8]:
    """(H, W, 4) sRGB and alpha of a material; one pixel without a texture."""
    pbr = look.pbrMetallicRoughness
    try:
        tile = _picture(file, pbr, side)
    except Malformed:
        tile = None
    if tile is None:
        tile = np.array([[[*_plain(pbr.baseColorFactor[:3]), 255]]], np.uint8)
    else:
        levels = linear_from_srgb(np.arange(256) / 255)
        for channel, factor in enumerate(pbr.baseColorFactor[:3]):
            shown = srgb_from_linear(np.clip(levels * factor, 0, 1))
            tile[..., channel] = (255 * shown).round().astype(np.uint8)[tile[..., channel]]
    if look.alphaMode == "OPAQUE":
        tile[..., 3] = 255
    elif look.alphaMode == "MASK":
        tile[..., 3] = np.where(tile[..., 3] >= 255 * look.alphaCutoff, 255, 0)
    return tile


def _picture(file: GltfFile, pbr: Pbr, side: int) -> NDArray[np.uint8] | None:
    """The base colour texture, of at most that side; None if there is none that can be shown.

    Raises:
        Malformed: it is damaged.
    """
    info, gltf = pbr.baseColorTexture, file.gltf
    if info is None or info.texCoord or "KHR_texture_transform" in info.extensions:
        return None
    source = at(gltf.textures, info.index, "texture").source
    image = None if source is None else at(gltf.images, source, "image")
    if image is None or image.bufferView is None:
        return None
    view = at(gltf.bufferViews, image.bufferView, "buffer view")
    data = bytes(file.binary[view.byteOffset : view.byteOffset + view.byteLength])
    return decode_picture(data, side)


def _plain(linear: tuple[float, ...]) -> NDArray[np.uint8]:
    """sRGB of a material; clay where its colour is white, and all in the texture."""
    shown = np.array(CLAY) if min(linear) > _WHITE else np.clip(linear, 0, 1) ** (1 / 2.2)
    return (255 * shown).round().astype(np.uint8)
