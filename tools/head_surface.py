"""Materials and texture atlas of the bundled head.

The atlas takes hm08's own islands (the face opened at the back of the head) and lays them out
again for a head alone: more texels for the middle of the face, one round picture for both eyes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from head_mesh import Mesh


@dataclass(frozen=True)
class Look:
    """One material: sRGB 0..1, roughness as in glTF, whether the texture's alpha counts."""

    colour: tuple[float, float, float]
    roughness: float
    blended: bool = False


LOOKS = {
    "skin": Look((0.84, 0.64, 0.54), 0.60),
    "hair": Look((0.17, 0.12, 0.095), 0.85),
    "cloth": Look((0.13, 0.19, 0.25), 0.90),
    "lips": Look((0.73, 0.47, 0.43), 0.45),
    "eye_white": Look((0.80, 0.78, 0.76), 0.16),
    "iris": Look((0.36, 0.47, 0.50), 0.16),
    "pupil": Look((0.03, 0.03, 0.04), 0.16),
    "teeth": Look((0.84, 0.81, 0.75), 0.42),
    "mouth": Look((0.42, 0.17, 0.16), 1.00),
    "tongue": Look((0.68, 0.36, 0.35), 0.60),
    "lashes": Look((0.09, 0.06, 0.05), 0.80, blended=True),
}
MATERIALS = tuple(LOOKS)

IRIS_ANGLE = np.radians(25.5)
PUPIL_ANGLE = np.radians(9.5)
_SIGHT_RISE = np.radians(2.4)
"""How much higher than straight ahead the iris lies, for the upper lid to cover more of it than the
lower one does: lids at rest that leave all of it free stare."""
_COARSE_IRIS, _COARSE_PUPIL = np.radians(30.0), np.radians(12.0)
"""Rings of the eyeball's quads nearest to the iris and the pupil, for readers of materials only."""

# Height of the hairline in mm over the angle around the vertical axis, 0 = front, 180 = back.
_HAIRLINE_AT = (0, 14, 26, 36, 46, 54, 60, 66, 74, 92, 104, 118, 132, 146, 180)
_HAIRLINE_MM = (99, 101, 102, 97, 84, 66, 40, 14, 8, 40, 46, 30, -20, -46, -52)
_AXIS_Z = 0.02
_EAR_X, _EAR_TOP = 0.0730, 0.0425
_COLLAR_HEIGHT, _COLLAR_SLOPE = -0.100, -0.24

# Where the islands go, x0, y0, x1, y1 of the unit square, y down.
_FACE = (0.004, 0.004, 0.996, 0.715)
_EYE = (0.004, 0.73, 0.268, 0.994)
_NECK = (0.28, 0.73, 0.64, 0.875)
_MOUTH = (0.65, 0.73, 0.83, 0.87)
_SOCKETS = ((0.84, 0.73, 0.912, 0.805), (0.922, 0.73, 0.994, 0.805))
_TONGUE = (0.84, 0.815, 0.925, 0.996)
_TEETH = {"teeth_upper": (0.28, 0.885, 0.52, 0.975), "teeth_lower": (0.53, 0.885, 0.77, 0.975)}
_LASHES = {
    "lashes_left_1": (0.935, 0.815, 0.996, 0.855),
    "lashes_left_2": (0.935, 0.862, 0.996, 0.902),
    "lashes_right_1": (0.935, 0.909, 0.996, 0.949),
    "lashes_right_2": (0.935, 0.956, 0.996, 0.996),
}


@dataclass(frozen=True)
class Cover:
    """What covers the mesh: (2Q,) material per triangle, (U, 2) glTF texture coordinates, their
    (2Q, 3) use by the triangles."""

    triangle_material: NDArray[np.uint8]
    uv: NDArray[np.float32]
    uv_triangles: NDArray[np.int32]

    def arrays(self) -> dict[str, NDArray]:
        """The asset's arrays, by name."""
        return {
            "uv": self.uv,
            "uv_triangles": self.uv_triangles,
            "triangle_material": self.triangle_material,
            "material_names": np.array(MATERIALS),
            "material_colour": np.array([m.colour for m in LOOKS.values()]),
            "material_roughness": np.array([m.roughness for m in LOOKS.values()]),
            "material_blended": np.array([m.blended for m in LOOKS.values()]),
        }


