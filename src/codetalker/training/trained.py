"""What a trained stage has left: its record and its tensors, for the stages of both wings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from codetalker.errors import ModelError
from codetalker.reading import read_json
from codetalker.training.loop import BEST, load_checkpoint
from codetalker.training.run_record import RUN


def read_trained(path: Path, stage: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The record of a run, as `run_record` made it, and what it trained, on the CPU.

    Args:
        path: the run's folder, for its best model; or `best.pt` or `last.pt` in there.
        stage: codec or talker.

    Raises:
        ModelError: there is none, it is damaged, or it is of the other stage.
    """
    file = path / BEST if path.is_dir() else path
    state = load_checkpoint(file)
    try:
        record = read_json(file.parent / RUN)["config"]
        of = record["stage"]
    except (OSError, ValueError, KeyError, TypeError):
        raise undescribed(path, stage) from None
    if of != stage:
        raise ModelError(f"{path} is the run of a {of}; name the run of its {stage}")
    return record, state.get("model", state)


def part_of(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The state of the submodule `name` of what was trained."""
    prefix = f"{name}."
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def undescribed(path: Path, stage: str) -> ModelError:
    """To raise where the record of a run does not describe what is wanted, or not what it holds."""
    run = path if path.is_dir() else path.parent
    return ModelError(
        f"{run / RUN} does not describe a {stage} of this family; name the run of one, made by: "
        f"codetalker train {stage}"
    )
