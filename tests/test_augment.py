"""Augmentation: each knob turns what it names and leaves timing, length and level in bounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.signal import welch

from codetalker.audio import SAMPLE_RATE
from codetalker.causal.augment import Augmentation, stretch
from tiny_model import babble

PITCH = 120.0
FORMANTS = (700.0, 1800.0)
BANDS = ((300, 1200), (1300, 2400))
"""Hz about each formant."""
SILENT = Augmentation(noise=-np.inf)
"""Nothing altered, no noise added."""


def voice(seconds: float = 2.0) -> np.ndarray:
    """(N,) float32: harmonics of 120 Hz under two formants, in syllables of 125 ms."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    harmonics = np.arange(1, 60) * PITCH
    level = sum(1 / (1 + ((harmonics - formant) / 120) ** 2) for formant in FORMANTS)
    sound = (level[:, None] * np.cos(2 * np.pi * harmonics[:, None] * time)).sum(0)
    syllables = np.sin(2 * np.pi * 4 * time) ** 2
    return (0.1 * sound * syllables).astype(np.float32)


def heard(voice_: Augmentation, sound: np.ndarray) -> np.ndarray:
    return voice_.apply(sound, np.random.default_rng(0))


def fundamental(sound: np.ndarray) -> float:
    """Hz of the first high peak of the autocorrelation between 60 and 400 Hz."""
    spectrum = np.fft.rfft(sound, 2 * len(sound))
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)
    lags = np.arange(SAMPLE_RATE // 400, SAMPLE_RATE // 60)
    inner = correlation[lags]
    peaks = (inner > 0.9 * inner.max()) & (inner >= correlation[lags - 1])
    peaks &= inner >= correlation[lags + 1]
    return SAMPLE_RATE / lags[peaks.argmax()]


def formants(sound: np.ndarray, factor: float = 1.0) -> np.ndarray:
    """Hz of the centres of power about the two formants, if they moved by that factor."""
    hertz, power = welch(sound, SAMPLE_RATE, nperseg=4096)
    bands = [(hertz > low * factor) & (hertz < high * factor) for low, high in BANDS]
    return np.array([(hertz[band] * power[band]).sum() / power[band].sum() for band in bands])


def loudness(sound: np.ndarray) -> np.ndarray:
    """Smoothed envelope, one value per millisecond."""
    kernel = np.hanning(320) / np.hanning(320).sum()
    return np.convolve(np.abs(sound), kernel, "same")[:: SAMPLE_RATE // 1000]


def lag_ms(sound: np.ndarray, of: np.ndarray) -> int:
    """How many milliseconds the sound comes after the other, by their envelopes."""
    ours, theirs = (loudness(s) - loudness(s).mean() for s in (sound, of))
    shifts = range(-60, 61)
    return max(shifts, key=lambda k: float((np.roll(theirs, k) * ours).sum()))


def test_without_change_the_sound_stays() -> None:
    sound = voice()
    inside = slice(512, -512)
    np.testing.assert_allclose(heard(SILENT, sound)[inside], sound[inside], atol=0.003)


@pytest.mark.parametrize("factor", [0.75, 0.9, 1.2, 1.6, 2.1])
def test_pitch_moves_the_fundamental_and_no_formant(factor: float) -> None:
    result = heard(replace(SILENT, pitch=factor), voice())
    assert fundamental(result) == pytest.approx(factor * PITCH, rel=0.02)
    # the envelope is smoother than the first formant, which follows the pitch a little
    low, high = formants(result) / formants(voice())
    assert low == pytest.approx(1, abs=0.17)
    assert high == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("factor", [0.87, 1.15, 1.25])
def test_formant_moves_the_formants_and_no_fundamental(factor: float) -> None:
    result = heard(replace(SILENT, formant=factor), voice())
    assert fundamental(result) == pytest.approx(PITCH, rel=0.01)
    low, high = formants(result, factor) / formants(voice())
    assert low == pytest.approx(factor, rel=0.12)  # as above
    assert high == pytest.approx(factor, rel=0.03)


@pytest.mark.parametrize(
    "changed",
    [
        replace(SILENT, pitch=0.75),
        replace(SILENT, pitch=1.3),
        replace(SILENT, pitch=2.1, formant=1.2),
        replace(SILENT, formant=0.87),
        replace(SILENT, reverberation=0.3, wetness=0.2),
        replace(SILENT, band=(300.0, 3400.0), companded=True),
        replace(SILENT, equaliser=(9.0, -9.0, 6.0, -6.0, 0.0, 3.0)),
        Augmentation(noise=-10),
    ],
)
def test_timing_is_kept_within_10_ms(changed: Augmentation) -> None:
    sound = babble(4) * np.abs(voice(4)).max()
    assert abs(lag_ms(heard(changed, sound), sound)) <= 10
    assert abs(lag_ms(heard(changed, voice()), voice())) <= 10


@given(speed=st.floats(0.85, 1.2), length=st.integers(400, 40_000))
def test_speed_divides_the_length(speed: float, length: int) -> None:
    sound = np.zeros(length, np.float32)
    assert len(stretch(sound, speed)) == round(length / speed)
    assert len(heard(replace(SILENT, speed=speed), sound)) == round(length / speed)


@given(speed=st.floats(0.85, 1.2))
def test_stretched_curves_are_read_at_the_stretched_time(speed: float) -> None:
    """A straight line stays one, with its slope times the speed; all columns alike."""
    line = np.arange(100, dtype=np.float32)[:, None] * np.array([1.0, -2.0], np.float32)
    result = stretch(line, speed)
    expected = np.minimum(np.arange(len(result)) * speed, 99)[:, None] * np.array([1.0, -2.0])
    np.testing.assert_allclose(result, expected, atol=1e-3)
    assert result.dtype == np.float32


def test_speed_moves_pitch_formants_and_time_together() -> None:
    result = heard(replace(SILENT, speed=1.15), voice())
    assert fundamental(result) == pytest.approx(1.15 * PITCH, rel=0.02)
    np.testing.assert_allclose(formants(result, 1.15), 1.15 * formants(voice()), rtol=0.02)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), kind=st.sampled_from(["voice", "silence", "square", "click"]))
