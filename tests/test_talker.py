"""The run time: streaming is exact and on time, state is a value, options do what they say."""

from __future__ import annotations

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
from codetalker.arkit import MOUTH_CHANNELS, UPPER_FACE_CHANNELS
from codetalker.audio import SAMPLE_RATE, Waveform
from codetalker.causal.blinks import LEARNED, LIDS, Blinks
from codetalker.causal.bundle import load_bundle
from codetalker.causal.loudness import Loudness
from codetalker.causal.runtime import CausalTalker
from codetalker.causal.stream import Live
from codetalker.errors import AudioError, OptionError, StyleError
from codetalker.motion import Motion
from codetalker.rig import bundled_head
from conftest import write_sound
from tiny_model import WINDOWS, babble

EXAMPLE = Path(__file__).parents[1] / "examples" / "sense_and_sensibility.flac"
SAME = 1e-4
"""The design's law: any chunking gives the same frames to this."""


@pytest.fixture(scope="module")
def talker(tiny_bundle: Path) -> CausalTalker:
    return codetalker.load(tiny_bundle)


@pytest.fixture(scope="module")
def layered(tiny_bundle: Path) -> CausalTalker:
    """The same model with both layers around it; it blinks often."""
    often = Blinks(refractory=0.2, rise=5.0, most=5.0)
    return CausalTalker(replace(load_bundle(tiny_bundle), loudness=Loudness(), blinks=often))


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
    talker: CausalTalker, rate: int, samples: int, sizes: list[int]
) -> None:
    sound = babble(samples / rate, rate)
    whole = talker.animate(sound, rate=rate, seed=5)
    parts = fed(talker.stream(rate, seed=5), sound, sizes)
    np.testing.assert_allclose(joined(parts), whole.weights, atol=SAME)
    assert len(whole) == ceil(samples * talker.fps / rate)


@settings(max_examples=15)
@given(
    samples=st.integers(1, 40_000),
    sizes=st.lists(st.sampled_from([1, 7, 1280, 5000, 20000]), max_size=12),
    saved=st.integers(0, 11),
)
def test_gain_and_blinks_do_not_depend_on_how_a_stream_is_cut_and_resumed(
    layered: CausalTalker, samples: int, sizes: list[int], saved: int
) -> None:
    sound = babble(samples / SAMPLE_RATE)
    whole = layered.animate(sound, rate=SAMPLE_RATE, seed=5)
    live, parts = layered.stream(seed=5), []
    for number, chunk in enumerate(np.split(sound, np.cumsum(sizes).clip(max=len(sound)))):
        parts.append(live.feed(chunk))
        if number == saved:
            live = layered.resume(live.state.to_bytes())
    parts.append(live.finish())
    np.testing.assert_array_equal(joined(parts), whole.weights)


def test_motion_does_not_depend_on_the_level_that_it_is_heard_at(
    talker: CausalTalker, layered: CausalTalker
) -> None:
    sound = babble(3)
    for model, alike in ((layered, True), (talker, False)):
        loud, quiet = (model.animate(s, rate=SAMPLE_RATE).codes for s in (sound, 0.1 * sound))
        assert np.mean(loud == quiet) > 0.98 if alike else np.mean(loud == quiet) < 0.9


def test_blinks_lie_over_the_learned_motion_and_can_be_left_out(layered: CausalTalker) -> None:
    sound = babble(8)
    with_them = layered.animate(sound, rate=SAMPLE_RATE)
    without = layered.animate(sound, rate=SAMPLE_RATE, blinks=False)
    lids = [with_them.names.index(name) for name in LIDS]
    others = [i for i in range(52) if i not in lids]
    np.testing.assert_array_equal(with_them.weights[:, others], without.weights[:, others])
    np.testing.assert_array_equal(with_them.codes, without.codes)
    closed = with_them.weights[:, lids].min(1) > 0.8
    assert 5 < closed.sum() < 120
    np.testing.assert_array_equal(
        with_them.weights[:, lids].min(1) <= LEARNED,
        with_them.weights[:, lids].max(1) <= LEARNED,
    )
    assert without.weights[:, lids].max() > LEARNED  # what was learned lowers them further
    live = layered.stream(blinks=False)
    live = layered.resume((live.feed(sound[:50000]), live.state.to_bytes())[1])
    rest = joined([live.feed(sound[50000:]), live.finish()])
    np.testing.assert_array_equal(rest, without.weights[-len(rest) :])


