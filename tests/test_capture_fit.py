"""The fit: what a tracker sees of a face in known motion gives that motion back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codetalker.arkit import ARKIT_NAMES
from codetalker.capture.eyes import eye_motion
from codetalker.capture.fit import fit
from codetalker.capture.landmarks import Landmarks
from codetalker.capture.neutral import neutral_faces, quiet
from codetalker.capture.points import POINTS, face_points, iod, lip_gap
from codetalker.capture.still_head import hold_still, mean_face, similarity
from codetalker.capture.teeth import touch_teeth
from codetalker.capture.tracker import follow
from codetalker.curves import between, usual_rate
from codetalker.data.phones import PhoneClip
from codetalker.errors import DataError
from codetalker.evaluation.mouth import Mouth
from codetalker.evaluation.phones import AT_TEETH_MM
from codetalker.head_pose import angles_of, matrices
from codetalker.least_squares import least_squares
from codetalker.motion import Motion
from codetalker.rig import bundled_head
from conftest import SHARED
from filmed import agreement, gaps_of, spoken, tracked

JAW, CLOSE = ARKIT_NAMES.index("jawOpen"), ARKIT_NAMES.index("mouthClose")


@pytest.fixture(scope="module")
def motion() -> Motion:
    return spoken()


def fitted(landmarks: Landmarks, motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    """(T, 52) weights and (T, 6) pose of a film."""
    ((_, points),) = landmarks.parts(landmarks.fps, 1.0)
    still = hold_still(points, mean_face([points]), landmarks.fps, landmarks.size)
    assert motion.audio
    silent = quiet(motion.audio.samples, 16000, landmarks.fps, len(points))
    (face,) = neutral_faces([still.points], [silent])
    return fit(still.points - face, landmarks.fps), still.pose


def test_lips_close_and_open_as_they_did_under_a_turning_head(motion: Motion) -> None:
    assert motion.audio  # in whose pauses the face rests, as the neutral one is found in them
    silent = quiet(motion.audio.samples, 16000, motion.fps, len(motion))
    motion = replace(motion, weights=motion.weights * ~silent[:, None])
    weights, pose = fitted(tracked(motion), motion)
    correlation, closed = agreement(weights, motion.weights, motion.fps)
    assert correlation > 0.99 and closed >= 0.95
    off = gaps_of(weights) - gaps_of(motion.weights)
    assert np.sqrt(np.mean(off**2)) / (iod() * 1000) < 0.0035
    assert motion.head is not None
    turned = pose[:, :3] - pose[:, :3].mean(0)
    assert np.abs(turned - motion.head + motion.head.mean(0)).max() < np.radians(2)


def test_a_jaw_is_open_at_least_as_far_as_the_lips_undo_it(motion: Motion) -> None:
    weights, _ = fitted(tracked(motion, noise=2.0), motion)
    assert (weights[:, CLOSE] <= weights[:, JAW]).all()
    assert weights.min() >= 0 and weights.max() <= 1


def test_closed_lips_over_a_dropped_jaw_stay_closed() -> None:
    pose = np.zeros((20, 52), np.float32)
    pose[:, [JAW, CLOSE]] = 0.3
    moved = np.einsum("tk,kpc->tpc", pose, face_points().shapes)
    found = fit(moved, 25.0)
    assert np.abs(gaps_of(found) - gaps_of(pose)).max() < 0.3
    assert found[:, JAW].min() > 0.15


@pytest.mark.skipif(not (SHARED / "corpus").is_dir(), reason="no corpus beside the repository")
def test_landmarks_of_the_corpus_give_the_lip_gap_that_it_has() -> None:
    folder = SHARED / "corpus/grid_others"
    with np.load(folder / "landmarks.npz") as seen, np.load(folder / "motion.npz") as known:
        steps = np.cumsum(seen["delta"], 1, dtype=np.int32)
        whole = np.concatenate([seen["first"][:, None], seen["first"][:, None] + steps], 1)
        for displaced, weights in zip(whole * float(seen["scale"]), known["weights"], strict=True):
            gap, true = gaps_of(fit(displaced, 25.0)), gaps_of(weights.astype(np.float32))
            assert np.corrcoef(gap, true)[0, 1] >= 0.99
            assert np.sqrt(np.mean((gap - true) ** 2)) / (iod() * 1000) <= 0.0035


def test_the_neutral_face_is_sought_where_lips_meet_and_nothing_is_said() -> None:
    rest = face_points().rest
    open_mouth = rest + face_points().shapes[JAW] * 0.3
    smile = rest + face_points().shapes[ARKIT_NAMES.index("mouthSmileLeft")] * 0.5
    clip = np.stack([rest] * 10 + [open_mouth] * 30 + [smile] * 30)
    silent = np.arange(70) < 20
    (face,) = neutral_faces([clip], [silent])
    np.testing.assert_allclose(face, rest, atol=1e-6)
    (narrowest,) = neutral_faces([np.stack([smile] * 8 + [open_mouth] * 60)], [np.zeros(68, bool)])
    assert lip_gap(narrowest) < lip_gap(open_mouth) / 2


def test_lids_that_close_blink_and_irises_that_move_look(motion: Motion) -> None:
    points = np.repeat(face_points().rest[None], 60, 0)
    blink = np.zeros(60)
    blink[20:24] = 1
    lids = [ARKIT_NAMES.index(f"eyeBlink{side}") for side in ("Left", "Right")]
    points = points + blink[:, None, None] * face_points().shapes[lids].sum(0)
    centres = [(points[:, [263, 362]].mean(1)), (points[:, [33, 133]].mean(1))]
    irises = np.zeros((60, 10, 3))
    irises[:, 5], irises[:, 0] = centres
    irises[40:, [0, 5], 0] += 0.0125 * np.sin(np.radians(15))
    whole = np.concatenate([points, irises], 1).astype(np.float32)
    (found,) = eye_motion([whole], [25.0])
    assert found[21:23, lids].min() > 0.9 and found[:15, lids].max() < 0.1
    out, inward = (ARKIT_NAMES.index(n) for n in ("eyeLookOutLeft", "eyeLookInRight"))
    assert found[50, out] == pytest.approx((15 - 2) / 35, abs=0.02)
    assert found[50, inward] == pytest.approx(found[50, out])
    assert found[5, out] == 0
    (blind,) = eye_motion([whole[:, :POINTS]], [25.0])
    assert not blind[:, out].any()


def test_uneven_frames_lie_where_their_times_say(motion: Motion) -> None:
    whole = tracked(motion, noise=0)
    kept = np.sort(np.random.default_rng(1).permutation(len(motion))[: int(0.8 * len(motion))])
    kept = np.union1d(kept, [0, len(motion) - 1])
    thinned = Landmarks(whole.times[kept], whole.points[kept], whole.rivals[kept], whole.size)
    ((start, points),) = thinned.parts(25.0, 1.0)
    assert start == 0 and len(points) == len(motion)
    np.testing.assert_array_equal(points[kept], whole.points[kept])
    assert thinned.fps == 25


def test_a_lost_face_divides_and_a_glance_away_is_bridged(motion: Motion) -> None:
    whole = tracked(motion)
    points = whole.points.copy()
    points[30:33] = np.nan
    points[80:110] = np.nan
    parts = replace(whole, points=points).parts(25.0, 1.0)
    assert round(parts[0][0] * 25) <= 1 and len(parts) == 2
    assert round(parts[1][0] * 25) in (110, 111)
    assert all(np.isfinite(part).all() for _, part in parts)


def test_the_person_that_was_followed_is_followed_on() -> None:
    face = np.zeros((478, 3), np.float32)
    face[33], face[263] = (-50, 0, 0), (50, 0, 0)
    big, small = face + np.array((500, 300, 0)), face * 0.5 + np.array((100, 300, 0))
    frames = [
        np.stack([small, big]),
        np.stack([big, small]),
        np.stack([small]),
        np.stack([small, big]),
    ]
    points, rivals = follow([0, 0.04, 0.08, 0.12], [f.astype(np.float32) for f in frames])
    assert np.isnan(points[2]).all()
    for i in (0, 1, 3):
        np.testing.assert_array_equal(points[i], big.astype(np.float32))
    np.testing.assert_allclose(rivals, [0.5, 0.5, 0, 0.5])
    back, _ = follow([0, 2.0], [frames[0].astype(np.float32), frames[2].astype(np.float32)])
    np.testing.assert_array_equal(back[1], small.astype(np.float32))


def test_landmarks_come_back_from_disk_and_others_are_refused(
    motion: Motion, tmp_path: Path
) -> None:
    whole = tracked(motion)
    whole.points[3] = np.nan
    whole.save(tmp_path / "a.npz")
    back = Landmarks.load(tmp_path / "a.npz")
    np.testing.assert_array_equal(back.points, whole.points)
    assert back.size == whole.size and not back.seen[3]
    for change in ({"times": whole.times[::-1]}, {"points": whole.points[:, :68]}):
        arrays = {
            "times": whole.times,
            "points": whole.points,
            "size": np.array(whole.size),
        } | change
        np.savez(tmp_path / "b.npz", **arrays)
        with pytest.raises(DataError, match="holds no landmarks"):
            Landmarks.load(tmp_path / "b.npz")


@given(st.lists(st.floats(-1.2, 1.2), min_size=3, max_size=3), st.floats(0.1, 10))
def test_a_similarity_is_found(angles: list[float], size: float) -> None:
    turn = matrices(np.array([angles]))
    np.testing.assert_allclose(angles_of(turn), [angles], atol=1e-5)
    rest = face_points().rest
    moved = size * rest @ turn[0].T + (1.0, 2.0, 3.0)
    scale, found, shift = similarity(moved[None], rest)
    np.testing.assert_allclose(scale, size, rtol=1e-5)
    np.testing.assert_allclose(found, turn, atol=1e-4)
    np.testing.assert_allclose(shift, [[1, 2, 3]], atol=1e-4 * size)


@pytest.mark.parametrize("smooth", [0.0, 50.0])
def test_least_squares_meets_its_optimality_conditions(smooth: float) -> None:
    rng = np.random.default_rng(0)
    effect, wanted = rng.normal(size=(6, 20)), rng.normal(size=(30, 20))
    curvature, slope = effect @ effect.T + np.eye(6), wanted @ effect.T
    found = least_squares(curvature, slope, np.zeros((30, 6)), lambda w: w.clip(0, 1), smooth)
    bend = np.zeros_like(found)
    second = np.diff(found, 2, axis=0)
    for shift, factor in ((0, 1), (1, -2), (2, 1)):
        bend[shift : shift + len(second)] += factor * second
    uphill = found @ curvature - slope + smooth * bend
    assert np.abs(uphill[(found > 1e-4) & (found < 1 - 1e-4)]).max() < 0.02
    assert uphill[found == 0].min() > -0.02 and uphill[found == 1].max(initial=0) < 0.02


@pytest.mark.parametrize("fps", [24, 25, 30000 / 1001, 30, 50, 60000 / 1001, 60])
def test_a_usual_rate_is_known_from_rounded_and_dropped_times(fps: float) -> None:
    times = np.round(np.arange(600) / fps, 3)
    assert usual_rate(times) == pytest.approx(fps)
    kept = np.delete(times, np.arange(100, 400, 7))
    assert usual_rate(kept) == pytest.approx(fps, rel=2e-3)


def test_between_holds_the_ends() -> None:
    values = np.array([[1.0], [3.0]], np.float32)
    found = between(np.array([-1, 0.5, 9]), np.array([0.0, 1.0]), values)
    np.testing.assert_allclose(found[:, 0], [1, 2, 3])


def test_the_lower_lip_is_at_the_teeth_in_f_and_v_alone() -> None:
    weights = np.zeros((50, 52), np.float32)
    weights[:, JAW] = 0.3
    phones = ("sil", "f", "ɑ", "v", "sil")
    edges = np.array([0.0, 1.0, 1.2, 1.5, 1.7, 3.0])
    said = PhoneClip("a", Path("a.flac"), phones, edges[:-1], edges[1:], "en", "a")
    touched = touch_teeth(weights, 25.0, said, start=0.5)
    distance = Mouth(bundled_head()).lip_to_teeth_mm(touched)
    times = 0.5 + np.arange(50) / 25
    in_f_v = ((times >= 1) & (times < 1.15)) | ((times >= 1.5) & (times < 1.65))
    assert distance[in_f_v].max() <= AT_TEETH_MM
    far = (times < 0.9) | (times > 1.8) | ((times > 1.25) & (times < 1.4))
    np.testing.assert_array_equal(touched[far], weights[far])
    assert np.abs(np.diff(touched, axis=0)).max() < 0.6
