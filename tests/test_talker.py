"""The run time: streaming is exact and on time, state is a value, options do what they say."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from dataclasses import fields, replace
from math import ceil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import codetalker
from codetalker.audio import SAMPLE_RATE, Waveform
from codetalker.blinks import LEARNED, LIDS
from codetalker.bundle import load_bundle
from codetalker.errors import AudioError, OptionError, StyleError
from codetalker.model.codec import MOUTH, UPPER
from codetalker.motion import Motion
from codetalker.rig import bundled_head
from codetalker.talker import Live, Talker
from conftest import write_sound
from tiny_model import babble

EXAMPLE = Path(__file__).parents[1] / "examples" / "sense_and_sensibility.flac"
SAME = 1e-4
"""The design's law: any chunking gives the same frames to this."""
RESAMPLING = 0.009
"""Seconds that the resampler adds to the latency, from 8 kHz; less from higher rates."""


@pytest.fixture(scope="module")
def talker(tiny_bundle: Path) -> Talker:
    return codetalker.load(tiny_bundle)


def joined(parts: list[Motion]) -> np.ndarray:
    return np.concatenate([part.weights for part in parts])


def fed(live: Live, sound: np.ndarray, sizes: list[int]) -> list[Motion]:
    """Feed chunks of these sizes, then the rest at once."""
    chunks = np.split(sound, np.cumsum(sizes).clip(max=len(sound)))
    return [*map(live.feed, chunks), live.finish()]


@settings(max_examples=30)
@given(
    rate=st.sampled_from([8000, 16000, 22050, 44100, 48000]),
    samples=st.integers(1, 40_000),
    sizes=st.lists(st.sampled_from([0, 1, 2, 7, 160, 1280, 5000, 20000]), max_size=30),
)
def test_any_chunking_gives_the_frames_of_one_call(
    talker: Talker, rate: int, samples: int, sizes: list[int]
) -> None:
    sound = babble(samples / rate, rate)
    whole = talker.animate(sound, rate=rate, seed=5)
    parts = fed(talker.stream(rate, seed=5), sound, sizes)
    np.testing.assert_allclose(joined(parts), whole.weights, atol=SAME)
    assert len(whole) == ceil(samples * talker.fps / rate)


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_frames_arrive_within_the_declared_latency(talker: Talker, rate: int) -> None:
    latency = talker.latency + (RESAMPLING if rate != SAMPLE_RATE else 0)
    live, count = talker.stream(rate), 0
    sound = babble(2, rate)
    chunk = rate // 100
    for start in range(0, len(sound), chunk):
        count += len(live.feed(sound[start : start + chunk]))
        heard = (start + chunk) / rate
        due = int((heard - latency) * talker.fps + 1) if heard >= latency else 0
        assert count >= due


def test_a_frame_depends_on_no_sound_beyond_the_latency(talker: Talker) -> None:
    sound, cut = babble(2), 20000
    other = np.where(np.arange(len(sound)) < cut, sound, babble(2, seed=9))
    first, second = (talker.animate(s, rate=SAMPLE_RATE).weights for s in (sound, other))
    hop = talker.bundle.windows.frames_per_hop
    known = int((cut / SAMPLE_RATE - talker.latency) * talker.fps) // hop * hop + hop
    np.testing.assert_array_equal(first[:known], second[:known])
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda state: pickle.loads(pickle.dumps(state))])
def test_a_saved_state_goes_on_as_if_nothing_had_happened(talker: Talker, copied) -> None:
    sound = babble(2, 44100)
    live = talker.stream(44100, seed=2)
    live.feed(sound[:30000])
    saved = copied((live.state, live.resampler))
    expected = [live.feed(sound[30000:]), live.finish()]
    other = talker.stream(44100, seed=0)
    other.state, other.resampler = saved
    np.testing.assert_array_equal(
        joined([other.feed(sound[30000:]), other.finish()]), joined(expected)
    )


