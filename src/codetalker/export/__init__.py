"""Files from motion: one module per format, chosen by suffix.

In the flow speech -> features -> codes -> motion -> mesh -> **file**. A file appears complete or
not at all: writers get a temporary name in the same folder, which is renamed at the end.
"""

from __future__ import annotations

import inspect
import os
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codetalker.errors import OptionError, OutputError, did_you_mean
from codetalker.new_folder import check_new_folder
from codetalker.progress import Progress

if TYPE_CHECKING:
    from codetalker.motion import Motion


@dataclass(frozen=True)
class Format:
    """A writer `(path, motion, **options)` as `module:function`, imported when it is used.

    A slow one also takes `progress`.
    """

    writer: str
    slow: bool = False


FORMATS = {
    ".npz": Format("codetalker.export.npz:write_npz"),
    ".csv": Format("codetalker.export.livelink:write_livelink"),
    ".glb": Format("codetalker.export.glb:write_glb"),
    ".mp4": Format("codetalker.export.mp4:write_mp4", slow=True),
}
"""What can be written, by suffix."""

SEQUENCES = (".obj", ".ply")
"""Suffixes, of vertex motion only, that give a folder with a mesh for every frame."""


def save(
    motion: Motion,
    path: str | os.PathLike[str],
    /,
    progress: Progress | None = None,
    **options: Any,
) -> Path:
    """Write a motion in the format of the path's suffix, and say where.

    Args:
        motion: what to write.
        path: the file; it appears complete or not at all.
        progress: called now and then by the formats that take long.
        options: passed on to the writer of that format.

    Raises:
        OutputError: the suffix is unknown, or the file cannot be written there.
        OptionError: the format has no such option.
    """
    path = Path(path)
    check_output(path)
    chosen = FORMATS[path.suffix.lower()]
    module, function = chosen.writer.split(":")
    write = getattr(import_module(module), function)
    check_options(write, options, path.suffix.lower())
    if chosen.slow:
        options["progress"] = progress
    with replacing(path) as temporary:
        write(temporary, motion, **options)
    return path


def written_to(path: Path) -> Path:
    """What appears for an output of that name: the file, or the folder of a mesh sequence."""
    return path.with_suffix("") if path.suffix.lower() in SEQUENCES else path


def check_output(path: Path, known: Collection[str] = tuple(FORMATS)) -> None:
    """See that a file of this name can be written, before the work that makes its content.

    `known` are the suffixes that the motion can be written with.

    Raises:
        OutputError: the suffix is unknown, the folder does not exist or is not writable, or the
            folder that a mesh sequence is to make is there already.
    """
    if path.suffix.lower() not in known:
        hint = did_you_mean(path.suffix.lower(), known, str)
        raise OutputError(f"{path}: no format has the suffix {path.suffix!r}; {hint}")
    if written_to(path) != path:
        check_new_folder(written_to(path))
    elif path.is_dir():
        raise OutputError(f"{path} is a directory; name a file")
    if not path.parent.is_dir():
        raise OutputError(f"the folder {path.parent} does not exist; create it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(f"the folder {path.parent} is not writable; choose another one")


def check_options(write: Callable[..., Any], options: Mapping[str, Any], suffix: str) -> None:
    """See that a writer has these options; they are its keyword-only parameters.

    Raises:
        OptionError: it lacks one; the nearest that it has is named.
    """
    parameters = inspect.signature(write).parameters.values()
    known = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "progress"]
    for name in options:
        if name not in known:
            hint = did_you_mean(name, known) if known else "it has none"
            raise OptionError(f"the format {suffix} has no option {name!r}; {hint}")


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
