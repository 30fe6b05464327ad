"""Hair of the bundled head: close-cropped, painted on the scalp, and eyebrows hair by hair."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from head_brush import blend, noise, segment_distance, smoothstep
from head_canvas import Canvas
from head_surface import above_hairline

_HAIR, _HAIR_LIGHT = (0.105, 0.068, 0.048), (0.25, 0.165, 0.115)
_BROW_HAIRS = 380
_BROW_DROP, _BROW_ARCH = -0.0045, 0.70
"""The landmarks lie on the ridge: brows lie a little lower (metres) and are flatter."""
_BROW_HAIR = (0.17, 0.115, 0.09)


def paint_hair(canvas: Canvas, colours: NDArray) -> None:
    """Cropped hair with a soft hairline; ears stay bare."""
    skin = canvas.of("skin", "hair")
    place = canvas.position[skin]
    ragged = 0.0020 * noise(place, 0.009, 11) + 0.0030 * noise(place * [1, 0.4, 1], 0.0009, 12)
    cover = smoothstep(-0.005, 0.012, above_hairline(place) + ragged)
    grain = 0.5 + 0.5 * noise(place, 0.0010, 13)
    strand = 0.5 + 0.5 * noise(place * [1, 0.35, 1], 0.0016, 14)
    colour = colours[skin, :3]
    light = np.array(_HAIR) + (0.7 * grain * strand)[:, None] * (
        np.array(_HAIR_LIGHT) - np.array(_HAIR)
    )
    colour += (cover * (0.80 + 0.16 * grain))[:, None] * (light - colour)
    colours[skin, :3] = colour


def paint_brows(canvas: Canvas, colours: NDArray, landmarks: NDArray) -> None:
    """Two eyebrows along landmarks 17-21 and 22-26, drawn hair by hair over a soft shadow."""
    skin = canvas.of("skin", "hair")
    for outer_first in (landmarks[17:22], landmarks[26:21:-1]):
        curve = outer_first[::-1].copy()
        curve[:, 1] = (
            _BROW_DROP + curve[:, 1].mean() + _BROW_ARCH * (curve[:, 1] - curve[:, 1].mean())
        )
        here = skin[np.linalg.norm(canvas.position[skin] - curve[2], axis=1) < 0.035]
        here = here[canvas.normal[here, 2] > 0]
        place = canvas.position[here]
        ink = np.zeros(len(here))
        outwards = canvas.normal[here].mean(axis=0)
        outwards /= np.linalg.norm(outwards)

        def flat(points: NDArray, outwards: NDArray = outwards) -> NDArray:
            return points - (points @ outwards)[..., None] * outwards

        rng = np.random.default_rng(17)
        for _ in range(_BROW_HAIRS):
            start, end, width, dark = _brow_hair(curve, rng)
            distance, along = segment_distance(flat(place), flat(start), flat(end))
            thin = width * (1 - 0.75 * along)
            stroke = dark * np.clip(1.2 - distance / thin, 0, 1)
            ink = 1 - (1 - ink) * (1 - stroke)
        colour = colours[here, :3]
        blend(colour, _BROW_HAIR, 0.88 * ink)
        colours[here, :3] = colour


def _brow_hair(curve: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray, float, float]:
    """One hair: root, tip (metres), half width (metres) and strength. Inner hairs stand upright,
    outer ones lie along the brow, those of the upper edge bend down into it."""
    t = rng.uniform() ** 0.9
    knots = np.linspace(0, 1, len(curve))
    centre = np.array([np.interp(t, knots, curve[:, i]) for i in range(3)])
    ahead = np.array([np.interp(min(t + 0.05, 1.05), knots, curve[:, i]) for i in range(3)])
    back = np.array([np.interp(max(t - 0.05, 0), knots, curve[:, i]) for i in range(3)])
    outwards = (ahead - back) / np.linalg.norm(ahead - back)
    height = np.interp(t, [0, 0.12, 0.5, 0.85, 1], [0.0050, 0.0080, 0.0075, 0.0045, 0.0018])
    level = rng.uniform(-0.5, 0.5)
    upwards = np.interp(t, [0, 0.15, 0.45, 1], [1.3, 0.75, 0.30, 0.05]) - 0.9 * max(level, 0) * t
    direction = outwards + np.array([0, upwards + rng.normal(0, 0.10), 0])
    direction /= np.linalg.norm(direction)
    length = np.interp(t, [0, 0.3, 0.8, 1], [0.0055, 0.0085, 0.0075, 0.0050]) * rng.uniform(
        0.8, 1.15
    )
    root = centre + np.array([0, level * height, 0])
    root[2] += 0.001
    return root, root + length * direction, 0.00045, rng.uniform(0.25, 0.60)