def cover(mesh: Mesh, regions: dict[str, NDArray]) -> Cover:
    """Give every triangle its material and its place in the atlas."""
    coordinates, corner = _atlas(mesh, regions)
    corner = corner.reshape(-1, 4).astype(np.int32)
    return Cover(
        triangle_material=np.tile(_materials(mesh, regions), 2),
        uv=coordinates.astype(np.float32),
        uv_triangles=np.concatenate([corner[:, [0, 1, 2]], corner[:, [0, 2, 3]]]),
    )


def mouth_cavity(mesh: Mesh, regions: dict[str, NDArray]) -> NDArray[np.bool_]:
    """(Q,) mask of the skin behind the lips."""
    inner = set(np.setdiff1d(np.arange(len(mesh.vertices)), regions["region_exterior_skin"]))
    quads = mesh.in_group("skin") & np.isin(mesh.quads, list(inner)).any(axis=1)
    sockets = np.abs(mesh.vertices[mesh.quads][:, :, 1].mean(axis=1) - regions["eye_centres"][0, 1])
    return quads & (sockets > 1.2 * regions["eye_radius"])


def eye_angles(points: NDArray, centres: NDArray) -> NDArray:
    """Angle in radians between the line of sight and points (..., 3) on either eyeball."""
    centre = np.where(points[..., :1] > 0, centres[0], centres[1])
    away = points - centre
    ahead = away @ [0, np.sin(_SIGHT_RISE), np.cos(_SIGHT_RISE)]
    return np.arccos(np.clip(ahead / np.linalg.norm(away, axis=-1), -1, 1))


def above_hairline(place: NDArray) -> NDArray:
    """(M,) metres that (M, 3) places on the skin lie above the hairline; ears lie far below."""
    around = np.degrees(np.arctan2(np.abs(place[:, 0]), place[:, 2] - _AXIS_Z))
    height = place[:, 1] - np.interp(around, _HAIRLINE_AT, np.array(_HAIRLINE_MM) / 1000)
    ear = (np.abs(place[:, 0]) > _EAR_X) & (place[:, 1] < _EAR_TOP)
    return np.where(ear, -1.0, height)


def below_collar(place: NDArray) -> NDArray:
    """(M,) metres that (M, 3) places lie below the upper edge of the jersey."""
    return _COLLAR_HEIGHT + _COLLAR_SLOPE * place[:, 2] - place[:, 1]


def _materials(mesh: Mesh, regions: dict[str, NDArray]) -> NDArray[np.uint8]:
    material = np.full(len(mesh.quads), MATERIALS.index("skin"), np.uint8)

    def assign(quads: NDArray[np.bool_], name: str) -> None:
        material[quads] = MATERIALS.index(name)

    middle = mesh.vertices[mesh.quads].mean(axis=1)
    skin = mesh.in_group("skin")
    assign(skin & (above_hairline(middle) > 0), "hair")
    assign(skin & (below_collar(middle) > 0), "cloth")
    assign(np.isin(mesh.quads, regions["region_vermilion"]).all(axis=1), "lips")
    assign(mouth_cavity(mesh, regions), "mouth")
    angle = eye_angles(middle, regions["eye_centres"])
    eyes = mesh.in_group("eye_left", "eye_right")
    assign(eyes, "eye_white")
    assign(eyes & (angle < _COARSE_IRIS), "iris")
    assign(eyes & (angle < _COARSE_PUPIL), "pupil")
    assign(mesh.in_group("teeth_upper", "teeth_lower"), "teeth")
    assign(mesh.in_group("tongue"), "tongue")
    assign(mesh.in_group(*_LASHES), "lashes")
    return material


