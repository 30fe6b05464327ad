"""What a training run tells while it goes: `log.jsonl`, TensorBoard, a bar or lines.

`log.jsonl` has one object per row: `step`, `time`, the mean of each loss since the row before, and
at evaluations the figures and `warnings`. Where the tensorboard package is installed (extra:
tensorboard) the same numbers go into event files beside it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from types import TracebackType
from typing import Any, Self

from rich.console import Console

from codetalker.disk import explained, replacing
from codetalker.progress import ProgressBar

LOG = "log.jsonl"


class RunLog:
    """The log of one run.

    Args:
        folder: of the run.
        steps: in all.
        first: the step at which this process starts; rows of later steps, which a killed process
            has left, are taken out.
        silent: write and show nothing, as all processes but one should.
    """

    def __init__(self, folder: Path, steps: int, first: int, silent: bool = False) -> None:
        self.folder, self.steps, self.silent = folder, steps, silent
        self._losses: dict[str, list[float]] = {}
        self._console = Console(stderr=True, quiet=silent)
        self._bar = ProgressBar(
            folder.name, steps, done=first, counts=True, silent=silent, console=self._console
        )
        self._events = None
        if not silent:
            _drop_rows_after(first, folder / LOG)
            self._events = _event_writer(folder, first)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
        if self._events is not None:
            self._events.close()

    def add(self, losses: Mapping[str, float]) -> None:
        """Count in the losses of one step."""
        for name, value in losses.items():
            self._losses.setdefault(name, []).append(value)
        self._bar.rename(f"{self.folder.name} {losses['loss']:.4g}")
        self._bar.advance()

    def row(
        self,
        step: int,
        rate: float,
        figures: Mapping[str, float] | None = None,
        warnings: Sequence[str] = (),
    ) -> None:
        """Write what was counted since the last row.

        Args:
            step: steps done.
            rate: learning rate.
            figures: of an evaluation, if there was one.
            warnings: what looks wrong, one line each.
        """
        if self.silent:
            return
        losses = {name: fmean(values) for name, values in self._losses.items()}
        losses["learning_rate"] = rate
        self._losses = {}
        numbers = {k: float(f"{v:.6g}") for k, v in (losses | dict(figures or {})).items()}
        content: dict[str, Any] = {"step": step, "time": round(time.time())} | numbers
        if warnings:
            content["warnings"] = list(warnings)
        path = self.folder / LOG
        with explained(path), path.open("a") as stream:
            stream.write(json.dumps(content) + "\n")
        if self._events is not None:
            for part, values in (("train", losses), ("evaluation", figures or {})):
                for name, value in values.items():
                    self._events.add_scalar(f"{part}/{name}", value, step)
            self._events.flush()
        self._show(step, numbers, warnings)

    def _show(self, step: int, numbers: Mapping[str, float], warnings: Sequence[str]) -> None:
        options: dict[str, Any] = {"markup": False, "highlight": False, "soft_wrap": True}
        if not self._bar.shown:
            words = " ".join(f"{name} {value:.4g}" for name, value in numbers.items())
            self._console.print(f"{self.folder.name} {step}/{self.steps}: {words}", **options)
        for warning in warnings:
            self._console.print(f"warning: step {step}: {warning}", **options)


def _drop_rows_after(step: int, path: Path) -> None:
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines(keepends=True):
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line)
        except ValueError:  # a row that was being written when the process was killed
            continue
    with replacing(path) as temporary:
        temporary.write_text("".join(kept))


def _event_writer(folder: Path, first: int) -> Any:
    """A writer that hides events after step `first`; None without the tensorboard package."""
    if find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=first + 1)
