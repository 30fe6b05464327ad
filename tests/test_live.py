"""A stream as its users have it: on time at every rate, through loss, pauses and changes."""

from __future__ import annotations

from math import ceil, floor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codetalker.arkit import MOUTH_CHANNELS
from codetalker.audio import SAMPLE_RATE, Waveform
from codetalker.causal.concealment import Concealment
from codetalker.causal.runtime import CausalTalker
from codetalker.causal.stream import Live
from codetalker.errors import AudioError, CodeTalkerError, OptionError, StyleError
from codetalker.motion import Motion
from codetalker.rig import bundled_head
from tiny_model import babble

EXAMPLE = Path(__file__).parents[1] / "examples" / "sense_and_sensibility.flac"
USUAL = [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 176400, 192000]
RATES = st.sampled_from(USUAL) | st.integers(8000, 192_000)
MOUTH = list(MOUTH_CHANNELS)


@pytest.fixture(scope="module")
def talker(tiny_bundle: Path) -> CausalTalker:
    return CausalTalker.load(tiny_bundle)


@pytest.fixture(scope="module")
def trained(bundled_model: Path) -> CausalTalker:
    return CausalTalker.load(bundled_model)


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return Waveform.load(EXAMPLE).samples


def lips(weights: np.ndarray) -> np.ndarray:
    """(T, 52) weights -> (T,) mean distance of the lips from rest, in millimetres."""
    basis = 1e3 * bundled_head().basis("lips").reshape(52, -1)
    return np.linalg.norm((weights @ basis).reshape(len(weights), -1, 3), axis=2).mean(1)


def apart(first: np.ndarray, second: np.ndarray) -> float:
    """RMS distance of the lips of two motions, in millimetres."""
    return float(np.sqrt(np.square(lips(first - second)).mean()))


@settings(max_examples=40)
@given(rate=RATES, sizes=st.lists(st.floats(0, 0.2), min_size=1, max_size=12))
def test_frames_up_to_the_latency_ago_have_come_out(
    talker: CausalTalker, rate: int, sizes: list[float]
) -> None:
    live = talker.stream(rate)
    fed, frames = 0, 0
    for seconds in sizes:
        chunk = babble(seconds, rate)
        fed, frames = fed + len(chunk), frames + len(live.feed(chunk))
        # A millionth of a frame less, for 0.2 s is no whole number in floats.
        due = floor((fed / rate - live.latency) * talker.fps - 1e-6) + 1
        assert frames >= due


@pytest.mark.parametrize("rate", USUAL)
def test_the_latency_is_no_more_than_it_takes(talker: CausalTalker, rate: int) -> None:
    """The first frame comes with the last sample of it, or with the one before."""
    live = talker.stream(rate)
    needed = ceil(live.latency * rate - 1e-6)
    sound = babble(1, rate)
    assert len(live.feed(sound[: needed - 2])) == 0
    assert len(live.feed(sound[needed - 2 : needed])) > 0
    assert live.latency - talker.latency < 0.007


@settings(max_examples=20)
@given(
    kind=st.sampled_from([np.int16, np.int32, np.float32, np.float64]),
    rate=st.sampled_from(USUAL),
    channels=st.integers(1, 8),
    sizes=st.lists(st.integers(0, 9000), max_size=6),
)
def test_any_type_of_samples_and_number_of_channels_gives_the_same_frames(
    talker: CausalTalker, kind: type, rate: int, channels: int, sizes: list[int]
) -> None:
    mono = np.round(babble(0.5, rate) * 32767) / 32768  # what every type can hold
    whole = talker.animate(mono, rate=rate).weights
    scale = {np.int16: 32768, np.int32: 1 << 31}.get(kind, 1)
    sound = np.repeat((mono * scale).astype(kind)[:, None], channels, axis=1)
    live = talker.stream(rate)
    parts = [live.feed(c) for c in np.split(sound, np.cumsum(sizes).clip(max=len(sound)))]
    given = Motion.joined([*parts, live.finish()]).weights
    np.testing.assert_allclose(given, whole, atol=1e-4)


@settings(max_examples=20)
@given(rate=RATES, sizes=st.lists(st.integers(0, 30_000), min_size=1, max_size=8))
def test_frames_know_their_time_in_the_sound(
    talker: CausalTalker, rate: int, sizes: list[int]
) -> None:
    live, frames = talker.stream(rate), 0
    parts = [lambda n=n: live.feed(babble(n / rate, rate)) for n in sizes]
    for part in [*parts, live.finish]:
        motion = part()
        assert motion.start == pytest.approx(frames / talker.fps)
        assert motion[1:].start == pytest.approx((frames + min(1, len(motion))) / talker.fps)
        frames += len(motion)


