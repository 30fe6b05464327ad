"""Training streams: sound, motion and phones stay together through trimming, speed and joins."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from codetalker.arkit import MOUTH_CHANNELS, UPPER_FACE_CHANNELS
from codetalker.audio import SAMPLE_RATE
from codetalker.causal import joined
from codetalker.causal.articulation import NOTHING, OPEN, REST, SHUT, TEETH
from codetalker.causal.augment import Augmentation
from codetalker.causal.features import FeatureSet, Stream, at_rate, extract, feature_set
from codetalker.causal.hearing import Hearing
from codetalker.causal.joined import MARGIN, joined_streams, phone_streams
from codetalker.causal.loudness import Loudness
from codetalker.causal.train import Listener
from codetalker.data.clip import ANTICIPATE_S, Clip
from codetalker.data.phones import PhoneClip
from codetalker.errors import OutputError
from conftest import write_sound
from tiny_model import WINDOWS, babble, tiny_encoder

FPS = 25
HOP = SAMPLE_RATE // FPS
JAW = 17
BEEPS = (0.6, 1.4, 2.4)
"""Seconds at which a clip beeps, for 200 ms in which the jaw is open."""


def clip(path: Path, name: str, sound: np.ndarray, weights: np.ndarray, fps: float = FPS) -> Clip:
    path = write_sound(path / f"{name}.wav", (sound * 32767).astype(np.int16)[:, None])
    return Clip(name, name.partition("-")[0], "train", path, weights.astype(np.float32), fps)


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of digital silence, and every stream at its own level."""
    monkeypatch.setattr(joined, "_other_sound", lambda random, n, voices: np.zeros(n, np.float32))
    monkeypatch.setattr(joined, "_levelled", lambda parts, random: parts)


def beeping(path: Path, name: str, fps: float = FPS) -> Clip:
    """3 s in which beeps and an open jaw mark the same moments; eyes that move throughout."""
    time = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
    sound, weights = np.zeros(len(time)), np.zeros((round(3 * fps), 52))
    for moment in BEEPS:
        beep = (time >= moment) & (time < moment + 0.2)
        sound[beep] = 0.5 * np.sin(2 * np.pi * 500 * time[beep])
        weights[round(moment * fps) : round((moment + 0.2) * fps), JAW] = 1
    weights[:, 0] = np.linspace(0.1, 0.9, len(weights))
    return clip(path, name, sound, weights, fps)


def talking(path: Path, name: str, seconds: float = 2.0, eyes: bool = True) -> Clip:
    """A mouth that is nowhere at rest and eyes that move, or are not known."""
    seed = int.from_bytes(name.encode()) % 1000
    weights = np.random.default_rng(seed).uniform(0.1, 0.9, (round(seconds * FPS), 52))
    if not eyes:
        weights[:, list(UPPER_FACE_CHANNELS)] = 0
    return clip(path, name, babble(seconds, seed=seed), weights)


def one(clips: list[Clip], seed: int = 0, augment: bool = False) -> Stream:
    (stream,) = joined_streams(clips, np.random.default_rng(seed), FPS, augment=augment)
    return stream


def heard(
    folder: Path, clips: list[Clip], styles: tuple[str, ...], **options: object
) -> FeatureSet:
    streams = joined_streams(clips, np.random.default_rng(7), FPS, augment=True)
    random = np.random.default_rng(0)
    return feature_set(folder, streams, tiny_encoder(), WINDOWS, styles, random, **options)  # type: ignore[arg-type]


