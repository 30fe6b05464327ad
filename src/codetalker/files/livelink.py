"""Live Link Face CSV, as the Live Link Face app records it and Unreal's importer reads it.

In the flow speech -> features -> codes -> motion -> mesh -> **file**.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from codetalker.arkit import ARKIT_NAMES
from codetalker.errors import MotionError
from codetalker.files.sampled import Sampled, sampled
from codetalker.reading import Malformed, read_regular, refusing

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


_SLOW_RATE = 30
_TIMECODE = re.compile(r"(\d+):(\d+):(\d+)[:;](\d+(?:\.\d+)?)")
_MAX_BYTES = 1 << 30
_DAY = 24 * 3600.0


def read_livelink(path: Path) -> Sampled:
    """A take of the app, or what `write_livelink` has written; rows that are missing are filled.

    Raises:
        MotionError: there is no such file, or it is no such take.
    """
    return _read(path)[0]


def starting_timecode(path: Path) -> float:
    """Seconds after midnight of a take's first row.

    Raises:
        MotionError: as `read_livelink`.
    """
    return _read(path)[1]


def _read(path: Path) -> tuple[Sampled, float]:
    what, remedy = f"{path} is no Live Link Face take", "export the take's CSV again"
    with refusing(MotionError, what, remedy):
        text = read_regular(path, _MAX_BYTES).decode("utf-8-sig")
        header, *rows = (row for row in csv.reader(text.splitlines()) if row)
        if header[0].strip().lower() != "timecode":
            raise Malformed("its first column is not Timecode")
        # a take that was cut off ends within a row
        rows = rows[:-1] if rows and len(rows[-1]) < len(header) else rows
        if not rows or any(len(row) != len(header) for row in rows):
            raise Malformed("its rows and its header differ in length")
        columns = {name.strip().lower(): place for place, name in enumerate(header)}
        times = _seconds([row[0] for row in rows])
        values = np.array([[value or 0 for value in row[1:]] for row in rows], np.float32)
        if not np.isfinite(values).all():
            raise Malformed("it holds NaN or infinity")
        names = [name for name in ARKIT_NAMES if name.lower() in columns]
        weights = values[:, [columns[name.lower()] - 1 for name in names]]
        head = None
        if all(name.lower() in columns for name in _HEAD):
            turned = values[:, [columns[name.lower()] - 1 for name in _HEAD]]
            head = turned * np.array([*_HEAD.values()], np.float32)
        return sampled(times, names, weights, head if head is not None and head.any() else None), (
            float(times[0])
        )


def _seconds(timecodes: list[str]) -> NDArray[np.float64]:
    """(T,) seconds after midnight of HH:MM:SS:FF.mmm, rising through midnight."""
    parts = [_TIMECODE.fullmatch(code.strip()) for code in timecodes]
    if None in parts:
        raise Malformed(f"{timecodes[parts.index(None)]!r} is no timecode")
    hour, minute, second, frame = np.array([p.groups() for p in parts if p], np.float64).T
    rate = _TIMECODE_RATE if (frame >= _SLOW_RATE).any() else _SLOW_RATE
    seconds = hour * 3600 + minute * 60 + second + frame / rate
    return seconds + _DAY * np.cumsum(np.diff(seconds, prepend=seconds[0]) < -_DAY / 2)


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
