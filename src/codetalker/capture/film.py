"""Film: the pictures of a video file, upright and on the clock of its sound.

In the flow **film** -> landmarks -> still head -> weights -> corpus. Times are those that the file
stamps, whatever its frame rate says, from the first picture on, as in `codetalker.sound_file`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from codetalker.errors import DataError
from codetalker.media import opened, parts_of
from codetalker.reading import refusing
from codetalker.sound_file import begins, moving_pictures

_LONGEST_SIDE = 1280
"""Pixels: a tracker looks at less."""
_LARGEST = 8192 * 8192


@dataclass(frozen=True, eq=False)
class Picture:
    """One frame of a film.

    Attributes:
        time: seconds from the first one.
        pixels: (H, W, 3) uint8, RGB, as it is to be seen.
    """

    time: float
    pixels: NDArray[np.uint8]


def pictures(path: Path) -> Iterator[Picture]:
    """The frames of a film, all of one size, no side longer than 1280; damaged ones are left out.

    Raises:
        DataError: it cannot be read, or has no moving pictures.
    """
    with _opened(path) as (source, stream):
        start, last = begins(source) or 0.0, -np.inf
        size: tuple[int, ...] | None = None
        for frame in _decoded(source, stream):
            if frame.pts is None or frame.time_base is None:
                continue
            time = float(frame.pts * frame.time_base) - start
            if time <= last or frame.width * frame.height > _LARGEST:
                continue
            pixels = _upright(frame, float(stream.sample_aspect_ratio or 1))
            size = size or pixels.shape
            if pixels.shape == size:
                last = time
                yield Picture(time, pixels)


def length(path: Path) -> float | None:
    """Seconds of a film, as far as it tells.

    Raises:
        DataError: it cannot be read, or has no moving pictures.
    """
    with _opened(path) as (source, stream):
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        return None if source.duration is None else source.duration / av.time_base


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    remedy = "convert it to MP4"
    with (
        refusing(DataError, f"the pictures of {path} cannot be decoded", remedy),
        parts_of(path) as parts,
        opened(parts[0], path, ("audio", "video")) as source,
    ):
        films = moving_pictures(source)
        if not films:
            raise DataError(f"{path} has no moving pictures; name a video of a face")
        films[0].thread_type = "AUTO"
        yield source, films[0]


def _decoded(source: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """The frames; a packet that is damaged costs itself alone."""
    try:
        for packet in source.demux(stream):
            try:
                yield from packet.decode()
            except av.error.FFmpegError:
                continue
    except av.error.FFmpegError:
        return


def _upright(frame: VideoFrame, aspect: float) -> NDArray[np.uint8]:
    """(H, W, 3), square pixels, turned as the file says."""
    width, height = frame.width * aspect, float(frame.height)
    scale = min(1.0, _LONGEST_SIDE / max(width, height))
    pixels = frame.to_ndarray(
        format="rgb24", width=round(width * scale), height=round(height * scale)
    )
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)), np.uint8)
