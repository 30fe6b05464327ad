"""Growing arrays: an `.npy` file that rows are added to, so that they need not fit into memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray


class GrowingArray:
    """Rows on their way into a file; see `growing`."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._kind: tuple[np.dtype, tuple[int, ...]] | None = None
        self._rows = 0

    def append(self, rows: NDArray[np.generic]) -> None:
        """Add (N, ...) rows, like the first ones in all but their number.

        Raises:
            OSError: the disk is full.
        """
        kind = (rows.dtype, rows.shape[1:])
        if self._kind is None:
            self._kind = kind
            self._write_header()
        assert kind == self._kind
        self._file.write(np.ascontiguousarray(rows).data)
        self._rows += len(rows)

    def _write_header(self) -> None:
        """NumPy leaves room in a header for the first axis to grow."""
        assert self._kind
        dtype, rest = self._kind
        shape = (self._rows, *rest)
        header = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        self._file.seek(0)
        npy.write_array_header_1_0(self._file, header)

    def close(self) -> None:
        """Complete the file, which has had rows."""
        if self._kind:
            self._write_header()
        self._file.close()


@contextmanager
def growing(folder: Path, *names: str) -> Iterator[tuple[GrowingArray, ...]]:
    """Arrays `NAME.npy` in a folder, which are complete at the end of the block."""
    arrays = tuple(GrowingArray(folder / f"{name}.npy") for name in names)
    try:
        yield arrays
    finally:
        for array in arrays:
            array.close()
