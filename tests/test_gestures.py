"""Postures that a corpus lacks: short, in the mouth alone, and within what blendshapes can be."""

from __future__ import annotations

import numpy as np

from codetalker.arkit import MOUTH_CHANNELS, UPPER_FACE_CHANNELS
from codetalker.causal.gestures import LABIODENTAL, Gestures
from codetalker.evaluation.mouth import Mouth
from codetalker.rig import bundled_head

HEAD = bundled_head()
NAMES = HEAD.blendshape_names


def motion(frames: int = 48) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 0.4, (frames, 52)).astype(np.float32)


def test_a_posture_is_short_and_leaves_eyes_and_the_given_motion_alone() -> None:
    before = motion()
    gestures, kept = Gestures(HEAD, [motion(200)]), before.copy()
    changed = []
    for seed in range(20):
        after = gestures.blend(before, np.random.default_rng(seed))
        np.testing.assert_array_equal(before, kept)
        np.testing.assert_array_equal(
            after[:, list(UPPER_FACE_CHANNELS)], before[:, list(UPPER_FACE_CHANNELS)]
        )
        rows = (after != before).any(1)
        assert 3 <= rows.sum() <= 3 * 8
        assert after.min() >= 0
        assert after.max() <= 1
        changed.append(rows.sum())
    assert len(set(changed)) > 3


def test_the_lip_at_the_teeth_is_at_the_teeth_and_not_a_closure() -> None:
    pose = np.array([[LABIODENTAL.get(name, 0.0) for name in NAMES]])
    mouth = Mouth(HEAD)
    assert mouth.lip_to_teeth_mm(pose)[0] < 1.5 < mouth.lip_to_teeth_mm(0 * pose)[0]
    assert (pose @ mouth.central_gap)[0] > 0.7
    postures = Gestures(HEAD, []).blend(np.zeros((8, 52), np.float32), np.random.default_rng(0))
    assert mouth.lip_to_teeth_mm(postures).min() < 3


def test_corners_move_further_and_the_gap_hardly() -> None:
    gestures, mouth = Gestures(HEAD, []), Mouth(HEAD)
    before = (0.5 * motion()).astype(np.float32)
    other = [c for c in MOUTH_CHANNELS if "Pucker" not in NAMES[c] and "Funnel" not in NAMES[c]
             and not any(k in NAMES[c] for k in ("Smile", "Stretch", "Dimple"))]  # fmt: skip
    spread = []
    for seed in range(10):
        after = gestures.widen(before, np.random.default_rng(seed))
        np.testing.assert_array_equal(after[:, other], before[:, other])
        assert after.max() <= 1
        spread.append((after @ mouth.width).std() / (before @ mouth.width).std())
    assert min(spread) > 0.99
    assert max(spread) > 1.4
