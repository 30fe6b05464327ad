"""Life: eyes, head and brows move as people's do, with the voice, however a stream is cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codetalker.arkit import MOUTH_CHANNELS
from codetalker.causal.life import (
    EYE_TURN,
    EYE_TURN_UP,
    STIR,
    SWAY,
    Life,
    Moment,
    eye_weights,
    loudness_of,
)
from codetalker.causal.runtime import CausalTalker
from codetalker.errors import OptionError
from codetalker.motion import Motion
from tiny_model import babble

FPS = 25


@pytest.fixture(scope="module")
def talker(tiny_bundle: Path) -> CausalTalker:
    return CausalTalker.load(tiny_bundle)


def lived(loudness: np.ndarray, spoken: bool = True, seed: int = 0, **options) -> list[Moment]:
    life = Life(**options)
    memory = life.start()
    return [life.live(memory[0], x, spoken, FPS, seed, i) for i, x in enumerate(loudness)]


def head_of(moments: list[Moment]) -> np.ndarray:
    return np.array([moment.head for moment in moments])


def looks_of(moments: list[Moment]) -> np.ndarray:
    """(T, 2) where the eyes look in the world: what they and the head turn together."""
    return np.array([moment.eyes + moment.head[:2] for moment in moments])


@settings(max_examples=15)
@given(cut=st.integers(0, 40_000), seed=st.integers(0, 3), life=st.sampled_from(["idle", "full"]))
def test_a_stream_lives_alike_however_it_is_cut_and_saved(
    talker: CausalTalker, cut: int, seed: int, life: str
) -> None:
    sound = babble(2.5)
    whole = talker.animate(sound, rate=16000, life=life, seed=seed)
    live = talker.stream(16000, life=life, seed=seed)
    parts = [live.feed(sound[:cut])]
    live = talker.resume(live.state.to_bytes())
    parts += [live.feed(sound[cut:]), live.finish()]
    joined = Motion.joined(parts)
    np.testing.assert_array_equal(joined.weights, whole.weights)
    assert joined.head is not None and whole.head is not None
    np.testing.assert_array_equal(joined.head, whole.head)


def test_life_leaves_the_mouth_as_it_is(talker: CausalTalker) -> None:
    sound = babble(4)
    still, alive = (talker.animate(sound, rate=16000, life=life) for life in ("off", "full"))
    assert still.head is None
    mouth = list(MOUTH_CHANNELS)
    np.testing.assert_array_equal(alive.weights[:, mouth], still.weights[:, mouth])
    assert (alive.weights != still.weights).any()
    assert alive.weights.min() >= 0
    assert alive.weights.max() <= 1


def test_a_listener_does_not_move_with_the_voice_of_others() -> None:
    heard, silence = np.tile([1.0] * 10 + [0.0] * 10, 50), np.zeros(1000)
    np.testing.assert_array_equal(
        head_of(lived(heard, spoken=False)), head_of(lived(silence, spoken=False))
    )
    assert not any(moment.brows for moment in lived(heard, spoken=False))


def test_a_head_moves_as_far_as_heads_do() -> None:
    """Ten minutes of silence and of speech; the quick part is what differs in 3 s windows."""
    minutes = 10 * 60 * FPS
    silent = head_of(lived(np.zeros(minutes), rest=1.0, nod=0.0, stir=1.0))
    expected = np.hypot(SWAY, STIR)
    np.testing.assert_allclose(silent.std(0), expected, rtol=0.3)
    # A stay of an hour would leave this range once; no head turns this far by itself.
    assert np.abs(silent).max() < 5 * expected.max()
    quick = silent.reshape(-1, 75, 3).std(1)
    speaking = head_of(lived(np.ones(minutes), rest=0.3, nod=0.0))
    resting = head_of(lived(np.zeros(minutes), rest=0.3, nod=0.0))
    still = resting.reshape(-1, 75, 3).std(1)
    assert (np.median(speaking.reshape(-1, 75, 3).std(1), 0) > np.median(still, 0)).all()
    assert np.median(quick[:, 0]) == pytest.approx(STIR[0], rel=0.5)


def test_a_head_never_jerks() -> None:
    """GRID's heads, whose poses are smoothed, stay below 15 degrees a second in 999 of 1000 frames,
    and change that by less than 8 from frame to frame."""
    syllables = np.tile([1.0, 1.0, 0.6, 0.1, 0.0], 400)
    degrees = np.degrees(head_of(lived(syllables)))
    speed = np.diff(degrees, axis=0) * FPS
    assert np.quantile(np.abs(speed), 0.999) < 20
    assert np.quantile(np.abs(np.diff(speed, axis=0)), 0.999) < 16


def test_the_nose_rises_with_the_voice() -> None:
    loudness = np.repeat([0.0, 1.0] * 20, FPS)
    pitch = head_of(lived(loudness, sway=0, stir=0))[:, 0]
    assert np.corrcoef(pitch, loudness)[0, 1] < -0.7
    assert pitch.min() == pytest.approx(-Life().nod, rel=0.1)


def test_eyes_stay_on_what_they_look_at_and_jump_from_one_to_the_next() -> None:
    looks = np.degrees(looks_of(lived(np.zeros(5 * 60 * FPS))))
    moved = np.abs(np.diff(looks, axis=0)).max(1) > 1e-6
    jumps = np.flatnonzero(np.diff(np.r_[False, moved].astype(int)) == 1)
    assert 30 <= len(jumps) / 5 <= 70  # a minute
    lengths = np.diff(np.flatnonzero(np.diff(np.r_[0, moved, 0])))[::2]
    assert lengths.max() <= 3  # a saccade is done within two frames, two may touch
    away = np.linalg.norm(looks, axis=1) > 6
    assert 0.02 < away.mean() < 0.3
    assert np.abs(looks).max() < 35


@settings(max_examples=50)
@given(down=st.floats(-0.4, 0.4), left=st.floats(-0.4, 0.4))
def test_eye_weights_turn_both_eyes_the_same_way(down: float, left: float) -> None:
    weights = eye_weights(np.array([down, left]))
    assert min(weights.values()) >= 0
    for side, outward in (("Left", 1), ("Right", -1)):
        across = weights[f"eyeLookOut{side}"] - weights[f"eyeLookIn{side}"]
        assert across * EYE_TURN * outward == pytest.approx(left)
        lowered = (
            weights[f"eyeLookDown{side}"] * EYE_TURN - weights[f"eyeLookUp{side}"] * EYE_TURN_UP
        )
        assert lowered == pytest.approx(down)


def test_brows_rise_on_stressed_syllables_and_never_in_silence() -> None:
    loudness = np.zeros(60 * FPS)
    stressed = np.arange(3 * FPS, len(loudness), 3 * FPS)
    for start in stressed:
        loudness[start : start + 8] = 1
    brows = np.array([moment.brows for moment in lived(loudness)])
    begins = np.flatnonzero((brows[1:] > 0) & (brows[:-1] == 0)) + 1
    assert len(begins) == len(stressed)
    late = begins - stressed
    assert late.min() >= 0
    assert late.max() <= 4
    assert 0.1 < brows.max() < 0.45
    assert (brows[: 3 * FPS] == 0).all()


def test_loudness_is_from_silence_to_a_stressed_vowel() -> None:
    tone = np.sin(np.arange(640) / 5).astype(np.float32)
    levels = [loudness_of(tone * np.float32(10 ** (d / 20))) for d in (-90, -40, -27, -10, 0)]
    assert levels == sorted(levels)
    assert levels[0] == 0
    assert levels[-1] == 1
    assert 0.4 < levels[2] < 0.6
    assert loudness_of(np.zeros(640, np.float32)) == 0


def test_an_unknown_life_is_refused_with_the_nearest(talker: CausalTalker) -> None:
    with pytest.raises(OptionError, match="full"):
        talker.stream(16000, life="ful")  # type: ignore[arg-type]