@pytest.mark.parametrize("sizes", [[], [1, 700, 2000, 4000]])
def test_the_mouth_comes_out_of_rest_at_the_start_of_a_sound(
    tiny_bundle: Path, sizes: list[int]
) -> None:
    """In 200 ms, five frames, along a parabola; eyes and brows as they are."""
    bundle, sound = load_bundle(tiny_bundle), babble(1)
    plain = CausalTalker(bundle).animate(sound, rate=SAMPLE_RATE).weights
    eased = joined(fed(CausalTalker(replace(bundle, onset=0.2)).stream(), sound, sizes))
    rise = (np.arange(len(plain)) / 5).clip(0, 1)[:, None] ** 2
    mouth, upper = list(MOUTH_CHANNELS), list(UPPER_FACE_CHANNELS)
    np.testing.assert_allclose(eased[:, mouth], rise * plain[:, mouth], atol=1e-6)
    np.testing.assert_array_equal(eased[:, upper], plain[:, upper])


def test_a_model_of_50_frames_per_second_keeps_the_laws(tmp_path: Path) -> None:
    """The same sound and latency, twice the frames."""
    from tiny_model import export_tiny

    fast = CausalTalker(export_tiny(tmp_path / "fast", replace(WINDOWS, fps=50)))
    sound = babble(1.99, 44100)
    whole = fast.animate(sound, rate=44100)
    assert (whole.fps, len(whole), fast.latency) == (50, 100, 0.2)
    parts = fed(fast.stream(44100), sound, [100, 9000, 1, 30000])
    np.testing.assert_allclose(joined(parts), whole.weights, atol=SAME)
    assert len(np.unique(whole.weights, axis=0)) > 50  # no frame is said twice


def test_a_frame_depends_on_no_sound_beyond_the_latency(talker: CausalTalker) -> None:
    sound, cut = babble(2), 20000
    other = np.where(np.arange(len(sound)) < cut, sound, babble(2, seed=9))
    first, second = (talker.animate(s, rate=SAMPLE_RATE).weights for s in (sound, other))
    hop = talker.bundle.windows.frames_per_hop
    known = int((cut / SAMPLE_RATE - talker.latency) * talker.fps) // hop * hop + hop
    np.testing.assert_array_equal(first[:known], second[:known])
    assert not np.array_equal(first, second)


def test_the_state_keeps_its_size_however_long_the_sound(talker: CausalTalker) -> None:
    live, windows = talker.stream(), talker.bundle.windows
    start = {f.name: np.shape(getattr(live.state, f.name)) for f in fields(live.state)}
    frames = 0
    for seed in range(12):
        frames += len(live.feed(babble(10, seed=seed)))
        now = {f.name: np.shape(getattr(live.state, f.name)) for f in fields(live.state)}
        assert now.pop("pending")[0] < windows.samples + windows.hop_samples
        assert now == {name: shape for name, shape in start.items() if name != "pending"}
    assert frames + len(live.finish()) == 120 * talker.fps


def test_seeds_give_the_same_again_and_change_only_what_is_sampled(talker: CausalTalker) -> None:
    """The first frame follows from the neutral face: there, only sampled codes may differ."""
    sound = babble(2)
    first, again, other = (talker.animate(sound, rate=SAMPLE_RATE, seed=s) for s in (3, 3, 4))
    np.testing.assert_array_equal(first.weights, again.weights)
    mouth, upper = list(MOUTH_CHANNELS), list(UPPER_FACE_CHANNELS)
    np.testing.assert_array_equal(first.weights[0, mouth], other.weights[0, mouth])
    assert not np.array_equal(first.weights[:, upper], other.weights[:, upper])


