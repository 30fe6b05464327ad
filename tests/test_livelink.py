"""Live Link Face CSV: what the app's readers find in it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from codetalker.files.livelink import timecode
from codetalker.motion import Motion
from codetalker.rig import bundled_head

# The header row of recordings of the app, as Unreal's importer and others expect it.
HEADER = (
    "Timecode,BlendShapeCount,EyeBlinkLeft,EyeLookDownLeft,EyeLookInLeft,EyeLookOutLeft,"
    "EyeLookUpLeft,EyeSquintLeft,EyeWideLeft,EyeBlinkRight,EyeLookDownRight,EyeLookInRight,"
    "EyeLookOutRight,EyeLookUpRight,EyeSquintRight,EyeWideRight,JawForward,JawRight,JawLeft,"
    "JawOpen,MouthClose,MouthFunnel,MouthPucker,MouthRight,MouthLeft,MouthSmileLeft,"
    "MouthSmileRight,MouthFrownLeft,MouthFrownRight,MouthDimpleLeft,MouthDimpleRight,"
    "MouthStretchLeft,MouthStretchRight,MouthRollLower,MouthRollUpper,MouthShrugLower,"
    "MouthShrugUpper,MouthPressLeft,MouthPressRight,MouthLowerDownLeft,MouthLowerDownRight,"
    "MouthUpperUpLeft,MouthUpperUpRight,BrowDownLeft,BrowDownRight,BrowInnerUp,BrowOuterUpLeft,"
    "BrowOuterUpRight,CheekPuff,CheekSquintLeft,CheekSquintRight,NoseSneerLeft,NoseSneerRight,"
    "TongueOut,HeadYaw,HeadPitch,HeadRoll,LeftEyeYaw,LeftEyePitch,LeftEyeRoll,RightEyeYaw,"
    "RightEyePitch,RightEyeRoll"
)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def seconds(timecode: str) -> float:
    """As Unreal's importer reads it: the frame field over 60, whatever the recording's rate."""
    hours, minutes, whole, frames = timecode.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + int(whole) + float(frames) / 60


@pytest.fixture
def motion() -> Motion:
    names = bundled_head().blendshape_names
    weights = np.random.default_rng(0).random((40, len(names))).astype(np.float32)
    return Motion(weights, names, 25)


def test_the_header_is_the_apps(tmp_path: Path, motion: Motion) -> None:
    motion.save(tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text().splitlines()[0] == HEADER


def test_every_weight_is_under_its_name(tmp_path: Path, motion: Motion) -> None:
    motion.save(tmp_path / "a.csv")
    table = rows(tmp_path / "a.csv")
    assert len(table) == len(motion)
    assert all(len(row) == 63 and row["BlendShapeCount"] == "61" for row in table)
    for i, name in enumerate(motion.names):
        column = [float(row[name[0].upper() + name[1:]]) for row in table]
        np.testing.assert_allclose(column, motion.weights[:, i], atol=1e-6)
    assert {float(row["HeadYaw"]) for row in table} == {0.0}


@pytest.mark.parametrize("fps", [24, 25, 29.97, 30, 60, 120])
def test_timecodes_are_the_times_of_the_frames(tmp_path: Path, motion: Motion, fps: float) -> None:
    faster = motion.resample(fps)
    faster.save(tmp_path / "a.csv")
    times = [seconds(row["Timecode"]) for row in rows(tmp_path / "a.csv")]
    np.testing.assert_allclose(times, np.arange(len(faster)) / fps, atol=1e-5)


def as_unreal_reads(timecodes: list[str]) -> list[float]:
    """The frame field over 30, unless one of the take's is more: then over 60."""
    fields = [timecode.split(":") for timecode in timecodes]
    rate = 60 if any(int(float(frames)) > 30 for *_, frames in fields) else 30
    return [int(h) * 3600 + int(m) * 60 + int(s) + float(f) / rate for h, m, s, f in fields]


@pytest.mark.parametrize("fps", [0.5, 1, 2, 3, 24, 25, 29.97, 60, 120])
@pytest.mark.parametrize("frames", [1, 2, 5, 12, 13, 40])
def test_a_take_of_any_length_is_read_at_its_speed(
    tmp_path: Path, motion: Motion, fps: float, frames: int
) -> None:
    take = Motion(motion.weights[:frames], motion.names, fps)
    take.save(tmp_path / "a.csv")
    table = rows(tmp_path / "a.csv")
    times = as_unreal_reads([row["Timecode"] for row in table])
    np.testing.assert_allclose(times[:frames], np.arange(frames) / fps, atol=1e-5)
    assert (np.diff(times) > 0).all()
    assert times[-1] < max((frames - 1) / fps + 1.5, 0.6)
    jaws = [row["JawOpen"] for row in table]
    assert set(jaws[frames:]) <= {jaws[frames - 1]}  # held


def test_a_take_of_more_than_half_a_second_has_a_row_for_every_frame(
    tmp_path: Path, motion: Motion
) -> None:
    motion[:14].save(tmp_path / "a.csv")
    assert len(rows(tmp_path / "a.csv")) == 14
    motion[:0].save(tmp_path / "a.csv")
    assert not rows(tmp_path / "a.csv")


def test_timecodes_carry_into_seconds_minutes_and_hours(tmp_path: Path) -> None:
    frames = 3601
    Motion(np.zeros((frames, 1)), ("jawOpen",), 1.0).save(tmp_path / "a.csv")
    table = rows(tmp_path / "a.csv")
    assert table[59]["Timecode"] == "00:00:59:00.000"
    assert table[61]["Timecode"] == "00:01:01:00.000"
    assert table[3600]["Timecode"] == "01:00:00:00.000"


def test_head_angles_are_written_where_the_motion_has_them(tmp_path: Path) -> None:
    Motion(np.full((2, 1), 0.25), ("headYaw",), 60).save(tmp_path / "a.csv")
    assert {row["HeadYaw"] for row in rows(tmp_path / "a.csv")} == {"0.250000"}


def test_after_a_day_the_hours_begin_again() -> None:
    assert timecode(86400 + 3600 + 61.5) == "01:01:01:30.000"
    assert timecode(86399.999999) == "00:00:00:00.000"
