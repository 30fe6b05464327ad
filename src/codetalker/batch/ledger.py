"""The ledger: what has become of each recording, as a folder of Parquet files that never change.

Beside the flow speech -> features -> codes -> motion -> mesh -> file. New rows are a new file,
which appears whole; many files are replaced by one that is written before they are removed. So a
kill at any moment loses only rows that were not written yet, and two runs cannot harm each other;
the newest row of a name counts. `pandas.read_parquet(OUT / "ledger")` reads it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from codetalker.batch.location import Location, sending
from codetalker.disk import replacing
from codetalker.errors import DataError
from codetalker.reading import refusing

DONE, FAILED, KEPT = "done", "failed", "kept"
"""What has become of a recording; the last, that what it gives was there already, is not kept."""
FOLDER = "ledger"
SCHEMA = pa.schema(
    {
        "name": pa.string(),
        "sound": pa.string(),
        "status": pa.dictionary(pa.int8(), pa.string()),
        "key": pa.string(),
        "error": pa.string(),
        "files": pa.list_(pa.string()),
        "seconds": pa.float64(),
        "frames": pa.int64(),
        "took": pa.float64(),
        "worker": pa.string(),
        "ended": pa.timestamp("us", "UTC"),
    }
)
"""
name: of the output, without suffix; one row each when the ledger is merged.
key: of sound, model, options and formats by their content; what has it is not done again.
error: why there is no output, in one line. files: the outputs' locations.
seconds, frames: of the motion. took: seconds of work. worker: its machine and process.
"""
_MERGED_AT_ONCE = 1000


class Ledger:
    """That of the folder of a batch."""

    def __init__(self, out: Location) -> None:
        self._folder = out / FOLDER
        self._own: list[Location] = []

    def rows(self) -> pa.Table:
        """The newest row of each name.

        Raises:
            DataError: a file of it is damaged.
        """
        return self._whole()[1]

    def append(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write rows.

        Raises:
            OutputError: they cannot be written.
        """
        self._own.append(self._write(table_of(rows)))
        if len(self._own) == _MERGED_AT_ONCE:
            own, self._own = [part for part in self._own if part.exists()], []
            self._replace(own, self._newest(own))

    def merge(self) -> None:
        """Make one file of all.

        Raises:
            DataError, OutputError: a file is damaged, or it cannot be written.
        """
        parts, table = self._whole()
        if len(parts) > 1:
            self._replace(parts, table)
        self._own = []

    def _whole(self) -> tuple[list[Location], pa.Table]:
        """All files, and what they say; another run may merge them while we read."""
        while True:
            parts = self._parts()
            try:
                return parts, self._newest(parts)
            except DataError:
                if all(part.exists() for part in parts):
                    raise

    def _replace(self, parts: list[Location], table: pa.Table) -> None:
        self._write(table)
        for part in parts:
            with sending(part):
                if part.exists():
                    part.system.rm_file(part.path)

    def _write(self, table: pa.Table) -> Location:
        part = self._folder / f"{secrets.token_hex(8)}.parquet"
        with sending(part):
            self._folder.system.makedirs(self._folder.path, exist_ok=True)
        with part.sent() as path, replacing(path) as temporary:
            pq.write_table(table, temporary, compression="zstd")
        return part

    def _parts(self) -> list[Location]:
        with refusing(DataError, f"{self._folder.url} cannot be listed", "check the rights"):
            there = self._folder.exists() and self._folder.system.ls(self._folder.path, False)
        names = [str(path).rpartition("/")[2] for path in there or ()]
        return [self._folder / n for n in sorted(names) if n.endswith(".parquet") and n[0] != "."]

    def _newest(self, parts: Iterable[Location]) -> pa.Table:
        tables = [SCHEMA.empty_table()]
        for part in parts:
            with refusing(DataError, f"{part.url} is no ledger", "remove it"):
                tables.append(_read(part))
        table = pa.concat_tables(tables).unify_dictionaries()
        table = table.sort_by("ended").append_column("row", pa.array(np.arange(len(table))))
        last = table.group_by("name").aggregate([("row", "max")])["row_max"]
        return table.take(last).drop_columns("row")


def table_of(rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Rows as they are written; `ended` of them may be a text, as JSON has it."""
    timed = [
        row | {"ended": datetime.fromisoformat(row["ended"])}
        if isinstance(row["ended"], str)
        else row
        for row in rows
    ]
    return pa.Table.from_pylist(timed, SCHEMA)


def _read(part: Location) -> pa.Table:
    with part.system.open(part.path, "rb") as file:
        return pq.read_table(file, schema=SCHEMA).cast(SCHEMA)
