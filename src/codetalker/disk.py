"""Files and folders that appear whole or not at all.

What is written gets a hidden name beside its place and is renamed at the end; so a reader never
sees half of it, and what was there stays until then. Its writer holds a lock on it meanwhile: what
nobody holds is left of a process that was killed, and goes when the next one writes beside it.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from codetalker.errors import OutputError

try:
    import fcntl
except ImportError:  # a system without flock: what a killed process leaves stays there
    fcntl = None

_HIDDEN = re.compile(r"\.codetalker-[0-9a-f]{16}(\..*)?")
_searched: dict[Path, float] = {}
"""The folder that was last searched for what killed processes have left -> when to do so again."""
_LONGEST_SUFFIX = 16
"""Of a hidden name, in characters: short enough for every file system, whatever the name is."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file of another name with the suffix of `path`, in small letters, to write; it takes the
    place of `path` on success and is removed otherwise.

    Where `path` is a link, what it leads to is replaced. Pipes and devices are written to.

    Raises:
        OutputError: the operating system refuses to write.
    """
    with explained(path):
        written_to = is_stream(path)
        place = Path(tempfile.gettempdir(), path.name) if written_to else led_to(path)
        suffix = path.suffix.lower()[:_LONGEST_SUFFIX]
        with _hidden(place.parent, suffix, partial(Path.touch, exist_ok=False)) as temporary:
            yield temporary
            if written_to:
                with temporary.open("rb") as content, path.open("wb") as stream:
                    shutil.copyfileobj(content, stream)
            else:
                temporary.replace(place)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder of another name to fill; it becomes `path` on success and is removed otherwise.

    Raises:
        OutputError: something with content is already there, or the operating system refuses.
    """
    with explained(path):
        check_new_folder(path)
        place = led_to(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        with _hidden(place.parent, "", Path.mkdir) as temporary:
            yield temporary
            check_new_folder(path)
            temporary.replace(place)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """A block that writes to a file or folder.

    Raises:
        OutputError: the operating system refuses to write.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror or error}; choose another place"
        ) from error


def check_new_folder(path: Path) -> None:
    """See that a folder may be made there, before the work that makes its content.

    Raises:
        OutputError: something with content is already there.
    """
    with explained(path):
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise OutputError(f"{path} already exists; choose another name or remove it")


def check_file(path: Path) -> None:
    """See that a file may be written there, before the work that makes its content.

    Raises:
        OutputError: its folder does not exist or is not writable, or `path` is one itself.
    """
    with explained(path):
        if path.is_dir():
            raise OutputError(f"{path} is a directory; name a file")
        if not is_stream(path):
            check_parent(path)


def check_parent(path: Path) -> None:
    """See that something may be made where the name leads.

    Raises:
        OutputError: the folder that it would be in does not exist or is not writable.
    """
    with explained(path):
        folder = led_to(path).parent
        if not (path.parent.is_dir() and folder.is_dir()):
            raise OutputError(f"the folder {folder} does not exist; create it first")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OutputError(f"the folder {folder} is not writable; choose another one")


def is_stream(path: Path) -> bool:
    """Whether a pipe or a device is there, which has no content to replace."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def led_to(path: Path) -> Path:
    """Where a name leads through all links, whether or not anything is there."""
    place = Path(os.path.realpath(path))
    if place.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return place


@contextmanager
def _hidden(folder: Path, suffix: str, make: Callable[[Path], None]) -> Iterator[Path]:
    """A new file or folder of a hidden name, locked; what is there of it at the end is removed."""
    _remove_leftovers(folder)
    lock = None
    temporary = folder / f".codetalker-{secrets.token_hex(8)}{suffix}"
    try:
        while lock is None:
            make(temporary)
            lock = _lock(temporary, own=True)  # None: taken for a leftover in between
        yield temporary
    finally:
        _remove(temporary)
        if lock is not None:
            os.close(lock)


def _remove_leftovers(folder: Path) -> None:
    """Remove what killed processes have left in a folder: nobody holds it.

    Where many files are written to a large folder, the search takes a hundredth of the time.
    """
    began = time.monotonic()
    if began < _searched.get(folder, 0.0):
        return
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            path = Path(entry.path) if _HIDDEN.fullmatch(entry.name) else None
            lock = _lock(path, own=False) if path else None
            if path and lock is not None:
                _remove(path)
                os.close(lock)
    ended = time.monotonic()
    _searched.clear()
    _searched[folder] = ended + 100 * (ended - began)


def _lock(path: Path, own: bool) -> int | None:
    """Hold a hidden file or folder until the descriptor is closed.

    None if it is gone or, where it is not our own, held by its writer.
    """
    if fcntl is None:
        return os.open(os.devnull, os.O_RDONLY) if own else None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if own else fcntl.LOCK_NB))
        held = os.fstat(descriptor).st_nlink > 0
    except OSError:  # its writer lives, or this file system has no locks
        held = own
    if held:
        return descriptor
    os.close(descriptor)
    return None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
