"""A folder that appears complete or not at all."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from codetalker.errors import OutputError


def check_new_folder(path: Path) -> None:
    """See that a folder can be made there: nothing, or an empty folder, is in its place.

    Raises:
        OutputError: something with content is already there.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise OutputError(f"{path} already exists; choose another name or remove it")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path`; renamed to it on success, else removed.

    Raises:
        OutputError: something with content is already there, or the operating system refuses.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        check_new_folder(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror or error}; choose another place"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
