"""Head pose: other software turns a head by our angles as we do, in every file."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from codetalker.errors import MotionError
from codetalker.head_pose import matrices, quaternions
from codetalker.motion import Motion
from codetalker.render.renderer import Renderer
from codetalker.rig import bundled_head

ANGLES = np.random.default_rng(0).uniform(-0.6, 0.6, (40, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def motion() -> Motion:
    """Every blendshape is used, and the head turns."""
    names = bundled_head().blendshape_names
    weights = np.random.default_rng(1).random((40, len(names))).astype(np.float32)
    return Motion(weights, names, 25, head=ANGLES)


def test_the_turn_is_rz_ry_rx() -> None:
    other = Rotation.from_euler("xyz", ANGLES.astype(float))  # extrinsic: x first, then y, then z
    np.testing.assert_allclose(matrices(ANGLES), other.as_matrix(), atol=1e-6)
    np.testing.assert_allclose(quaternions(ANGLES), other.as_quat(canonical=True), atol=1e-6)


@pytest.mark.parametrize(
    ("turn", "axis", "sign"), [((0.2, 0, 0), 1, -1), ((0, 0.2, 0), 0, 1)], ids=["pitch", "yaw"]
)
def test_pitch_lowers_the_nose_and_yaw_turns_it_to_the_subjects_left(
    turn: tuple[float, float, float], axis: int, sign: int
) -> None:
    head = bundled_head()
    nose = head.landmarks[30]
    (turned,) = head.turned(head.template[None], np.array([turn]))
    assert sign * (turned[nose, axis] - head.template[nose, axis]) > 0.02


def test_roll_raises_the_subjects_left_ear() -> None:
    head = bundled_head()
    (turned,) = head.turned(head.template[None], np.array([[0, 0, 0.2]]))
    left_ear = head.landmarks[16]
    assert turned[left_ear, 1] > head.template[left_ear, 1] + 0.01


def test_the_face_turns_as_one_and_the_shoulders_stay() -> None:
    head = bundled_head()
    (turned,) = head.turned(head.template[None], ANGLES[:1])
    rigid = head.template @ matrices(ANGLES[:1])[0].T
    face = np.union1d(head.regions["mouth"], head.regions["upper_face"])
    np.testing.assert_allclose(turned[face], rigid[face], atol=1e-6)
    low = head.template[:, 1] < -0.135
    np.testing.assert_array_equal(turned[low], head.template[low])


def test_a_motion_file_keeps_the_head(tmp_path: Path, motion: Motion) -> None:
    again = Motion.load(motion.save(tmp_path / "a.npz"))
    np.testing.assert_array_equal(again.head, ANGLES)
    still = Motion(motion.weights, motion.names, 25)
    assert Motion.load(still.save(tmp_path / "b.npz")).head is None


def test_a_recording_for_unreal_has_the_head_in_the_apps_axes(
    tmp_path: Path, motion: Motion
) -> None:
    with motion.save(tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for name, column, sign in (("HeadPitch", 0, 1), ("HeadYaw", 1, -1), ("HeadRoll", 2, -1)):
        values = [float(row[name]) for row in rows]
        np.testing.assert_allclose(values, sign * ANGLES[:, column], atol=1e-6)


def test_another_rate_takes_the_head_along(motion: Motion) -> None:
    slow = Motion(motion.weights[:2], motion.names, 25, head=np.array([[0, 0, 0], [0.2, 0, 0]]))
    fast = slow.resample(50)
    assert fast.head is not None
    assert len(fast.head) == len(fast) == 4
    assert (np.diff(fast.head[:, 0]) >= 0).all()
    assert 0 < fast.head[1, 0] < 0.2


def test_a_head_of_another_length_is_refused(motion: Motion) -> None:
    for wrong in (ANGLES[:5], ANGLES[:, :2], np.full((40, 3), np.nan)):
        with pytest.raises(MotionError, match="pitch, yaw and roll"):
            Motion(motion.weights, motion.names, 25, head=wrong)


def test_a_turned_head_is_drawn_whole() -> None:
    """What moves with the head is drawn anew: the picture is that of a renderer of anything."""
    head = bundled_head()
    (turned,) = head.turned(head.template[None], np.array([[0.1, 0.2, 0.05]], np.float32))
    size = 96
    drawn = Renderer.of(head, size, head_turns=True).frame(turned)
    anything = Renderer.of(head, size, head_turns=True)
    still = Renderer.of(head, size).frame(head.template)
    np.testing.assert_array_equal(drawn, anything.frame(turned))
    np.testing.assert_array_equal(anything.frame(head.template), still)
    assert np.abs(drawn.astype(int) - still).mean() > 2
