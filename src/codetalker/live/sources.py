"""Sources: a microphone, a pipe or a file as sound that comes chunk by chunk.

In the flow **speech** -> features -> codes -> motion -> wire.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from codetalker.audio import Waveform
from codetalker.errors import AudioError, OptionError

CHUNK = 0.02
"""Seconds of sound that are read at once."""
Sample = Literal["s16le", "s24le", "s32le", "f32le"]
BYTES: dict[Sample, int] = {"s16le": 2, "s24le": 3, "s32le": 4, "f32le": 4}
"""Of a sample."""
_ENDLESS = 0x7FFF_F000
"""Bytes of a WAV from which on its length is only what a program writes that does not know it."""
_MOST_HEADER = 1 << 20


@dataclass(frozen=True)
class Source:
    """Sound as it comes.

    Attributes:
        rate: Hz.
        chunks: (N, channels) or (N,) samples; the iterator waits for them.
        steady: whether it comes as it is spoken, and cannot wait: that of a microphone.
        pauses: whether it may not come for a while: that of a pipe.
    """

    rate: int
    chunks: Iterator[NDArray]
    steady: bool = False
    pauses: bool = False


def from_file(path: Path) -> Source:
    """The sound of an audio or video file.

    Raises:
        AudioError: it cannot be read.
    """
    waveform = Waveform.load(path)
    step = round(CHUNK * waveform.rate)
    starts = range(0, len(waveform.samples), step)
    return Source(waveform.rate, (waveform.samples[start : start + step] for start in starts))


def from_pcm(pipe: BufferedIOBase, sample: Sample, rate: int, channels: int) -> Source:
    """Raw samples from a pipe, as they come.

    Raises:
        OptionError: the number of channels is out of range.
    """
    if not 1 <= channels <= 64:
        raise OptionError(f"{channels} channels; choose 1 to 64")
    return Source(rate, _samples(pipe, sample, rate, channels, None), pauses=True)


def from_wav(pipe: BufferedIOBase) -> Source:
    """A WAV from a pipe, as it comes: integers of 16, 24 or 32 bits, or floats of 32.

    Raises:
        AudioError: it is none.
    """
    sample: Sample | None = None
    rate = channels = 0
    kind, _, form = _unpacked(pipe, "<4sI4s")
    if kind not in (b"RIFF", b"RF64") or form != b"WAVE":
        raise AudioError("standard input is no WAV; pass --rate if it is raw samples")
    while True:
        name, size = _unpacked(pipe, "<4sI")
        if name == b"data":
            break
        if size > _MOST_HEADER:
            raise AudioError("the WAV on standard input has a damaged header; write it again")
        body = _exactly(pipe, size + size % 2)
        if name == b"fmt " and size >= 16:
            code, channels, rate, _, _, bits = struct.unpack("<HHIIHH", body[:16])
            if code == 0xFFFE and size >= 26:  # extensible: the code begins its GUID
                (code,) = struct.unpack("<H", body[24:26])
            sample = _SAMPLES.get((code, bits))
            if sample is None:
                raise AudioError(
                    f"the WAV on standard input has samples of kind {code} and {bits} bits; "
                    "convert it to 16 bits"
                )
    if sample is None or not 1 <= channels <= 64:
        raise AudioError("the WAV on standard input does not say what it holds; write it again")
    return Source(rate, _samples(pipe, sample, rate, channels, size or None), pauses=True)


_SAMPLES: dict[tuple[int, int], Sample] = {
    (1, 16): "s16le", (1, 24): "s24le", (1, 32): "s32le", (3, 32): "f32le",
}  # fmt: skip


def from_microphone(device: str | None, rate: int | None) -> Source:
    """The sound of a microphone, by `sounddevice`.

    Args:
        device: part of its name, or its number; the system's own for None.
        rate: Hz; the device's own for None.

    Raises:
        AudioError: there is none, or it does not work.
        ModuleNotFoundError: `sounddevice` is not installed.
    """
    try:
        import sounddevice  # pyright: ignore[reportMissingImports]
    except OSError as error:
        raise AudioError(f"no microphone: {error}; install PortAudio (libportaudio2)") from None
    chosen = int(device) if device and device.isdigit() else device
    try:
        about = sounddevice.query_devices(chosen, "input")
        rate = rate or round(about["default_samplerate"])
        stream = sounddevice.InputStream(
            rate, device=chosen, channels=1, dtype="float32", latency="low"
        )
    except (ValueError, sounddevice.PortAudioError) as error:
        raise AudioError(
            f"the microphone does not open: {error}; choose one by --device: "
            f"{', '.join(_microphones(sounddevice.query_devices)) or 'none is there'}"
        ) from None
    return Source(rate, _heard(stream, round(CHUNK * rate), sounddevice.PortAudioError), True)


def _microphones(query: Callable) -> list[str]:
    return [f"{i} {d['name']}" for i, d in enumerate(query()) if d["max_input_channels"] > 0]


def _heard(stream: Any, count: int, failure: type[Exception]) -> Iterator[NDArray[np.float32]]:
    with stream:
        while True:
            try:
                yield stream.read(count)[0]
            except failure as error:
                raise AudioError(f"the microphone has failed: {error}; connect it again") from None


def _samples(
    pipe: BufferedIOBase, sample: Sample, rate: int, channels: int, size: int | None
) -> Iterator[NDArray]:
    """(N, channels) samples of what a pipe holds now, `CHUNK` at most; `size` bytes in all."""
    width = BYTES[sample] * channels
    left = float("inf") if size is None or size >= _ENDLESS else size
    step, rest = width * max(1, round(CHUNK * rate)), b""
    while left and (data := pipe.read1(int(min(step, left)))):
        left -= len(data)
        rest += data
        whole = len(rest) // width * width
        if whole:
            yield samples_of(rest[:whole], sample).reshape(-1, channels)
            rest = rest[whole:]


def samples_of(data: bytes, sample: Sample) -> NDArray:
    """(N,) samples of so many bytes."""
    if sample == "s24le":
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return wide.view("<i4")[:, 0]
    return np.frombuffer(data, {"s16le": "<i2", "s32le": "<i4", "f32le": "<f4"}[sample])


def _unpacked(pipe: BufferedIOBase, layout: str) -> tuple:
    return struct.unpack(layout, _exactly(pipe, struct.calcsize(layout)))


def _exactly(pipe: BufferedIOBase, count: int) -> bytes:
    data = pipe.read(count)
    if len(data) < count:
        raise AudioError("the WAV on standard input ends within its header; write it again")
    return data
