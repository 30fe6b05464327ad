"""The base colour texture of the bundled head, painted by rule."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from codetalker.render.image import encode_png
from codetalker.render.raster import scan
from head_mesh import Mesh
from head_surface import LOOKS, Cover

SIZE = 1024


def paint(
    mesh: Mesh, deltas: NDArray, names: tuple[str, ...], regions: dict[str, NDArray], surface: Cover
) -> bytes:
    """The texture as a PNG file."""
    colours = np.array([look.colour for look in LOOKS.values()])
    picture = np.zeros((SIZE * SIZE, 4), np.uint8)
    texels = scan(surface.uv[surface.uv_triangles] * SIZE, SIZE, SIZE)
    material = texels.per_triangle(surface.triangle_material)
    picture[texels.sample, :3] = np.rint(255 * colours[material])
    picture[texels.sample, 3] = 255
    return encode_png(picture.reshape(SIZE, SIZE, 4))
