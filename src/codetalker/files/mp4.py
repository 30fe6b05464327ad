"""MP4: a video of the talking head, H.264 with AAC sound.

In the flow ... -> motion -> mesh -> picture -> **file**. Frame 0 and audio sample 0 share time 0.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace
from av.video.stream import VideoStream
from numpy.typing import NDArray

from codetalker.errors import OptionError, OutputError
from codetalker.files.sound_track import SoundTrack
from codetalker.render.renderer import Renderer

if TYPE_CHECKING:
    from codetalker.animation import Animation

_FRAMES_AT_ONCE = 32
"""Meshes posed in one go: 2 MB of the bundled head, however long the motion is."""
_SMALLEST, _LARGEST = 16, 4096
"""Pixels: one macroblock, and what H.264 decoders of level 5.1 take."""
_H264 = {"crf": "18", "preset": "veryfast"}
_BT709 = 1
"""ITU-T H.273 code of BT.709, for primaries, transfer curve and matrix."""


def write_mp4(
    path: str | os.PathLike[str],
    animation: Animation,
    *,
    size: int = 512,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Film an animation; without audio the video has no sound track.

    Args:
        path: the file to write; it is complete only when this returns.
        animation: what the face does, and the sound that goes with it.
        size: pixels along each side, even, 16 to 4096.
        progress: called with (frames done, frames in all) after each frame.

    Raises:
        OptionError: the size is odd or out of range.
        OutputError: the motion has no frames.
    """
    if size % 2 or not _SMALLEST <= size <= _LARGEST:
        raise OptionError(
            f"size {size} does not make a video; choose an even number of pixels "
            f"from {_SMALLEST} to {_LARGEST}"
        )
    if not len(animation):
        raise OutputError(f"{path}: the motion has no frames to film; give it longer audio")
    with av.open(os.fspath(path), "w", format="mp4", options={"movflags": "+faststart"}) as film:
        rate = Fraction(animation.fps).limit_denominator(1001)
        pictures = _video_stream(film, rate, size)
        sound = SoundTrack(film, "aac", animation.audio) if animation.audio is not None else None
        renderer = Renderer.of(animation.rig, size, head_turns=animation.head is not None)
        for i, vertices in enumerate(_posed(animation)):
            if sound:
                sound.write_until((i + 1) / animation.fps)
            frame = VideoFrame.from_ndarray(renderer.frame(vertices), format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
            frame.pts, frame.time_base = i, 1 / rate
            film.mux(pictures.encode(frame))
            if progress:
                progress(i + 1, len(animation))
        film.mux(pictures.encode(None))
        if sound:
            sound.finish()


def _video_stream(film: OutputContainer, rate: Fraction, size: int) -> VideoStream:
    stream = film.add_stream("libx264", rate=rate, options=_H264)
    stream.width = stream.height = size
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.color_primaries = context.color_trc = context.colorspace = _BT709
    return stream


def _posed(animation: Animation) -> Iterator[NDArray[np.float32]]:
    """The face of each frame, (V, 3) metres."""
    for start in range(0, len(animation), _FRAMES_AT_ONCE):
        yield from animation.vertices(slice(start, start + _FRAMES_AT_ONCE))