def _atlas(mesh: Mesh, regions: dict[str, NDArray]) -> tuple[NDArray, NDArray]:
    """(U, 2) coordinates and (4Q,) index of each quad corner."""
    placed = mesh.quads_uv.astype(np.float64)
    island = _islands(placed)
    skin = mesh.in_group("skin")
    for number in np.unique(island[skin]):
        here = island == number
        placed[here] = _place_skin(placed[here])
    for name, rectangle in {**_TEETH, **_LASHES}.items():
        here = mesh.in_group(name)
        placed[here] = _fit(placed[here], rectangle)
    tongue = mesh.in_group("tongue")
    placed[tongue] = _fit(placed[tongue], _TONGUE)
    eyes = mesh.in_group("eye_left", "eye_right")
    placed[eyes] = _eye_coordinates(mesh.vertices[mesh.quads[eyes]], regions["eye_centres"])
    # Corners share a coordinate only where they share the vertex, so that readers can pair them.
    keys = np.c_[mesh.quads.reshape(-1, 1), np.round(placed.reshape(-1, 2), 7)]
    unique, corner = np.unique(keys, axis=0, return_inverse=True)
    return unique[:, 1:], corner.ravel()


def _islands(uv: NDArray) -> NDArray[np.intp]:
    """(Q,) number of the connected piece of the texture that each quad lies in."""
    _, corner = np.unique(np.round(uv.reshape(-1, 2), 6), axis=0, return_inverse=True)
    corner = corner.reshape(-1, 4)
    label = np.arange(corner.max() + 1)
    while True:
        lowest = label[corner].min(axis=1)
        spread = label.copy()
        np.minimum.at(spread, corner, lowest[:, None])
        if (spread == label).all():
            return lowest
        label = spread


def _place_skin(uv: NDArray) -> NDArray:
    """The five islands of the skin, told apart by where hm08 has them."""
    u, v = uv[..., 0].mean(), uv[..., 1].mean()
    if u < 0.2:
        return _fit(uv, _SOCKETS[int(u > 0.08)])
    if v > 0.8:
        return _fit(uv, _NECK)
    if v < 0.15:
        return _fit(uv, _MOUTH)
    return _place_face(uv)


def _place_face(uv: NDArray) -> NDArray:
    """Turn the face upright and widen its middle: the face's texels count more than the skull's."""
    flat = _fit(uv[..., ::-1] * [1, -1], (-1, 0, 1, 1))
    across = 2 * flat[..., 0] / (1 + np.abs(flat[..., 0]))
    down = flat[..., 1] ** 1.3
    x0, y0, x1, y1 = _FACE
    return np.stack([x0 + (across + 1) / 2 * (x1 - x0), y0 + down * (y1 - y0)], axis=-1)


def _eye_coordinates(points: NDArray, centres: NDArray) -> NDArray:
    """Both eyes share one round picture: angle from the line of sight outwards, front widened."""
    away = points - np.where(points[..., :1] > 0, centres[0], centres[1])
    angle = np.degrees(eye_angles(points, centres))
    radius = np.where(angle < 67.5, 0.75 * angle / 67.5, 0.75 + 0.25 * (angle - 67.5) / 112.5)
    along = away[..., :2] * [1, -1]
    along /= np.maximum(np.linalg.norm(along, axis=-1, keepdims=True), 1e-9)
    # The cap at the back would lie across the whole picture; a point of the rim is white enough.
    radius[angle.mean(axis=1) > 150], along[angle.mean(axis=1) > 150] = 0.9, [1, 0]
    x0, y0, x1, y1 = _EYE
    middle, half = np.array([(x0 + x1) / 2, (y0 + y1) / 2]), np.array([x1 - x0, y1 - y0]) / 2
    return middle + along * radius[..., None] * half


def _fit(uv: NDArray, rectangle: tuple[float, float, float, float]) -> NDArray:
    """Stretch an island to a rectangle, turning v (up) into y (down)."""
    low, high = uv.reshape(-1, 2).min(axis=0), uv.reshape(-1, 2).max(axis=0)
    unit = (uv - low) / (high - low)
    x0, y0, x1, y1 = rectangle
    return np.stack([x0 + unit[..., 0] * (x1 - x0), y1 - unit[..., 1] * (y1 - y0)], axis=-1)