def test_the_state_keeps_its_size_however_long_the_sound(talker: Talker) -> None:
    live, windows = talker.stream(), talker.bundle.windows
    start = {f.name: np.shape(getattr(live.state, f.name)) for f in fields(live.state)}
    frames = 0
    for seed in range(12):
        frames += len(live.feed(babble(10, seed=seed)))
        now = {f.name: np.shape(getattr(live.state, f.name)) for f in fields(live.state)}
        assert now.pop("pending")[0] < windows.samples + windows.hop_samples
        assert now == {name: shape for name, shape in start.items() if name != "pending"}
    assert frames + len(live.finish()) == 120 * talker.fps


def test_seeds_give_the_same_again_and_change_only_what_is_sampled(talker: Talker) -> None:
    """The first frame follows from the neutral face: there, only sampled codes may differ."""
    sound = babble(2)
    first, again, other = (talker.animate(sound, rate=SAMPLE_RATE, seed=s) for s in (3, 3, 4))
    np.testing.assert_array_equal(first.weights, again.weights)
    mouth, upper = list(MOUTH.channels), list(UPPER.channels)
    np.testing.assert_array_equal(first.weights[0, mouth], other.weights[0, mouth])
    assert not np.array_equal(first.weights[:, upper], other.weights[:, upper])


def test_without_temperature_nothing_is_sampled(talker: Talker, tiny_bundle: Path) -> None:
    bundle = load_bundle(tiny_bundle)
    cold = Talker(replace(bundle, temperature=np.zeros_like(bundle.temperature)))
    first, other = (
        cold.animate(babble(1), rate=SAMPLE_RATE, seed=s, blinks=False).weights for s in (0, 1)
    )
    np.testing.assert_array_equal(first, other)


def test_procedural_blinks_touch_the_lids_alone_and_can_be_switched_off(talker: Talker) -> None:
    sound = babble(12)
    with_blinks, without = (
        talker.animate(sound, rate=SAMPLE_RATE, blinks=blinks) for blinks in (True, False)
    )
    eyes = [talker.bundle.blendshapes.index(name) for name in LIDS]
    others = np.setdiff1d(np.arange(52), eyes)
    np.testing.assert_array_equal(with_blinks.weights[:, others], without.weights[:, others])
    lids = with_blinks.weights[:, eyes]
    assert (lids.max(0) == 1).all()  # it blinks
    np.testing.assert_array_equal(lids.min(0) <= LEARNED, [True, True])  # and opens again
    assert not np.array_equal(lids, without.weights[:, eyes])


def test_a_quieter_recording_moves_alike(talker: Talker) -> None:
    loud, quiet = (
        talker.animate(gain * babble(3), rate=SAMPLE_RATE).weights for gain in (1.0, 0.03)
    )
    np.testing.assert_allclose(quiet, loud, atol=1e-3)


def test_noise_of_a_frame_depends_on_seed_and_frame_alone(talker: Talker) -> None:
    """A stream that starts at frame 7 of another draws what that one draws: Gumbel of mean 0.577
    and variance pi^2 / 6, times the temperature."""
    state = talker.start(seed=11)
    rows = []
    for frame in range(600):
        state.position = np.array([frame])
        rows.append(talker._noise(state)[0])
    state.position = np.array([7])
    np.testing.assert_array_equal(talker._noise(state)[0], rows[7])
    assert not np.array_equal(rows[7], rows[8])
    noise = np.stack(rows)
    assert not noise[:, :2].any()  # the mouth is not sampled
    drawn = noise[:, 2]  # 9600 numbers: the mean of a sample is within 0.05 by 3.8 sigma
    assert drawn.mean() == pytest.approx(0.5772, abs=0.05)
    assert drawn.var() == pytest.approx(np.pi**2 / 6, rel=0.1)


def test_strength_scales_the_articulation_and_nothing_else(talker: Talker) -> None:
    sound, mouth, upper = babble(1), list(MOUTH.channels), list(UPPER.channels)
    by = {s: talker.animate(sound, rate=SAMPLE_RATE, strength=s).weights for s in (0, 0.5, 1, 2)}
    plain = talker.animate(sound, rate=SAMPLE_RATE).weights
    np.testing.assert_array_equal(by[1], plain)
    assert not by[0][:, mouth].any()
    np.testing.assert_allclose(by[0.5][:, mouth], 0.5 * plain[:, mouth], atol=1e-7)
    np.testing.assert_allclose(by[2][:, mouth], (2 * plain[:, mouth]).clip(0, 1), atol=1e-7)
    for weights in by.values():
        np.testing.assert_array_equal(weights[:, upper], plain[:, upper])


