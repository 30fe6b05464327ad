"""Work: the process that turns recordings into files, apart from the server and its streams.

In the flow **speech -> features -> codes -> motion -> mesh -> file**, all of it. What a stranger
has sent is decoded here, so that what it breaks is nobody else's; and it gives way to streams.
A job is a line of JSON on standard input, its answer one on standard output.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
import warnings
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

import codetalker
from codetalker.audio import SAMPLE_RATE, Source, Waveform, heard
from codetalker.errors import CodeTalkerError, OptionError, SoundWarning, one_line
from codetalker.live.frames import frames_of
from codetalker.live.livelink import values

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

    def line(self) -> bytes:
        """As it is sent to the process."""
        return json.dumps(asdict(self)).encode() + b"\n"


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


def main(jobs: IO[bytes], answers: IO[bytes]) -> None:
    """Do jobs until there are no more; what is a defect of ours is answered with its traceback."""
    for line in jobs:
        try:
            answer = done(Job(**json.loads(line)))
        except Exception:
            answer = {"defect": traceback.format_exc()[-8000:]}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # the server ends us, when it is done
        signal.signal(number, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(_NICE)
    warnings.simplefilter("ignore", SoundWarning)
    own = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    main(sys.stdin.buffer, own)
