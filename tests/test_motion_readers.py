"""Motion.load: what `save` writes comes back, and what other programs record is understood."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from codetalker.arkit import ARKIT_NAMES
from codetalker.errors import MotionError
from codetalker.motion import Motion

JAW, SMILE = ARKIT_NAMES.index("jawOpen"), ARKIT_NAMES.index("mouthSmileLeft")


def some_motion(fps: float = 25, frames: int = 40, head: bool = False) -> Motion:
    rng = np.random.default_rng(3)
    weights = rng.uniform(0, 1, (frames, 52)).astype(np.float32)
    turned = rng.uniform(-0.3, 0.3, (frames, 3)).astype(np.float32) if head else None
    return Motion(weights, ARKIT_NAMES, fps, head=turned)


def written(folder: Path, name: str, content: object) -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize("fps", [25, 30, 60, 30000 / 1001])
@pytest.mark.parametrize("suffix", [".npz", ".csv", ".json", ".glb"])
def test_what_save_writes_comes_back(suffix: str, fps: float, tmp_path: Path) -> None:
    motion = some_motion(fps)
    back = Motion.load(motion.save(tmp_path / f"a{suffix}"))
    assert back.fps == pytest.approx(fps, rel=1e-6)
    assert len(back) == len(motion)
    tolerance = {".json": 2e-4, ".csv": 1e-3}.get(suffix, 1e-5)  # places of values and times
    np.testing.assert_allclose(back.weights_for(ARKIT_NAMES), motion.weights, atol=tolerance)


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_the_heads_turn_comes_back(suffix: str, tmp_path: Path) -> None:
    motion = some_motion(head=True)
    back = Motion.load(motion.save(tmp_path / f"a{suffix}"))
    assert back.head is not None and motion.head is not None
    np.testing.assert_allclose(back.head, motion.head, atol=1e-3)


def test_azures_form_comes_back(tmp_path: Path) -> None:
    motion = some_motion(60)
    back = Motion.load(motion.save(tmp_path / "a.json", form="azure"))
    assert back.fps == 60
    np.testing.assert_allclose(back.weights_for(ARKIT_NAMES), motion.weights, atol=6e-5)


def live_link_rows(codes: list[str], jaw: list[float]) -> str:
    """As the app writes them: other spelling, other order, and the head's angles."""
    header = "Timecode,BlendShapeCount,JawOpen,MouthSmileLeft,HeadYaw,HeadPitch,HeadRoll"
    rows = [f"{code},61,{value},0.25,-0.1,0.2,0" for code, value in zip(codes, jaw, strict=True)]
    return "\n".join([header, *rows]) + "\n"


def test_a_live_link_take_of_60_frames_a_second_keeps_its_time(tmp_path: Path) -> None:
    codes = [f"23:59:{58 + i // 60:02}:{i % 60:02}.500" for i in range(120)]
    codes += [f"00:00:00:{i:02}.500" for i in range(60)]
    motion = Motion.load(written(tmp_path, "a.csv", live_link_rows(codes, list(np.arange(180)))))
    assert motion.fps == 60 and len(motion) == 180
    np.testing.assert_allclose(motion.weights[:, JAW], np.arange(180), atol=0.02)
    assert motion.head is not None
    np.testing.assert_allclose(motion.head[0], [0.2, 0.1, 0], atol=1e-6)


def test_a_live_link_take_of_30_frames_a_second_is_not_taken_for_60(tmp_path: Path) -> None:
    codes = [f"10:00:{i // 30:02}:{i % 30:02}" for i in range(90)]
    motion = Motion.load(written(tmp_path, "a.csv", live_link_rows(codes, list(np.arange(90)))))
    assert motion.fps == 30 and len(motion) == 90


def test_rows_that_a_take_dropped_are_filled(tmp_path: Path) -> None:
    kept = [i for i in range(120) if i not in (40, 41, 42)]
    codes = [f"10:00:{i // 60:02}:{i % 60:02}.000" for i in kept]
    motion = Motion.load(
        written(tmp_path, "a.csv", live_link_rows(codes, [float(i) for i in kept]))
    )
    assert len(motion) == 120
    np.testing.assert_allclose(motion.weights[:, JAW], np.arange(120), atol=0.02)


