"""Waveform: any audio or video file, array or stream of chunks as 16 kHz mono float32.

In the flow **speech** -> features -> codes -> motion -> mesh -> file. `StreamResampler` is the live
counterpart of `Waveform.of`: the same conversion, chunk by chunk.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import av.error
import numpy as np
from av.container import InputContainer
from numpy.typing import ArrayLike, NDArray

from codetalker.arguments import as_whole, shown
from codetalker.errors import AudioError
from codetalker.reading import refusing
from codetalker.resampling import (
    HIGHEST_RATE,
    LOWEST_RATE,
    SAMPLE_RATE,
    StreamResampler,
    resample,
)

__all__ = ["SAMPLE_RATE", "StreamResampler", "Waveform", "as_mono", "checked_rate"]

_MAX_CHANNELS = 64
"""FFmpeg's own limit."""
_MAX_LEVEL = 16.0  # floats far beyond full scale are integers that were not divided
_MAX_SECONDS = 24 * 3600  # a small compressed file can hold days of silence: 24 h are 5.5 GB
_BATCH_SECONDS = 1  # decoded frames are converted in batches, they may hold 10 ms only


@dataclass(frozen=True, eq=False)
class Waveform:
    """Mono sound: `samples` (N,) float32, full scale -1..1, at `rate` Hz."""

    samples: NDArray[np.float32]
    rate: int = SAMPLE_RATE

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Waveform:
        """Read the sound of an audio or video file: any format of FFmpeg, any rate and channels.

        Channels are mixed by their mean and the rate is converted to 16 kHz while decoding, so
        that an hour takes about 250 MB.

        Raises:
            AudioError: there is no such file, no sound in it, or it cannot be decoded.
        """
        path = Path(path)
        _check_file(path)
        data = bytearray()  # grows in place: no second copy of an hour of sound at the end
        resampler: StreamResampler | None = None
        for mono, rate in _decode(path):
            if resampler is None or resampler.rate != rate:
                data += resampler.finish().tobytes() if resampler else b""
                resampler = StreamResampler(checked_rate(rate, f"{path}: "))
            _check_samples(mono, str(path))
            data += resampler.feed(mono).tobytes()
            if len(data) > 4 * SAMPLE_RATE * _MAX_SECONDS:
                raise AudioError(f"{path} is longer than 24 hours; cut it into shorter files")
        if resampler is None:
            raise AudioError(f"{path} holds no sound samples; check the recording")
        data += resampler.finish().tobytes()
        return cls(np.frombuffer(data, np.float32))

    @classmethod
    def of(cls, samples: ArrayLike, rate: float) -> Waveform:
        """Take (N,) or (N, channels) samples at `rate` Hz and convert them to 16 kHz mono.

        Sample types and channels are taken as in `as_mono`.

        Raises:
            AudioError: the array is empty, not finite, of a wrong shape or type, or the rate is
                not a whole number of Hz from 1 kHz to 1 MHz.
        """
        hertz = checked_rate(rate)
        mono = as_mono(samples)
        if not len(mono):
            raise AudioError("the array holds no sound samples; pass at least one")
        return cls(resample(mono, hertz, SAMPLE_RATE))

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.rate

    def resampled(self, rate: int) -> Waveform:
        """The same sound at `rate` Hz.

        Raises:
            AudioError: the rate is not a whole number of Hz from 1 kHz to 1 MHz.
        """
        rate = checked_rate(rate)
        if rate == self.rate:
            return self
        return Waveform(resample(self.samples, self.rate, rate), rate)


def as_waveform(
    audio: str | os.PathLike[str] | Waveform | ArrayLike, rate: float | None = None
) -> Waveform:
    """Sound in any form, at 16 kHz: a path, a `Waveform`, or samples at `rate` Hz.

    Raises:
        AudioError: it cannot be read, holds nothing, or is an array without a rate.
    """
    if isinstance(audio, str | os.PathLike):
        return Waveform.load(audio)
    if isinstance(audio, Waveform):
        waveform = audio.resampled(SAMPLE_RATE)
    elif rate is None:
        raise AudioError("samples come without a rate; pass rate=, in Hz")
    else:
        waveform = Waveform.of(audio, rate)
    if not len(waveform.samples):
        raise AudioError("the waveform holds no samples; pass at least one")
    return waveform


