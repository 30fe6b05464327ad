"""A stream's state is one plain value: saved as bytes, it goes on anywhere, bit for bit."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import codetalker
from codetalker.causal.manner import Course
from codetalker.causal.runtime import CausalTalker
from codetalker.causal.stream import Live, StreamState
from codetalker.errors import AudioError, ModelError
from codetalker.motion import Motion
from tiny_model import babble

GO_ON = """
import sys, numpy as np, codetalker
folder, state, sound, out = sys.argv[1:]
live = codetalker.load(folder).resume(open(state, "rb").read())
rest = [live.feed(np.load(sound)), live.finish()]
np.save(out, np.concatenate([part.weights for part in rest]))
"""
"""What another process does with a saved state and the rest of the sound."""


@pytest.fixture(scope="module")
def talker(tiny_bundle: Path) -> CausalTalker:
    return CausalTalker.load(tiny_bundle)


def rest_of(live: Live, sound: np.ndarray) -> np.ndarray:
    return Motion.joined([live.feed(sound), live.finish()]).weights


@settings(max_examples=40)
@given(
    rate=st.sampled_from([8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000]),
    samples=st.integers(0, 30_000),
    place=st.floats(0, 1),
    style=st.sampled_from(["anna", "bert"]),
    strength=st.sampled_from([1.0, 1.3]),
)
def test_a_state_from_bytes_goes_on_bit_for_bit_at_any_point_and_rate(
    talker: CausalTalker, rate: int, samples: int, place: float, style: str, strength: float
) -> None:
    sound, cut = babble(samples / rate, rate), round(place * samples)
    live = talker.stream(rate, style=style, strength=strength, seed=7)
    live.feed(sound[:cut])
    saved = live.state.to_bytes()
    resumed = talker.resume(saved)
    assert resumed.state.to_bytes() == saved
    np.testing.assert_array_equal(rest_of(resumed, sound[cut:]), rest_of(live, sound[cut:]))


@pytest.mark.parametrize(("rate", "cut"), [(16000, 12345), (44100, 0), (48000, 60001)])
def test_another_process_goes_on_bit_for_bit(
    talker: CausalTalker, tiny_bundle: Path, tmp_path: Path, rate: int, cut: int
) -> None:
    sound = babble(2, rate)
    live = talker.stream(rate, style="anna", seed=3)
    live.feed(sound[:cut])
    (tmp_path / "state").write_bytes(live.state.to_bytes())
    np.save(tmp_path / "rest.npy", sound[cut:])
    names = (tiny_bundle, tmp_path / "state", tmp_path / "rest.npy", tmp_path / "out.npy")
    subprocess.run([sys.executable, "-c", GO_ON, *map(str, names)], check=True, timeout=60)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), rest_of(live, sound[cut:]))


def test_a_state_that_is_kept_is_not_moved_by_the_stream_that_goes_on(talker: CausalTalker) -> None:
    sound = babble(1)
    live = talker.stream()
    live.feed(sound[:5000])
    kept = StreamState.from_bytes(live.state.to_bytes())
    before = kept.to_bytes()
    rest = rest_of(live, sound[5000:])
    assert kept.to_bytes() == before
    np.testing.assert_array_equal(rest_of(talker.resume(kept), sound[5000:]), rest)


def test_a_finished_stream_stays_finished(talker: CausalTalker) -> None:
    live = talker.stream()
    live.finish()
    with pytest.raises(AudioError, match="start another one"):
        talker.resume(live.state.to_bytes()).feed([0.0])


def test_the_state_of_another_model_is_refused(talker: CausalTalker) -> None:
    state = replace(talker.start(), model="0" * 16)
    with pytest.raises(ModelError, match="of another model"):
        talker.resume(state)


@pytest.mark.parametrize("name", ["cache", "context", "motion", "position"])
def test_a_state_of_other_shapes_is_refused(talker: CausalTalker, name: str) -> None:
    state = replace(talker.start(), **{name: np.zeros((1, 2), np.float32)})
    with pytest.raises(ModelError, match=f"its {name} has another shape"):
        talker.resume(state.to_bytes())


@pytest.mark.parametrize("course", [np.zeros((2, 5)), np.zeros((1, 19))])
def test_a_state_of_a_manner_of_other_shape_is_refused(
    talker: CausalTalker, course: np.ndarray
) -> None:
    state = replace(talker.start(), course=Course(course, np.array([0, 1])))
    with pytest.raises(ModelError, match="its rows has another shape"):
        talker.resume(state.to_bytes())


def saved_with(state: StreamState, **changes: object) -> bytes:
    """The state's bytes with some arrays replaced, or left out (None)."""
    with np.load(BytesIO(state.to_bytes())) as arrays:
        values = {name: arrays[name] for name in arrays.files} | changes
    stream = BytesIO()
    np.savez(stream, **{name: value for name, value in values.items() if value is not None})
    return stream.getvalue()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 9}, "format version 9, this release reads 3"),
        ({"cache": None}, "no state of a stream"),
        ({"more": 1}, "no state of a stream"),
        ({"resampler.rate": None}, "no state of a stream"),
        ({"resampler.more": 1}, "no state of a stream"),
        ({"resampler.rate": 0}, "no state of a stream"),
        ({"course.rows": np.array([{"a": 1}], object)}, "no state of a stream"),
        ({"course.more": 1}, "no state of a stream"),
    ],
)
def test_bytes_that_are_no_state_are_refused(
    talker: CausalTalker, change: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        talker.resume(saved_with(talker.start(), **change))


DAMAGE: dict[str, dict[str, object]] = {
    "frames of a sound that was not heard": {"position": np.array([1 << 40])},
    "frames before the first": {"position": np.array([-4])},
    "sound that was not fed": {"received": 1 << 50},
    "less than no sound": {"received": -5000, "pending": np.zeros(0, np.float32)},
    "more sound than waits": {"pending": np.zeros(99_999, np.float32)},
    "sound in two channels": {"pending": np.zeros((3000, 2), np.float32)},
    "sound that is none": {"pending": np.full(5000, np.nan, np.float32)},
    "a cache that is none": {"cache": np.full((2, 2, 1, 2, 7, 8), np.inf, np.float32)},
    "a cache of doubles": {"cache": np.zeros((2, 2, 1, 2, 7, 8))},
    "a blink of no curve": {"blink": np.array([0, 99])},
    "strength in words": {"strength": "strong"},
    "no strength": {"strength": np.nan},
    "too much strength": {"strength": 1e9},
    "a seed below 0": {"seed": -1},
    "a seed that is none": {"seed": 0.5},
    "an end that is a number": {"finished": 2},
    "no model": {"model": 3},
    "a resampler elsewhere": {"resampler._origin": 1 << 40},
    "a resampler behind": {"resampler._origin": -(1 << 40)},
    "a resampler ahead": {"resampler._blocks": 1 << 40},
    "a resampler before": {"resampler._blocks": -7},
    "a resampler that heard more": {"resampler._received": 1 << 40},
    "a resampler to another rate": {"resampler.out_rate": 1_000_000_000},
    "a resampler from no rate": {"resampler.rate": 44_100.5},
    "a resampler of doubles": {"resampler._pending": np.zeros(500)},
    "a resampler of nothing": {"resampler._pending": np.zeros(0, np.float32)},
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_state_whose_parts_exclude_each_other_is_refused(talker: CausalTalker, case: str) -> None:
    """Before it reads memory that is not its own, or fills it."""
    live = talker.stream(44_100)
    live.feed(babble(1, 44_100))
    talker.resume(live.state.to_bytes()).feed(babble(1, 44_100))
    with pytest.raises(ModelError, match=r"state of a stream|of another model") as caught:
        talker.resume(saved_with(live.state, **DAMAGE[case]))
    assert "\n" not in str(caught.value)


def test_a_state_between_the_frames_of_a_window_is_refused(talker: CausalTalker) -> None:
    live = talker.stream()
    live.feed(babble(1))
    assert talker.bundle.windows.frames_per_hop == 2
    with pytest.raises(ModelError, match="its sound and its frames differ"):
        talker.resume(saved_with(live.state, position=live.state.position + 1))


@settings(max_examples=200)
@given(st.data())
def test_bytes_of_a_state_that_are_damaged_are_refused_or_go_on(
    talker: CausalTalker, data: st.DataObject
) -> None:
    content = bytearray(talker.start(44_100).to_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        live = talker.resume(bytes(content))
    except ModelError as error:
        assert "\n" not in str(error)
    else:
        assert len(live.feed(babble(0.5, live.state.resampler.rate))) < 20


def test_nonsense_and_bombs_are_refused(talker: CausalTalker) -> None:
    state = talker.start().to_bytes()
    bomb = BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("cache.npy", bytes(80 << 20))
    for data in (b"", b"nonsense", state[:-30], state[: len(state) // 2], bomb.getvalue()):
        with pytest.raises(ModelError, match="no state of a stream"):
            talker.resume(data)


def test_a_stream_can_be_told_from_a_talker_that_has_none(talker: CausalTalker) -> None:
    assert isinstance(talker, codetalker.StreamingTalker)
    from fake_talker import FakeTalker

    assert not isinstance(FakeTalker(), codetalker.StreamingTalker)
