"""Phone-timed speech by synthetic voices: labels stay with the sound through cuts and joins."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from codetalker.audio import SAMPLE_RATE, Waveform
from codetalker.data.phones import NEVER_SHUT, read_phones, symbols

TOOL = Path(__file__).parents[1] / "tools" / "speak"
sys.path.insert(0, str(TOOL))
import check  # noqa: E402
import espeak  # noqa: E402
import flite  # noqa: E402
import texts  # noqa: E402
from clips import speak_clip  # noqa: E402
from utterance import Utterance, Voice  # noqa: E402

RATE = 24000


def tones(text: str, tempo: float) -> Utterance:
    """Says every sentence as sil, a (loud, 0.3 s), p (silent, 0.1 s), a (0.2 s), sil."""
    lasting = np.array([0.4, 0.3, 0.1, 0.2, 0.5]) / tempo
    edges = np.concatenate([[0.0], np.cumsum(lasting)])
    time = np.arange(round(edges[-1] * RATE)) / RATE
    loud = ((time >= edges[1]) & (time < edges[2])) | ((time >= edges[3]) & (time < edges[4]))
    samples = (np.sin(2 * np.pi * 300 * time) * loud).astype(np.float32)
    return Utterance(samples, RATE, ("sil", "a", "p", "a", "sil"), edges)


def generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(5))
def test_labels_lie_where_the_sound_is(tmp_path: Path, seed: int) -> None:
    voice = Voice("tone", "test", "en", tones)
    clip = speak_clip(tmp_path, "clip", voice, iter(["Pa."] * 99), 10.0, generator(seed))
    wave = Waveform.load(clip.audio)
    assert clip.duration == pytest.approx(wave.duration, abs=1e-4)
    assert clip.duration >= 10
    level = np.sqrt(np.convolve(wave.samples**2, np.ones(160) / 160, "same"))
    heard = level > 0.3 * np.quantile(level, 0.99)
    times = np.arange(len(level)) / SAMPLE_RATE
    labelled = clip.during({"a"}, times)
    edges = np.concatenate([clip.starts, clip.ends])
    clear = np.min(abs(times[:, None][::80] - edges[None]), axis=1) > 0.006  # the smoothing's reach
    np.testing.assert_array_equal(heard[::80][clear], labelled[::80][clear])


def test_a_clip_repeats_with_its_generator(tmp_path: Path) -> None:
    voice = Voice("tone", "test", "en", tones)
    for name in ("one", "two"):
        speak_clip(tmp_path, name, voice, iter(["Pa."] * 9), 3.0, generator(7))
    one, two = ((tmp_path / "audio" / f"{n}.flac").read_bytes() for n in ("one", "two"))
    assert one == two


def test_trimming_leaves_the_margin() -> None:
    cut = tones("", 1.0).trimmed(0.08)
    np.testing.assert_allclose(cut.edges, [0, 0.08, 0.38, 0.48, 0.68, 0.76], atol=1e-4)
    assert len(cut.samples) == round(0.76 * RATE)
    first = np.flatnonzero(np.abs(cut.samples) > 0.01)[0]
    assert first / RATE == pytest.approx(0.08, abs=1e-3)


def test_tape_speed_moves_pitch_and_times_together() -> None:
    fast = tones("", 1.0).taped(1.1)
    np.testing.assert_allclose(fast.edges, tones("", 1.1).edges, atol=1e-4)
    loud = fast.samples[round(0.4 * SAMPLE_RATE) : round(0.6 * SAMPLE_RATE)]
    spectrum = np.abs(np.fft.rfft(loud * np.hanning(len(loud))))
    assert spectrum.argmax() * SAMPLE_RATE / len(loud) == pytest.approx(330, abs=5)


def test_joined_silences_are_one() -> None:
    pause = Utterance.silence(0.25)
    joined = Utterance.joined([pause, pause, tones("", 1.0).taped(1.0), pause])
    assert joined.phones == ("sil", "a", "p", "a", "sil")
    np.testing.assert_allclose(joined.edges, [0, 0.9, 1.2, 1.3, 1.5, 2.25], atol=1e-4)


def test_splits_share_no_sentence_and_hold_their_parts() -> None:
    random = generator(0)
    made = {texts._unpredictable(random) for _ in range(4000)}
    share = np.mean([texts.split_of(sentence) == "val" for sentence in made])
    assert share == pytest.approx(texts.VALIDATION_SHARE, abs=0.02)


@pytest.mark.parametrize("language", [path.stem for path in (TOOL / "sentences").glob("*.txt")])
def test_every_language_has_its_sentences_from_any_start(language: str) -> None:
    lines = (TOOL / "sentences" / f"{language}.txt").read_text(encoding="utf-8").splitlines()
    assert len(set(lines)) == len(lines) == 16
    started = texts.others(language, 5)
    assert [next(started) for _ in range(16)] == lines[5:] + lines[:5]


@pytest.mark.skipif(not shutil.which("flite"), reason="Debian's flite is not installed")
def test_flite_labels_are_ipa_and_exact() -> None:
    spoken = flite.voice("rms").speak("A happy puppy, a happy boat.", 1.0)
    assert [p for p in spoken.phones if p != "sil"][:5] == ["ə", "h", "æ", "p", "i"]
    assert spoken.edges[-1] == pytest.approx(spoken.duration)
    low, _ = check.bands(spoken.samples, spoken.rate)
    times = np.arange(len(low)) * check.STEP
    for index, phone in enumerate(spoken.phones):
        if phone == "p":
            inside = (times > spoken.edges[index]) & (times < spoken.edges[index + 1])
            vowel = (times > spoken.edges[index - 1]) & (times < spoken.edges[index])
            assert low[inside].min() < low[vowel].max() - 25


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="Debian's espeak-ng is not installed")
@pytest.mark.parametrize("language", ["de", "hi"])
def test_espeak_labels_plosives_from_their_closure(language: str) -> None:
    spoken = espeak.voice(language).speak(next(texts.others(language, 0)), 1.0)
    assert {letter for phone in spoken.phones for letter in symbols(phone)} & NEVER_SHUT
    low, high = check.bands(spoken.samples, spoken.rate)
    level = np.maximum(low, high)
    times = np.arange(len(level)) * check.STEP
    pairs = list(zip(spoken.phones, spoken.phones[1:], strict=False))
    plosives = [i + 1 for i, (a, b) in enumerate(pairs) if b in ("p", "t", "k") and a != "sil"]
    assert plosives
    for index in plosives:
        inside = (times >= spoken.edges[index]) & (times <= spoken.edges[index + 1])
        assert level[inside].min() < np.quantile(level, 0.9) - 20


def test_the_command_makes_a_folder_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    if not shutil.which("espeak-ng"):
        pytest.skip("Debian's espeak-ng is not installed")
    command = [sys.executable, TOOL, tmp_path / "out", "--language", "it", "--seconds", "3"]
    for minutes in ("0.05", "0.12"):
        subprocess.run([*command, "--minutes", minutes], check=True)
    subprocess.run([*command[:2], tmp_path / "once", *command[3:], "--minutes", "0.12"], check=True)
    stopped, once = (read_phones(tmp_path / name) for name in ("out", "once"))
    assert [clip.name for clip in stopped] == [clip.name for clip in once]
    for a, b in zip(stopped, once, strict=True):
        assert a.phones == b.phones
        assert a.audio.read_bytes() == b.audio.read_bytes()
    assert {clip.voice for clip in once} == {"espeak", "espeak_f3"}
