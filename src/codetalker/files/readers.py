"""Motion from files: one registry of what can be read back, and of what other programs record.

In the flow speech -> features -> codes -> **motion** -> mesh -> file. `Motion.load` comes here.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from codetalker.errors import MotionError
from codetalker.files.sampled import Sampled

_READERS = {
    ".npz": "codetalker.files.npz:read_weights",
    ".csv": "codetalker.files.livelink:read_livelink",
    ".json": "codetalker.files.recorded_json:read_json_motion",
    ".txt": "codetalker.files.recorded_text:read_text",
    ".glb": "codetalker.files.recorded_glb:read_glb",
    ".vrm": "codetalker.files.recorded_glb:read_glb",
}
READABLE = tuple(_READERS)
"""Suffixes of motion files."""


def load(path: Path) -> Sampled:
    """What a motion file holds, by its suffix.

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
    return getattr(import_module(module), function)(path)
