"""Work: the process that turns recordings into files, apart from the server and its streams.

In the flow **speech -> features -> codes -> motion -> mesh -> file**, all of it. What a stranger
has sent is decoded here, so that what it breaks is nobody else's; and it gives way to streams.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import codetalker
from codetalker.audio import SAMPLE_RATE, Source, Waveform, heard
from codetalker.errors import CodeTalkerError, OptionError, one_line
from codetalker.live.frames import frames_of
from codetalker.live.livelink import values
from codetalker.workers import answer_jobs

if TYPE_CHECKING:
    from codetalker.motion import Motion
    from codetalker.talker import Talker

NEUROSYNC, JSON = "neurosync", "json"
"""What is written beside the formats of files: rows of 61, and names with rows of weights."""
NEUROSYNC_FPS, _FEWEST = 60.0, 18
"""What NeuroSync's players expect: frames a second, and how many at least."""
_NICE = 10


@dataclass(frozen=True)
class Job:
    """A recording to animate.

    Attributes:
        sound: the file that holds it.
        out: the file to write.
        model: its folder.
        format: a suffix without its dot, `json` or `neurosync`.
        seconds: of sound that are taken.
        options: of `Talker.animate`; those that are None are left out.
    """

    sound: str
    out: str
    model: str
    format: str
    seconds: float
    options: dict[str, Any] = field(default_factory=dict)


def done(job: Job) -> dict[str, Any]:
    """Do it.

    Returns:
        `seconds` and `frames`, or `error`: what is wrong with the sound or the options.
    """
    try:
        talker = _loaded(job.model)
        options = {name: value for name, value in job.options.items() if value is not None}
        for name in options.keys() & {"blinks", "life"}:
            if name not in talker.options:
                raise OptionError(f"this model takes no {name}; leave it out")
        least = _FEWEST / NEUROSYNC_FPS if job.format == NEUROSYNC else 0.0
        waveform = _sound(Path(job.sound), job.seconds, least)
        motion = talker.animate(waveform, **options)
        _WRITERS.get(job.format, _saved)(motion, Path(job.out))
        return {"seconds": waveform.duration, "frames": len(motion)}
    except CodeTalkerError as error:
        message = str(error).replace(job.sound, "the sound").replace(job.out, "the file")
        return {"error": one_line(message)}


@cache
def _loaded(model: str) -> Talker:
    return codetalker.load(model)


def _sound(path: Path, most: float, least: float) -> Waveform:
    parts, count = [], 0
    for samples in heard(path):
        parts.append(samples)
        count += len(samples)
        if count > most * SAMPLE_RATE:
            raise OptionError(f"the sound is longer than {most:g} s; send it in shorter pieces")
    short = max(0, round(least * SAMPLE_RATE) - count)
    return Waveform(np.concatenate([*parts, np.zeros(short, np.float32)]), source=Source(path))


def _saved(motion: Motion, path: Path) -> None:
    motion.save(path)


def _json(motion: Motion, path: Path) -> None:
    """`{"names": [...], "fps": 25.0, "weights": [[...], ...], "head": [[...], ...] or null}`."""
    head = None if motion.head is None else _rows(motion.head)
    content = {
        "names": motion.names,
        "fps": motion.fps,
        "weights": _rows(motion.weights),
        "head": head,
    }
    path.write_text(json.dumps(content))


def _neurosync(motion: Motion, path: Path) -> None:
    """`{"blendshapes": [[61 values], ...]}` in the order of Live Link Face."""
    rows = _rows(np.array([values(frame) for frame in frames_of(motion)]))
    path.write_text(json.dumps({"blendshapes": rows}))


def _rows(array: np.ndarray) -> list[list[float]]:
    return np.round(array.astype(np.float64), 5).tolist()


_WRITERS = {NEUROSYNC: _neurosync, JSON: _json}


if __name__ == "__main__":
    answer_jobs(lambda job: done(Job(**job)), _NICE)
