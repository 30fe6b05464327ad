"""Strip: rendered frames of a motion in a row over the waveform that goes with them.

For documentation and for looking at a result: which sound is seen with which mouth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codetalker.animation import Animation
from codetalker.audio import Waveform
from codetalker.errors import OptionError
from codetalker.render.camera import Camera
from codetalker.render.renderer import Renderer
from codetalker.rig import Rig

_PAPER, _INK, _MARK = (255, 255, 255), (58, 84, 120), (214, 96, 64)
"""sRGB."""
_MARGIN = 6
"""Pixels."""
_MOST_FRAMES = 200
"""A picture wider than that opens nowhere."""


@dataclass(frozen=True)
class Strip:
    """How a strip looks.

    Attributes:
        tile: pixels along each side of a frame.
        wave: pixels that the waveform is high.
        mouth: show the mouth alone, rather than the whole face.
    """

    tile: int = 160
    wave: int = 90
    mouth: bool = True


def strip(
    animation: Animation,
    times: Sequence[float] | int = 8,
    *,
    look: Strip | None = None,
) -> NDArray[np.uint8]:
    """A picture of frames over the waveform, each frame joined by a line to its time.

    Args:
        animation: what the face does; without audio the lower part shows the lips' opening
            instead.
        times: seconds to show, or how many frames to spread evenly.
        look: sizes; the defaults of `Strip` for None.

    Returns:
        (H, W, 3) uint8 sRGB, W = number of frames times the tile's size.

    Raises:
        OptionError: no frames are asked for, more than 200, or a time lies outside the motion.
    """
    look, rig = look or Strip(), animation.rig
    seconds = _times(animation.duration, times)
    renderer = Renderer.of(
        rig,
        look.tile,
        camera=_mouth_camera(rig) if look.mouth else None,
        head_turns=animation.head is not None,
    )
    frames = [min(int(t * animation.fps + 0.5), len(animation) - 1) for t in seconds]
    tiles = [renderer.frame(animation.mesh(frame).vertices) for frame in frames]
    columns = look.tile * len(tiles)
    if animation.audio is None:
        low, high = _opening(animation, columns)
    else:
        low, high = envelope(animation.audio, animation.duration, columns)
    return tiles_over_curve(
        tiles, [t / animation.duration for t in seconds], low, high, height=look.wave
    )


def tiles_over_curve(
    tiles: Sequence[NDArray[np.uint8]],
    at: Sequence[float],
    low: NDArray[np.floating],
    high: NDArray[np.floating],
    *,
    height: int = 90,
) -> NDArray[np.uint8]:
    """N pictures in a row over a curve, each joined by a line to where it belongs.

    Args:
        tiles: (h, w, 3) uint8 each.
        at: 0 (left end of the curve) to 1 (right end), for each tile.
        low, high: (N * w,) the curve's lower and upper edge in each column, -1..1.
        height: pixels that the curve is high.
    """
    row = np.concatenate(tiles, axis=1)
    chart = np.full((height + 3 * _MARGIN, row.shape[1], 3), _PAPER, np.uint8)
    _bars(chart[2 * _MARGIN : 2 * _MARGIN + height], low, high)
    for i, (tile, place) in enumerate(zip(tiles, at, strict=True)):
        _join(chart, (i + 0.5) * tile.shape[1], place * row.shape[1])
    return np.concatenate([row, chart])


def _times(duration: float, times: Sequence[float] | int) -> list[float]:
    if isinstance(times, int):
        times = [(i + 0.5) * duration / max(times, 1) for i in range(times)]
    chosen = [float(t) for t in times]
    if not 0 < len(chosen) <= _MOST_FRAMES:
        raise OptionError(f"a strip of {len(chosen)} frames; ask for 1 to {_MOST_FRAMES}")
    for t in chosen:
        if not 0 <= t < max(duration, 1e-9):
            raise OptionError(
                f"{t:g} s lies outside the motion; choose times from 0 to {duration:g} s"
            )
    return chosen


def _mouth_camera(rig: Rig) -> Camera | None:
    """Nose tip to chin, from iBUG-68 landmarks; None if the rig has none."""
    if not len(rig.landmarks):
        return None
    points = rig.template[rig.landmarks]
    top, chin, depth = float(points[30, 1]), float(points[8, 1]), float(points[48:60, 2].mean())
    extent = 1.25 * (top - chin)
    return Camera((0.0, (top + chin) / 2 - 0.02 * extent, depth), extent, 8 * extent)


def envelope(
    audio: Waveform, duration: float, columns: int
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Lowest and highest sample of each column, -1..1 of the loudest."""
    edges = np.linspace(0, duration * audio.rate, columns + 1).astype(int)
    samples = np.zeros(max(edges[-1], edges[1]) + 1, np.float32)
    heard = audio.samples[: len(samples)]
    samples[: len(heard)] = heard
    scale = max(float(np.abs(samples).max()), 1e-6)
    low = np.minimum.reduceat(samples, edges[:-1]) / scale
    return low, np.maximum.reduceat(samples, edges[:-1]) / scale


def _opening(
    animation: Animation, columns: int
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Lip gap over its rest value in each column, from the bottom of the band: -1..1."""
    rig = animation.rig
    if not rig.lip_gap.shape[1]:
        return np.full(columns, -1.0), np.full(columns, -1.0)
    gap = animation.weights @ rig.lip_gap_basis.mean(axis=1)
    at = (np.arange(columns) + 0.5) / columns * len(gap)
    height = gap[np.minimum(at.astype(int), len(gap) - 1)] / max(float(np.abs(gap).max()), 1e-6)
    return np.full(columns, -1.0), 2 * np.clip(height, 0, 1) - 1


def _bars(band: NDArray[np.uint8], low: NDArray[np.floating], high: NDArray[np.floating]) -> None:
    """Fill each column of a picture from `low` to `high`, -1 being its lower edge, 1 its upper."""
    rows = np.arange(len(band))[:, None]
    half = (len(band) - 1) / 2
    inside = (rows >= np.floor(half * (1 - high))) & (rows <= np.ceil(half * (1 - low)))
    band[inside] = _INK


def _join(chart: NDArray[np.uint8], tile_x: float, time_x: float) -> None:
    """A line from under a frame's middle to its time, and down through the waveform."""
    rows = np.arange(len(chart))
    x = np.interp(rows, [0, 2 * _MARGIN], [tile_x, time_x])
    chart[rows, np.clip(x.astype(int), 0, chart.shape[1] - 1)] = _MARK
