"""Ogg: the links of a chained file, as radio recorders write them, one recording after another.

In the flow **speech** -> features -> codes -> motion. Each link is a whole file of its own, with
its own rate and channels (RFC 3533, section 4).
"""

from __future__ import annotations

import io
from typing import IO

_HEADER = 27
_BEGINS = 2
"""Bit of a page's header type: the first page of a stream."""


def links(file: IO[bytes]) -> list[tuple[int, int]]:
    """(start, end) of each link of an Ogg file in bytes; one link where it is no chain."""
    end = file.seek(0, io.SEEK_END)
    starts, at, inside = [0], 0, False
    while True:
        file.seek(at)
        header = file.read(_HEADER)
        if len(header) < _HEADER or header[:4] != b"OggS":
            break
        begins = bool(header[5] & _BEGINS)
        if begins and inside:
            starts.append(at)
        inside = not begins
        sizes = file.read(header[26])
        at += _HEADER + len(sizes) + sum(sizes)
    return list(zip(starts, [*starts[1:], end], strict=True))


class Link(io.RawIOBase):
    """A part of a file, or all of it, as a file of its own that never complains."""

    def __init__(self, file: IO[bytes], start: int, end: int) -> None:
        self._file, self._start, self._size = file, start, end - start
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, or stay and return -1, as FFmpeg wants it, for a place before the start."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            return -1
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = max(self._size - self._at, 0)
        self._file.seek(self._start + self._at)
        data = self._file.read(left if size < 0 else min(size, left))
        self._at += len(data)
        return data