def as_mono(samples: ArrayLike) -> NDArray[np.float32]:
    """(N,) or (N, channels) samples of any type -> (N,) float32, full scale -1..1; N may be 0.

    Integers (int8, uint8, int16, int32) are scaled by their range; floats are taken as they are.
    Channels are mixed by their mean.

    Raises:
        AudioError: the samples are not finite, beyond full scale, or of a wrong shape or type.
    """
    with refusing(AudioError, "the samples are no array", "pass (samples,) or (samples, channels)"):
        array = np.asarray(samples)
    if array.ndim not in (1, 2) or (array.ndim == 2 and not 0 < array.shape[1] <= _MAX_CHANNELS):
        raise AudioError(
            f"samples have shape {array.shape}; pass (samples,) or (samples, channels)"
        )
    mono = _mixed(array[:, None] if array.ndim == 1 else array)
    _check_samples(mono, "the array")
    return mono


def checked_rate(rate: float, where: str = "") -> int:
    """A sample rate that sound can be taken at; `where` opens the message.

    Raises:
        AudioError: it is not a whole number of Hz from 1 kHz to 1 MHz.
    """
    hertz = as_whole(rate)
    if hertz is None or not LOWEST_RATE <= hertz <= HIGHEST_RATE:
        raise AudioError(
            f"{where}sample rate {shown(rate)} is no whole number of Hz from 1000 to 1000000; "
            "correct it"
        )
    return hertz


def _check_file(path: Path) -> None:
    try:
        size = None if path.is_dir() else path.stat().st_size
    except FileNotFoundError:
        raise AudioError(f"{path} does not exist; check the spelling of the path") from None
    except OSError as error:
        raise AudioError(f"{path} cannot be read: {error.strerror}; check the path") from None
    if size is None:
        raise AudioError(f"{path} is a directory; name an audio or video file in it")
    if size == 0:
        raise AudioError(f"{path} is an empty file; record or copy it again")


def _decode(path: Path) -> Iterator[tuple[NDArray[np.float32], int]]:
    """Mono pieces of about a second, each with its sample rate in Hz."""
    try:
        # "file:" and the whitelist keep names and playlists from reaching other places.
        source = av.open(f"file:{path}", options={"protocol_whitelist": "file"})
    except av.error.FFmpegError as error:
        if isinstance(error, PermissionError):
            raise AudioError(f"{path} cannot be read: permission denied; check its mode") from None
        raise AudioError(
            f"{path} is not an audio or video file that can be decoded; convert it to WAV or FLAC"
        ) from None
    with source:
        if not source.streams.audio:
            raise AudioError(f"{path} has no sound track; name a file with speech in it")
        pieces: list[NDArray[np.float32]] = []
        rate = 0
        for frame in _frames(source, path):
            piece = _mixed(_frame_samples(frame))
            if pieces and (
                rate != frame.sample_rate or sum(map(len, pieces)) >= _BATCH_SECONDS * rate
            ):
                yield np.concatenate(pieces), rate
                pieces = []
            pieces.append(piece)
            rate = frame.sample_rate
        if pieces and sum(map(len, pieces)):
            yield np.concatenate(pieces), rate


def _frames(source: InputContainer, path: Path) -> Iterator[av.AudioFrame]:
    """The decoded frames of the first sound track. A damaged packet costs itself, not the file."""
    damaged = None
    decoded = False
    try:
        for packet in source.demux(source.streams.audio[0]):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError as error:
                damaged = error
                continue
            for frame in frames:
                decoded = True
                yield frame
    except av.error.FFmpegError as error:
        damaged = error
    if damaged and not decoded:
        raise AudioError(
            f"the sound of {path} cannot be decoded ({damaged.strerror}); convert it to WAV or FLAC"
        )


def _frame_samples(frame: av.AudioFrame) -> NDArray[np.generic]:
    """(N, channels) in the file's own sample type."""
    array = frame.to_ndarray()
    return array.T if frame.format.is_planar else array.reshape(-1, frame.layout.nb_channels)


def _mixed(samples: NDArray[np.generic]) -> NDArray[np.float32]:
    """(N, channels) of any sample type -> (N,) float32, full scale -1..1, mean of the channels."""
    kind, width = samples.dtype.kind, samples.dtype.itemsize
    if kind not in "fiu" or (kind in "iu" and width > 4):
        raise AudioError(
            f"samples of type {samples.dtype} are not sound; pass floats from -1 to 1 or int16"
        )
    mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float64)
    mono = mono.astype(np.float32)
    if kind == "f":
        return mono
    half = np.float32(2.0 ** (8 * width - 1))
    return mono / half - (kind == "u")


def _check_samples(mono: NDArray[np.float32], name: str) -> None:
    peak = np.abs(mono).max(initial=0.0)
    if not np.isfinite(peak):
        raise AudioError(f"{name} holds NaN or infinite samples; repair or re-export it")
    if peak > _MAX_LEVEL:
        raise AudioError(
            f"{name} holds samples up to {peak:.0f} where full scale is 1; divide by the range"
        )
