"""Sounds that are not speech: level, repeatability, and the character that each name promises."""

from __future__ import annotations

import numpy as np
import pytest

from codetalker.data import noise

RATE = 16000


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def octave_levels(samples: np.ndarray, rate: int) -> np.ndarray:
    """Power density in dB of the octaves from 62.5 to 4000 Hz."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / rate)
    edges = 62.5 * 2 ** np.arange(7)
    density = [power[(hertz >= a) & (hertz < 2 * a)].mean() for a in edges[:-1]]
    return 10 * np.log10(density)


@pytest.mark.parametrize("name", sorted(noise.SOUNDS))
@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_every_sound_has_unit_level_and_its_length(name: str, rate: int) -> None:
    sound = noise.SOUNDS[name](generator(), 2 * rate + 7, rate)
    assert sound.shape == (2 * rate + 7,)
    assert sound.dtype == np.float32
    assert np.sqrt(np.mean(sound.astype(np.float64) ** 2)) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", sorted(noise.SOUNDS))
def test_a_sound_repeats_with_its_generator_and_changes_with_another(name: str) -> None:
    sound = noise.SOUNDS[name]
    np.testing.assert_array_equal(sound(generator(3), 9000, RATE), sound(generator(3), 9000, RATE))
    assert not np.array_equal(sound(generator(3), 9000, RATE), sound(generator(4), 9000, RATE))


@pytest.mark.parametrize("name", sorted(noise.SOUNDS))
@pytest.mark.parametrize("samples", [0, 1, 10])
def test_short_sounds_are_finite(name: str, samples: int) -> None:
    sound = noise.SOUNDS[name](generator(), samples, RATE)
    assert sound.shape == (samples,)
    assert np.isfinite(sound).all()


@pytest.mark.parametrize(("name", "slope"), [("white", 0.0), ("pink", -3.01), ("brown", -6.02)])
def test_noise_falls_by_its_slope_in_every_octave(name: str, slope: float) -> None:
    levels = octave_levels(noise.SOUNDS[name](generator(), 60 * RATE, RATE), RATE)
    # the lowest octave has 3750 bins in 60 s: its mean is within 0.25 dB in 99.9% of draws
    np.testing.assert_allclose(np.diff(levels), slope, atol=0.3)


@pytest.mark.parametrize("seed", range(4))
def test_hum_is_harmonics_of_the_mains(seed: int) -> None:
    power = np.abs(np.fft.rfft(noise.hum(generator(seed), 10 * RATE, RATE) * np.hanning(160000)))
    hertz = np.fft.rfftfreq(160000, 1 / RATE)
    from_mains = np.minimum(*(np.abs(hertz - m * np.round(hertz / m)) for m in (50, 60)))
    near = from_mains <= 1.5  # a detuning of 0.2% at the twelfth harmonic
    assert (power[near] ** 2).sum() > 0.999 * (power**2).sum()


def test_clicks_leave_most_of_the_time_quiet() -> None:
    sound = noise.clicks(generator(), 20 * RATE, RATE)
    assert np.mean(np.abs(sound) < 0.1) > 0.5
    assert np.abs(sound).max() > 5


@pytest.mark.parametrize("seed", range(4))
def test_music_holds_pitches_of_one_scale(seed: int) -> None:
    sound = noise.music(generator(seed), 12 * RATE, RATE)
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    hertz = np.fft.rfftfreq(len(sound), 1 / RATE)
    low = (hertz > 130) & (hertz < 700)
    note = 12 * np.log2(hertz[low] / 440) % 12
    classes = np.bincount(np.round(note).astype(int) % 12, spectrum[low], 12)
    assert np.sort(classes)[-7:].sum() > 0.9 * classes.sum()
    flat = noise.white(generator(seed), 12 * RATE, RATE)
    flat = np.abs(np.fft.rfft(flat * np.hanning(len(flat)))) ** 2
    flat = np.bincount(np.round(note).astype(int) % 12, flat[low], 12)
    assert np.sort(flat)[-7:].sum() < 0.8 * flat.sum()


def test_babble_is_made_of_its_recordings() -> None:
    time = np.arange(RATE) / RATE
    voices = [np.sin(2 * np.pi * f * time).astype(np.float32) for f in (200, 300, 500)]
    sound = noise.babble(generator(), 3 * RATE, RATE, voices, voices=30)
    spectrum = np.abs(np.fft.rfft(sound)) ** 2
    assert spectrum[[600, 900, 1500]].sum() > 0.999 * spectrum.sum()
    assert (spectrum[[600, 900, 1500]] > 0.001 * spectrum.sum()).all()
