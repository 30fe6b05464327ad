"""A run over a batch: what the ledger does not know is done, and what becomes of it written there.

In the flow **speech -> features -> codes -> motion -> mesh -> file**, all of it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute

from codetalker.batch.ledger import DONE, FAILED, KEPT, Ledger
from codetalker.batch.work import Row
from codetalker.progress import ProgressBar

pc: Any = pyarrow.compute
"""Its functions are made when it is imported, unseen by type checkers."""

_SLICE = 1024
_FLUSHED = 1.0
"""Seconds of rows that a kill may lose; what they are about is done again."""
_LARGEST = 4096
_TOLD = 60.0
"""Seconds between lines where no bar is shown."""


@dataclass
class Tally:
    """How a run goes.

    Attributes:
        total: recordings.
        counts: status -> recordings.
        seconds: of motion that was made.
        failures: the first few, a line each.
    """

    total: int
    counts: dict[str, int] = field(default_factory=lambda: {DONE: 0, FAILED: 0, KEPT: 0})
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)
    _began: float = field(default_factory=time.perf_counter)

    @property
    def behind(self) -> int:
        """Recordings that are behind us."""
        return sum(self.counts.values())

    @property
    def took(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._began

    def add(self, row: Row) -> None:
        """Count a recording."""
        self.counts[row["status"]] += 1
        self.seconds += row["seconds"]
        if row["error"] and len(self.failures) < 10:
            known = row["error"].startswith(row["sound"])
            self.failures.append(row["error"] if known else f"{row['sound']}: {row['error']}")

    def __str__(self) -> str:
        rate = self.behind / self.took
        left = (self.total - self.behind) / rate if rate else 0.0
        eta = f", {_clock(left)} left" if self.behind < self.total else ""
        kept = f", {self.counts[KEPT]} were there" if self.counts[KEPT] else ""
        failed = f", {self.counts[FAILED]} failed" if self.counts[FAILED] else ""
        speed = f"{rate:.2g}/s, {self.seconds / self.took:.3g} s of motion per second"
        return f"{self.counts[DONE]} of {self.total} done{kept}{failed}; {speed}{eta}"


def _clock(seconds: float) -> str:
    return f"{seconds // 3600:.0f}:{seconds // 60 % 60:02.0f}:{seconds % 60:02.0f}"


def with_known(recordings: pa.Table, ledger: Ledger) -> pa.Table:
    """Recordings with the column `known`: the key that the ledger has of one that is done."""
    rows = ledger.rows()
    rows = rows.filter(pc.equal(rows["status"].cast(pa.string()), DONE))
    found = pc.index_in(recordings["name"], rows["name"])
    return recordings.append_column("known", rows["key"].take(found))


def plain_rows(recordings: pa.Table) -> Iterator[dict[str, Any]]:
    """The rows of a table, a few in memory at a time."""
    for start in range(0, len(recordings), _SLICE):
        yield from recordings.slice(start, _SLICE).to_pylist()


def recorded(rows: Iterable[Row], ledger: Ledger, total: int) -> Tally:
    """Write rows into the ledger as they come, show how far it is, and merge it at the end.

    Raises:
        OutputError: the ledger cannot be written.
    """
    tally, fresh, flushed, told = Tally(total), [], time.monotonic(), time.monotonic()
    try:
        with ProgressBar("batch", total, counts=True) as bar:
            for row in rows:
                tally.add(row)
                bar.advance()
                bar.rename(f"batch, {tally.behind / tally.took:.2g}/s")
                fresh += [row] if row["status"] != KEPT else []
                now = time.monotonic()
                if fresh and (now - flushed > _FLUSHED or len(fresh) == _LARGEST):
                    ledger.append(fresh)
                    fresh, flushed = [], now
                if not bar.shown and now - told > _TOLD:
                    print(tally, file=sys.stderr, flush=True)
                    told = now
    finally:
        if fresh:
            ledger.append(fresh)
    ledger.merge()
    return tally
