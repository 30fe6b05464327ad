"""Waveform: any audio or video file, array or stream of chunks as 16 kHz mono float32.

In the flow **speech** -> features -> codes -> motion -> mesh -> file. `StreamResampler` is the live
counterpart of `Waveform.of`: the same conversion, chunk by chunk.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from codetalker.arguments import as_whole, shown
from codetalker.downmix import as_floats, mean_of, mixed
from codetalker.errors import AudioError, SoundWarning
from codetalker.reading import refusing
from codetalker.resampling import (
    HIGHEST_RATE,
    LOWEST_RATE,
    SAMPLE_RATE,
    StreamResampler,
    resample,
)
from codetalker.sound_file import pieces

__all__ = ["SAMPLE_RATE", "StreamResampler", "Waveform", "as_mono", "checked_rate"]

_MAX_CHANNELS = 64
"""FFmpeg's own limit."""
_MAX_LEVEL = 16.0  # floats far beyond full scale are integers that were not divided
_MAX_SECONDS = 24 * 3600  # a small compressed file can hold days of silence
_MAX_SECONDS_WHOLE = 5 * 3600  # of what is held in memory: 1.2 GB
_HIGHEST_IN_FILES = 768_000  # Hz, of the fastest converters


@dataclass(frozen=True)
class Source:
    """Where a sound was read from: a file, and which of its tracks, None the default one."""

    path: Path
    track: int | None = None


@dataclass(frozen=True, eq=False)
class Waveform:
    """Mono sound.

    Attributes:
        samples: (N,) float32, full scale -1..1.
        rate: Hz.
        source: the file that it was read from, for films that keep its own sound; or None.
    """

    samples: NDArray[np.float32]
    rate: int = SAMPLE_RATE
    source: Source | None = None

    @classmethod
    def load(cls, path: str | os.PathLike[str], track: int | None = None) -> Waveform:
        """Read the sound of an audio or video file: any format of FFmpeg, any rate and channels.

        Time 0 is where the pictures begin, or the sound where there are none; sound that is missing
        is silence. Channels are mixed so that the voice is heard (`codetalker.downmix`) and the
        rate is converted to 16 kHz while decoding, so that an hour takes about 250 MB.

        Args:
            path: a file or a pipe; `-` is standard input.
            track: which of its sound tracks, from 1; the default one for None.

        Raises:
            AudioError: there is no such file, no sound in it, or it cannot be decoded.

        Warns:
            SoundWarning: sound is missing or damaged, or channels cancel each other.
        """
        path = Path(path)
        data = bytearray()  # grows in place: no second copy of an hour of sound at the end
        for samples in heard(path, track):
            data += samples.tobytes()
            if len(data) > 4 * SAMPLE_RATE * _MAX_SECONDS_WHOLE:
                hours = _MAX_SECONDS_WHOLE // 3600
                raise AudioError(
                    f"{path} is longer than {hours} hours; cut it into shorter files, or write "
                    ".csv, which takes longer ones"
                )
        return cls(np.frombuffer(data, np.float32), source=Source(path, track))

    @classmethod
    def of(cls, samples: ArrayLike, rate: float) -> Waveform:
        """Take (N,) or (N, channels) samples at `rate` Hz and convert them to 16 kHz mono.

        Sample types and channels are taken as in `as_mono`; where two channels cancel each other,
        the louder one is heard.

        Raises:
            AudioError: the array is empty, not finite, of a wrong shape or type, or the rate is
                not a whole number of Hz from 1 kHz to 1 MHz.
        """
        hertz = checked_rate(rate)
        mono = as_mono(samples)
        if not len(mono):
            raise AudioError("the array holds no sound samples; pass at least one")
        return cls(resample(_uncancelled(mono, np.asarray(samples), hertz), hertz, SAMPLE_RATE))

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
        return Waveform(resample(self.samples, self.rate, rate), rate, self.source)


def heard(path: Path, track: int | None = None) -> Iterator[NDArray[np.float32]]:
    """The sound of a file at 16 kHz, (N,) float32 at a time, about a second each.

    What is raised and warned of is what `Waveform.load` does.
    """
    resampler: StreamResampler | None = None
    cancelled, count = False, 0
    for piece in pieces(path, track, _warn):
        if resampler is None or resampler.rate != piece.rate:
            if resampler is not None:
                yield resampler.finish()
            resampler = StreamResampler(_rate_of_file(piece.rate, path))
        mono, cancel = mixed(piece.samples, piece.channels)
        cancelled |= cancel
        _check_samples(mono, str(path))
        samples = resampler.feed(mono)
        count += len(samples)
        if count > SAMPLE_RATE * _MAX_SECONDS:
            raise AudioError(f"{path} is longer than 24 hours; cut it into shorter files")
        yield samples
    assert resampler
    yield resampler.finish()
    if cancelled:
        _warn(f"{path}: its two channels cancel each other; the louder one is heard there")


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
    mono = mean_of(array[:, None] if array.ndim == 1 else array)
    _check_samples(mono, "the array")
    return mono


def _uncancelled(
    mono: NDArray[np.float32], samples: NDArray[np.generic], rate: int
) -> NDArray[np.float32]:
    """The mean of samples, with the louder of two channels in the seconds in which they cancel."""
    cancelled = False
    if samples.shape[1:] == (2,):
        for start in range(0, len(mono), rate):
            second = slice(start, start + rate)
            louder, cancel = mixed(as_floats(samples[second]), ("FL", "FR"))
            if cancel:
                mono[second], cancelled = louder, True
    if cancelled:
        _warn("the two channels cancel each other; the louder one is heard there")
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


def _rate_of_file(rate: int, path: Path) -> int:
    checked_rate(rate, f"{path}: ")
    if rate > _HIGHEST_IN_FILES:
        raise AudioError(f"{path} claims {rate} Hz, which no sound has; correct its header")
    return rate


def _warn(line: str) -> None:
    warnings.warn(line, SoundWarning, stacklevel=4)


def _check_samples(mono: NDArray[np.float32], name: str) -> None:
    peak = np.abs(mono).max(initial=0.0)
    if not np.isfinite(peak):
        raise AudioError(f"{name} holds NaN or infinite samples; repair or re-export it")
    if peak > _MAX_LEVEL:
        raise AudioError(
            f"{name} holds samples up to {peak:.0f} where full scale is 1; divide by the range"
        )
