"""Film: samples in linear light -> pixels in sRGB, and the backdrop behind the head."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from codetalker.render.colour import linear_from_srgb, srgb_from_linear

_BACKDROP = ((0.25, 0.27, 0.31), (0.10, 0.11, 0.13))
"""sRGB in the middle and at the corners of the picture."""
_TONES = 4096
"""Steps of the tone curve: 16 for each of the 256 that a pixel can take."""
_SHOULDER, _BRIGHTEST = 0.6, 1.5
"""Linear light: where the tone curve starts to bend, and what becomes white."""
_FADE = 0.09
"""Share of the picture's height over which a portrait fades out at the bottom."""


class Film:
    """Turns the samples of a picture into pixels.

    Args:
        size: pixels along each side.
        samples: samples per pixel along each side.
        backdrop: (3, side * side) linear light of the samples, what a fading portrait ends in.
        fade: whether the picture fades into the backdrop at the bottom.
    """

    def __init__(self, size: int, samples: int, backdrop: NDArray[np.float32], fade: bool) -> None:
        self._size, self._samples = size, samples
        tones = srgb_from_linear(_curve(np.linspace(0, _BRIGHTEST, _TONES)))
        self._tones = np.rint(255 * tones).astype(np.uint8)
        self._first = size - round(size * _FADE) if fade else size
        t = np.linspace(0, 1, size - self._first, dtype=np.float32)[:, None]
        self._keep = (1 - t) ** 2 * (1 + 2 * t)
        self._behind = [self._average(plane)[self._first :] for plane in backdrop]

    def develop(self, planes: NDArray[np.float32]) -> NDArray[np.uint8]:
        """(3, side * side) linear light -> (size, size, 3) uint8 sRGB."""
        picture = np.empty((self._size, self._size, 3), np.uint8)
        for channel, plane in enumerate(planes):
            light = self._average(plane)
            edge, behind = light[self._first :], self._behind[channel]
            edge += (1 - self._keep) * (behind - edge)
            light *= np.float32((_TONES - 1) / _BRIGHTEST)
            picture[:, :, channel] = self._tones.take(light.astype(np.intp), mode="clip")
        return picture

    def _average(self, plane: NDArray[np.float32]) -> NDArray[np.float32]:
        """(side * side,) -> (size, size), the mean of each pixel's samples."""
        n = self._samples
        rows = plane.reshape(self._size, n, self._size * n)
        total = rows[:, 0].copy()
        for i in range(1, n):
            total += rows[:, i]
        columns = total.reshape(self._size, self._size, n)
        mean = columns[:, :, 0].copy()
        for i in range(1, n):
            mean += columns[:, :, i]
        mean *= np.float32(1 / n**2)
        return mean


def backdrop(side: int) -> NDArray[np.float32]:
    """(3, side * side) linear light: a soft glow behind the head."""
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    away = np.clip(np.hypot(axis[:, None] + 0.1, axis) / 1.3, 0, 1)
    glow = (1 - away**2 * (3 - 2 * away)).ravel()
    middle, corner = linear_from_srgb(np.array(_BACKDROP)).astype(np.float32)
    return corner[:, None] + (middle - corner)[:, None] * glow


def _curve(light: NDArray[np.floating]) -> NDArray[np.floating]:
    """Tone curve 0.._BRIGHTEST -> 0..1, straight below the shoulder: highlights do not clip."""
    over = np.maximum(light - _SHOULDER, 0) / (_BRIGHTEST - _SHOULDER)
    slope = (_BRIGHTEST - _SHOULDER) / (1 - _SHOULDER)
    return np.minimum(light, _SHOULDER) + (1 - _SHOULDER) * (1 - (1 - over) ** slope)