def test_styles_differ_and_the_default_comes_first(talker: Talker) -> None:
    sound = babble(1)
    assert talker.styles == ("bert", "anna")
    bert, anna, default = (
        talker.animate(sound, rate=SAMPLE_RATE, style=s).weights for s in ("bert", "anna", None)
    )
    np.testing.assert_array_equal(default, bert)
    assert not np.array_equal(anna, bert)


@pytest.mark.parametrize(
    ("style", "hint"), [("ana", "did you mean 'anna'"), ("zzz", "choose from bert, anna")]
)
def test_an_unknown_style_is_refused_with_a_hint(talker: Talker, style: str, hint: str) -> None:
    with pytest.raises(StyleError, match=f"no style '{style}'; {hint}"):
        talker.animate(babble(0.1), rate=SAMPLE_RATE, style=style)


@pytest.mark.parametrize("options", [{"strength": -1}, {"strength": np.nan}, {"seed": -1}])
def test_options_out_of_range_are_refused(talker: Talker, options: dict) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        talker.stream(**options)


@pytest.mark.parametrize("count", [1, 3, 639, 640, 641])
def test_the_shortest_sounds_have_frames(talker: Talker, count: int) -> None:
    motion = talker.animate(np.full(count, 0.1, np.float32), rate=SAMPLE_RATE)
    assert len(motion) == ceil(count / 640)


def test_a_stream_without_sound_has_no_frames(talker: Talker) -> None:
    live = talker.stream(48000)
    assert len(live.feed([])) == len(live.finish()) == 0


def test_silence_has_a_face(talker: Talker) -> None:
    weights = talker.animate(np.zeros(SAMPLE_RATE, np.int16), rate=SAMPLE_RATE).weights
    assert weights.shape == (25, 52)
    assert 0 <= weights.min() <= weights.max() <= 1


def test_a_bad_chunk_is_refused_and_the_stream_goes_on(talker: Talker) -> None:
    sound = babble(1)
    live = talker.stream()
    parts = [live.feed(sound[:5000])]
    for bad in ([np.nan], [np.inf], ["a"], np.zeros((2, 2, 2))):
        with pytest.raises(AudioError):
            live.feed(bad)
    parts += [live.feed(sound[5000:]), live.finish()]
    whole = talker.animate(sound, rate=SAMPLE_RATE)
    np.testing.assert_allclose(joined(parts), whole.weights, atol=SAME)


def test_a_finished_stream_takes_no_more(talker: Talker) -> None:
    with talker.stream() as live:
        live.finish()
    for call in (lambda: live.feed([0.0]), live.finish):
        with pytest.raises(AudioError, match="start another one"):
            call()


def test_a_path_an_array_and_a_waveform_give_the_same(talker: Talker, tmp_path: Path) -> None:
    sound = (babble(1, 22050) * 32767).astype(np.int16)
    stereo = np.stack([sound, sound], 1)
    path = write_sound(tmp_path / "sound.wav", stereo, rate=22050, layout="stereo")
    by_path = talker.animate(path)
    assert by_path.names == bundled_head().blendshape_names
    for motion in (
        talker.animate(str(path)),
        talker.animate(stereo, rate=22050),
        talker.animate(Waveform.load(path)),
        talker.animate(Waveform(sound / np.float32(32768), 22050)),
    ):
        np.testing.assert_array_equal(motion.weights, by_path.weights)


def test_samples_need_a_rate_and_a_waveform_needs_samples(talker: Talker) -> None:
    with pytest.raises(AudioError, match="rate="):
        talker.animate(babble(0.1))
    with pytest.raises(AudioError, match="at least one"):
        talker.animate(Waveform(np.zeros(0, np.float32)))