def test_a_whole_recording_starts_at_its_start(talker: CausalTalker) -> None:
    motion = talker.animate(babble(1), rate=SAMPLE_RATE)
    assert motion.start == 0
    assert motion[5:10].resample(50).start == 0.2


@settings(max_examples=20)
@given(
    rate=st.sampled_from(USUAL),
    before=st.floats(0, 0.5),
    pieces=st.lists(st.floats(0, 0.08), max_size=5),
    after=st.floats(0, 0.5),
    saved=st.booleans(),
)
def test_lost_sound_takes_its_time_however_it_is_told(
    talker: CausalTalker,
    rate: int,
    before: float,
    pieces: list[float],
    after: float,
    saved: bool,
) -> None:
    """In pieces or at once, with the stream saved in between or not: the same frames."""
    lengths = [round(seconds * rate) for seconds in pieces]
    first, second = babble(before, rate), babble(after, rate)
    once, bit_by_bit = talker.stream(rate), talker.stream(rate)
    whole = [once.feed(first), once.feed(None, seconds=sum(lengths) / rate), once.feed(second)]
    parts = [bit_by_bit.feed(first)]
    for length in lengths:
        if saved:
            bit_by_bit = talker.resume(bit_by_bit.state.to_bytes())
        parts.append(bit_by_bit.feed(None, seconds=length / rate))
    parts.append(bit_by_bit.feed(second))
    joined = Motion.joined([*parts, bit_by_bit.finish()])
    np.testing.assert_array_equal(joined.weights, Motion.joined([*whole, once.finish()]).weights)
    assert len(joined) == ceil((len(first) + sum(lengths) + len(second)) * talker.fps / rate)


@pytest.mark.parametrize(
    ("chunk", "seconds"), [(None, None), (None, -1), (None, 61), (None, np.nan), ([0.0], 0.5)]
)
def test_loss_without_a_length_or_sound_with_one_is_refused(
    talker: CausalTalker, chunk: list[float] | None, seconds: float | None
) -> None:
    live = talker.stream()
    with pytest.raises(AudioError, match="pass seconds="):
        live.feed(chunk, seconds=seconds)
    assert live.state.resampler.received == 0


