"""Messages of a stream: what a client says, as strict JSON, and how frames go to it.

In the flow **speech** -> features -> codes -> motion -> **wire**. The first message is a `Hello`;
then sound comes in binary messages and a `Control` in those of text.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from codetalker.live import vmc
from codetalker.live.frames import ARKIT, Encoding, JsonLines, Raw, Shapes
from codetalker.live.sources import BYTES, Sample
from codetalker.server.limits import Refused
from codetalker.visemes import VISEMES, to_visemes

Output = Literal["arkit", "visemes", "vrm1", "vrm0"]
OUTPUTS: dict[Output, Shapes] = {
    "arkit": ARKIT,
    "visemes": Shapes(
        tuple(f"viseme_{name}" for name in VISEMES), lambda weights: to_visemes(weights[None])[0]
    ),
    "vrm1": vmc.VRM1,
    "vrm0": vmc.VRM0,
}
"""What frames hold."""
INVALID = 1007
"""The code that a WebSocket is closed with where a message is malformed (RFC 6455, 7.4.1)."""
_MAX_LOST = 60.0

Life = Literal["off", "idle", "full"]
Style = Annotated[str, Field(max_length=1000)]
Strength = Annotated[float, Field(ge=0, le=3)]
Seed = Annotated[int, Field(ge=0, lt=1 << 63)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Hello(_Message):
    """What a stream is of.

    Attributes:
        rate: of the sound, Hz.
        format: of its samples.
        channels: that they are interleaved of.
        model: one of the server's, that for streams by default.
        style, strength, seed, blinks, life: as `StreamingTalker.stream` takes them.
        fps: of the frames; the model's own.
        output: which shapes they hold.
        frames: how they are written: a JSON text, or time and values as raw floats.
    """

    rate: Annotated[int, Field(ge=8000, le=192_000)] = 16_000
    format: Sample = "s16le"
    channels: Annotated[int, Field(ge=1, le=8)] = 1
    model: str | None = None
    style: Style | None = None
    strength: Strength = 1.0
    seed: Seed = 0
    blinks: bool = True
    life: Life = "full"
    fps: float | None = None
    output: Output = "arkit"
    frames: Literal["json", "raw"] = "json"

    @property
    def width(self) -> int:
        """Bytes of a sample in all channels."""
        return BYTES[self.format] * self.channels

    def seconds(self, size: int) -> float:
        """Of sound in so many bytes."""
        return size / (self.width * self.rate)

    def encoding(self, fps: float, latency: float) -> Encoding:
        """Of the frames."""
        if self.frames == "raw":
            return Raw(OUTPUTS[self.output], stamped=True)
        return JsonLines(fps, latency, OUTPUTS[self.output])

    def opening(self, fps: float, latency: float) -> str:
        """What the stream is answered with: what its frames hold."""
        return JsonLines(fps, latency, OUTPUTS[self.output]).opening.decode()


class Change(_Message):
    """Speak otherwise from the next frame on; see `Live.change`."""

    style: Style | None = None
    strength: Strength | None = None
    life: Life | None = None
    seconds: Annotated[float, Field(ge=0, le=60)] = 0.5


class Control(_Message):
    """One of three.

    Attributes:
        change: how to speak from here on.
        lost: seconds of sound that are missing here.
        end: the sound is over.
    """

    change: Change | None = None
    lost: Annotated[float, Field(ge=0, le=_MAX_LOST)] | None = None
    end: Literal[True] | None = None

    @model_validator(mode="after")
    def _one(self) -> Control:
        given = [value for _, value in self if value is not None]
        if len(given) != 1 or len(self.model_fields_set) != 1:
            raise ValueError("one of change, lost and end is wanted")
        return self


T = TypeVar("T", bound=_Message)


def parsed(kind: type[T], text: str) -> T:
    """A message of that kind.

    Raises:
        Refused: it is none.
    """
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        name = kind.__name__.lower()
        raise Refused(INVALID, f"{name}: {first_of(error.errors())}") from None


def first_of(errors: Any) -> str:
    """What is wrong first, of a list of pydantic's errors, as a line."""
    first = errors[0]
    place = ".".join(str(part) for part in first["loc"] if part not in ("query", "body"))
    return f"{place}: {first['msg']}" if place else first["msg"]