def test_without_temperature_nothing_is_sampled(talker: CausalTalker, tiny_bundle: Path) -> None:
    bundle = load_bundle(tiny_bundle)
    cold = CausalTalker(replace(bundle, temperature=np.zeros_like(bundle.temperature)))
    first, other = (cold.animate(babble(1), rate=SAMPLE_RATE, seed=s).weights for s in (0, 1))
    np.testing.assert_array_equal(first, other)


def test_noise_of_a_frame_depends_on_seed_and_frame_alone(talker: CausalTalker) -> None:
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


def test_strength_scales_the_articulation_and_nothing_else(talker: CausalTalker) -> None:
    sound, mouth, upper = babble(1), list(MOUTH_CHANNELS), list(UPPER_FACE_CHANNELS)
    by = {s: talker.animate(sound, rate=SAMPLE_RATE, strength=s).weights for s in (0, 0.5, 1, 2)}
    plain = talker.animate(sound, rate=SAMPLE_RATE).weights
    np.testing.assert_array_equal(by[1], plain)
    assert not by[0][:, mouth].any()
    np.testing.assert_allclose(by[0.5][:, mouth], 0.5 * plain[:, mouth], atol=1e-7)
    np.testing.assert_allclose(by[2][:, mouth], (2 * plain[:, mouth]).clip(0, 1), atol=1e-7)
    for weights in by.values():
        np.testing.assert_array_equal(weights[:, upper], plain[:, upper])


def test_styles_differ_and_the_default_comes_first(talker: CausalTalker) -> None:
    sound = babble(1)
    assert talker.styles == ("bert", "anna")
    bert, anna, default = (
        talker.animate(sound, rate=SAMPLE_RATE, style=s).weights for s in ("bert", "anna", None)
    )
    np.testing.assert_array_equal(default, bert)
    assert not np.array_equal(anna, bert)


def test_a_blend_is_the_mean_of_its_styles(talker: CausalTalker) -> None:
    anna, bert, blend, mapped = (
        talker.start(style=style).course.at(0).style
        for style in ("anna", "bert", "anna:1,bert:3", {"anna": 2.0})
    )
    np.testing.assert_allclose(blend, 0.25 * anna + 0.75 * bert, atol=1e-6)
    np.testing.assert_array_equal(mapped, anna)
    sound = babble(1)
    mixed = talker.animate(sound, rate=SAMPLE_RATE, style="anna:1,bert:3").weights
    assert not np.array_equal(mixed, talker.animate(sound, rate=SAMPLE_RATE, style="bert").weights)


@pytest.mark.parametrize(
    ("style", "hint"), [("ana", "did you mean 'anna'"), ("zzz", "choose from bert, anna")]
)
def test_an_unknown_style_is_refused_with_a_hint(
    talker: CausalTalker, style: str, hint: str
) -> None:
    with pytest.raises(StyleError, match=f"no style '{style}'; {hint}"):
        talker.animate(babble(0.1), rate=SAMPLE_RATE, style=style)


@pytest.mark.parametrize("options", [{"strength": -1}, {"strength": np.nan}, {"seed": -1}])
def test_options_out_of_range_are_refused(talker: CausalTalker, options: dict) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        talker.stream(**options)


@pytest.mark.parametrize("rate", [0, -5, 10, 44100.5, 3_000_000, np.nan, np.inf])
def test_a_stream_refuses_the_rates_that_a_waveform_refuses(
    talker: CausalTalker, rate: float
) -> None:
    for take in (talker.stream, lambda rate: Waveform.of(babble(0.1), rate)):
        with pytest.raises(AudioError, match=f"sample rate {rate} is no whole number of Hz"):
            take(rate)
    assert talker.stream(48000.0).state.resampler.rate == 48000


@pytest.mark.parametrize("count", [1, 3, 639, 640, 641])
def test_the_shortest_sounds_have_frames(talker: CausalTalker, count: int) -> None:
    motion = talker.animate(np.full(count, 0.1, np.float32), rate=SAMPLE_RATE)
    assert len(motion) == ceil(count / 640)


