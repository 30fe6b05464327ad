"""iFacialMocap's text, a line for each frame: what its packets hold, kept in a file.

In the flow speech -> features -> codes -> **motion** -> mesh -> file. Lines have no time stamps:
the app sends 60 of them a second.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from codetalker.arkit import ARKIT_NAMES
from codetalker.errors import MotionError
from codetalker.files.sampled import Sampled, sampled
from codetalker.reading import Malformed, read_regular, refusing

_FPS = 60.0
_MAX_BYTES = 1 << 30
_SHAPE = re.compile(r"(\w+?)\s*[-&]\s*(-?\d+(?:\.\d+)?)")
_HEAD = re.compile(r"=?head#([-\d.,eE]+)")


def read_text(path: Path) -> Sampled:
    """A recording of the app's packets.

    Raises:
        MotionError: there is no such file, or a line is none of its.
    """
    remedy = "give one packet of the app in each line"
    with refusing(MotionError, f"{path} is no iFacialMocap recording", remedy):
        lines = read_regular(path, _MAX_BYTES).decode("utf-8-sig").split("\n")
        frames = [_frame(line) for line in lines if "|" in line]
        if not frames:
            raise Malformed("no line of it has a |")
        names = sorted({name for shapes, _ in frames for name in shapes})
        percent = [[shapes.get(n, 0.0) for n in names] for shapes, _ in frames]
        values = np.array(percent, np.float32) / np.float32(100)
        head = np.array([turn for _, turn in frames], np.float32)
        return sampled(np.arange(len(frames)) / _FPS, names, values, head if head.any() else None)


def _frame(line: str) -> tuple[dict[str, float], tuple[float, float, float]]:
    """Percent by Apple's names; pitch, yaw, roll in radians."""
    shapes, turn = {}, (0.0, 0.0, 0.0)
    for part in line.strip().split("|"):
        if head := _HEAD.fullmatch(part):
            pitch, yaw, roll = (float(np.radians(float(v))) for v in head[1].split(",")[:3])
            turn = pitch, yaw, roll
        elif shape := _SHAPE.fullmatch(part):
            name = re.sub("_([LR])$", lambda side: _SIDES[side[1]], shape[1])
            if name in ARKIT_NAMES:
                shapes[name] = float(shape[2])
    if not shapes:
        raise Malformed(f"the line {line[:40]!r} has no blendshape")
    return shapes, turn


_SIDES = {"L": "Left", "R": "Right"}
