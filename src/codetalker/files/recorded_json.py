"""Weights in JSON: MediaPipe's scores, ARKit recordings, and the forms that we write.

In the flow speech -> features -> codes -> **motion** -> mesh -> file. Recorders differ in how they
call things; what they agree upon is enough: frames, one after another, that hold Apple's names with
a number each, or rows of numbers whose names stand beside them; times, or a rate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codetalker.arkit import ARKIT_NAMES
from codetalker.errors import MotionError
from codetalker.files.sampled import Sampled, sampled
from codetalker.reading import Malformed, read_json, refusing

_MAX_BYTES = 512 << 20
_APPLE = {name.lower(): name for name in ARKIT_NAMES}
_FRAMES = ("frames", "results", "data", "samples", "weightmat", "blendshapes", "faceblendshapes")
_NAMES = ("facsnames", "blendshapenames", "names", "shapes", "targets")
_RATES = ("fps", "exportfps", "framerate", "frame_rate", "framespersecond")
_MILLISECONDS = ("timestampms", "timestamp_ms", "time_ms", "ms")
_SECONDS = ("time", "timestamp", "t", "seconds", "timecode", "elapsed")
_HEAD = ("head", "headpose", "headrotation")
_USUAL_FPS = 60.0
"""Of Azure's frames and of a phone's, which come without a rate."""


def read_json_motion(path: Path) -> Sampled:
    """A recording.

    Raises:
        MotionError: there is no such file, or it holds no frames of Apple's blendshapes.
    """
    remedy = "give frames of Apple's blendshapes; docs/capture.md has examples"
    with refusing(MotionError, f"{path} holds no recorded weights", remedy):
        whole = read_json(path, _MAX_BYTES)
        if isinstance(whole, dict) and isinstance(whole.get("vs"), dict):
            return _talking_head(whole)
        top = _lower(whole) if isinstance(whole, dict) else {}
        frames = _frames(whole)
        names = _listed_names(top)
        rows = [_row(frame, names) for frame in frames]
        seen = [name for name in ARKIT_NAMES if any(name in row for row in rows)]
        values = np.array([[row.get(n, 0.0) for n in seen] for row in rows], np.float32)
        return sampled(_times(frames, top), seen, values)


def _lower(value: dict[str, Any]) -> dict[str, Any]:
    return {name.lower(): item for name, item in value.items()}


def _talking_head(whole: dict[str, Any]) -> Sampled:
    """Our own default form: `dt` is what each value of `vs` is reached in, milliseconds."""
    times = np.cumsum(np.array(whole["dt"], np.float64)) / 1000
    shapes = {name: curve for name, curve in whole["vs"].items() if name in ARKIT_NAMES}
    values = np.array([*shapes.values()], np.float32).T
    if values.shape != (len(times), len(shapes)):
        raise Malformed("its curves differ in length")
    return sampled(times, [*shapes], values)


def _frames(whole: Any) -> list[Any]:
    """The list of the frames, wherever it is."""
    if isinstance(whole, list):
        return whole
    if isinstance(whole, dict):
        members = _lower(whole)
        for name in _FRAMES:
            found = members.get(name)
            if isinstance(found, list) and found:
                return found
            if isinstance(found, dict):
                return _frames(found)
    raise Malformed("no list of frames is in it")


def _listed_names(top: dict[str, Any]) -> Sequence[str]:
    """Names of the columns of rows of numbers: told, or Apple's."""
    for name in _NAMES:
        if isinstance(top.get(name), list):
            return [str(n) for n in top[name]]
    return ARKIT_NAMES


def _row(frame: Any, names: Sequence[str]) -> dict[str, float]:
    """Apple's name -> weight of a frame."""
    if isinstance(frame, dict):
        found = dict(_named(frame))
        if found:
            return found
        numbers = next((v for v in frame.values() if _is_row(v)), None)
    else:
        found, numbers = dict(_named(frame)), frame if _is_row(frame) else None
    if numbers is None:
        return found
    if len(numbers) < len(names):
        raise Malformed(f"a row has {len(numbers)} numbers for {len(names)} names")
    pairs = zip(names, numbers, strict=False)  # Azure's angles follow its weights
    return {_APPLE[n.lower()]: float(v) for n, v in pairs if n.lower() in _APPLE}


def _named(value: Any) -> Iterator[tuple[str, float]]:
    """What is called as Apple calls it, and MediaPipe's categories, at any depth."""
    if isinstance(value, list):
        for item in value:
            yield from _named(item)
    elif isinstance(value, dict):
        members = _lower(value)
        name = members.get("categoryname", members.get("category_name", members.get("name")))
        score = members.get("score", members.get("value", members.get("weight")))
        if isinstance(name, str) and name.lower() in _APPLE and isinstance(score, int | float):
            yield _APPLE[name.lower()], float(score)
            return
        for key, item in value.items():
            if isinstance(item, int | float) and key.lower() in _APPLE:
                yield _APPLE[key.lower()], float(item)
            elif isinstance(item, dict | list):
                yield from _named(item)


def _is_row(value: Any) -> bool:
    return (
        isinstance(value, list) and bool(value) and all(isinstance(v, int | float) for v in value)
    )


def _times(frames: list[Any], top: dict[str, Any]) -> NDArray[np.float64]:
    """(T,) seconds: the frames' own times, or by the rate that the file tells."""
    told = [_time(_lower(frame)) if isinstance(frame, dict) else None for frame in frames]
    times = np.array([time for time in told if time is not None], np.float64)
    if len(times) == len(frames):
        step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
        return times / 1000 if step > 2 else times  # frames are no two seconds apart
    rate = next((top[name] for name in _RATES if isinstance(top.get(name), int | float)), None)
    return np.arange(len(frames)) / float(rate or _USUAL_FPS)


def _time(frame: dict[str, Any]) -> float | None:
    for names, unit in ((_MILLISECONDS, 1e-3), (_SECONDS, 1.0)):
        for name in names:
            if isinstance(frame.get(name), int | float):
                return float(frame[name]) * unit
    return None
