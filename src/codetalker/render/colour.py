"""What colour a surface has at each sample, in linear light: from a texture or its vertices."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from codetalker.render.image import decode_png
from codetalker.render.raster import Fragments
from codetalker.rig import Surface

CLAY = (0.74, 0.70, 0.66)
"""sRGB of a mesh that has no colours of its own."""


class Colouring(Protocol):
    """The colour of a mesh's surface."""

    def at(self, fragments: Fragments, triangles: NDArray[np.intp]) -> list[NDArray[np.float32]]:
        """Linear red, green and blue at the samples of the triangles, each (M,)."""
        ...

    def opacity(self, fragments: Fragments, triangles: NDArray[np.intp]) -> NDArray[np.float32]:
        """(M,) 0 (glass) to 1 (solid) at the samples of the triangles."""
        ...


class Textured:
    """Colours looked up in the texture of a `Surface`."""

    def __init__(self, surface: Surface) -> None:
        picture = decode_png(surface.texture)
        self._height, self._width = picture.shape[:2]
        planes = picture.reshape(-1, 4).T
        self._planes = [_LINEAR.take(plane) for plane in planes[:3]]
        self._alpha = planes[3].astype(np.float32) / 255
        self._corners = surface.uv[surface.uv_triangles] * np.array(
            [self._width, self._height], np.float32
        )

    def at(self, fragments: Fragments, triangles: NDArray[np.intp]) -> list[NDArray[np.float32]]:
        """Linear red, green and blue at the samples of the triangles, each (M,)."""
        texel = self._texel(fragments, triangles)
        return [plane.take(texel, mode="clip") for plane in self._planes]

    def opacity(self, fragments: Fragments, triangles: NDArray[np.intp]) -> NDArray[np.float32]:
        """(M,) 0..1 at the samples of the triangles."""
        return self._alpha.take(self._texel(fragments, triangles), mode="clip")

    def _texel(self, fragments: Fragments, triangles: NDArray[np.intp]) -> NDArray[np.intp]:
        corners = self._corners[triangles]
        texel = fragments.interpolate(corners[:, :, 1]).astype(np.intp)
        texel *= self._width
        texel += fragments.interpolate(corners[:, :, 0]).astype(np.intp)
        return texel


class VertexColours:
    """Colours given at the vertices, (V, 3) sRGB 0..1, opaque."""

    def __init__(self, colours: NDArray[np.floating], triangles: NDArray[np.int32]) -> None:
        self._corners = linear_from_srgb(colours).astype(np.float32)[triangles]

    def at(self, fragments: Fragments, triangles: NDArray[np.intp]) -> list[NDArray[np.float32]]:
        """Linear red, green and blue at the samples of the triangles, each (M,)."""
        corners = self._corners[triangles]
        return [fragments.interpolate(corners[:, :, c]) for c in range(3)]

    def opacity(self, fragments: Fragments, triangles: NDArray[np.intp]) -> NDArray[np.float32]:
        """(M,) ones."""
        return np.ones(len(fragments.sample), np.float32)


def linear_from_srgb(value: NDArray[np.floating]) -> NDArray[np.floating]:
    """sRGB 0..1 -> linear light 0..1 (IEC 61966-2-1)."""
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(value: NDArray[np.floating]) -> NDArray[np.floating]:
    """Linear light 0..1 -> sRGB 0..1 (IEC 61966-2-1)."""
    return np.where(value <= 0.0031308, value * 12.92, 1.055 * value ** (1 / 2.4) - 0.055)


_LINEAR = linear_from_srgb(np.arange(256) / 255).astype(np.float32)
