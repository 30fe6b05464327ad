"""Files from motion: one module per format, chosen by suffix.

In the flow speech -> features -> codes -> motion -> mesh -> **file**. A file appears complete or
not at all: writers get a temporary name in the same folder, which is renamed at the end.
"""

from __future__ import annotations

import difflib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codetalker.errors import OutputError

if TYPE_CHECKING:
    from codetalker.motion import Motion

FORMATS = {
    ".npz": "codetalker.export.npz:write_npz",
    ".csv": "codetalker.export.livelink:write_livelink",
    ".glb": "codetalker.export.glb:write_glb",
    ".mp4": "codetalker.export.mp4:write_mp4",
}
"""Suffix -> writer `(path, motion, **options)`, imported when it is used."""


def save(motion: Motion, path: str | os.PathLike[str], **options: Any) -> None:
    """Write a motion in the format of the path's suffix.

    Raises:
        OutputError: the suffix is unknown, or the file cannot be written there.
    """
    path = Path(path)
    check_output(path)
    module, function = FORMATS[path.suffix.lower()].split(":")
    write = getattr(import_module(module), function)
    with replacing(path) as temporary:
        write(temporary, motion, **options)


def check_output(path: Path) -> None:
    """See that a file of this name can be written, before the work that makes its content.

    Raises:
        OutputError: the suffix is unknown, or the folder does not exist or is not writable.
    """
    if path.suffix.lower() not in FORMATS:
        near = difflib.get_close_matches(path.suffix.lower(), FORMATS, n=1)
        hint = f"did you mean {near[0]}? Known" if near else "choose one of"
        raise OutputError(
            f"{path}: no format has the suffix {path.suffix!r}; {hint}: {', '.join(FORMATS)}"
        )
    if path.is_dir():
        raise OutputError(f"{path} is a directory; name a file")
    if not path.parent.is_dir():
        raise OutputError(f"the folder {path.parent} does not exist; create it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(f"the folder {path.parent} is not writable; choose another one")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, with its suffix; renamed to it on success, else removed.

    Raises:
        OutputError: the operating system refuses to write.
    """
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror or error}; choose another place"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
