"""The training loop: steps, checkpoints, resumption.

All randomness of a step comes from its number and the seed, and a checkpoint holds everything
else; so a run that is killed at any moment and started again ends with the same weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from codetalker.disk import replacing
from codetalker.errors import DataError, ModelError, OptionError, OutputError
from codetalker.training import processes
from codetalker.training.run_log import RunLog
from codetalker.training.run_record import write_record

Losses = Mapping[str, Tensor]
Figures = dict[str, float]

LAST, BEST = "last.pt", "best.pt"


class Schedule(Protocol):
    """How long and how fast to train, in steps.

    Attributes:
        steps: optimiser steps in all.
        shares: parts of a step, computed one after another or by several processes; the step
            follows the mean of their gradients.
        clip: largest norm of the gradient; infinity leaves it as it is.
        seed: of everything random.
        evaluate_every, save_every: steps between evaluations, and between checkpoints.
    """

    @property
    def steps(self) -> int: ...
    @property
    def shares(self) -> int: ...
    @property
    def clip(self) -> float: ...
    @property
    def seed(self) -> int: ...
    @property
    def evaluate_every(self) -> int: ...
    @property
    def save_every(self) -> int: ...

    def rate(self, step: int) -> float:
        """Learning rate at a step."""
        ...

    def optimiser(self, model: nn.Module) -> torch.optim.Optimizer:
        """What changes the model's parameters."""
        ...

    def record(self) -> dict[str, Any]:
        """What must be the same when a run goes on."""
        ...


