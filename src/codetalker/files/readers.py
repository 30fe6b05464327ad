"""Motion from files: one registry of what can be read back, and of what other programs record.

In the flow speech -> features -> codes -> **motion** -> mesh -> file. `Motion.load` comes here.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from codetalker.errors import MotionError

if TYPE_CHECKING:
    from codetalker.motion import Motion

_READERS = {
    ".npz": "npz:read_weights",
    ".csv": "livelink:read_livelink",
    ".json": "recorded_json:read_json_motion",
    ".txt": "recorded_text:read_text",
    ".glb": "recorded_glb:read_glb",
    ".vrm": "recorded_glb:read_glb",
}
READABLE = tuple(_READERS)
"""Suffixes of motion files."""


def load(path: Path) -> Motion:
    """The motion in a file, by its suffix.

    Raises:
        MotionError: there is no such file, it is of no such kind, or it is damaged.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise MotionError(
            f"{path} is no motion file that can be read; load {', '.join(READABLE)}, and take "
            "videos with `codetalker capture`"
        )
    module, function = reader.split(":")
    return getattr(import_module(f"codetalker.files.{module}"), function)(path)