def test_another_frame_rate_is_the_motion_resampled(talker: Talker) -> None:
    sound = babble(1)
    motion = talker.animate(sound, rate=SAMPLE_RATE, fps=60)
    assert (len(motion), motion.fps) == (60, 60)
    own = talker.animate(sound, rate=SAMPLE_RATE)
    np.testing.assert_array_equal(motion.weights, own.resample(60).weights)
    with pytest.raises(OptionError):
        talker.animate(sound, rate=SAMPLE_RATE, fps=0)


def test_progress_ends_with_the_whole_duration(talker: Talker) -> None:
    seen: list[tuple[float, float]] = []
    talker.animate(babble(9), rate=SAMPLE_RATE, progress=lambda *at: seen.append(at))
    assert [total for _, total in seen] == [9.0] * len(seen)
    assert seen[-1] == (9.0, 9.0)
    assert len(seen) > 2
    assert sorted(seen) == seen


def test_codes_come_with_their_frames(talker: Talker) -> None:
    codes: list[np.ndarray] = []
    motion = talker.animate(babble(9), rate=SAMPLE_RATE, on_codes=codes.append)
    assert np.concatenate(codes).shape == (len(motion), 3)
    assert set(np.concatenate(codes).flat) <= set(range(len(talker.bundle.codebook)))


def test_a_forked_process_can_animate(tiny_bundle: Path) -> None:
    """Data loaders fork: no thread of the parent may be waited for in the child."""
    code = (
        "import os, sys, numpy, codetalker\n"
        f"talker = codetalker.load({str(tiny_bundle)!r})\n"
        "sound = numpy.zeros(32000, 'f4')\n"
        "talker.animate(sound, rate=16000)\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    talker.animate(sound, rate=16000)\n"
        "    os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import codetalker, sys; print(*{'numpy', 'torch', 'av', 'onnxruntime'} & {*sys.modules})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_the_run_time_needs_no_torch(tiny_bundle: Path) -> None:
    code = (
        "import codetalker, sys; sys.modules['torch'] = sys.modules['onnx'] = None\n"
        f"codetalker.load({str(tiny_bundle)!r}).animate({str(EXAMPLE)!r})\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_every_public_name_is_there() -> None:
    for name in codetalker.__all__:
        assert getattr(codetalker, name) is not None
        assert name in dir(codetalker)
    with pytest.raises(AttributeError, match="no attribute 'animate'"):
        codetalker.animate  # noqa: B018


def test_the_bundled_model_streams_speech_exactly(bundled_model: Path) -> None:
    trained, sound = codetalker.load(bundled_model), Waveform.load(EXAMPLE).samples
    sizes = np.random.default_rng(0).integers(0, 4000, 30).tolist()
    whole = trained.animate(sound, rate=SAMPLE_RATE)
    parts = fed(trained.stream(), sound, sizes)
    np.testing.assert_allclose(joined(parts), whole.weights, atol=SAME)


def test_the_bundled_model_talks_in_speech_and_rests_in_silence(bundled_model: Path) -> None:
    """Lips in millimetres from the neutral face; a second of silence at the end."""
    trained, sound = codetalker.load(bundled_model), Waveform.load(EXAMPLE).samples
    sound = np.concatenate([sound, np.zeros(SAMPLE_RATE, np.float32)])
    lips = 1e3 * bundled_head().basis("lips").reshape(52, -1)
    for style in (trained.styles[0], trained.styles[-1]):
        weights = trained.animate(sound, rate=SAMPLE_RATE, style=style).weights
        away = np.linalg.norm((weights @ lips).reshape(len(weights), -1, 3), axis=2).mean(1)
        moving = np.abs(np.diff(away))
        assert moving[:150].mean() > 0.1
        assert moving[-15:].mean() < 0.1 * moving[:150].mean()


def test_the_bundled_model_has_a_face_for_any_sound(bundled_model: Path) -> None:
    trained = codetalker.load(bundled_model)
    noise = np.random.default_rng(0).uniform(-1, 1, 8000)
    for sound in (noise, np.sign(noise), np.zeros(8000), 0.5 * np.ones(8000), noise[:1]):
        weights = trained.animate(sound, rate=8000).weights
        assert 0 <= weights.min() <= weights.max() <= 1
