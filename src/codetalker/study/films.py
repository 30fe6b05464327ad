"""Films of a study: what browsers play, whose sound is the same, and spoilt ones for checks.

In the flow speech -> features -> codes -> motion -> mesh -> **file**.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, repeat
from math import ceil
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from codetalker.audio import Waveform
from codetalker.errors import DataError
from codetalker.reading import Malformed, open_regular, refusing

STILL, OTHER = "still", "other sentence"
"""How films are spoilt: the face stands still, or says something else."""
_APART = 0.1
"""Seconds that sounds of the same recording may differ in: two frames of pictures, and padding."""
_ALIKE = 0.9
"""Correlation of the loudness of the same recording through two encoders, at least."""
_STEP = 160
"""Samples at 16 kHz of which the loudness is taken: 10 ms."""
_LATE = 5
"""Such steps that an encoder's delay may be."""
_COLOURS = ("color_range", "color_primaries", "color_trc", "colorspace")
"""What a film says of its colours; without it browsers show others."""
_REMEDY = "give a film with sound as `codetalker animate -o film.mp4` writes it"


@dataclass(frozen=True, eq=False)
class Heard:
    """What is heard with a film or motion.

    Attributes:
        path: of the film or motion.
        seconds: how long the sound is.
        loudness: (N,) root mean square of each 10 ms.
    """

    path: Path
    seconds: float
    loudness: NDArray[np.float64]


def check_film(path: Path) -> None:
    """See that browsers play a film.

    Raises:
        DataError: it is no MP4 of H.264 and AAC.
    """
    with _opened(path) as film:
        kinds = {stream.type: stream.codec_context.name for stream in film.streams}
    if (kinds["video"], kinds["audio"]) != ("h264", "aac"):
        raise DataError(
            f"{path} is of {kinds['video']} and {kinds['audio']}, not of H.264 and AAC, which "
            f"every browser plays; {_REMEDY}"
        )


def hear(path: Path, sound: Path) -> Heard:
    """Listen to the sound of a film or motion.

    Raises:
        AudioError: it cannot be read.
    """
    heard = Waveform.load(sound)
    whole = heard.samples[: len(heard.samples) // _STEP * _STEP].reshape(-1, _STEP)
    return Heard(path, heard.duration, np.sqrt(np.square(whole, dtype=np.float64).mean(axis=1)))


def check_same_sound(one: Heard, other: Heard) -> None:
    """See that two films or motions have the same sound.

    Raises:
        DataError: they differ in length or in what is heard.
    """
    if abs(one.seconds - other.seconds) > _APART:
        raise DataError(
            f"{one.path} lasts {one.seconds:.2f} s and {other.path} {other.seconds:.2f} s; give "
            "films of the same recording the same name"
        )
    if _likeness(one.loudness, other.loudness) < _ALIKE:
        raise DataError(
            f"{one.path} and {other.path} sound different; give films of the same recording the "
            "same name"
        )


def spoil(path: Path, sound: Path, pictures: Path, how: str) -> None:
    """Write a film with the sound of one film and the pictures of another, or only its first.

    Pictures that end before the sound begin again.

    Raises:
        DataError: a film cannot be read.
    """
    with _opened(pictures) as film:
        video = film.streams.video[0]
        shape, rate = (video.width, video.height), Fraction(video.average_rate or 25)
        colours = {name: getattr(video.codec_context, name) for name in _COLOURS}
    options = {"movflags": "+faststart"}
    with _opened(sound) as film, av.open(str(path), "w", "mp4", options) as out:
        stream = cast(VideoStream, out.add_stream("libx264", rate, {"crf": "18"}))
        (stream.width, stream.height), stream.pix_fmt = shape, "yuv420p"
        for name, value in colours.items():
            setattr(stream.codec_context, name, value)
        audio = out.add_stream_from_template(film.streams.audio[0])
        count = ceil((film.duration or 0) / av.time_base * rate)
        for i, picture in enumerate(islice(_frames(pictures, how), count)):
            frame = picture.reformat(format="yuv420p")
            frame.pts, frame.time_base, frame.pict_type = i, 1 / rate, PictureType.NONE
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        for packet in film.demux(film.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = audio
                out.mux(packet)


@contextmanager
def _opened(path: Path) -> Iterator[InputContainer]:
    """A film; nothing that it names is followed."""
    with (
        refusing(DataError, f"{path} is no film that can be read", _REMEDY),
        open_regular(path) as file,
        av.open(file, "r", "mp4") as film,
    ):
        if not film.streams.video or not film.streams.audio:
            raise Malformed("it lacks pictures or sound")
        yield film


def _frames(path: Path, how: str) -> Iterator[VideoFrame]:
    """The pictures of a film again and again, or its first without end."""
    while True:
        with _opened(path) as film:
            for frame in film.decode(film.streams.video[0]):
                yield frame
                if how == STILL:
                    yield from repeat(frame)


def _likeness(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The highest correlation, up to an encoder's delay; 1 of silence and silence."""
    count = min(len(one), len(other)) - _LATE
    if count < 2 or max(one.max(), other.max()) < 1e-3:
        return 1.0
    pairs = [(one[late:], other) for late in range(_LATE)]
    pairs += [(one, other[late:]) for late in range(_LATE)]
    with np.errstate(invalid="ignore"):
        found = [np.corrcoef(a[:count], b[:count])[0, 1] for a, b in pairs]
    return float(np.nan_to_num(found).max())
