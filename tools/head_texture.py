"""The base colour texture of the bundled head, painted by rule: no photograph, no scan."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from codetalker.render.image import encode_png
from head_brush import blend, noise, polyline_distance, smoothstep
from head_canvas import Canvas, stretch
from head_details import paint_eyes, paint_lashes, paint_mouth, paint_teeth
from head_hair import paint_brows, paint_hair
from head_mesh import Mesh
from head_surface import LOOKS, MATERIALS, Cover, below_collar

SIZE = 1024
_OPEN = {"jawOpen": 0.6, "mouthUpperUpLeft": 0.3, "mouthUpperUpRight": 0.3}

_BLUSH, _SALLOW, _SHADE = (0.80, 0.46, 0.40), (0.84, 0.66, 0.53), (0.36, 0.15, 0.11)
_BODY = ("skin", "hair", "cloth", "lips")
_LIP_LINE = (0.52, 0.25, 0.24)


def paint(
    mesh: Mesh,
    deltas: NDArray[np.floating],
    names: tuple[str, ...],
    regions: dict[str, NDArray],
    surface: Cover,
) -> bytes:
    """The texture as a PNG file; `deltas` (52, V, 3) in metres."""
    opened = sum(weight * deltas[names.index(name)] for name, weight in _OPEN.items())
    canvas = stretch(mesh, surface, opened, SIZE)
    colours = np.ones((len(canvas.texel), 4))
    for number, look in enumerate(LOOKS.values()):
        colours[canvas.material == number, :3] = look.colour
    colours[canvas.of(*_BODY), :3] = LOOKS["skin"].colour

    points = {
        name: mesh.vertices[index] for name, index in regions.items() if index.dtype.kind == "i"
    }
    _paint_skin(canvas, colours, points["landmarks_68"])
    paint_hair(canvas, colours)
    paint_brows(canvas, colours, points["landmarks_68"])
    _paint_lips(canvas, colours, points["outer_lip_loop"], points["inner_lip_loop"])
    _shade(canvas, colours)
    for loop in ("lid_loop_left", "lid_loop_right"):
        _line_lids(canvas, colours, points[loop])
    _paint_cloth(canvas, colours)
    paint_eyes(canvas, colours, regions["eye_centres"])
    paint_lashes(canvas, colours, regions["eye_centres"])
    paint_teeth(canvas, colours)
    paint_mouth(canvas, colours)
    return encode_png(canvas.picture(colours))


def _paint_skin(canvas: Canvas, colours: NDArray, landmarks: NDArray) -> None:
    """Blood under cheeks, nose, ears and lids; a paler brow and chin; pores."""
    skin = canvas.of(*_BODY)
    place = canvas.position[skin]
    colour = colours[skin, :3]

    def near(point: NDArray, reach: float) -> NDArray:
        return np.exp(-((np.linalg.norm(place - point, axis=1) / reach) ** 2))

    nose, bridge, brow = landmarks[30], landmarks[29], landmarks[27] + np.array([0, 0.045, 0])
    blend(colour, _SALLOW, 0.5 * near(brow, 0.045))
    for side in (-1, 1):
        cheek = np.array([side * 0.046, -0.008, 0.112])
        blend(colour, _BLUSH, 0.20 * near(cheek, 0.026))
        blend(colour, _BLUSH, 0.45 * near(np.array([side * 0.082, 0.01, 0.022]), 0.024))
        blend(colour, _BLUSH, 0.22 * near(np.array([side * 0.031, 0.028, 0.124]), 0.013))
    blend(colour, _BLUSH, 0.26 * near(nose, 0.016))
    blend(colour, _BLUSH, 0.12 * near(landmarks[8], 0.02))
    mottle = noise(place, 0.014, 1) * 0.5 + noise(place, 0.006, 2) * 0.3
    colour *= 1 + 0.045 * mottle[:, None] * [0.6, 1.0, 1.1]
    colour *= 1 + 0.022 * noise(place, 0.0012, 3)[:, None]
    freckle = smoothstep(0.80, 0.92, noise(place, 0.0028, 4)) * near(bridge, 0.045)
    blend(colour, (0.62, 0.38, 0.28), 0.25 * freckle)
    colours[skin, :3] = colour


def _paint_lips(canvas: Canvas, colours: NDArray, border: NDArray, contact: NDArray) -> None:
    """Red of the lips, soft at the border and darker where they meet."""
    near = canvas.of(*_BODY)
    place = canvas.position[near]
    near = near[np.linalg.norm(place - border.mean(axis=0), axis=1) < 0.05]
    place = canvas.position[near]
    inwards = np.where(canvas.material[near] == MATERIALS.index("lips"), 1, -1)
    depth = inwards * polyline_distance(place, np.concatenate([border, border[:1]]))
    colour = colours[near, :3]
    lines = 0.05 * noise(place * [1.0, 0.12, 0.3], 0.0009, 5)
    blend(colour, np.array(LOOKS["lips"].colour), 0.85 * smoothstep(-0.0015, 0.0020, depth))
    colour *= 1 + (lines * smoothstep(0, 0.002, depth))[:, None]
    meeting = polyline_distance(place, np.concatenate([contact, contact[:1]]))
    inner = smoothstep(0, 0.001, depth) * np.exp(-((meeting / 0.0022) ** 2))
    blend(colour, _LIP_LINE, 0.55 * inner)
    colours[near, :3] = colour


def _shade(canvas: Canvas, colours: NDArray) -> None:
    """Darken skin that little light reaches (nostrils, lids, ears, under the chin), reddish."""
    skin = canvas.of(*_BODY)
    dark = 1 - smoothstep(0.02, 0.55, canvas.openness[skin])
    blend_to = colours[skin, :3] * np.array(_SHADE) / np.array(LOOKS["skin"].colour)
    colours[skin, :3] += (0.80 * dark)[:, None] * (blend_to - colours[skin, :3])


def _line_lids(canvas: Canvas, colours: NDArray, margin: NDArray) -> None:
    """The roots of the lashes: a dark line along the margin, so that shut eyes read as shut."""
    skin = canvas.of("skin")
    near = skin[np.linalg.norm(canvas.position[skin] - margin.mean(axis=0), axis=1) < 0.03]
    place = canvas.position[near]
    distance = polyline_distance(place, np.concatenate([margin, margin[:1]]))
    upper = smoothstep(-0.002, 0.002, place[:, 1] - margin[:, 1].mean())
    weight = (0.25 + 0.5 * upper) * np.exp(-((distance / 0.0011) ** 2))
    colour = colours[near, :3]
    blend(colour, LOOKS["lashes"].colour, weight)
    colours[near, :3] = colour


def _paint_cloth(canvas: Canvas, colours: NDArray) -> None:
    """A dark jersey from the base of the neck down: the mesh ends in it, not in bare skin."""
    skin = canvas.of(*_BODY)
    place = canvas.position[skin]
    below = below_collar(place)
    colour = colours[skin, :3]
    colour *= 1 - 0.35 * np.exp(-((np.minimum(below, 0) / 0.004) ** 2))[:, None]
    cloth = (
        np.array(LOOKS["cloth"].colour)
        * (1 + 0.10 * noise(place * [1, 0.3, 1], 0.0016, 6))[:, None]
    )
    band = smoothstep(0, 0.0012, below) * (1 - smoothstep(0.008, 0.0095, below))
    cloth = cloth * (1 + 0.25 * band)[:, None]
    weight = smoothstep(-0.0004, 0.0004, below)[:, None]
    colours[skin, :3] = colour + weight * (cloth - colour)
