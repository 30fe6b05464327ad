"""How long work tells how far it is: a bar with the time left on a terminal, nothing elsewhere.

Functions that take long call a `Progress`; commands hand them the `update` of a `ProgressBar`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Self, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")
Progress = Callable[[float, float], None]
"""Told how much is done, and of how much."""


class ProgressBar:
    """A bar on standard error while its block runs; it leaves no trace.

    Where standard error is no terminal, in a log or a pipe, every call does nothing.

    Args:
        name: what is being done.
        total: of any unit; None until it is known.
        done: of it already.
        counts: show both numbers beside the bar.
        silent: show nothing on a terminal either.
        console: that writes lines while the bar is shown; one of its own for None.
    """

    def __init__(
        self,
        name: str,
        total: float | None = None,
        *,
        done: float = 0,
        counts: bool = False,
        silent: bool = False,
        console: Console | None = None,
    ) -> None:
        self.shown = sys.stderr.isatty() and not silent
        if not self.shown:
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        numbers = (TextColumn("{task.completed}/{task.total}"),) if counts else ()
        columns = (
            TextColumn("{task.description}", markup=False),
            *numbers,
            BarColumn(),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=console or Console(stderr=True), transient=True)
        self._task = self._bar.add_task(name, total=total)
        self._bar.update(self._task, completed=done)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Show the bar; what entering the block does."""
        if self.shown:
            self._bar.start()

    def stop(self) -> None:
        """Take it away; what leaving the block does."""
        if self.shown:
            self._bar.stop()

    def update(self, done: float, total: float) -> None:
        """Show how much is done, and of how much: a `Progress`."""
        if self.shown:
            self._bar.update(self._task, completed=done, total=total)

    def advance(self, amount: float = 1) -> None:
        """Show that so much more is done."""
        if self.shown:
            self._bar.advance(self._task, amount)

    def track(self, items: Iterable[T]) -> Iterator[T]:
        """The items one after another, while the bar shows how many are behind us."""
        items = list(items)
        for done, item in enumerate(items):
            self.update(done, len(items))
            yield item
        self.update(len(items), len(items))

    def rename(self, name: str) -> None:
        """Show another name for what is being done."""
        if self.shown:
            self._bar.update(self._task, description=name)
