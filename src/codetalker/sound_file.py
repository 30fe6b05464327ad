"""Sound of a file: its samples on the clock of the film that they belong to.

In the flow **speech** -> features -> codes -> motion. Time 0 is where the pictures begin, or the
sound where there are none. What the time stamps say is missing, packets that were dropped or
damaged, is silence; a track that begins late begins late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import av.error
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream
from numpy.typing import NDArray

from codetalker.downmix import as_floats
from codetalker.errors import AudioError
from codetalker.media import opened, parts_of
from codetalker.reading import refusing

_LARGEST = {"ac3": 3840, "eac3": 4096, "mp3": 1792}
"""Bytes of a frame, at most, in files without time stamps: a larger packet swallowed a damaged
stretch (ETSI TS 102 366, ISO 11172-3)."""
_JITTER = 0.03
"""Seconds by which time stamps may be off: what is less is rounding."""
_TOLD = 0.05
"""Seconds that are missing, from where on they are told."""
_BEYOND = 1.0
"""Seconds after the end that the container tells, from where on time stamps are wrong."""
_BATCH = 1.0
"""Seconds of the pieces, at least: decoded frames may hold 10 ms only."""
_MAX_SILENCE = 24 * 3600.0
_MAX_CUT, _CUT_SHARE = 1.0, 0.02
"""Seconds, and share of the sound, that may be cut where time stamps overlap: slow clocks and
stretches that were decoded from damage, but no stamps that are wrong throughout."""

Note = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Piece:
    """Some samples, without a gap after those before.

    Attributes:
        samples: (N, C) float32, full scale -1..1.
        rate: Hz.
        layout: of the channels, as FFmpeg calls it: `mono`, `stereo`, `5.1`.
    """

    samples: NDArray[np.float32]
    rate: int
    layout: str

    @property
    def channels(self) -> tuple[str, ...]:
        """C names, as FFmpeg has them: `FL`, `FC`."""
        return tuple(channel.name for channel in av.AudioLayout(self.layout).channels)


@dataclass(frozen=True)
class _Lost:
    """Sound that is missing without a gap in the time stamps, in seconds."""

    seconds: float


def pieces(path: Path, track: int | None = None, note: Note = lambda line: None) -> Iterator[Piece]:
    """The sound of a file, in pieces of about a second.

    Args:
        path: a file or pipe; `-` is standard input.
        track: which of its sound tracks, from 1; the default one for None.
        note: told in a line what is missing or damaged.

    Raises:
        AudioError: it cannot be read, or there is no such track.
    """
    remedy = "convert it to WAV or FLAC"
    with (
        refusing(AudioError, f"the sound of {path} cannot be decoded", remedy),
        parts_of(path) as parts,
    ):
        for part in parts:
            with opened(part, path) as source:
                yield from _joined(_placed(source, _track(source, path, track), path, note))


def _joined(parts: Iterator[Piece]) -> Iterator[Piece]:
    """The same in pieces of a second or more."""
    held: list[Piece] = []
    for part in parts:
        if held and (part.rate, part.layout) != (held[0].rate, held[0].layout):
            yield _one(held)
            held = []
        held.append(part)
        if sum(len(p.samples) for p in held) >= _BATCH * part.rate:
            yield _one(held)
            held = []
    if held:
        yield _one(held)


def _one(parts: list[Piece]) -> Piece:
    samples = np.concatenate([part.samples for part in parts])
    return Piece(samples, parts[0].rate, parts[0].layout)


def _placed(source: InputContainer, stream: AudioStream, path: Path, note: Note) -> Iterator[Piece]:
    """The decoded frames, with silence where time stamps leave room."""
    start = begins(source, stream)
    end = None if source.duration is None else source.duration / av.time_base
    at = 0.0  # seconds of sound so far
    shift = None if start is None else -start  # from time stamps to seconds of sound
    damaged, missing, first_missing, cut_off = 0, 0.0, 0.0, 0.0
    decoded = False
    for frame in _decoded(source, stream):
        if frame is None:
            damaged += 1
            continue
        if isinstance(frame, _Lost):
            shift = frame.seconds + (shift or 0.0)
            continue
        stamp = None if frame.pts is None else float(frame.pts * (frame.time_base or 0))
        samples, rate = _floats(frame), frame.sample_rate
        if stamp is not None:
            if shift is None:
                shift = -stamp
            gap = stamp + shift - at
            if not decoded and gap < 0:  # before the pictures
                cut = min(len(samples), round(-gap * rate))
                at_stamp = stamp + shift + cut / rate
                samples = samples[cut:]
                if not len(samples):
                    continue
                gap = at_stamp - at
            believed = end is None or stamp + shift <= end + _BEYOND
            if gap > _JITTER and believed and gap < _MAX_SILENCE:
                if decoded:
                    first_missing = first_missing if missing else at
                    missing += gap
                yield from _silence(gap, rate, _layout(frame), samples.shape[1])
                at += gap
            elif gap < -_JITTER and decoded and cut_off - gap < _MAX_CUT + _CUT_SHARE * at:
                overlap = min(len(samples), round(-gap * rate))
                samples = samples[overlap:]
                cut_off += overlap / rate
            elif abs(gap) > _JITTER:
                shift -= gap  # another clock from here on
        decoded = True
        yield Piece(samples, rate, _layout(frame))
        at += len(samples) / rate
    if not decoded:
        if damaged:
            raise AudioError(f"the sound of {path} cannot be decoded; convert it to WAV or FLAC")
        raise AudioError(f"{path} holds no sound samples; check the recording")
    if missing > _TOLD:
        note(
            f"{path}: {missing:.1f} s of sound are missing, first at {first_missing:.1f} s; "
            "there is silence in their place"
        )
    elif damaged:
        note(f"{path}: the sound is damaged in {damaged} places; it may be shorter than it was")


def _silence(seconds: float, rate: int, layout: str, channels: int) -> Iterator[Piece]:
    left = round(seconds * rate)
    while left > 0:
        count = min(left, rate)
        yield Piece(np.zeros((count, channels), np.float32), rate, layout)
        left -= count


def _decoded(source: InputContainer, stream: AudioStream) -> Iterator[av.AudioFrame | _Lost | None]:
    """The frames of a track; None for a packet that is damaged, which costs itself alone; what was
    lost in a packet, where time stamps do not tell."""
    largest = _LARGEST.get(source.format.name)
    size, seconds = 0, 0.0
    try:
        for packet in source.demux(stream):
            duration = float((packet.duration or 0) * (packet.time_base or 0))
            if largest is None or packet.size <= largest:
                size, seconds = size + packet.size, seconds + duration
            elif size and seconds:
                yield _Lost(packet.size / size * seconds - duration)
            try:
                yield from packet.decode()
            except av.error.FFmpegError:
                yield None
    except av.error.FFmpegError:
        yield None


def _layout(frame: av.AudioFrame) -> str:
    """What the channels are; one or two of which nothing is known are the usual ones."""
    return {1: "mono", 2: "stereo"}.get(frame.layout.nb_channels, frame.layout.name)


def _floats(frame: av.AudioFrame) -> NDArray[np.float32]:
    """(N, C) float32 of a decoded frame of any sample type."""
    if frame.format.name.startswith("s64"):
        frame.pts = None
        (frame,) = av.AudioResampler("dbl", frame.layout, frame.sample_rate).resample(frame)
    array = frame.to_ndarray()
    array = array.T if frame.format.is_planar else array.reshape(-1, frame.layout.nb_channels)
    return as_floats(array)


def moving_pictures(source: InputContainer) -> list[VideoStream]:
    """The film's tracks, of which the cover of an album is none."""
    return [s for s in source.streams.video if not s.disposition & Disposition.attached_pic]


def begins(source: InputContainer, sound: AudioStream | None = None) -> float | None:
    """Seconds of the first picture on the container's clock; of the sound without moving pictures;
    None where nothing is stamped."""
    starts = [
        float(stream.start_time * (stream.time_base or 0))
        for stream in moving_pictures(source) or [sound]
        if stream is not None and stream.start_time is not None
    ]
    return min(starts, default=None)


def _track(source: InputContainer, path: Path, track: int | None) -> AudioStream:
    tracks = source.streams.audio
    if not tracks:
        raise AudioError(f"{path} has no sound track; name a file with speech in it")
    if track is None:
        default = [t for t in tracks if t.disposition & Disposition.default]
        return (default or list(tracks))[0]
    if not 1 <= track <= len(tracks):
        there = ", ".join(f"{i} ({_described(t)})" for i, t in enumerate(tracks, 1))
        raise AudioError(f"{path} has no sound track {track}; it has {there}")
    return tracks[track - 1]


def _described(stream: AudioStream) -> str:
    parts = (stream.language, stream.codec_context.name, stream.metadata.get("title"))
    return " ".join(part for part in parts if part)
