"""StreamResampler: the one sample-rate converter, for whole recordings and for live chunks alike.

In the flow **speech** -> features -> codes -> motion -> mesh -> file. Used by `codetalker.audio`.

Windowed-sinc interpolation, computed in blocks of 40 output samples. A block is one product of an
input window with a fixed matrix, always of the same shape, so every chunking of the input gives
the same bits. Flat to 0.89 of the lower Nyquist frequency, 90 dB down from 1.01 of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil, gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
"""Hz; what every speech encoder here takes."""

LOWEST_RATE, HIGHEST_RATE = 1_000, 1_000_000
"""Hz, beyond any recorder: another number is a mistake of the caller."""

_BLOCK = 40
"""Output samples that one matrix product gives: 2.5 ms, and few matrices for the usual rates."""
_ZERO_CROSSINGS = 48  # half the kernel, in samples of the lower rate: 3 ms of look-ahead at 16 kHz
_ROLL_OFF = 0.95  # cutoff over the lower Nyquist frequency; leaves the transition band below it
_KAISER_BETA = 8.96  # 90 dB (Kaiser 1974: 0.1102 (A - 8.7))
_SLICE = 1 << 19  # input samples at once, so that long arrays need little extra memory


@dataclass
class StreamResampler:
    """Converts a mono stream from `rate` to `out_rate`; the state is these fields, all plain data.

    Output sample n lies at time n / out_rate of the input; the kernel's delay is compensated, and
    outside the stream is silence. N input samples give ceil(N * out_rate / rate) in all.

    Attributes:
        rate: Hz of the chunks that are fed, a positive whole number.
        out_rate: Hz of the result.
    """

    rate: int
    out_rate: int = SAMPLE_RATE
    _received: int = 0  # input samples so far
    _blocks: int = 0  # output blocks so far
    _origin: int = 0  # position in the input of _pending[0], negative in the padding before it
    _pending: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))

    def __post_init__(self) -> None:
        if self.rate != self.out_rate:
            half = _half_width(self.rate, self.out_rate)
            self._origin = -half
            self._pending = np.zeros(half, np.float32)

    @classmethod
    def restored(cls, values: Mapping[str, Any]) -> StreamResampler:
        """A stream that goes on where another was whose fields had these `values`.

        Raises:
            KeyError, ValueError: these are no values of a stream.
        """
        rate, out_rate = values["rate"], values["out_rate"]
        known = type(rate) is int and type(out_rate) is int and out_rate == SAMPLE_RATE
        if not (known and LOWEST_RATE <= rate <= HIGHEST_RATE):
            raise ValueError(f"it resamples from {rate} to {out_rate} Hz")
        stream = cls(rate, out_rate)
        if {k: type(v) for k, v in values.items()} != {k: type(v) for k, v in vars(stream).items()}:
            raise ValueError("a resampler has other values")
        vars(stream).update(values)
        if not stream._is_sound():
            raise ValueError("the values of its resampler exclude each other")
        return stream

    @property
    def delay(self) -> float:
        """Seconds of input after a block's end until `feed` gives the block, at most.

        Block b, which ends at (b + 1) * 40 samples of the output, takes input up to
        floor(b * 40 * rate / out_rate) + `_window_length` - half.
        """
        if self.rate == self.out_rate:
            return 0.0
        half = _half_width(self.rate, self.out_rate)
        beyond = _window_length(self.rate, self.out_rate) - half
        return beyond / self.rate - _BLOCK / self.out_rate

    def _is_sound(self) -> bool:
        """Whether the state is one that sound leads to: what waits ends where what came ends."""
        pending, received = self._pending, self._received
        if pending.ndim != 1 or pending.dtype != np.float32 or not np.isfinite(pending).all():
            return False
        if not (0 <= received < 1 << 53 and 0 <= self._blocks < 1 << 53):
            return False
        if self.rate == self.out_rate:
            return not (len(pending) or self._blocks or self._origin)
        up, down = _ratio(self.rate, self.out_rate)
        half = _half_width(self.rate, self.out_rate)
        begins = self._blocks * _BLOCK * down // up - half
        beyond = len(pending) - (received - begins)  # silence, once it is finished
        return self._origin == begins and beyond in (0, _padding(self.rate, self.out_rate))

    def values(self) -> dict[str, Any]:
        """The whole state: numbers and one array, by name."""
        return dict(vars(self))

    @property
    def received(self) -> int:
        """Samples fed so far."""
        return self._received

    def feed(self, chunk: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take (N,) samples at `rate`; return those at `out_rate` that they complete, (M,)."""
        chunk = np.asarray(chunk, np.float32)
        self._received += len(chunk)
        if self.rate == self.out_rate:
            return chunk
        parts = [
            self._advance(chunk[start : start + _SLICE]) for start in range(0, len(chunk), _SLICE)
        ]
        return np.concatenate(parts) if parts else chunk

    def finish(self) -> NDArray[np.float32]:
        """The last (M,) samples. After this the resampler takes no more."""
        if self.rate == self.out_rate:
            return np.empty(0, np.float32)
        missing = ceil(self._received * self.out_rate / self.rate) - self._blocks * _BLOCK
        silence = np.zeros(_padding(self.rate, self.out_rate), np.float32)
        return self._advance(silence)[:missing]

    def _advance(self, chunk: NDArray[np.float32]) -> NDArray[np.float32]:
        self._pending = np.concatenate([self._pending, chunk])
        up, down = _ratio(self.rate, self.out_rate)
        half = _half_width(self.rate, self.out_rate)
        window = _window_length(self.rate, self.out_rate)
        # Block b reads input from floor(b * 40 * down / up) - half on, `window` samples.
        last = self._origin + len(self._pending) - window + half
        ready = max(0, (last * up + up - 1) // (_BLOCK * down) + 1 - self._blocks)
        out = np.empty((ready, _BLOCK), np.float32)
        period = up // gcd(_BLOCK, up)  # after so many blocks the phase repeats
        stride = period * _BLOCK * down // up
        for i in range(min(period, ready)):
            start, phase = divmod((self._blocks + i) * _BLOCK * down, up)
            rows = _windows(
                self._pending[start - half - self._origin :], stride, window, len(out[i::period])
            )
            out[i::period] = np.matmul(rows, _matrix(self.rate, self.out_rate, phase))[:, 0]
        self._blocks += ready
        keep = self._blocks * _BLOCK * down // up - half - self._origin
        self._pending = self._pending[keep:].copy()
        self._origin += keep
        return out.reshape(-1)


def resample(samples: NDArray[np.float32], rate: int, out_rate: int) -> NDArray[np.float32]:
    """(N,) float32 samples at `rate` -> (ceil(N * out_rate / rate),) at `out_rate`."""
    stream = StreamResampler(rate, out_rate)
    return np.concatenate([stream.feed(samples), stream.finish()])


def _windows(
    samples: NDArray[np.float32], stride: int, length: int, count: int
) -> NDArray[np.float32]:
    """(count, 1, length) overlapping views; one row is one matrix product, whatever `count`."""
    step = samples.strides[0]
    return np.lib.stride_tricks.as_strided(
        samples, (count, 1, length), (stride * step, 0, step), writeable=False
    )


def _ratio(rate: int, out_rate: int) -> tuple[int, int]:
    divisor = gcd(rate, out_rate)
    return out_rate // divisor, rate // divisor


def _half_width(rate: int, out_rate: int) -> int:
    return ceil(_ZERO_CROSSINGS * max(1.0, rate / out_rate))


def _padding(rate: int, out_rate: int) -> int:
    """Samples of silence that bring out the last of the output."""
    return _half_width(rate, out_rate) + ceil(2 * _BLOCK * rate / out_rate)


def _window_length(rate: int, out_rate: int) -> int:
    up, down = _ratio(rate, out_rate)
    return ((_BLOCK - 1) * down + up - 1) // up + 2 * _half_width(rate, out_rate) + 1


@lru_cache(maxsize=512)
def _matrix(rate: int, out_rate: int, phase: int) -> NDArray[np.float32]:
    """(window, 40): column n is the kernel of the output at phase / up + n * down / up."""
    up, down = _ratio(rate, out_rate)
    half = _half_width(rate, out_rate)
    cutoff = _ROLL_OFF * min(1.0, out_rate / rate)  # over the input's Nyquist frequency
    targets = half + (phase + np.arange(_BLOCK) * down) / up
    distance = targets[None] - np.arange(_window_length(rate, out_rate))[:, None]
    inside = np.clip(1 - (distance / half) ** 2, 0, None)
    taper = np.where(inside > 0, np.i0(_KAISER_BETA * np.sqrt(inside)) / np.i0(_KAISER_BETA), 0)
    return (cutoff * np.sinc(cutoff * distance) * taper).astype(np.float32)
