"""The training loop: steps, checkpoints, log, progress.

All randomness of a step comes from (seed, step), and a checkpoint holds everything else; so a run
that is killed at any moment and started again ends with the same weights.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from codetalker.errors import DataError, ModelError

Losses = Mapping[str, Tensor]


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train.

    Attributes:
        steps: optimiser steps in all.
        learning_rate: at its highest; it rises over `warmup` steps and falls to zero as a cosine.
        weight_decay: of AdamW, on matrices only.
        clip: largest norm of the gradient.
        seed: of everything random.
        evaluate_every: steps between evaluations and checkpoints.
    """

    steps: int
    learning_rate: float
    warmup: int = 100
    weight_decay: float = 0.01
    clip: float = 5.0
    seed: int = 0
    evaluate_every: int = 250

    def rate(self, step: int) -> float:
        """Learning rate at a step."""
        rise = min(1.0, (step + 1) / self.warmup)
        return self.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * step / self.steps))


def fit(
    model: nn.Module,
    plan: Plan,
    losses: Callable[[int], Losses],
    evaluate: Callable[[], dict[str, float]],
    folder: Path,
    *,
    watch: str,
    after_step: Callable[[int], None] = lambda step: None,
) -> None:
    """Minimise `losses(step)["loss"]`; leave `last.pt`, `best.pt` and `log.jsonl` in the folder.

    Args:
        model: what is trained; its buffers are part of the checkpoint.
        losses: named scalars of a step; "loss" is minimised, the others are logged.
        evaluate: figures of the present model; the lowest `watch` is kept as `best.pt`.
        after_step: called after the optimiser; it may change parameters, deterministically.

    Raises:
        DataError: the loss is not finite.
        ModelError: `last.pt` belongs to another model or plan.
    """
    folder.mkdir(parents=True, exist_ok=True)
    matrices = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    vectors = [p for p in model.parameters() if p.requires_grad and p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": plan.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, plan.learning_rate)
    first, best = _resume(folder / "last.pt", model, optimiser, plan)
    columns = ("[progress.description]{task.description}", "{task.completed}/{task.total}")
    with Progress(
        *map(TextColumn, columns), BarColumn(), TimeRemainingColumn(), refresh_per_second=2
    ) as bar:
        task = bar.add_task(folder.name, total=plan.steps, completed=first)
        for step in range(first, plan.steps):
            torch.manual_seed(plan.seed * 1_000_003 + step)
            for group in optimiser.param_groups:
                group["lr"] = plan.rate(step)
            values = losses(step)
            if not torch.isfinite(values["loss"]):
                raise DataError(
                    f"the loss is {values['loss'].item()} at step {step}; lower the learning rate "
                    f"or look for extreme values in the corpus; {folder / 'last.pt'} is intact"
                )
            optimiser.zero_grad()
            values["loss"].backward()
            nn.utils.clip_grad_norm_(model.parameters(), plan.clip)
            optimiser.step()
            after_step(step)
            bar.update(task, advance=1, description=f"{folder.name} {values['loss'].item():.4g}")
            if (step + 1) % plan.evaluate_every == 0 or step + 1 == plan.steps:
                figures = evaluate()
                _log(folder, step + 1, values, figures)
                if figures[watch] < best:
                    best = figures[watch]
                    save_atomically(model.state_dict(), folder / "best.pt")
                save_atomically(
                    {
                        "model": model.state_dict(),
                        "optimiser": optimiser.state_dict(),
                        "step": step + 1,
                        "best": best,
                        "plan": vars(plan),
                    },
                    folder / "last.pt",
                )


def _resume(
    path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, plan: Plan
) -> tuple[int, float]:
    if not path.exists():
        return 0, math.inf
    state = load_checkpoint(path)
    if state.get("plan") != vars(plan):
        raise ModelError(
            f"{path} was made with {state.get('plan')}, not {vars(plan)}; resume with the same "
            "options or name another folder"
        )
    try:
        model.load_state_dict(state["model"])
    except RuntimeError as error:
        raise ModelError(f"{path} holds another model: {error}; name another folder") from error
    optimiser.load_state_dict(state["optimiser"])
    return state["step"], state["best"]


def load_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint as data: tensors and plain values only.

    Raises:
        ModelError: the file is missing, cut short, or holds anything else.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ModelError(f"{path} does not exist; train that stage first") from None
    except Exception as error:  # torch raises many kinds for a damaged file
        raise ModelError(f"{path} is not a readable checkpoint: {error}") from error


def save_atomically(state: dict[str, Any], path: Path) -> None:
    """Write a checkpoint under a temporary name, then rename it."""
    partial = path.with_name(path.name + ".partial")
    torch.save(state, partial)
    partial.replace(path)


def _log(folder: Path, step: int, losses: Losses, figures: dict[str, float]) -> None:
    row = {"step": step, "time": round(time.time())}
    row |= {name: round(value.item(), 5) for name, value in losses.items()}
    row |= {name: round(value, 5) for name, value in figures.items()}
    with (folder / "log.jsonl").open("a") as stream:
        stream.write(json.dumps(row) + "\n")
