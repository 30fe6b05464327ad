"""What some formats are written with, that does not come with this package.

In the flow speech -> features -> codes -> motion -> mesh -> **file**. It is looked for before any
work is done.
"""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec

from codetalker.errors import MissingExtraError, OutputError


def openusd() -> None:
    """See that OpenUSD's Python package is installed.

    Raises:
        MissingExtraError: it is not.
    """
    if find_spec("pxr") is None:
        raise MissingExtraError("usd-core", "usd")


def blender() -> list[str]:
    """The command that runs a Python script in Blender, less the script: `blender` if it is on the
    path, else the package `bpy` in this Python.

    Raises:
        OutputError: neither is installed.
    """
    program = shutil.which("blender")
    if program is not None:
        return [program, "--background", "--factory-startup", "--python"]
    if find_spec("bpy") is not None:
        return [sys.executable]
    raise OutputError(
        "FBX is written by Blender, which is not here; install it so that `blender` runs, or run: "
        "pip install bpy; or write .glb"
    )
