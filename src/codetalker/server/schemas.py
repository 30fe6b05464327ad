"""Schemas: what OpenAPI says of requests and answers."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from codetalker.errors import did_you_mean
from codetalker.server.messages import Life, Seed, Strength, Style
from codetalker.server.models import ANSWERS


def _known(answer: str) -> str:
    if answer not in ANSWERS:
        raise ValueError(f"there is no format {answer!r}; {did_you_mean(answer, ANSWERS)}")
    return answer


Answer = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": [*ANSWERS]})]
_TYPES = {
    "json": "application/json",
    "csv": "text/csv",
    "glb": "model/gltf-binary",
    "mp4": "video/mp4",
    "html": "text/html",
}


def media_type(answer: str) -> str:
    """Of a file that `/v1/animate` gives."""
    return _TYPES.get(answer, "application/octet-stream")


class Animate(BaseModel):
    """How a recording is animated."""

    model_config = ConfigDict(extra="forbid")

    format: Annotated[Answer, Field(description="of the file")] = "glb"
    model: Annotated[str | None, Field(description="one of /v1/models")] = None
    style: Annotated[Style | None, Field(description="a name, or a blend: A:0.3,B:0.7")] = None
    strength: Annotated[Strength, Field(description="of the articulation")] = 1.0
    fps: Annotated[
        str | None,
        Field(description="25, 29.97 or 30000/1001; the model's own by default", max_length=40),
    ] = None
    life: Annotated[Life, Field(description="procedural motion of eyes, head and brows")] = "off"
    blinks: Annotated[bool, Field(description="procedural ones")] = True
    seed: Seed = 0


class Error(BaseModel):
    """Why a request is refused, and the remedy, in one line."""

    error: str


class ModelFacts(BaseModel):
    """A model.

    Attributes:
        latency: seconds until a stream gives a frame, at most; null where it has no streams.
        formats: that `/v1/animate` gives.
    """

    name: str
    styles: list[str]
    fps: float
    latency: float | None
    formats: list[str]
    options: list[str]


class ModelList(BaseModel):
    """All models, and which are taken where none is named."""

    models: list[ModelFacts]
    for_files: str
    for_streams: str | None


class Health(BaseModel):
    """`ok`, or `closing`."""

    status: str


_REASONS = {
    401: "The token is missing or wrong",
    403: "The Host or Origin is not one of the server's",
    408: "The sound came too slowly",
    413: "The sound has too many bytes",
    415: "The body is a form",
    422: "The sound or an option cannot be used",
    503: "Too many recordings wait",
}
ACCESS = (401, 403)
RECORDING = (*ACCESS, 408, 413, 415, 422, 503)
"""Statuses with an `Error`."""


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The responses with an `Error`."""
    return {status: {"model": Error, "description": _REASONS[status]} for status in statuses}


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": [*properties], "properties": properties}


def _rows(columns: int | None = None, least: int = 0, kind: Any = "array") -> dict[str, Any]:
    row: dict[str, Any] = {"type": "array", "items": {"type": "number"}}
    if columns:
        row |= {"minItems": columns, "maxItems": columns}
    return {"type": kind, "items": row, "minItems": least}


_NAMES = {"type": "array", "items": {"type": "string"}}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_MOTION = _object(
    names=_NAMES, fps={"type": "number"}, weights=_rows(), head=_rows(3, kind=["array", "null"])
)
SOUND = {
    "requestBody": {
        "required": True,
        "description": "The bytes of an audio or video file, whatever its Content-Type says",
        "content": {"application/octet-stream": _BINARY, "audio/*": _BINARY},
    }
}
FILE: dict[str, Any] = {
    "description": "The file; json is names, fps, rows of weights, and the head's turns or null",
    "content": {
        **{media_type(answer): _BINARY for answer in ANSWERS},
        "application/json": {"schema": _MOTION},
    },
}
BLENDSHAPES: dict[str, Any] = {
    "description": "Rows of 61 values",
    "content": {"application/json": {"schema": _object(blendshapes=_rows(61, 18))}},
}
