"""What a run is of: written to its `run.json` and its checkpoints, for the stages of both wings.

A run goes on only as what it is: with the same model, recipe, data and codec. Which code trained it
is told beside that, and may change.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from codetalker.disk import replacing

RUN = "run.json"
WRITTEN = (
    RUN, "log.jsonl", "last.pt", "best.pt", "features", "encoder", "bundle", "model", "latent",
)  # fmt: skip
"""What a run, of either wing, makes in its folder."""


def run_record(
    stage: str,
    *,
    model: Any,
    recipe: Any,
    data: Mapping[str, Any],
    codec: Mapping[str, Tensor] | None = None,
) -> dict[str, Any]:
    """What must be the same when a run goes on, as plain values.

    Args:
        stage: codec or talker.
        model: its configuration, a dataclass.
        recipe: how it is trained, a dataclass.
        data: plain values by which its data are recognised.
        codec: tensors of the codec that a talker stands on.
    """
    record = {
        "stage": stage,
        "model": dataclasses.asdict(model),
        "recipe": dataclasses.asdict(recipe),
        "data": dict(data),
    }
    return record if codec is None else record | {"codec": tensors_digest(codec)}


def values_digest(values: Iterable[Any]) -> str:
    """By which plain values are recognised: 16 hexadecimal digits of SHA-256."""
    return hashlib.sha256(json.dumps(list(values)).encode()).hexdigest()[:16]


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """By which named tensors are recognised, on any device: 16 hexadecimal digits of SHA-256."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write `run.json`: the record and the commits of the code that has worked on the run."""
    path, now = folder / RUN, code_commit()
    commits = _commits(path)
    if now is not None and now not in commits[-1:]:
        commits.append(now)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps({**record, "commits": commits}, indent=1) + "\n")


def code_commit() -> str | None:
    """The git commit of this package, `-dirty` if it was changed since; None if it has none."""
    folder = Path(__file__).parent
    try:
        for words in (
            ("ls-files", "--error-unmatch", Path(__file__).name),  # not a repository around us
            ("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"),
        ):
            command = ("git", "-C", str(folder), *words)
            answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.strip()


def _commits(path: Path) -> list[str]:
    """Of an earlier record; none if there is none that can be read."""
    try:
        return list(json.loads(path.read_text())["commits"])
    except (OSError, ValueError, KeyError, TypeError):
        return []
