"""Eyes, lashes, teeth and the inside of the mouth of the bundled head."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from head_brush import blend, noise, smoothstep
from head_canvas import Canvas
from head_surface import IRIS_ANGLE, LOOKS, PUPIL_ANGLE, eye_angles

_IRIS_INNER, _IRIS_OUTER, _LIMBUS = (0.56, 0.46, 0.30), (0.28, 0.38, 0.40), (0.07, 0.09, 0.10)
_VEIN = (0.80, 0.50, 0.46)
_GUM, _TOOTH_ROOT, _TOOTH_GAP = (0.66, 0.34, 0.33), (0.86, 0.78, 0.66), (0.42, 0.30, 0.25)
_THROAT = 0.20
"""Share of the light that a throat has of what the lips have."""
_REDDENS = (0.75, 1.1, 1.1)
"""Powers of the light on teeth: what comes back from the mouth around them is red."""
_UPPER_TEETH_MM = (8.6, 6.6, 7.6, 7.0, 6.8, 10.0, 10.0)
_LOWER_TEETH_MM = (5.4, 5.9, 6.8, 7.0, 7.1, 11.0, 10.0)
_UPPER_GUM_Y, _LOWER_GUM_Y, _BITE_Y = -0.0272, -0.0492, -0.0388
_BACK_GUM_M = 0.006
"""Gums reach so much further down the backs of the teeth."""
_ARCH_FRONT_Z, _ARCH_MIDDLE_Z, _ARCH_RISE = 0.130, 0.092, 0.22
"""Arches lie flat in the source but for their rise towards the back."""


def paint_eyes(canvas: Canvas, colours: NDArray, centres: NDArray) -> None:
    """Iris with spokes and a dark rim, pupil, a white that reddens to its edge and lies in the
    shade of the upper lid."""
    eye = canvas.of("eye_white", "iris", "pupil")
    place = canvas.position[eye]
    away = place - np.where(place[:, :1] > 0, centres[0], centres[1])
    angle = eye_angles(place, centres)
    turn = np.arctan2(away[:, 1], away[:, 0])
    colour = np.tile(np.array(LOOKS["eye_white"].colour), (len(eye), 1))
    ring = np.stack([np.cos(turn), np.sin(turn), angle * 0.35], axis=1)
    veins = smoothstep(0.45, 0.8, noise(ring, 0.09, 21)) * smoothstep(0.7, 1.1, angle)
    blend(colour, _VEIN, 0.18 * veins + 0.18 * smoothstep(0.75, 1.25, angle))

    across = np.clip((angle - PUPIL_ANGLE) / (IRIS_ANGLE - PUPIL_ANGLE), 0, 1)
    spokes = noise(ring, 0.10, 22) * 0.5 + noise(ring, 0.045, 23) * 0.35
    iris = np.array(_IRIS_INNER) + smoothstep(0.05, 0.6, across)[:, None] * (
        np.array(_IRIS_OUTER) - np.array(_IRIS_INNER)
    )
    iris = iris * (1 + 0.45 * spokes)[:, None]
    blend(iris, _LIMBUS, 0.85 * smoothstep(0.68, 1.0, across))
    soft = np.radians(1.6)
    inside = 1 - smoothstep(IRIS_ANGLE - soft, IRIS_ANGLE + soft, angle)
    colour += inside[:, None] * (iris - colour)
    pupil = 1 - smoothstep(PUPIL_ANGLE - soft / 2, PUPIL_ANGLE + soft / 2, angle)
    blend(colour, LOOKS["pupil"].colour, pupil)

    rise = np.arcsin(np.clip(away[:, 1] / np.linalg.norm(away, axis=1), -1, 1))
    shade = 0.55 * smoothstep(np.radians(5), np.radians(24), rise)
    side = 0.35 * smoothstep(
        np.radians(30), np.radians(75), np.abs(np.arctan2(away[:, 0], away[:, 2]))
    )
    colour *= ((1 - shade) * (1 - side))[:, None]
    colours[eye, :3] = colour


def paint_lashes(canvas: Canvas, colours: NDArray, centres: NDArray) -> None:
    """Opacity of the lash strips: strands that thin out towards their tips."""
    lash = canvas.of("lashes")
    place = canvas.position[lash]
    centre = np.where(place[:, :1] > 0, centres[0], centres[1])
    away = place - centre
    upper = away[:, 1] > np.interp(np.abs(away[:, 0]), [0, 0.02], [0.001, -0.001])
    reach = np.linalg.norm(away, axis=1)
    outwards = away[:, 0] * np.sign(place[:, 0])
    root = 0.0164 + 0.6 * np.maximum(outwards - 0.010, 0)  # where the strip leaves the lid
    tip = np.clip((reach - root) / 0.0042, 0, 1)
    along = np.arctan2(away[:, 0], away[:, 2])
    strand = 0.5 + 0.5 * np.cos(along * 150 + 3 * noise(place, 0.004, 31))
    opacity = (1 - smoothstep(0.3, 1.0, tip)) * (0.45 + 0.55 * strand)
    colours[lash, 3] = opacity * np.where(upper, 0.95, 0.16)


def paint_teeth(canvas: Canvas, colours: NDArray) -> None:
    """Gaps between teeth, gums with a scalloped edge; the sides of the arches lie in the shade of
    the cheeks, their backs in that of the mouth."""
    teeth = canvas.of("teeth")
    place, normal = canvas.position[teeth], canvas.normal[teeth]
    rise = _ARCH_RISE * np.maximum(_ARCH_FRONT_Z - place[:, 2], 0)
    upper = place[:, 1] - rise > _BITE_Y
    outwards = place[:, [0, 2]] - [0, _ARCH_MIDDLE_Z]
    back = 1 - smoothstep(-0.35, 0.15, (normal[:, [0, 2]] * _unit(outwards)).sum(axis=1))
    colour = colours[teeth, :3]
    for row, widths, gum_y, shade in (
        (upper, _UPPER_TEETH_MM, _UPPER_GUM_Y, 1.08),  # lamps are above ...
        (~upper, _LOWER_TEETH_MM, _LOWER_GUM_Y, 0.82),  # ... the lower lip is in the way
    ):
        towards = 1 if row is upper else -1
        gumward = towards * (place[row, 1] - rise[row] - gum_y) + _BACK_GUM_M * back[row]
        colour[row] = shade * _tooth_row(place[row], colour[row], np.array(widths) / 1000, gumward)
    front = smoothstep(0.083, 0.117, place[:, 2])
    reached = 0.8 + 0.2 * smoothstep(0.05, 0.45, canvas.openness[teeth])
    light = (_THROAT + (1 - _THROAT) * front * reached) * (1 - 0.55 * back)
    colours[teeth, :3] = colour * light[:, None] ** _REDDENS


def _unit(vectors: NDArray) -> NDArray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def _tooth_row(place: NDArray, colour: NDArray, widths: NDArray, gumward: NDArray) -> NDArray:
    """Colours of a row; `gumward` (M,) metres beyond the edge of the gum."""
    along = _arch_length(place)
    edges = np.concatenate([[0], np.cumsum(widths)])
    tooth = np.clip(np.searchsorted(edges, along) - 1, 0, len(widths) - 1)
    middle = (edges[tooth] + edges[tooth + 1]) / 2
    side = np.abs(along - middle) / (widths[tooth] / 2)
    gumward = gumward + 0.0012 * side**2
    colour = colour * (1 + 0.015 * ((tooth * 7) % 3 - 1))[:, None]
    blend(colour, _TOOTH_ROOT, 0.6 * smoothstep(-0.006, 0, gumward))
    blend(colour, _TOOTH_GAP, 0.65 * smoothstep(0.86, 1.0, side))
    blend(colour, _GUM, smoothstep(-0.0004, 0.0006, gumward))
    return colour


def _arch_length(place: NDArray) -> NDArray:
    """(M,) metres along the dental arch from the midline: the arch is close to a parabola."""
    x = np.abs(place[:, 0])
    knots = np.linspace(0, 0.035, 71)
    depth = 0.042 * (knots / 0.030) ** 2.4
    steps = np.hypot(np.diff(knots), np.diff(depth))
    return np.interp(x, knots, np.concatenate([[0], np.cumsum(steps)]))


def paint_mouth(canvas: Canvas, colours: NDArray) -> None:
    """The cavity sinks into the dark towards the throat; the tongue has a furrow and a pale tip."""
    for name, throat, front in (("mouth", 0.086, 0.138), ("tongue", 0.084, 0.118)):
        which = canvas.of(name)
        place = canvas.position[which]
        colour = colours[which, :3]
        colour *= 1 + 0.06 * noise(place, 0.0016, 41)[:, None]
        if name == "tongue":
            above = smoothstep(-0.2, 0.4, canvas.normal[which, 1])
            colour *= 1 - 0.22 * (np.exp(-((place[:, 0] / 0.0020) ** 2)) * above)[:, None]
        reached = 0.6 + 0.4 * smoothstep(0.0, 0.5, canvas.openness[which])
        light = _THROAT + (0.9 - _THROAT) * smoothstep(throat, front, place[:, 2]) * reached
        colours[which, :3] = colour * light[:, None]
