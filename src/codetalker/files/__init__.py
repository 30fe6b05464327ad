"""Files from motion: one module per format, chosen by suffix.

In the flow speech -> features -> codes -> motion -> mesh -> **file**. A file appears complete or
not at all: writers get a temporary name in the same folder, which is renamed at the end.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codetalker.disk import replacing
from codetalker.errors import OptionError, OutputError, did_you_mean

if TYPE_CHECKING:
    from codetalker.motion import Motion

Progress = Callable[[float, float], None]
"""Told how much is done, and of how much."""


@dataclass(frozen=True)
class Format:
    """A writer `(path, motion, **options)` as `module:function`, imported when it is used.

    A slow one also takes `progress`.
    """

    writer: str
    slow: bool = False


FORMATS = {
    ".npz": Format("codetalker.files.npz:write_npz"),
    ".csv": Format("codetalker.files.livelink:write_livelink"),
    ".glb": Format("codetalker.files.glb:write_glb"),
    ".mp4": Format("codetalker.files.mp4:write_mp4", slow=True),
}
"""What can be written, by suffix."""


def save(
    motion: Motion,
    path: str | os.PathLike[str],
    /,
    progress: Progress | None = None,
    **options: Any,
) -> None:
    """Write a motion in the format of the path's suffix.

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


def check_output(path: Path, known: Collection[str] = tuple(FORMATS)) -> None:
    """See that a file of this name can be written, before the work that makes its content.

    `known` are the suffixes that the motion can be written with.

    Raises:
        OutputError: the suffix is unknown, or the folder does not exist or is not writable.
    """
    if path.suffix.lower() not in known:
        hint = did_you_mean(path.suffix.lower(), known, str)
        raise OutputError(f"{path}: no format has the suffix {path.suffix!r}; {hint}")
    if path.is_dir():
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
