"""Files and folders that appear whole or not at all.

What is written gets a temporary name beside its place and is renamed at the end; so a reader never
sees half of it, and what was there stays until then.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from codetalker.errors import OutputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file name beside `path`, with its suffix; renamed to it on success, else removed.

    Raises:
        OutputError: the operating system refuses to write.
    """
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    try:
        with _explained(path):
            yield temporary
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path`; renamed to it on success, else removed.

    Raises:
        OutputError: something with content is already there, or the operating system refuses.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with _explained(path):
            check_new_folder(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.mkdir()
            yield temporary
            temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_new_folder(path: Path) -> None:
    """See that a folder may be made there, before the work that makes its content.

    Raises:
        OutputError: something with content is already there.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise OutputError(f"{path} already exists; choose another name or remove it")


def remove_leftovers(path: Path) -> None:
    """Remove what a killed process has left of writing the file `path`."""
    for temporary in path.parent.glob(f".{path.stem}.????????{path.suffix}"):
        temporary.unlink(missing_ok=True)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror or error}; choose another place"
        ) from error
