"""The contact sheet: what was filmed beside what the rig does, to look at.

One HTML file without any reference to elsewhere. It holds frames of the videos, so it stays with
the user who made them.
"""

from __future__ import annotations

from base64 import b64encode
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codetalker.capture.clips import Captured, Clip
from codetalker.capture.film import pictures
from codetalker.disk import replacing
from codetalker.evaluation.lipgap import gap_basis
from codetalker.render.image import encode_jpeg
from codetalker.render.renderer import Renderer
from codetalker.rig import bundled_head

_MOMENTS = 6
_SIZE = 192
"""Pixels of each picture."""
_MOST_CLIPS = 100
_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Capture</title><style>
body{font:14px system-ui,sans-serif;margin:24px;color:#222}h2{margin:28px 0 4px;font-size:16px}
p{margin:4px 0;color:#555}img{height:192px;margin:1px;vertical-align:top}li{margin:2px 0}
</style><h1>Capture</h1>"""


def write_sheet(path: Path, found: Captured) -> None:
    """Write some moments of each clip, from the lips shut to the mouth open, and what was rejected.

    Raises:
        OutputError: it cannot be written there.
    """
    renderer = Renderer.of(bundled_head(), _SIZE)
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(_HEAD)
        for clip in found.clips[:_MOST_CLIPS]:
            file.write(f"<h2>{escape(clip.name)}</h2><p>{escape(_caption(clip))}</p>")
            moments = _moments(clip)
            filmed = _filmed(clip, moments)
            for row in (filmed, _rendered(clip, moments, renderer)):
                file.write("<div>" + "".join(map(_image, row)) + "</div>")
        if len(found.clips) > _MOST_CLIPS:
            file.write(f"<p>... and {len(found.clips) - _MOST_CLIPS} more clips</p>")
        if found.rejected:
            lines = (
                f"<li>{escape(r.recording.motion.name)} at {r.start:.1f} s: {escape(r.reason)}</li>"
                for r in found.rejected
            )
            file.write(f"<h2>Rejected</h2><ul>{''.join(lines)}</ul>")


def _caption(clip: Clip) -> str:
    parts = [f"{clip.motion.duration:.1f} s"]
    if clip.quality is not None:
        parts.append(f"lips {clip.quality.lip_residual_mm:.2f} mm off")
        if clip.quality.gap_correlation is not None:
            parts.append(f"lip gap correlation {clip.quality.gap_correlation:.3f}")
    if clip.offset is not None:
        parts.append(f"sound {clip.offset.seconds * 1000:+.0f} ms")
    return ", ".join(parts)


def _moments(clip: Clip) -> list[int]:
    """Frames from the smallest lip gap to the largest, at equal steps among all."""
    gap = clip.motion.weights @ gap_basis(bundled_head())
    order = np.argsort(gap, kind="stable")
    return [int(order[i]) for i in np.linspace(0, len(order) - 1, _MOMENTS).astype(int)]


def _rendered(clip: Clip, moments: list[int], renderer: Renderer) -> list[NDArray[np.uint8]]:
    vertices = clip.motion[:].on().rig.vertices(clip.motion.weights[moments])
    return [renderer.frame(face) for face in vertices]


def _filmed(clip: Clip, moments: list[int]) -> list[NDArray[np.uint8]]:
    """The film's frames there; none for a take."""
    if clip.recording.kind != "film":
        return []
    wanted = {clip.start + frame / clip.motion.fps: i for i, frame in enumerate(moments)}
    found: dict[int, NDArray[np.uint8]] = {}
    half = 0.5 / clip.motion.fps
    for picture in pictures(clip.recording.motion):
        for time, place in list(wanted.items()):
            if picture.time >= time - half:
                found[place] = _small(picture.pixels)
                del wanted[time]
        if not wanted:
            break
    return [found[place] for place in sorted(found)]


def _small(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Every so many pixels, as high as the rig's picture at least."""
    step = max(1, pixels.shape[0] // _SIZE)
    small = pixels[::step, ::step]
    return np.ascontiguousarray(small[: len(small) // 2 * 2, : small.shape[1] // 2 * 2])


def _image(pixels: NDArray[np.uint8]) -> str:
    return f'<img src="data:image/jpeg;base64,{b64encode(encode_jpeg(pixels)).decode()}">'