@dataclass(frozen=True)
class Plan:
    """A `Schedule` in steps: warm-up, then a cosine; AdamW.

    Attributes:
        steps: optimiser steps in all.
        learning_rate: at its highest; it rises over `warmup` steps and falls to zero as a cosine.
        weight_decay: of AdamW, on matrices only.
        clip: largest norm of the gradient.
        seed: of everything random.
        evaluate_every: steps between evaluations and checkpoints.
        shares: batches per step in each process; the step follows the mean of their losses.
    """

    steps: int
    learning_rate: float
    warmup: int = 100
    weight_decay: float = 0.01
    clip: float = 5.0
    seed: int = 0
    evaluate_every: int = 250
    shares: int = 1

    def __post_init__(self) -> None:
        for name in ("steps", "warmup", "evaluate_every", "shares"):
            value = getattr(self, name)
            if value < 1:
                raise OptionError(f"plan: {name} is {value}; choose 1 or more")

    def among(self, processes: int) -> Plan:
        """For that many processes together: a step then has the shares of all of them."""
        return replace(self, shares=self.shares * processes)

    @property
    def save_every(self) -> int:
        return self.evaluate_every

    def rate(self, step: int) -> float:
        """Learning rate at a step."""
        rise = min(1.0, (step + 1) / self.warmup)
        return self.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * step / self.steps))

    def optimiser(self, model: nn.Module) -> torch.optim.Optimizer:
        """AdamW; biases, gains and other vectors do not decay."""
        matrices = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
        vectors = [p for p in model.parameters() if p.requires_grad and p.ndim < 2]
        groups = [
            {"params": matrices, "weight_decay": self.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, self.learning_rate)

    def record(self) -> dict[str, Any]:
        """Every option: the cosine depends on all of them."""
        return dict(vars(self))


def fit(
    model: nn.Module,
    plan: Schedule,
    losses: Callable[[int], Losses],
    evaluate: Callable[[], Figures],
    folder: Path,
    *,
    watch: str,
    before_step: Callable[[int], None] = lambda step: None,
    after_step: Callable[[int], None] = lambda step: None,
    warn: Callable[[Figures], Sequence[str]] = lambda figures: (),
    config: Mapping[str, Any] | None = None,
) -> None:
    """Minimise `losses(i)["loss"]`; leave `last.pt`, `best.pt`, `run.json` and a log in the folder.

    Args:
        model: what is trained; its buffers are part of the checkpoint.
        losses: named scalars of share i, where step s has the shares from s * plan.shares on;
            "loss" is minimised, the others are logged.
        evaluate: figures of the present model; the lowest `watch` is kept as `best.pt`.
        before_step, after_step: called before the losses and after the optimiser, in every process
            with the same random numbers; they may change parameters, deterministically.
        warn: what looks wrong about the figures, one line each.
        config: plain values that say what is trained; must be the same when a run goes on.

    Raises:
        DataError: the loss, its gradient or the watched figure is not finite.
        ModelError: `last.pt` belongs to another model, plan or configuration.
        OptionError: the shares cannot be divided among the processes.
    """
    if plan.shares % processes.count():
        raise OptionError(
            f"a step of {plan.shares} cannot be shared by {processes.count()} processes; start "
            "fewer of them"
        )
    writes = processes.rank() == 0
    folder.mkdir(parents=True, exist_ok=True)
    optimiser = plan.optimiser(model)
    record = {"plan": plan.record(), "config": dict(config or {})}
    first, best = _resume(folder / LAST, model, optimiser, record)
    if writes and first < plan.steps:
        write_record(folder, record | {"steps": plan.steps})
    with RunLog(folder, plan.steps, first, silent=not writes) as log:
        for step in range(first, plan.steps):
            _seed(plan, step * plan.shares)
            before_step(step)
            values = _step(model, plan, optimiser, losses, step, folder)
            _seed(plan, step * plan.shares)
            after_step(step)
            log.add(values)
            evaluates = _due(step, plan.evaluate_every, plan.steps)
            if not writes or not (evaluates or _due(step, plan.save_every, plan.steps)):
                continue
            figures = evaluate() if evaluates else {}
            log.row(step + 1, plan.rate(step), figures, warn(figures) if evaluates else ())
            if evaluates and _better(figures[watch], best, watch, step, folder):
                best = figures[watch]
                save_checkpoint(model.state_dict(), folder / BEST)
            state = {"model": model.state_dict(), "optimiser": optimiser.state_dict()}
            save_checkpoint(state | record | {"step": step + 1, "best": best}, folder / LAST)


def _step(
    model: nn.Module,
    plan: Schedule,
    optimiser: torch.optim.Optimizer,
    losses: Callable[[int], Losses],
    step: int,
    folder: Path,
) -> dict[str, float]:
    """One step of the optimiser; gives the losses, each the mean over the shares."""
    for group in optimiser.param_groups:
        group["lr"] = plan.rate(step)
    optimiser.zero_grad()
    sums: dict[str, Tensor] = {}
    first = step * plan.shares
    for share in range(first + processes.rank(), first + plan.shares, processes.count()):
        _seed(plan, share)
        values = {name: value / plan.shares for name, value in losses(share).items()}
        values["loss"].backward()
        for name, value in values.items():
            sums[name] = sums[name] + value.detach() if name in sums else value.detach()
    trained = [p for group in optimiser.param_groups for p in group["params"]]
    processes.sum_gradients(trained, optimiser)
    totals = processes.sum_values(sums)
    norm = nn.utils.clip_grad_norm_(model.parameters(), plan.clip)
    if not (math.isfinite(totals["loss"]) and torch.isfinite(norm)):
        raise DataError(
            f"at step {step} the loss is {totals['loss']}, its gradient {float(norm)}; lower the "
            f"learning rate or look for extreme values in the data; {folder / LAST} is intact"
        )
    optimiser.step()
    return totals


def _seed(plan: Schedule, share: int) -> None:
    torch.manual_seed(plan.seed * 1_000_003 + share)


def _due(step: int, every: int, steps: int) -> bool:
    return (step + 1) % every == 0 or step + 1 == steps


def _better(figure: float, best: float, watch: str, step: int, folder: Path) -> bool:
    if not math.isfinite(figure):
        raise DataError(
            f"after step {step} {watch} is {figure}; lower the learning rate or look for extreme "
            f"values in the data; {folder / LAST} is intact"
        )
    return figure < best


def _resume(
    path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, record: Mapping[str, Any]
) -> tuple[int, float]:
    if not path.exists():
        return 0, math.inf
    state = load_checkpoint(path)
    changed = [
        f"{name} was {there.get(name)!r}, not {here.get(name)!r}"
        for there, here in ((flat(state.get(k, {})), flat(v)) for k, v in record.items())
        for name in sorted(there.keys() | here.keys())
        if there.get(name) != here.get(name)
    ]
    if changed:
        raise ModelError(
            f"{path} was made with other options ({'; '.join(changed)}); go on with the same ones "
            "or name another folder"
        )
    try:
        model.load_state_dict(state["model"])
    except RuntimeError as error:
        raise ModelError(f"{path} holds another model: {error}; name another folder") from error
    optimiser.load_state_dict(state["optimiser"])
    return state["step"], state["best"]


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested names joined by dots."""
    named: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            named |= flat(value, f"{prefix}{name}.")
        else:
            named[prefix + name] = value
    return named


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


def save_checkpoint(state: dict[str, Any], path: Path) -> None:
    """Write tensors and plain values, whole or not at all.

    Raises:
        OutputError: the operating system refuses to write.
    """
    with replacing(path) as temporary:
        try:
            torch.save(state, temporary)
        except RuntimeError as error:  # what torch makes of a write that failed
            raise OutputError(
                f"{path} cannot be written ({error}); see whether the disk is full"
            ) from error