def test_a_stream_without_sound_has_no_frames(talker: CausalTalker) -> None:
    live = talker.stream(48000)
    assert len(live.feed([])) == len(live.finish()) == 0


def test_silence_has_a_face(talker: CausalTalker) -> None:
    weights = talker.animate(np.zeros(SAMPLE_RATE, np.int16), rate=SAMPLE_RATE).weights
    assert weights.shape == (25, 52)
    assert 0 <= weights.min() <= weights.max() <= 1


def test_a_bad_chunk_is_refused_and_the_stream_goes_on(talker: CausalTalker) -> None:
    sound = babble(1)
    live = talker.stream()
    parts = [live.feed(sound[:5000])]
    for bad in ([np.nan], [np.inf], ["a"], np.zeros((2, 2, 2))):
        with pytest.raises(AudioError):
            live.feed(bad)
    parts += [live.feed(sound[5000:]), live.finish()]
    whole = talker.animate(sound, rate=SAMPLE_RATE)
    np.testing.assert_allclose(joined(parts), whole.weights, atol=SAME)


def test_a_finished_stream_takes_no_more(talker: CausalTalker) -> None:
    with talker.stream() as live:
        live.finish()
    for call in (lambda: live.feed([0.0]), live.finish):
        with pytest.raises(AudioError, match="start another one"):
            call()


def test_a_block_that_ends_without_finish_says_that_frames_are_missing(
    talker: CausalTalker,
) -> None:
    with pytest.raises(AudioError, match="call finish"), talker.stream() as live:
        given = len(live.feed(babble(1)))
    assert given < 25
    with pytest.raises(AudioError, match="start another one"):  # and it is over
        live.finish()

    with talker.stream() as live:
        assert len(live.feed(babble(1))) + len(live.finish()) == 25
    with talker.stream() as live:  # nothing was fed, nothing is missing
        live.feed([])
    with pytest.raises(KeyboardInterrupt), talker.stream() as live:  # not hidden by ours
        live.feed(babble(1))
        raise KeyboardInterrupt


def test_a_path_an_array_and_a_waveform_give_the_same(talker: CausalTalker, tmp_path: Path) -> None:
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


def test_samples_need_a_rate_and_a_waveform_needs_samples(talker: CausalTalker) -> None:
    with pytest.raises(AudioError, match="rate="):
        talker.animate(babble(0.1))
    with pytest.raises(AudioError, match="at least one"):
        talker.animate(Waveform(np.zeros(0, np.float32)))


def test_another_frame_rate_is_the_motion_resampled(talker: CausalTalker) -> None:
    sound = babble(1)
    motion = talker.animate(sound, rate=SAMPLE_RATE, fps=60)
    assert (len(motion), motion.fps) == (60, 60)
    own = talker.animate(sound, rate=SAMPLE_RATE)
    np.testing.assert_array_equal(motion.weights, own.resample(60).weights)
    with pytest.raises(OptionError):
        talker.animate(sound, rate=SAMPLE_RATE, fps=0)


def test_progress_ends_with_the_whole_duration(talker: CausalTalker) -> None:
    seen: list[tuple[float, float]] = []
    talker.animate(babble(9), rate=SAMPLE_RATE, progress=lambda *at: seen.append(at))
    assert [total for _, total in seen] == [9.0] * len(seen)
    assert seen[-1] == (9.0, 9.0)
    assert len(seen) > 2
    assert sorted(seen) == seen


def test_codes_come_with_their_frames(talker: CausalTalker) -> None:
    motion = talker.animate(babble(9), rate=SAMPLE_RATE)
    assert motion.codes is not None
    assert motion.codes.shape == (len(motion), 3)
    assert set(motion.codes.flat) <= set(range(len(talker.bundle.codebook)))
    live = talker.stream()
    np.testing.assert_array_equal(live.feed(babble(9)).codes, motion.codes[: len(motion) - 3])
    tail = live.finish()
    np.testing.assert_array_equal(tail.codes, motion.codes[len(motion) - 3 :])
    np.testing.assert_array_equal(tail.weights, motion.weights[len(motion) - 3 :])


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