@example(seed=0, kind="silence")
def test_any_draw_gives_finite_sound_in_range(seed: int, kind: str) -> None:
    random = np.random.default_rng(seed)
    sound = {
        "voice": voice(0.5),
        "silence": np.zeros(8000, np.float32),
        "square": np.sign(voice(0.5)),
        "click": np.eye(1, 8000, 4000, dtype=np.float32)[0],
    }[kind]
    drawn = Augmentation.draw(random)
    result = drawn.apply(sound, random)
    assert result.dtype == np.float32
    assert len(result) == round(len(sound) / drawn.speed)
    assert np.abs(result).max() <= 1  # false for NaN as well


def test_draws_repeat_with_the_seed_and_cover_voices_and_channels() -> None:
    first, again = (
        [Augmentation.draw(r) for _ in range(300)] for r in map(np.random.default_rng, (1, 1))
    )
    assert first == again
    pitch = np.array([a.pitch for a in first])
    assert pitch.min() < 0.8
    assert pitch.max() > 1.6
    assert 10 < sum(a.companded for a in first) < 90
    assert 60 < sum(a.reverberation > 0 for a in first) < 200
    assert all(a.band[0] < a.band[1] <= 8000 for a in first)


@pytest.mark.parametrize("level", [-40.0, -20.0, -5.0])
def test_noise_has_the_level_it_says(level: float) -> None:
    sound = voice()
    added = heard(replace(SILENT, noise=level), sound) - heard(SILENT, sound)
    measured = 20 * np.log10(added.std() / np.sqrt((sound**2).mean()))
    assert measured == pytest.approx(level, abs=0.3)


@pytest.mark.parametrize("tilt", [-6.0, 0.0])
def test_noise_has_the_tilt_it_says(tilt: float) -> None:
    sound = np.full(8 * SAMPLE_RATE, 1e-3, np.float32)
    quiet = heard(SILENT, sound)
    hertz, power = welch(heard(replace(SILENT, noise=0, tilt=tilt), sound) - quiet, SAMPLE_RATE)
    octave = [10 * np.log10(power[np.abs(hertz - f).argmin()]) for f in (1000, 2000, 4000)]
    np.testing.assert_allclose(np.diff(octave), tilt, atol=1.2)


def test_gain_is_in_decibels() -> None:
    sound = voice()
    np.testing.assert_allclose(
        heard(replace(SILENT, gain=-6.0), sound), heard(SILENT, sound) * 10 ** (-6 / 20), atol=1e-6
    )


def test_the_band_is_passed_and_the_rest_is_not() -> None:
    sound = (0.1 * np.random.default_rng(0).normal(size=32000)).astype(np.float32)
    hertz, power = welch(heard(replace(SILENT, band=(300.0, 3400.0)), sound), SAMPLE_RATE)
    level = 10 * np.log10(power / np.median(power[(hertz > 500) & (hertz < 3000)]))
    assert level[(hertz > 500) & (hertz < 3200)].min() > -4
    assert level[hertz < 150].max() < -20
    assert level[hertz > 3700].max() < -20


def test_the_equaliser_lifts_what_it_names() -> None:
    sound = (0.1 * np.random.default_rng(0).normal(size=64000)).astype(np.float32)
    lifted = replace(SILENT, equaliser=(0.0, 0.0, 0.0, 12.0, 0.0, 0.0))
    hertz, power = welch(heard(lifted, sound), SAMPLE_RATE)
    _, before = welch(heard(SILENT, sound), SAMPLE_RATE)
    gain = 10 * np.log10(power / before)
    at = {f: gain[np.abs(hertz - f).argmin()] for f in (500, 2000, 7500)}
    assert at[2000] - at[500] == pytest.approx(12, abs=2)
    assert at[2000] - at[7500] == pytest.approx(12, abs=2.5)


def test_a_room_rings_as_long_as_it_says() -> None:
    """Energy decay after a click: 60 dB down after the reverberation time (Schroeder, 1965)."""
    click = np.zeros(SAMPLE_RATE, np.float32)
    click[2000] = 0.5
    result = heard(replace(SILENT, reverberation=0.4, wetness=0.4), click).astype(np.float64)
    left = np.cumsum(result[::-1] ** 2)[::-1]
    level = 10 * np.log10(left / left[2000] + 1e-12)
    after = [int(np.argmax(level[2200:] < level[2200] - d)) / SAMPLE_RATE for d in (10, 30)]
    assert (after[1] - after[0]) * 3 == pytest.approx(0.4, rel=0.15)


def test_a_telephone_has_eight_bits() -> None:
    """At most 255 levels, finer near zero, about 38 dB above the noise of rounding (G.711)."""
    sound = voice()
    plain = heard(SILENT, sound)
    coded = heard(replace(SILENT, companded=True), sound)
    assert len(np.unique(coded)) <= 255
    error = coded - plain
    assert 10 * np.log10(np.mean(plain**2) / np.mean(error**2)) > 32
    quiet = np.abs(plain) < 0.01
    assert np.abs(error[quiet]).max() < 0.1 * np.abs(error).max()
