"""Work: one recording of a batch, from its sound to its row in the ledger; and the process for it.

In the flow **speech -> features -> codes -> motion -> mesh -> file**, all of it. A pool on this
machine and the actors of a cluster do it in the same way, in this process.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp
from typing import Any

import codetalker
from codetalker.batch.ledger import DONE, FAILED, KEPT
from codetalker.batch.location import Location
from codetalker.batch.manifest import FILES
from codetalker.errors import (
    AudioError,
    CodeTalkerError,
    ModelError,
    OptionError,
    RigError,
    one_line,
)
from codetalker.model_folder import CONFIG, file_digest
from codetalker.reading import refusing
from codetalker.rendition import Rendition, Wishes
from codetalker.talker import Talker
from codetalker.workers import answer_jobs

try:
    import resource
except ImportError:  # a system without limits
    resource = None

Row = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What all recordings of a batch have in common.

    Attributes:
        out: location of the folder of outputs.
        suffixes: of the files that each recording gives.
        model: its folder, on every machine.
        digest: of the model.
        wishes: those that a manifest does not change, as plain values.
        memory: bytes that a worker may take.
    """

    out: str
    suffixes: tuple[str, ...]
    model: str
    digest: str
    wishes: dict[str, Any]
    memory: int

    def job(self, recording: dict[str, Any]) -> dict[str, Any]:
        """What is sent to a worker: a row of `manifest.recordings`, with `known`, the key that the
        ledger has for it, or None."""
        return {"plan": asdict(self), "recording": recording}


def plain(wishes: Wishes) -> dict[str, Any]:
    """Wishes as JSON has them; files by absolute paths."""
    values = asdict(wishes)
    return values | {name: values[name] and str(Path(values[name]).absolute()) for name in FILES}


def digest_of(model: Path) -> str:
    """Of all files of a model: its `config.json` has their checksums."""
    return file_digest(model / CONFIG)


def done(job: dict[str, Any]) -> Row:
    """Do a job; what is wrong with the recording is in the row."""
    plan = Plan(**job["plan"])
    _bound_memory(plan.memory)
    recording, began = job["recording"], time.perf_counter()
    row = blank(recording)
    try:
        row |= _animated(plan, recording)
    except CodeTalkerError as error:
        row |= {"status": FAILED, "error": one_line(str(error))}
    except MemoryError:
        error = f"{row['sound']} takes more than {plan.memory >> 20} MB; give it more --memory"
        row |= {"status": FAILED, "error": error}
    return row | {"took": time.perf_counter() - began, "ended": now()}


def blank(recording: dict[str, Any], error: str = "") -> Row:
    """The row of a recording of which nothing has come."""
    return {
        "name": recording["name"],
        "sound": recording["sound"],
        "status": FAILED,
        "key": "",
        "error": error,
        "files": [],
        "seconds": 0.0,
        "frames": 0,
        "took": 0.0,
        "worker": f"{platform.node()}:{os.getpid()}",
        "ended": now(),
    }


def now() -> str:
    """The time, as JSON can hold it."""
    return datetime.now(UTC).isoformat()


def _animated(plan: Plan, recording: dict[str, Any]) -> Row:
    own = {name: recording[name] for name in recording.keys() & plan.wishes.keys()}
    wishes = wishes_of(plan.wishes | {n: v for n, v in own.items() if v is not None})
    rendition = _rendition(plan.model, plan.digest, wishes)
    sound, out = Location.of(recording["sound"]), Location.of(plan.out)
    outputs = [out / f"{recording['name']}{suffix}" for suffix in plan.suffixes]
    with ExitStack() as stack:
        path = stack.enter_context(sound.fetched(AudioError))
        try:
            key = _key(plan, wishes, path)
            if key == recording["known"] and all(output.exists() for output in outputs):
                return {"status": KEPT, "key": key}
            for output in outputs:
                output.system.makedirs(output.parent.path, exist_ok=True)
            paths = [stack.enter_context(output.sent()) for output in outputs]
            made = list(rendition.write(path, paths, silent=True))
        except CodeTalkerError as error:
            raise type(error)(str(error).replace(str(path), sound.url)) from error
    return {
        "status": DONE,
        "key": key,
        "files": [output.url for output in outputs],
        "seconds": made[0].seconds,
        "frames": made[0].frames,
    }


def wishes_of(values: dict[str, Any]) -> Wishes:
    """Wishes from values as JSON or the texts of a manifest have them.

    Raises:
        OptionError: one is of another type.
    """
    read = {}
    for name, value in values.items():
        reader = _READERS.get(name, str)
        with refusing(OptionError, f"{name} {value!r} is not understood", "correct the manifest"):
            read[name] = None if value is None else reader(value)
    return replace(Wishes(), **read)


def _whole(value: Any) -> int:
    number = float(value)
    if not number.is_integer():
        raise ValueError("it is no whole number")
    return int(number)


def _truth(value: Any) -> bool:
    return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[
        str(value).lower()
    ]


def _brought(value: str) -> Path:
    return Path(value) if "://" not in value else _fetched(value)


_READERS: dict[str, Callable[[Any], Any]] = {
    "strength": float,
    "track": _whole,
    "seed": _whole,
    "blinks": _truth,
    **dict.fromkeys(FILES, _brought),
}


@cache
def _fetched(url: str) -> Path:
    """A copy of a remote face, for as long as the process lives."""
    copy = Path(mkdtemp(), PurePosixPath(url).name)
    with Location.of(url).fetched(RigError) as path:
        return path.rename(copy)


@lru_cache(maxsize=2)
def _rendition(model: str, digest: str, wishes: Wishes) -> Rendition:
    return Rendition.of(_talker(model, digest), wishes)


@cache
def _talker(model: str, digest: str) -> Talker:
    if digest_of(Path(model)) != digest:
        raise ModelError(f"{model} is another model than where the batch began; copy it again")
    return codetalker.load(model)


def _key(plan: Plan, wishes: Wishes, sound: Path) -> str:
    """What decides whether a recording is done: the content of everything that goes into it."""
    options = {
        field.name: _digest(value) if isinstance(value, Path) else value
        for field in fields(wishes)
        for value in [getattr(wishes, field.name)]
    }
    with refusing(
        AudioError,
        f"{sound} cannot be read",
        "name a file that holds sound",
        f"{sound} does not exist; check the spelling of the path",
    ):
        content = [file_digest(sound), plan.digest, sorted(plan.suffixes), options]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@cache
def _digest(path: Path) -> str:
    with refusing(RigError, f"{path} cannot be read", "name another"):
        return file_digest(path)


@cache
def _bound_memory(most: int) -> None:
    """Have what takes more memory fail, rather than the machine."""
    if resource is not None and hasattr(resource, "RLIMIT_DATA"):
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


if __name__ == "__main__":
    answer_jobs(done)
