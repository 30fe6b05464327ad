"""Live Link Face CSV, as the Live Link Face app records it and Unreal's importer reads it.

In the flow speech -> features -> codes -> motion -> mesh -> **file**.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from codetalker.motion import Motion

_APP_ORDER = """
    EyeBlinkLeft EyeLookDownLeft EyeLookInLeft EyeLookOutLeft EyeLookUpLeft EyeSquintLeft
    EyeWideLeft EyeBlinkRight EyeLookDownRight EyeLookInRight EyeLookOutRight EyeLookUpRight
    EyeSquintRight EyeWideRight JawForward JawRight JawLeft JawOpen MouthClose MouthFunnel
    MouthPucker MouthRight MouthLeft MouthSmileLeft MouthSmileRight MouthFrownLeft MouthFrownRight
    MouthDimpleLeft MouthDimpleRight MouthStretchLeft MouthStretchRight MouthRollLower
    MouthRollUpper MouthShrugLower MouthShrugUpper MouthPressLeft MouthPressRight
    MouthLowerDownLeft MouthLowerDownRight MouthUpperUpLeft MouthUpperUpRight BrowDownLeft
    BrowDownRight BrowInnerUp BrowOuterUpLeft BrowOuterUpRight CheekPuff CheekSquintLeft
    CheekSquintRight NoseSneerLeft NoseSneerRight TongueOut
    HeadYaw HeadPitch HeadRoll LeftEyeYaw LeftEyePitch LeftEyeRoll RightEyeYaw RightEyePitch
    RightEyeRoll
"""
COLUMNS = tuple(_APP_ORDER.split())
"""The app's 61 values and their order, which is not quite Apple's: JawRight precedes JawLeft."""

HEADER = ("Timecode", "BlendShapeCount", *COLUMNS)

_HEAD = {"HeadPitch": 1.0, "HeadYaw": -1.0, "HeadRoll": -1.0}
"""Signs of pitch, yaw and roll, radians: the app's axes are left-handed, + yaw is to the subject's
right, as its eye angles show in recorded takes."""

_TIMECODE_RATE = 60  # Unreal's importer divides the frame field by 60, whatever the take's rate,
_FAST_FIELD = 31  # if a whole frame field of the take reaches this; else by 30
_LONGEST_STEP = 0.4  # seconds between rows that hold a pose: one of them has such a field


def write_livelink(path: Path, motion: Motion) -> None:
    """Write a motion whole; see `write_flow`."""
    write_flow(path, [motion])


def write_flow(path: Path, parts: Iterable[Motion]) -> None:
    """Write one row per frame of motions that follow each other; a value that they have no
    blendshape for is 0.

    The frame field of the timecode counts sixtieths of a second with three decimals, so times are
    right at every frame rate. The last pose of a take that is too short to show that is held until
    it is seen, at half a second.
    """
    form = f"%s,{len(COLUMNS)}," + ",".join(["%.6f"] * len(COLUMNS)) + "\n"
    frame, fast = 0, False
    seconds, step, row = 0.0, _LONGEST_STEP, np.zeros(0)
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.write(",".join(HEADER) + "\n")
        for motion in parts:
            step = min(1 / motion.fps, _LONGEST_STEP)
            for row in _values(motion):
                seconds = frame / motion.fps
                file.write(form % (timecode(seconds), *row))
                fast |= _frame_field(seconds) >= _FAST_FIELD
                frame += 1
        while frame and not fast:
            seconds += step
            file.write(form % (timecode(seconds), *row))
            fast = _frame_field(seconds) >= _FAST_FIELD


def _values(motion: Motion) -> NDArray[np.float32]:
    """(T, 61) in the app's order."""
    values = motion.weights_for(tuple(_apple_name(column) for column in COLUMNS)).copy()
    if motion.head is not None:
        values[:, [COLUMNS.index(name) for name in _HEAD]] = motion.head * [*_HEAD.values()]
    return values


def timecode(seconds: float) -> str:
    """HH:MM:SS:FF.mmm with FF.mmm in sixtieths of a second; hours start again after 24."""
    whole, thousandths = divmod(round(seconds * _TIMECODE_RATE * 1000), _TIMECODE_RATE * 1000)
    minutes, second = divmod(whole, 60)
    hour, minute = divmod(minutes, 60)
    frame, fraction = divmod(thousandths, 1000)
    return f"{hour % 24:02}:{minute:02}:{second:02}:{frame:02}.{fraction:03}"


def _frame_field(seconds: float) -> int:
    """The whole frames of the timecode."""
    return round(seconds * _TIMECODE_RATE * 1000) // 1000 % _TIMECODE_RATE


def _apple_name(column: str) -> str:
    return column[0].lower() + column[1:]
