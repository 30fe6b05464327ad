"""What the clips of a store were made from: a log beside them, by which a replaced file is noticed.

Files are recognised by their names, sizes and times.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from codetalker.disk import explained
from codetalker.errors import DataError

MADE_FROM = "made_from.jsonl"
"""Of a store: a line for every conversion, with the clip's name and digests of its files."""
NOTHING = "", ""
"""The digests of a clip that is not there."""


class MadeFrom:
    """The log of a store, read and added to.

    A line that is cut off, as by a kill, or damaged counts as missing: its clip is converted again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._noted: dict[str, tuple[str, str]] = {}
        lines = path.read_bytes().splitlines() if path.exists() else []
        for line in lines:
            try:
                name, motion, sound = json.loads(line)
                self._noted[name] = motion, sound
            except (ValueError, TypeError, RecursionError):
                continue

    def of(self, name: str) -> tuple[str, str]:
        """Digests of the motion's and the sound's files; empty ones of a clip that is not there."""
        return self._noted.get(name, NOTHING)

    def note(self, name: str, digests: tuple[str, str]) -> None:
        """Note that a clip is there, made from these, or made from nothing: not there."""
        if self.of(name) != digests:
            with explained(self._path), self._path.open("a") as stream:
                stream.write("\n" + json.dumps([name, *digests]))
            self._noted[name] = digests


def files_digest(dataset: str, files: Iterable[Path]) -> str:
    """By which files of a data set are recognised: 16 hexadecimal digits.

    Raises:
        DataError: one cannot be read.
    """
    digest = hashlib.sha256(dataset.encode())
    for path in files:
        try:
            found = path.stat()
        except OSError as error:
            raise DataError(f"{path.name} cannot be read: {error.strerror}") from None
        digest.update(repr((path.name, found.st_size, found.st_mtime_ns)).encode())
    return digest.hexdigest()[:16]