@pytest.mark.parametrize("rate", [8000, 11025, 48000])
def test_what_stands_in_for_lost_sound_begins_where_that_ended_and_fades(rate: int) -> None:
    concealment = Concealment.start(rate)
    assert not concealment.fill(100).any()
    sound = np.sin(np.arange(rate) / 20).astype(np.float32)
    for chunk in np.split(sound, [5, 17, rate // 2]):
        concealment.hear(chunk)
    filled = np.concatenate([concealment.fill(n) for n in (1, 50, rate // 20, rate // 10)])
    assert filled[0] == sound[-1]
    envelope = 1 - np.arange(len(filled)) / (0.1 * rate)
    assert (np.abs(filled) <= envelope.clip(0) + 1e-2).all()
    assert np.abs(filled[: rate // 40]).max() > 0.7
    assert not filled[rate // 10 + 10 :].any()


def lossy(talker: CausalTalker, sound: np.ndarray, silent: bool) -> np.ndarray:
    """The weights of a call that loses a tenth of its packets of 20 ms."""
    live, random = talker.stream(), np.random.default_rng(5)
    parts = []
    for packet in np.split(sound, range(320, len(sound), 320)):
        if random.random() > 0.1:
            parts.append(live.feed(packet))
        elif silent:
            parts.append(live.feed(np.zeros_like(packet)))
        else:
            parts.append(live.feed(None, seconds=len(packet) / SAMPLE_RATE))
    return Motion.joined([*parts, live.finish()]).weights


def test_a_mouth_gets_through_lost_packets_better_than_through_silence(
    trained: CausalTalker, speech: np.ndarray
) -> None:
    whole = trained.animate(speech, rate=SAMPLE_RATE).weights
    concealed, silent = (apart(lossy(trained, speech, s), whole) for s in (False, True))
    assert concealed < 0.85 * silent


def test_a_mouth_comes_to_rest_when_the_line_is_dead(
    trained: CausalTalker, speech: np.ndarray
) -> None:
    live = trained.stream()
    live.feed(speech[: 2 * SAMPLE_RATE])
    dead = live.feed(None, seconds=3).weights
    assert lips(dead[-25:]).max() < 0.5
    assert lips(dead).max() > 1


def test_a_stream_waits_and_may_end_late(talker: CausalTalker) -> None:
    """Empty chunks are pauses of the caller; `finish` asks for nothing more."""
    sound = babble(1)
    live = talker.stream()
    parts = [live.feed(sound), live.feed([]), live.feed(np.zeros((0, 2), np.int16)), live.finish()]
    np.testing.assert_array_equal(
        Motion.joined(parts).weights, talker.animate(sound, rate=SAMPLE_RATE).weights
    )


@pytest.mark.parametrize("level", [-70, -50, -30])
@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_the_first_frames_in_the_noise_of_a_room_are_at_rest(
    trained: CausalTalker, level: float, rate: int
) -> None:
    """Noise that falls by 6 dB per octave above 100 Hz, as that of rooms does."""
    white, room = np.random.default_rng(level + 100).normal(size=2 * rate), np.zeros(2 * rate)
    keep = np.exp(-2 * np.pi * 100 / rate)
    for i in range(1, len(white)):
        room[i] = keep * room[i - 1] + white[i]
    room *= 10 ** (level / 20) / room.std()
    live = trained.stream(rate)
    moved = lips(Motion.joined([live.feed(c) for c in np.split(room, 100)]).weights)
    assert moved.max() < 0.3


def changed(live: Live, sound: np.ndarray, cuts: tuple[int, ...], **change: object) -> Motion:
    """All the frames of a stream that changes after the first cut."""
    head, *rest = np.split(sound, cuts)
    parts = [live.feed(head)]
    live.change(**change)  # type: ignore[arg-type]
    return Motion.joined([*parts, *map(live.feed, rest), live.finish()])


CHANGES = st.fixed_dictionaries(
    {"seconds": st.sampled_from([0.0, 0.1, 0.5, 2.0])},
    optional={
        "style": st.sampled_from(["anna", "bert", {"anna": 1, "bert": 2}]),
        "strength": st.floats(0, 3),
        "life": st.sampled_from(["off", "idle", "full"]),
    },
)


@settings(max_examples=30)
@given(
    at=st.integers(0, 30_000),
    cuts=st.lists(st.integers(0, 32_000), max_size=5),
    changes=st.lists(CHANGES, min_size=1, max_size=3),
    life=st.sampled_from(["off", "idle", "full"]),
)
def test_changes_do_not_depend_on_how_a_stream_is_cut_and_saved(
    talker: CausalTalker, at: int, cuts: list[int], changes: list[dict], life: str
) -> None:
    """Changes come 0.15 s apart, so that they also meet each other."""
    sound = babble(2)
    moments = [min(at + 2400 * i, len(sound)) for i in range(len(changes))]
    ways = []
    for places in (sorted(moments), sorted([*moments, *cuts])):
        live, parts, fed = talker.stream(life=life, seed=3), [], 0  # type: ignore[arg-type]
        waiting = list(zip(moments, changes, strict=True))
        for place in [*places, len(sound)]:
            parts.append(live.feed(sound[fed:place]))
            fed = place
            while waiting and waiting[0][0] <= fed:
                live.change(**waiting.pop(0)[1])
            if len(places) > len(moments):
                live = talker.resume(live.state.to_bytes())
        ways.append(Motion.joined([*parts, live.finish()]))
    np.testing.assert_array_equal(ways[0].weights, ways[1].weights)
    if ways[0].head is None:
        assert ways[1].head is None
    else:
        assert ways[1].head is not None
        np.testing.assert_array_equal(ways[0].head, ways[1].head)


@settings(max_examples=20)
@given(
    cut=st.integers(1, 30_000),
    before=st.floats(0, 2),
    after=st.floats(0, 2),
    seconds=st.floats(0, 1),
)
def test_strength_goes_from_one_to_the_other_in_equal_steps(
    talker: CausalTalker, cut: int, before: float, after: float, seconds: float
) -> None:
    """From the first frame that had not come out: no frame's scale is further from the last one's
    than the change over its frames."""
    sound = babble(2)
    plain = talker.animate(sound, rate=SAMPLE_RATE).weights[:, MOUTH]
    live = talker.stream(strength=before)
    came = len(talker.stream().feed(sound[:cut]))
    motion = changed(live, sound, (cut,), strength=after, seconds=seconds)
    frames = max(1, round(seconds * talker.fps))
    share = ((np.arange(len(plain)) - came + 1) / frames).clip(0, 1)
    scale = before + share * (after - before)
    assert np.abs(np.diff(scale)).max() <= abs(after - before) / frames + 1e-9
    np.testing.assert_allclose(
        motion.weights[:, MOUTH], (scale[:, None] * plain).clip(0, 1), atol=1e-5
    )


def test_a_change_within_a_change_turns_from_where_it_is(talker: CausalTalker) -> None:
    """From 1 to 3 in a second, and after half of it back to 1: no step is more than 2 in 25."""
    sound = babble(4)
    plain = talker.animate(sound, rate=SAMPLE_RATE).weights[:, MOUTH]
    live, parts = talker.stream(), []
    for start, strength in ((0, 3.0), (8000, 1.0), (16000, 1.0)):
        parts.append(live.feed(sound[start : start + 8000]))
        if start < 16000:
            live.change(strength=strength, seconds=1)
    weights = Motion.joined([*parts, live.feed(sound[24000:]), live.finish()]).weights[:, MOUTH]
    told = (plain > 0.05) & (weights < 1)
    scale = np.array([np.median(w[t] / p[t]) for w, p, t in zip(weights, plain, told, strict=True)])
    assert np.abs(np.diff(scale)).max() <= 2 / 25 + 1e-3
    assert 1.7 < scale.max() < 2.3
    np.testing.assert_allclose(scale[-20:], 1, atol=1e-3)


def test_another_style_in_the_middle_of_speech_is_no_jump(
    trained: CausalTalker, speech: np.ndarray
) -> None:
    """No step of the mouth is greater than the greatest that speech makes in either style or in
    the blends that are passed on the way."""
    first, other = trained.styles[0], trained.styles[-1]
    blends = [f"{first}:{1 - share},{other}:{share}" for share in (0.25, 0.5, 0.75)]
    plain, *passed, goal = (
        trained.animate(speech, rate=SAMPLE_RATE, style=s).weights[:, MOUTH]
        for s in (first, *blends, other)
    )
    most = max(np.abs(np.diff(weights, axis=0)).max() for weights in (plain, *passed, goal))
    for cut in range(20_000, 70_000, 7_000):
        weights = changed(trained.stream(), speech, (cut,), style=other).weights[:, MOUTH]
        begin = round(cut / SAMPLE_RATE * trained.fps)
        np.testing.assert_array_equal(weights[: begin - 6], plain[: begin - 6])
        assert np.abs(np.diff(weights[begin - 6 : begin + 15], axis=0)).max() <= most
        arrived = slice(begin + 20, None)
        missed = np.abs(weights[arrived] - goal[arrived]).mean()
        assert missed < 0.5 * np.abs(plain[arrived] - goal[arrived]).mean()


@pytest.mark.parametrize(("before", "after"), [("off", "full"), ("full", "off"), ("idle", "full")])
def test_life_comes_and_goes_without_a_jump(talker: CausalTalker, before: str, after: str) -> None:
    """A head's step is at most its own, and its share of where it is."""
    sound = babble(12)
    live = talker.stream(life=before)  # type: ignore[arg-type]
    motion = changed(live, sound, (6 * SAMPLE_RATE,), life=after, seconds=0.4)
    lively = talker.animate(sound, rate=SAMPLE_RATE, life="full").head
    assert motion.head is not None
    assert lively is not None
    own = np.abs(np.diff(lively, axis=0)).max()
    assert np.abs(np.diff(motion.head, axis=0)).max() < own + np.abs(lively).max() / 10 + 1e-3
    added = np.abs(motion.weights - talker.animate(sound, rate=SAMPLE_RATE).weights).max(1)
    if after == "off":  # a tenth of life in the last frame of it
        end = int(np.flatnonzero(np.abs(motion.head).max(1))[-1])
        np.testing.assert_allclose(added[end + 1 :], 0)
        assert 0 < added[end] <= 0.3 * added[end - 10]
    still = [np.abs(half).max() == 0 for half in (motion.head[:140], motion.head[-130:])]
    assert still == [before == "off", after == "off"]


@pytest.mark.parametrize(
    "change",
    [
        {"strength": 3.1},
        {"strength": np.nan},
        {"style": "ana"},
        {"life": "ful"},
        {"seconds": -1},
        {"seconds": 61},
        {"seconds": np.nan},
        {"style": "anna", "strength": -1},
    ],
)
def test_a_change_that_cannot_be_changes_nothing(talker: CausalTalker, change: dict) -> None:
    live = talker.stream()
    saved = live.state.to_bytes()
    with pytest.raises((OptionError, StyleError)):
        live.change(**change)
    assert live.state.to_bytes() == saved


def test_a_finished_stream_changes_no_more(talker: CausalTalker) -> None:
    live = talker.stream()
    live.finish()
    with pytest.raises(CodeTalkerError, match="start another one"):
        live.change(strength=1.0)


def test_a_stream_of_no_life_is_what_animate_makes(talker: CausalTalker) -> None:
    sound = babble(1)
    live = talker.stream()
    motion = Motion.joined([live.feed(sound), live.finish()])
    offline = talker.animate(sound, rate=SAMPLE_RATE)
    np.testing.assert_array_equal(motion.weights, offline.weights)
    assert motion.head is None
    assert offline.head is None
