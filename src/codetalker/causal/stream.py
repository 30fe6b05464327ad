"""A live stream of the bundled family: its state as one plain value, and `Live` around it.

In the flow **speech -> features -> codes -> motion**. Whatever a stream is, it is in its
`StreamState`: saved as bytes in one process and restored in another, it goes on bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from io import BytesIO
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from codetalker.arrays import open_npz
from codetalker.audio import StreamResampler, as_mono
from codetalker.causal.concealment import Concealment
from codetalker.causal.life import Liveliness
from codetalker.causal.manner import Course
from codetalker.errors import AudioError, ModelError
from codetalker.motion import Motion
from codetalker.reading import refusing
from codetalker.styles import Style

_FORMAT_VERSION = 3
_PARTS = ("course", "concealment", "resampler")
"""Values of a state that have values of their own."""
_MOST_LOST = 60
"""Seconds that are lost at once."""
_MAX_BYTES = 64 << 20
"""Of a saved state, which has 0.3 MB: more is no state."""
_RANGES = {"seed": (0, (1 << 63) - 1), "received": (0, 1 << 53), "lost": (0, 1 << 53)}
"""Of numbers in a state."""


@dataclass
class StreamState:
    """All that one moment of a stream leaves to the next; plain data.

    Attributes:
        model: digest of the model that the stream is of.
        course: the manner of every frame, its last change included.
        seed: of the noise that samples codes; frame i's noise depends on (seed, i) alone.
        cache, context, motion, position: the state of `talker.onnx`; see `Bundle.state`.
        pending: (N,) float32, the samples at 16 kHz from the start of the next window on.
        received: samples at 16 kHz so far.
        level: (2,) float64, the power of the sound; see `Loudness.follow`.
        blinks: whether a model that has procedural blinks adds them.
        blink: (2,) int64, frames since the last of them began, and its curve.
        memory: (1,) of `causal.life.MEMORY`; nothing moves on in it while there is no life.
        concealment: the end of the sound, in case that the next is lost.
        resampler: from the rate of the sound to 16 kHz.
        finished: whether the sound has ended.
    """

    model: str
    course: Course
    seed: int
    cache: NDArray[np.float32]
    context: NDArray[np.float32]
    motion: NDArray[np.float32]
    position: NDArray[np.int64]
    pending: NDArray[np.float32]
    received: int
    level: NDArray[np.float64]
    blinks: bool
    blink: NDArray[np.int64]
    memory: NDArray[np.void]
    concealment: Concealment
    resampler: StreamResampler
    finished: bool = False

    def to_bytes(self) -> bytes:
        """The state as an npz file: arrays and numbers, no pickle."""
        stream = BytesIO()
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in _PARTS:
            own |= {f"{name}.{key}": value for key, value in vars(own.pop(name)).items()}
        np.savez(stream, format_version=_FORMAT_VERSION, **own)
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> StreamState:
        """The state that `to_bytes` has saved.

        Raises:
            ModelError: these bytes are none, or of another version.
        """
        remedy = "save one by state.to_bytes()"
        with refusing(ModelError, "these bytes are no state of a stream", remedy):
            with open_npz(bytes(data), _MAX_BYTES) as file:
                stored = file.read_all()
            values: dict[str, Any] = {name: a if a.ndim else a.item() for name, a in stored.items()}
            if (version := values.pop("format_version")) != _FORMAT_VERSION:
                raise ModelError(
                    f"this state of a stream has format version {version}, this release reads "
                    f"{_FORMAT_VERSION}; go on with the release that saved it"
                )
            course, concealment, resampler = (_taken(f"{name}.", values) for name in _PARTS)
            return cls(
                **values,
                course=Course(**course),
                concealment=Concealment(**concealment),
                resampler=StreamResampler.restored(resampler),
            )


def _taken(mark: str, values: dict[str, Any]) -> dict[str, Any]:
    """Those whose names begin so, without that mark; they leave the others."""
    return {k.removeprefix(mark): values.pop(k) for k in [*values] if k.startswith(mark)}


def check_like(state: object, other: object) -> None:
    """See that a state is made as another one of the same model is: by kinds and shapes, and
    finite. Sound that waits may be of any length.

    Raises:
        ModelError: it is not; the message names what.
    """
    for name, value in vars(state).items():
        model = vars(other)[name]
        wrong = ModelError(
            f"this state of a stream is damaged: its {name} has another shape, kind or range"
        )
        if hasattr(model, "__dict__"):
            check_like(value, model)
        elif not isinstance(model, np.ndarray):
            least, most = _RANGES.get(name, (value, value))
            if type(value) is not type(model) or not least <= value <= most:
                raise wrong
        elif (
            not isinstance(value, np.ndarray)
            or value.dtype != model.dtype
            or (value.shape != model.shape and not (name.endswith("pending") and value.ndim == 1))
        ):
            raise wrong
        elif not all(np.isfinite(column).all() for column in _columns(value)):
            raise ModelError(f"this state of a stream is damaged: its {name} is not finite")


def _columns(array: NDArray[Any]) -> list[NDArray[Any]]:
    """The fields of records, or the array itself."""
    return [array[name] for name in array.dtype.names or ()] or [array]


class Streamer(Protocol):
    """What makes motion of sound."""

    @property
    def latency(self) -> float: ...
    def feed(self, state: StreamState, samples: NDArray[np.float32]) -> Motion: ...
    def finish(self, state: StreamState) -> Motion: ...
    def change(
        self,
        state: StreamState,
        *,
        style: Style | None,
        strength: float | None,
        life: Liveliness | None,
        seconds: float,
    ) -> None: ...


class Live:
    """A stream: sound in, in chunks of any size; motion out, as soon as it can be known.

    The sound's clock is what has been fed: it stands still while nothing is, and each `Motion`
    knows its `start` in it. After t seconds of sound, all frames up to t - `latency` have come out.

    Call `finish` at the end of the sound: the frames that still waited for their look-ahead, about
    a fifth of a second, come from it and from nothing else. As a context manager the stream takes
    no more after the block, and a block that ends without `finish` is an error, not frames that go
    missing unseen; where an exception leaves the block, that exception it is. To stop early, call
    `finish` and drop what it returns.

    Attributes:
        state: what it goes on from; `state.to_bytes()` saves it.
    """

    def __init__(self, talker: Streamer, state: StreamState) -> None:
        self._talker = talker
        self.state = state

    def __enter__(self) -> Live:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End the stream.

        Raises:
            AudioError: sound was fed, and the block ended, without an exception, before `finish`.
        """
        cut = self.state.resampler.received and not self.state.finished
        self.state.finished = True
        if cut and kind is None:
            raise AudioError(
                "the stream ended without its last frames; call finish() at the end of the sound, "
                "inside the with block"
            )

    @property
    def latency(self) -> float:
        """Seconds of sound after the start of a frame until it has come out, at most."""
        return self._talker.latency + self.state.resampler.delay

    def feed(self, chunk: ArrayLike | None, *, seconds: float | None = None) -> Motion:
        """Take the next (N,) or (N, channels) samples; return the frames they complete, 0 or more.

        Integers (int16, int32 and other) are scaled by their range, floats are taken as they are,
        channels are mixed by their mean.

        Args:
            chunk: None for sound that is lost: its clock goes on, and the mouth with what was last
                heard, for a tenth of a second; then in silence.
            seconds: how much is lost, up to a minute.

        Raises:
            AudioError: the stream is finished, the samples are not finite numbers, or the seconds
                are out of range.
        """
        self._check_open()
        if chunk is None:
            if seconds is None or not 0 <= seconds <= _MOST_LOST:
                raise AudioError(
                    f"{seconds} seconds of sound are lost; pass seconds= 0 to {_MOST_LOST}"
                )
            lost = round(seconds * self.state.resampler.rate)
            return self._talker.feed(self.state, self.state.concealment.fill(lost))
        if seconds is not None:
            raise AudioError("samples have a length of their own; pass seconds= with None only")
        samples = as_mono(chunk)
        self.state.concealment.hear(samples)
        return self._talker.feed(self.state, samples)

    def change(
        self,
        *,
        style: Style | None = None,
        strength: float | None = None,
        life: Liveliness | None = None,
        seconds: float = 0.5,
    ) -> None:
        """Speak otherwise from the next frame that comes out on, without a jump.

        Args:
            style, strength, life: as in `stream`; None leaves it as it is.
            seconds: that the change takes, 0 to 60; a change that is going on turns to the new one.

        Raises:
            AudioError: the stream is finished.
            StyleError, OptionError: as in `stream`; nothing changes.
        """
        self._check_open()
        self._talker.change(self.state, style=style, strength=strength, life=life, seconds=seconds)

    def finish(self) -> Motion:
        """End the sound; return the frames that are left. T = ceil(seconds * fps) in all.

        Raises:
            AudioError: the stream is finished.
        """
        self._check_open()
        return self._talker.finish(self.state)

    def _check_open(self) -> None:
        if self.state.finished:
            raise AudioError("the stream is finished; start another one")