def test_ifacialmocaps_lines_are_percent_and_degrees(tmp_path: Path) -> None:
    line = "mouthSmile_L-{}|jawOpen-50|hapihapi-3|=head#{},0,0,0.1,0.2,0.3|rightEye#0,0,0|"
    lines = "\n".join(line.format(i, 10) for i in range(60))
    motion = Motion.load(written(tmp_path, "a.txt", lines))
    assert motion.fps == 60 and len(motion) == 60
    np.testing.assert_allclose(motion.weights[:, SMILE], np.arange(60) / 100, atol=1e-6)
    np.testing.assert_allclose(motion.weights[:, JAW], 0.5)
    assert motion.head is not None
    np.testing.assert_allclose(motion.head[:, 0], np.radians(10), rtol=1e-5)
    newer = lines.replace("_L-", "_L&").replace("Open-", "Open&")
    again = Motion.load(written(tmp_path, "b.txt", newer))
    np.testing.assert_array_equal(again.weights, motion.weights)


SCORES = [
    {"index": 25, "score": 0.5, "categoryName": "jawOpen"},
    {"score": 0.1, "categoryName": "_neutral"},
]
RECORDINGS = {
    "MediaPipe, a list of results": [
        {"timestampMs": i * 1000 / 30, "faceBlendshapes": [{"categories": SCORES}]}
        for i in range(30)
    ],
    "MediaPipe in Python": {
        "fps": 30,
        "frames": [{"face_blendshapes": [[{"category_name": "jawOpen", "score": 0.5}]]}] * 30,
    },
    "ARKit, a dictionary for each frame": {
        "frameRate": 30,
        "frames": [{"blendShapes": {"jawOpen": 0.5, "mouthClose": 0.0}}] * 30,
    },
    "ARKit, flat frames with times": [
        {"time": 100 + i / 30, "JawOpen": 0.5, "TongueOut": 0} for i in range(30)
    ],
    "rows with names beside them": {
        "exportFps": 30,
        "facsNames": ["mouthClose", "jawOpen"],
        "weightMat": [[0.0, 0.5]] * 30,
    },
    "rows in Apple's order": {
        "fps": 30,
        "frames": [
            {"time": i / 30, "weights": [0.5 * (n == "jawOpen") for n in ARKIT_NAMES]}
            for i in range(30)
        ],
    },
}


@pytest.mark.parametrize("name", RECORDINGS)
def test_recorders_of_json_are_understood(name: str, tmp_path: Path) -> None:
    motion = Motion.load(written(tmp_path, "a.json", RECORDINGS[name]))
    assert motion.fps == 30 and len(motion) == 30
    np.testing.assert_allclose(motion.weights[:, JAW], 0.5)
    assert motion.weights.sum() == pytest.approx(15)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "Timecode,BlendShapeCount,JawOpen\n"),
        ("a.csv", "x,y\n1,2\n"),
        ("a.csv", "Timecode,BlendShapeCount,JawOpen\n10:00:00,61,0.5\n"),
        ("a.csv", "Timecode,BlendShapeCount,JawOpen\n10:00:00:00,61,nan\n"),
        ("a.csv", "Timecode,BlendShapeCount,Nothing\n10:00:00:00,61,0.1\n"),
        ("a.json", [1, 2, 3]),
        ("a.json", {"frames": []}),
        ("a.json", {"frames": [{"weights": [0.1, 0.2]}]}),
        ("a.json", [{"time": 2, "jawOpen": 0.1}, {"time": 1, "jawOpen": 0.1}]),
        ("a.json", [{"time": 0, "jawOpen": 0.1}, {"time": 1e9, "jawOpen": 0.1}]),
        ("a.txt", "hello"),
        ("a.txt", "a-1|b-2|"),
        ("a.glb", "glTF"),
        ("a.mp4", "a film"),
    ],
)
def test_what_is_no_motion_is_told_in_a_line(name: str, content: object, tmp_path: Path) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises(MotionError) as error:
        Motion.load(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