def lateness(stream: Stream, part: slice = slice(None)) -> int:
    """By how many hundredths of a second the beeps come after the jaw's movements."""
    loud = np.abs(stream.samples).reshape(-1, SAMPLE_RATE // 100).mean(1)[part]
    jaw = np.repeat(stream.weights[:, JAW], 100 // FPS)[part]
    lags = range(-30, 31)
    return max(lags, key=lambda lag: float(np.roll(jaw, lag) @ loud))


@pytest.mark.parametrize("speed", [1.0, 0.88, 1.13])
@pytest.mark.parametrize("pitch", [1.0, 1.4])
def test_sound_and_motion_stay_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quiet: None, speed: float, pitch: float
) -> None:
    """Through joined clips at any speed, in the first seconds as in the last; to half a frame."""
    voice = Augmentation(speed=speed, pitch=pitch, noise=-np.inf)
    monkeypatch.setattr(Augmentation, "draw", staticmethod(lambda random: voice))
    stream = one([beeping(tmp_path, f"anna-{i}") for i in range(12)], augment=True)
    jaw = stream.weights[:, JAW] > 0.5
    opens = np.flatnonzero(np.diff(jaw.astype(int)) == 1)
    assert len(opens) == 12 * len(BEEPS)
    np.testing.assert_allclose(np.diff(opens)[:2] / FPS, np.diff(BEEPS) / speed, atol=1 / FPS)
    for part in (slice(0, 600), slice(-600, None)):
        assert abs(lateness(stream, part)) <= 2


def test_a_stream_holds_640_samples_per_frame_and_every_clip_once(tmp_path: Path) -> None:
    clips = [talking(tmp_path, f"{who}-{i}", 32.0) for who in ("anna", "bert") for i in range(4)]
    parts = list(joined_streams(clips, np.random.default_rng(0), FPS, augment=False))
    assert [part.style for part in parts] == ["anna", "anna", "bert", "bert"]
    for part in parts:
        assert part.samples.shape == (len(part.weights) * HOP,)
        assert part.weights.shape == part.mask.shape
        assert part.weights.dtype == part.samples.dtype == np.float32
    assert all(len(part.weights) > 90 * FPS for part in parts[::2])
    frames = {clip.weights[7].tobytes() for clip in clips}
    rows = [row.tobytes() for part in parts for row in part.weights]
    met = [row for row in rows if row in frames]
    assert sorted(met) == sorted(frames)


def test_the_order_and_the_voices_follow_from_the_seed(tmp_path: Path) -> None:
    clips = [talking(tmp_path, f"anna-{i}") for i in range(5)]
    first, again, other = (one(clips, seed, augment=True) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.samples, again.samples)
    np.testing.assert_array_equal(first.weights, again.weights)
    assert first.samples.shape != other.samples.shape or (first.samples != other.samples).any()


def test_clips_are_trimmed_to_their_speech(tmp_path: Path, quiet: None) -> None:
    words = ((0.0, 1.0, "sil"), (1.0, 1.4, "bin"), (1.4, 1.8, "blue"), (1.8, 3.0, "sil"))
    spoken = replace(talking(tmp_path, "anna-0", 3.0), words=words)
    stream = one([spoken])
    (talked,) = np.flatnonzero((stream.weights == spoken.weights[30]).all(1))
    start, end = talked - 30, talked - 30 + len(spoken.weights)
    kept = [i for i in range(75) if (stream.weights == spoken.weights[i]).all(1).any()]
    assert kept == list(range(kept[0], kept[-1] + 1))
    assert MARGIN[0] <= 1.0 - kept[0] / FPS <= MARGIN[1] + 1 / FPS
    assert MARGIN[0] <= kept[-1] / FPS - 1.8 + 1 / FPS <= MARGIN[1] + 2 / FPS
    first = slice((start + kept[0]) * HOP, (start + kept[-1] + 1) * HOP)
    sound = spoken.waveform().samples[kept[0] * HOP : (kept[-1] + 1) * HOP]
    assert np.corrcoef(stream.samples[first], sound)[0, 1] > 0.99
    assert end > start


def test_the_mouth_rests_in_other_sounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes to rest after speech, gets ready before it, and nobody knows what eyes did."""
    monkeypatch.setattr(
        joined, "_other_sound", lambda random, n, voices: np.full(n, 0.5, np.float32)
    )
    monkeypatch.setattr(joined, "_levelled", lambda parts, random: parts)
    stream = one([talking(tmp_path, f"anna-{i}") for i in range(9)])
    mouth, upper = list(MOUTH_CHANNELS), list(UPPER_FACE_CHANNELS)
    other = stream.samples.reshape(-1, HOP).min(1) == 0.5
    edges = np.flatnonzero(np.diff(np.r_[False, other, False].astype(int))).reshape(-1, 2)
    assert edges[0, 0] == 0
    assert len(edges) >= 2
    assert not stream.mask[other][:, upper].any()
    assert stream.mask[:, mouth].all()
    assert stream.mask[~other].all()
    assert stream.weights[0, mouth].max() == 0  # a recording begins at rest
    for begin, end in edges[1:]:
        length = end - begin
        fall = stream.weights[begin - 1 : begin + min(6, length // 2), mouth].mean(1)
        assert (np.diff(fall) < 0).all()
        assert stream.weights[begin + length // 2, mouth].max() < 0.2


def test_levels_differ_from_stream_to_stream(tmp_path: Path) -> None:
    clips = [talking(tmp_path, "anna-0", 30.0)]
    levels = [20 * np.log10(one(clips, seed).samples.std()) for seed in range(12)]
    assert max(levels) - min(levels) > 15


def timed(path: Path, name: str = "one") -> PhoneClip:
    """`apa` after and before a silence: a from 0.4 s, p from 0.8 s, a from 0.9 to 1.3 s."""
    path = write_sound(path / f"{name}.wav", (babble(2) * 32767).astype(np.int16)[:, None])
    starts, ends = np.array([0, 0.4, 0.8, 0.9, 1.3]), np.array([0.4, 0.8, 0.9, 1.3, 2.0])
    return PhoneClip(name, path, ("sil", "a", "p", "a", "sil"), starts, ends, "en", "anna")


def test_phones_ask_for_lips_where_they_are_spoken(tmp_path: Path, quiet: None) -> None:
    (stream,) = phone_streams(
        [timed(tmp_path)], np.random.default_rng(0), FPS, 52, "anna", augment=False
    )
    first = len(stream.weights) - 2 * FPS
    targets = stream.targets[first:]
    shut = np.flatnonzero(targets[:, SHUT] > 0)
    assert shut.tolist() == [20, 21]  # p from 0.8 s on, but not its end, where it is released
    opened = np.flatnonzero(targets[:, OPEN] > 0) / FPS
    assert set(opened) <= {*np.arange(12, 18) / FPS, *np.arange(25, 31) / FPS}
    assert len(opened) >= 8
    resting = np.flatnonzero(targets[:, REST] > 0) / FPS
    assert resting.min() == 0
    assert not ((resting > 0.25) & (resting < 1.5)).any()
    assert ((resting >= 1.54) & (resting < 2)).sum() >= 10
    pause = stream.targets[:first]
    ready = round(ANTICIPATE_S * FPS)
    assert (pause[:-ready, REST] == 1).all()  # before the speech as within it
    assert (pause[-ready:, REST] == NOTHING).all()
    assert (np.delete(pause, REST, 1) == NOTHING).all()
    assert not stream.mask[first:].any()  # no motion is known
    assert stream.style == "anna"


def test_phones_of_a_corpus_stay_with_the_motion_that_they_are_in(tmp_path: Path) -> None:
    """Trimmed, faster and joined, a phone asks the frame at which the jaw opens for it."""
    clip = talking(tmp_path, "anna-0")
    weights = clip.weights.copy()
    weights[:, JAW] = 0
    weights[30, JAW] = 1  # 1.2 s, in the middle of f
    clip = replace(clip, weights=weights, words=((0.6, 1.6, "af"),))
    edges = np.array([0, 1.1, 1.3, clip.duration])
    phones = PhoneClip("anna-0", clip.audio, ("a", "f", "a"), edges[:-1], edges[1:], "en", "anna")
    for augment in (False, True):
        (stream,) = joined_streams(
            [clip], np.random.default_rng(4), FPS, augment=augment, phones={"anna-0": phones}
        )
        asked = np.flatnonzero(stream.targets[:, TEETH] > 0)
        assert len(asked)
        assert abs(stream.weights[:, JAW].argmax() - asked.mean()) <= 1.5
        (without,) = joined_streams([clip], np.random.default_rng(4), FPS, augment=augment)
        assert not (without.targets[:, TEETH] > 0).any()


def test_eyes_that_a_capture_never_moves_are_not_known(tmp_path: Path) -> None:
    stream = one([talking(tmp_path, "anna-0", eyes=False)])
    assert not stream.mask[:, list(UPPER_FACE_CHANNELS)].any()
    assert stream.mask[:, list(MOUTH_CHANNELS)].all()


def test_clips_of_another_rate_are_brought_to_the_models(tmp_path: Path) -> None:
    fast = beeping(tmp_path, "anna-0", fps=60)
    assert at_rate(fast, FPS).shape == (75, 52)
    assert abs(lateness(one([fast]))) <= 2


def test_features_are_those_of_the_streams_windows(tmp_path: Path) -> None:
    """Every row belongs to its window, its motion and its style, with clips of two speakers."""
    clips = [talking(tmp_path, f"{who}-{i}") for who in ("bert", "anna") for i in range(3)]
    encoder, styles, done, loudness = tiny_encoder(), ("bert", "anna"), [], Loudness()
    data = heard(tmp_path / "set", clips, styles, progress=done.append, loudness=loudness)
    parts = list(joined_streams(clips, np.random.default_rng(7), FPS, augment=True))
    assert [styles[i] for i in data.styles] == ["anna", "bert"]
    assert sum(done) == pytest.approx(sum(len(part.samples) for part in parts) / SAMPLE_RATE)
    for number, part in enumerate(parts):
        first, last = data.starts[number : number + 2]
        assert last - first == WINDOWS.count(len(part.samples))
        frames = slice(first * 2, first * 2 + len(part.weights))
        np.testing.assert_array_equal(data.weights[frames], part.weights)
        np.testing.assert_array_equal(data.mask[frames], part.mask)
        np.testing.assert_array_equal(data.targets[frames], part.targets)
        assert not data.mask[frames.stop : last * 2].any()
        assert (data.targets[frames.stop : last * 2] == NOTHING).all()
        expected = extract(encoder, WINDOWS, part.samples, batch=7, loudness=loudness)
        np.testing.assert_allclose(data.features[first:last], expected, atol=5e-3)  # half precision
        as_they_are = extract(encoder, WINDOWS, part.samples)
        assert np.abs(data.features[first:last] - as_they_are).max() > 0.05
    assert data.features.dtype == np.float16


def test_features_are_made_in_silence_where_there_is_no_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    clips = [talking(tmp_path, f"{who}-0") for who in ("anna", "bert")]
    hearing = Hearing(WINDOWS, layers=2)
    listener = Listener(tiny_encoder(), hearing, ("anna", "bert"), tmp_path / "made", seed=0)
    assert len(listener.corpus(clips, passes=1, aligned={})) == 2
    assert capfd.readouterr() == ("", "")


def test_unknown_eyes_are_borrowed_from_those_who_have_them(tmp_path: Path) -> None:
    clips = [talking(tmp_path, "anna-0"), talking(tmp_path, "bert-0", eyes=False)]
    streams = joined_streams(clips, np.random.default_rng(0), FPS, augment=False)
    random = np.random.default_rng(0)
    data = feature_set(tmp_path / "set", streams, tiny_encoder(), WINDOWS, ("anna", "bert"), random)
    mouth, upper = list(MOUTH_CHANNELS), list(UPPER_FACE_CHANNELS)
    split = data.starts[1] * 2
    own = {row.tobytes() for row in data.weights[:split, upper][data.mask[:split, upper[0]]]}
    known = data.mask[split:, upper[0]]
    assert known.any()
    assert all(row.tobytes() in own for row in data.weights[split:, upper][known])
    rows = {row.tobytes() for row in data.weights[split:, mouth]}
    assert all(row.tobytes() in rows for row in clips[1].weights[:, mouth])


def test_feature_sets_are_on_disk_and_appear_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips, save, folder = [talking(tmp_path, "anna-0")], np.save, tmp_path / "set"

    def failing(path: Path, array: np.ndarray) -> None:
        if path.name == "starts.npy":
            raise OSError("No space left on device")
        save(path, array)

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", failing)
        with pytest.raises(OutputError, match="set cannot be written: No space"):
            heard(folder, clips, ("anna",))
    assert not folder.exists()
    data = heard(folder, clips, ("anna",))
    for name, array in vars(data).items():
        np.testing.assert_array_equal(np.load(folder / f"{name}.npy"), array)
    assert all(isinstance(array, np.memmap) for array in vars(data).values())


def test_memory_does_not_grow_with_the_hours_and_features_are_those_of_each_stream(
    tmp_path: Path,
) -> None:
    """Traced, it counts every array, and no page that is mapped."""
    sound = babble(20)
    frames = len(sound) // HOP

    def stream(number: int) -> Stream:
        random = np.random.default_rng(number)
        weights, mask = random.random((frames, 52), np.float32), np.ones((frames, 52), np.bool_)
        mask[:, list(UPPER_FACE_CHANNELS)] = number % 2 > 0
        targets = random.random((frames, 7), np.float32)
        return Stream(np.roll(sound, number), weights, mask, "anna", targets)

    def peak(count: int) -> tuple[int, FeatureSet]:
        streams, random = map(stream, range(count)), np.random.default_rng(0)
        tracemalloc.start()
        data = feature_set(
            tmp_path / str(count), streams, tiny_encoder(), WINDOWS, ("anna",), random
        )
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most, data

    peak(1)  # what is imported and kept at the first time
    few, many = peak(4), peak(24)
    whole = sum(array.nbytes for array in vars(many[1]).values())
    assert many[0] - few[0] < 0.1 * whole
    for number, (a, b) in enumerate(pairwise(many[1].starts)):
        made = stream(number)
        features = extract(tiny_encoder(), WINDOWS, made.samples)
        np.testing.assert_array_equal(many[1].features[a:b], features)
        rows = slice(a * 2, a * 2 + frames)
        mouth = list(MOUTH_CHANNELS)
        np.testing.assert_array_equal(many[1].weights[rows, mouth], made.weights[:, mouth])
        np.testing.assert_array_equal(many[1].targets[rows], made.targets)


def test_a_voice_changes_the_sound_and_not_the_motion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quiet: None
) -> None:
    voice = replace(Augmentation(), pitch=1.5, gain=-6.0)
    monkeypatch.setattr(Augmentation, "draw", staticmethod(lambda random: voice))
    clips = [talking(tmp_path, "anna-0")]
    plain, other = one(clips), one(clips, augment=True)
    assert not np.allclose(plain.samples[-50 * HOP :], other.samples[-50 * HOP :], atol=0.01)
    np.testing.assert_array_equal(plain.weights[-50:], other.weights[-50:])
