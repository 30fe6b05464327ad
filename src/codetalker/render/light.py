"""Light of the preview pictures: a table over the directions that a surface can face.

All lamps are far away and the camera is far enough, so what a surface reflects depends on its
normal alone; looking it up is as good as computing it at every sample, and far cheaper.
Numbers are linear light, not sRGB.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

_SIDE = 256
"""Entries of the tables along the normal's x and y."""


@dataclass(frozen=True)
class Lamp:
    """A distant light: the direction towards it in camera space (x right, y up, z to the camera),
    its linear colour, and how strongly it shines back from smooth surfaces."""

    towards: tuple[float, float, float]
    colour: tuple[float, float, float]
    gloss: float = 1.0


STUDIO = (
    Lamp((-0.55, 0.60, 0.75), (1.14, 1.05, 0.94)),
    Lamp((0.80, 0.10, 0.55), (0.20, 0.24, 0.30), gloss=0.4),
    Lamp((0.75, 0.45, -0.55), (0.75, 0.80, 0.90), gloss=0.0),
    Lamp((-0.85, 0.25, -0.50), (0.35, 0.36, 0.40), gloss=0.0),
)
"""Key from the upper left, cool fill, and two rims from behind."""
_SKY, _GROUND = (0.28, 0.30, 0.34), (0.16, 0.12, 0.10)
"""Linear light from above and from below, chosen by eye."""
_MATT = 0.6
"""Roughness beyond which highlights fade, until chalk, 1, and the inside of a mouth have none."""
_WRAP = (0.30, 0.18, 0.12)
"""How far each colour of light creeps into the shadow: skin scatters red furthest."""


class LightTable:
    """What surfaces of the given roughnesses reflect, by the direction they face."""

    def __init__(self, roughness: tuple[float, ...], lamps: tuple[Lamp, ...] = STUDIO) -> None:
        axis = (np.arange(_SIDE, dtype=np.float32) + 0.5) * (2 / _SIDE) - 1
        x, y = np.meshgrid(axis, axis)
        long = np.maximum(np.hypot(x, y), 1.0)
        x, y = x / long, y / long
        normals = np.stack([x, y, np.sqrt(np.maximum(1 - x * x - y * y, 0))], axis=-1)
        self._diffuse = [plane.ravel() for plane in np.moveaxis(_diffuse(normals, lamps), -1, 0)]
        self._gloss = np.stack([_gloss(normals, lamps, r) for r in roughness]).ravel()

    def cell(self, x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.intp]:
        """Table entries for normals whose x and y are given, each (M,) within -1..1."""
        half = np.float32(_SIDE / 2)
        row = (y * half + half).astype(np.intp)
        row *= _SIDE
        row += (x * half + half).astype(np.intp)
        return row

    def diffuse(self, cell: NDArray[np.intp]) -> list[NDArray[np.float32]]:
        """Red, green and blue light that a white surface scatters, each (M,)."""
        return [plane.take(cell, mode="clip") for plane in self._diffuse]

    def gloss(self, cell: NDArray[np.intp], kind: NDArray[np.intp]) -> NDArray[np.float32]:
        """(M,) white light that surfaces of the `kind`-th roughness mirror."""
        return self._gloss.take(cell + kind * _SIDE**2, mode="clip")


def _diffuse(normals: NDArray[np.floating], lamps: tuple[Lamp, ...]) -> NDArray[np.float32]:
    up = normals[..., 1:2] * 0.5 + 0.5
    light = up * np.array(_SKY) + (1 - up) * np.array(_GROUND)
    wrap = np.array(_WRAP)
    for lamp in lamps:
        facing = (normals @ _unit(lamp.towards))[..., None]
        lit = np.maximum((facing + wrap) / (1 + wrap), 0)
        light += lit**1.3 * np.array(lamp.colour)
    return light.astype(np.float32)


def _gloss(
    normals: NDArray[np.floating], lamps: tuple[Lamp, ...], roughness: float
) -> NDArray[np.float32]:
    """Blinn-Phong highlights; the exponent is the usual match to a GGX lobe of that roughness."""
    alpha = max(roughness, 0.05) ** 2
    exponent = 2 / alpha**2 - 2
    strength = 0.04 * (exponent + 8) / 8 * min((1 - roughness) / (1 - _MATT), 1.0)
    view = np.array([0.0, 0.0, 1.0])
    light = np.zeros(normals.shape[:2])
    for lamp in lamps:
        towards = _unit(lamp.towards)
        halfway = _unit(towards + view)
        lit = np.maximum(normals @ towards, 0)
        peak = np.maximum(normals @ halfway, 0) ** exponent
        fresnel = 1 + 12 * (1 - halfway @ view) ** 5
        light += lamp.gloss * np.mean(lamp.colour) * fresnel * strength * peak * lit
    return np.minimum(light, 1.5).astype(np.float32)


def _unit(vector: ArrayLike) -> NDArray[np.floating]:
    array = np.asarray(vector, float)
    return array / np.linalg.norm(array)
