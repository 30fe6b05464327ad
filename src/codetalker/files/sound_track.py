"""Sound track: the recording's own sound in a file that carries sound.

In the flow speech -> features -> codes -> motion -> mesh -> **file**. The recording is read again,
at its rate and with its channels; where it is gone, came out of a pipe, or never was a file, what
the model heard stands in for it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from fractions import Fraction
from typing import cast

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer

from codetalker.audio import Waveform
from codetalker.errors import AudioError, SoundWarning
from codetalker.sound_file import Piece, pieces

_RATES = {
    "aac": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000),
    "flac": (8000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 176400, 192000),
}
"""Hz that a codec and those who play it take; another rate becomes the next higher one."""
_USUAL = 48_000
"""Hz, of sound that is in no file: AAC starts the sooner, the higher the rate."""
_LAYOUTS = ("mono", "stereo", "5.1")
"""Channels that everybody plays; others become two."""
_BITS_PER_CHANNEL, _BITS_PER_SAMPLE = 160_000, 4
"""A second, at most: AAC that leaves speech and music as they are to the ear."""
_BAND = 20_000
"""Hz, up to which AAC keeps the sound."""


def own_sound(audio: Waveform) -> Iterator[Piece]:
    """The sound of the recording in pieces of about a second, or what was heard of it."""
    done = 0.0
    if audio.source is not None:
        path, track = audio.source.path, audio.source.track
        try:
            if not path.is_file():
                raise AudioError(f"{path} is no file that can be read again")
            for piece in pieces(path, track):
                yield piece
                done += len(piece.samples) / piece.rate
            return
        except AudioError as error:
            line = f"{error}; the film has the sound as the model hears it"
            warnings.warn(line, SoundWarning, stacklevel=2)
    for start in range(round(done * audio.rate), len(audio.samples), audio.rate):
        part = np.clip(audio.samples[start : start + audio.rate], -1, 1)
        yield Piece(part[:, None].astype(np.float32), audio.rate, "mono")


class SoundTrack:
    """The sound of a file, written piece by piece so that it lies beside its pictures.

    Args:
        container: the file.
        codec: `aac` or `flac`.
        audio: the recording.
    """

    def __init__(self, container: OutputContainer, codec: str, audio: Waveform) -> None:
        self._container = container
        self._pieces = own_sound(audio)
        self._next = next(self._pieces)
        least = self._next.rate
        if codec == "aac" and audio.source is None:
            least = max(least, _USUAL)
        rate = next((r for r in _RATES[codec] if r >= least), _RATES[codec][-1])
        layout = self._next.layout if self._next.layout in _LAYOUTS else "stereo"
        channels = _LAYOUTS.index(layout) + 1 if layout != "5.1" else 6
        options = {"cutoff": str(min(_BAND, rate // 2))} if codec == "aac" else {}
        self._stream = cast(
            AudioStream, container.add_stream(codec, rate=rate, layout=layout, options=options)
        )
        if codec == "aac":
            self._stream.bit_rate = channels * min(_BITS_PER_CHANNEL, _BITS_PER_SAMPLE * rate)
        self._rate, self._layout = rate, layout
        self._kind = "fltp" if codec == "aac" else "s16"
        self._convert: tuple[tuple[int, str], AudioResampler] | None = None
        self._written = 0
        self._seconds = 0.0
        self._ended = False

    def write_until(self, seconds: float) -> None:
        """Write the sound up to a time, and the rest of its piece."""
        while not self._ended and self._seconds < seconds:
            self._write(self._next)
            following = next(self._pieces, None)
            self._ended = following is None
            self._next = following or self._next

    def finish(self) -> None:
        """Write the rest and what the converter and the encoder still hold."""
        self.write_until(float("inf"))
        self._encode(None)
        self._container.mux(self._stream.encode(None))

    def _write(self, piece: Piece) -> None:
        kind = (piece.rate, piece.layout)
        if self._convert is None or self._convert[0] != kind:
            if self._convert is not None:
                self._encode(None)
            self._convert = kind, AudioResampler(self._kind, self._layout, self._rate)
        samples = np.ascontiguousarray(piece.samples.T)
        frame = AudioFrame.from_ndarray(samples, format="fltp", layout=piece.layout)
        frame.sample_rate = piece.rate
        self._seconds += len(piece.samples) / piece.rate
        self._encode(frame)

    def _encode(self, frame: AudioFrame | None) -> None:
        if self._convert is None:
            return
        for converted in self._convert[1].resample(frame):
            converted.pts, converted.time_base = self._written, Fraction(1, self._rate)
            self._written += converted.samples
            self._container.mux(self._stream.encode(converted))
