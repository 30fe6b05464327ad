"""Moods: they show, they leave speech alone, and they never open a closed mouth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from codetalker.errors import OptionError
from codetalker.mood import MOODS, parse_mood, with_mood
from codetalker.motion import Motion
from codetalker.rig import bundled_head

HEAD = bundled_head()
NAMES = HEAD.blendshape_names
GAP = 1e3 * HEAD.lip_gap_basis.mean(1)
WEIGHTS = arrays(np.float32, (3, 52), elements=st.floats(0, 1, width=32))
SHOWN = [mood for mood in MOODS if mood != "neutral"]


@given(WEIGHTS, st.sampled_from(SHOWN), st.floats(0, 1.5))
def test_no_mood_opens_the_lips_further(weights: np.ndarray, mood: str, intensity: float) -> None:
    moody = with_mood(Motion(weights, NAMES, 25), mood, intensity).weights
    assert ((moody - weights) @ GAP).max() <= 0.02  # mm
    assert (moody >= weights).all()
    assert moody.max() <= 1


@pytest.mark.parametrize("mood", SHOWN)
def test_a_mood_is_seen_on_the_face_and_grows_with_its_intensity(mood: str) -> None:
    rest = Motion(np.zeros((1, 52)), NAMES, 25)
    moved = [
        1e3 * np.linalg.norm(with_mood(rest, mood, k).on().vertices() - HEAD.template, axis=2).max()
        for k in (0, 0.5, 1, 1.5)
    ]
    assert moved[0] == 0
    assert np.diff(moved).min() > 1  # mm
    assert not np.array_equal(with_mood(rest, mood).weights, rest.weights)


def test_a_blink_closes_eyes_that_surprise_has_opened() -> None:
    weights = np.zeros((3, 52), np.float32)
    blink, wide = NAMES.index("eyeBlinkLeft"), NAMES.index("eyeWideLeft")
    weights[:, blink] = [0, 0.5, 1]
    moody = with_mood(Motion(weights, NAMES, 25), "surprised").weights
    np.testing.assert_allclose(moody[:, wide], [0.7, 0.35, 0])


def test_moods_keep_the_rest_of_a_motion_and_work_chunk_by_chunk() -> None:
    weights = np.random.default_rng(0).uniform(0, 0.5, (9, 52))
    motion = Motion(weights, NAMES, 25, codes=np.ones((9, 2), np.int64))
    whole = with_mood(motion, "angry", 0.7)
    parts = Motion.joined(
        [with_mood(motion[:4], "angry", 0.7), with_mood(motion[4:], "angry", 0.7)]
    )
    np.testing.assert_array_equal(whole.weights, parts.weights)
    assert (whole.fps, whole.names, len(whole.codes)) == (25, NAMES, 9)
    np.testing.assert_array_equal(with_mood(motion, "neutral").weights, motion.weights)


def test_a_motion_of_other_names_is_left_as_it_is() -> None:
    motion = Motion(np.full((2, 1), 0.3), ("blink",), 25)
    np.testing.assert_array_equal(with_mood(motion, "surprised").weights, motion.weights)


def test_moods_are_written_with_their_intensity() -> None:
    assert parse_mood("happy") == ("happy", 1.0)
    assert parse_mood("sad:0.4") == ("sad", 0.4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: with_mood(m, "hapy"), "no mood 'hapy'; did you mean 'happy'"),
        (lambda m: with_mood(m, "happy", 2), "choose from 0 to 1.5"),
        (lambda m: with_mood(m, "happy", float("nan")), "choose from 0 to 1.5"),
        (lambda m: parse_mood("happy:x"), "'x' in mood 'happy:x' is no number"),
    ],
)
def test_what_is_no_mood_is_refused(call, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        call(Motion(np.zeros((1, 52)), NAMES, 25))
