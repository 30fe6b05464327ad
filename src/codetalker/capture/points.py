"""Which of MediaPipe's points is what, and where it lies on the bundled head.

The correspondence, made for the corpus that the bundled models learned from: lip and lid contours,
nose, chin and forehead placed along the edge loops of the mesh, the rest by a thin-plate spline and
closest points. Sides are the subject's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from codetalker.arrays import Field, read_npz
from codetalker.rig import bundled_head

POINTS = 468
# fmt: off
RIGID = (
    168, 6, 197, 195, 8, 9, 151, 10, 109, 338, 67, 297, 103, 332, 54, 284, 21, 251, 162, 389, 127,
    356, 234, 454, 33, 133, 263, 362, 193, 417, 122, 351, 196, 419, 188, 412, 69, 299, 108, 337,
    139, 368,
)
"""What hardly moves but with the skull: nose bridge, eye corners, forehead, temples, ears."""
FAR = (127, 356, 162, 389, 234, 454)
"""Of these: ears and temples."""
OUTER_LIP = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185,
)
INNER_LIP = (
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191,
)
GAP = ((81, 82, 13, 312, 311), (178, 87, 14, 317, 402))
"""Facing points of the inner lips, upper and lower, in the middle of the mouth."""
CORNERS = (61, 291)
EYES = (33, 263)
"""Outer corners of the right and the left eye."""
JAW = (
    172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 199, 175, 171, 396, 208, 428,
    200, 18, 83, 313, 201, 421,
)
BROWS = (
    70, 63, 105, 66, 107, 46, 53, 52, 65, 55, 300, 293, 334, 296, 336, 276, 283, 282, 295, 285,
)
LIDS = (
    ((263, 362), ((387, 373), (385, 380))),
    ((33, 133), ((160, 144), (158, 153))),
)
"""Of the left and the right eye: the corners, outer and inner; facing points of the lids."""
IRISES = (473, 468)
"""Centre of the left and the right iris."""
# fmt: on
GAP_COLUMNS = slice(2, 7)
"""Of the rig's `lip_gap`: those where the points of `GAP` lie."""

_LAYOUT = {
    "vertices": Field(np.int64, "468 3", least=0),
    "shares": Field(np.float32, "468 3"),
}


@dataclass(frozen=True, eq=False)
class FacePoints:
    """The 468 points on the bundled head.

    Attributes:
        rest: (468, 3) where they are at rest, metres.
        shapes: (52, 468, 3) how each blendshape moves them at weight 1, metres.
        vertices: (468, 3) int, the triangle of vertices that each lies in.
        shares: (468, 3) what each of those counts.
    """

    rest: NDArray[np.float64]
    shapes: NDArray[np.float64]
    vertices: NDArray[np.int64]
    shares: NDArray[np.float64]

    def of(self, vertices: NDArray[np.floating]) -> NDArray[np.float64]:
        """(..., V, 3) vertices of the head -> (..., 468, 3) points."""
        return np.einsum("...pkc,pk->...pc", vertices[..., self.vertices, :], self.shares)


@lru_cache(maxsize=1)
def face_points() -> FacePoints:
    """The points on the bundled head."""
    asset = files("codetalker").joinpath("assets/mp468.npz").read_bytes()
    arrays = read_npz(asset, _LAYOUT)
    vertices, shares = arrays["vertices"], arrays["shares"].astype(np.float64)
    rig = bundled_head()
    rest, shapes = (
        np.einsum("...pkc,pk->...pc", array[..., vertices, :].astype(np.float64), shares)
        for array in (rig.template, rig.blendshapes)
    )
    return FacePoints(rest, shapes, vertices, shares)


def iod() -> float:
    """Distance of the outer corners of the bundled head's eyes, metres."""
    right, left = face_points().rest[list(EYES)]
    return float(np.linalg.norm(left - right))


def lip_gap(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """(..., 468, 3) points in the rig's axes -> (...) how far the lips are apart."""
    upper, lower = (points[..., list(row), 1] for row in GAP)
    return (upper - lower).mean(-1)


def mouth_width(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """(..., 468, 3) points in the rig's axes -> (...) distance of the mouth's corners."""
    right, left = (points[..., corner, 0] for corner in CORNERS)
    return left - right
