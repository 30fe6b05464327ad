"""What microphones hear that is not speech: noise, hum, tones, clicks, music, a crowd's babble.

A mouth is at rest through all of it. Every function takes (random generator, number of samples,
sample rate in Hz) and returns (samples,) float32 of unit RMS, the same for the same generator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Sound = Callable[[np.random.Generator, int, int], NDArray[np.float32]]


def coloured(
    random: np.random.Generator, samples: int, rate: int, slope: float
) -> NDArray[np.float32]:
    """Gaussian noise whose power falls by `slope` dB an octave (negative) above 20 Hz."""
    size = max(samples, 2)
    spectrum = np.fft.rfft(random.standard_normal(size))
    hertz = np.fft.rfftfreq(size, 1 / rate)
    octaves = np.log2(np.maximum(hertz, 20) / 20)
    return _unit(
        np.fft.irfft(spectrum * (hertz > 0) * 10 ** (slope * octaves / 20), size)[:samples]
    )


def white(random: np.random.Generator, samples: int, rate: int) -> NDArray[np.float32]:
    """The same power at every frequency."""
    return coloured(random, samples, rate, 0.0)


def pink(random: np.random.Generator, samples: int, rate: int) -> NDArray[np.float32]:
    """The same power in every octave."""
    return coloured(random, samples, rate, -10 * np.log10(2))


def brown(random: np.random.Generator, samples: int, rate: int) -> NDArray[np.float32]:
    """6 dB less an octave: traffic, wind, a fan far away."""
    return coloured(random, samples, rate, -20 * np.log10(2))


def hum(random: np.random.Generator, samples: int, rate: int) -> NDArray[np.float32]:
    """Mains hum, 50 or 60 Hz, with up to a dozen harmonics, odd ones stronger."""
    base = random.choice([50.0, 60.0]) * random.uniform(0.998, 1.002)
    harmonics = np.arange(1, random.integers(4, 13))
    level = random.uniform(0.3, 1.0, len(harmonics)) / harmonics ** random.uniform(0.3, 1.2)
    level[1::2] *= 0.4
    return _unit(_partials(random, samples, rate, base * harmonics, level))


def room(random: np.random.Generator, samples: int, rate: int) -> NDArray[np.float32]:
    """Room tone: coloured noise that swells a little, with some hum in it."""
    seconds = samples / rate
    swell = np.interp(
        np.arange(samples) / rate,
        np.linspace(0, seconds, int(seconds * 2) + 2),
        10 ** (random.normal(0, 2.0, int(seconds * 2) + 2) / 20),
    )
    tone = coloured(random, samples, rate, random.uniform(-7, -2)) * swell
    return _unit(tone + random.uniform(0, 0.5) * hum(random, samples, rate))


def tones(random: np.random.Generator, samples: int, rate: int) -> NDArray[np.float32]:
    """Beeps, dial tones and sweeps, one after another, with pauses."""
    out = np.zeros(samples)
    place = 0
    while place < samples:
        length = int(rate * random.uniform(0.08, 1.2))
        time = np.arange(min(length, samples - place)) / rate
        start, end = np.exp(random.uniform(np.log(150), np.log(min(3500, rate / 2.5)), 2))
        if random.random() < 0.7:
            end = start
        phase = 2 * np.pi * (start * time + (end - start) * time**2 / 2 * rate / length)
        beep = np.sin(phase) + random.choice([0.0, 0.7]) * np.sin(phase * random.uniform(1.2, 3))
        out[place : place + len(time)] = beep * _fade(len(time), int(0.005 * rate))
        place += length + int(rate * random.choice([0.0, random.uniform(0.02, 0.6)]))
    return _unit(out)


def clicks(random: np.random.Generator, samples: int, rate: int) -> NDArray[np.float32]:
    """Keys, mouse and knocks: bursts of 1 to 30 ms, one to ten a second, rarely alike."""
    out = np.zeros(samples + rate)
    knocks = max(1, random.poisson(samples / rate * random.uniform(1, 10)))
    for place in random.integers(0, max(samples, 1), knocks):
        time = np.arange(int(0.2 * rate)) / rate
        decay = np.exp(-time / random.uniform(0.001, 0.03))
        ring = np.sin(2 * np.pi * np.exp(random.uniform(np.log(90), np.log(rate / 3))) * time)
        burst = ring * random.uniform(0, 2) + random.standard_normal(len(time))
        out[place : place + len(time)] += burst * decay * random.uniform(0.2, 1)
    return _unit(out[:samples])


def music(random: np.random.Generator, samples: int, rate: int) -> NDArray[np.float32]:
    """A chord progression with bass, an arpeggio or pad, a melody and, half of the time, drums."""
    beat = 60 / random.uniform(65, 165)
    tonic = random.integers(45, 57)  # MIDI: A2 to G#3
    scale = np.array([(0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)][random.integers(2)])
    roots = [(0, 3, 4, 0), (0, 4, 5, 3), (5, 3, 0, 4), (0, 5, 3, 4)][random.integers(4)]
    timbres = [_timbre(random) for _ in range(3)]
    drums, arpeggio = random.random() < 0.5, random.random() < 0.5
    out = np.zeros(samples + 8 * rate)

    def pitch(degree: int) -> float:
        return float(tonic + 12 * (degree // 7) + scale[degree % 7])

    def play(at: float, midi: float, seconds: float, level: float, timbre: int) -> None:
        note = _note(rate, 440 * 2 ** ((midi - 69) / 12), seconds, timbres[timbre])
        place = int(at * rate)
        if place < samples:
            part = out[place : place + len(note)]
            part += level * note[: len(part)]

    for number in range(int(samples / rate / beat) + 1):
        at, root = number * beat, roots[number // 4 % 4]
        play(at, pitch(root) - 12, beat * 0.9, 0.7, 0)
        if arpeggio:
            for half in (0, 1):
                degree = root + 2 * int(random.integers(4))
                play(at + half * beat / 2, pitch(degree), beat * 0.8, 0.45, 1)
        elif number % 4 == 0:
            for degree in (root, root + 2, root + 4):
                play(at, pitch(degree), beat * 4, 0.35, 1)
        if random.random() < 0.6:
            melody = 7 + root + int(random.choice([0, 1, 2, 4, 4, 6]))
            play(at, pitch(melody), beat * random.choice([0.5, 1, 2]), 0.6, 2)
        if drums:
            _add(out, int(at * rate), _drum(random, rate, number % 2 == 0), samples)
            _add(out, int((at + beat / 2) * rate), 0.3 * _hat(random, rate), samples)
    return _unit(out[:samples])


def babble(
    random: np.random.Generator,
    samples: int,
    rate: int,
    recordings: Sequence[NDArray[np.float32]],
    voices: int = 6,
) -> NDArray[np.float32]:
    """Pieces of `voices` of the recordings (each (N,) float32 at `rate`) at once, looped."""
    out = np.zeros(samples)
    for which in random.integers(0, len(recordings), voices):
        recording = recordings[which]
        start = int(random.integers(len(recording)))
        out += _unit(np.resize(np.roll(recording, -start), samples)) * random.uniform(0.4, 1.0)
    return _unit(out)


SOUNDS: dict[str, Sound] = {
    "white": white,
    "pink": pink,
    "brown": brown,
    "hum": hum,
    "room": room,
    "tones": tones,
    "clicks": clicks,
    "music": music,
}
"""All that need nothing but a generator, by name."""


def _unit(samples: NDArray[np.floating]) -> NDArray[np.float32]:
    level = np.sqrt(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return (samples / (level or 1.0)).astype(np.float32)


def _fade(length: int, edge: int) -> NDArray[np.float64]:
    """A gain that rises from 0 and falls back to it, over `edge` samples each."""
    place = np.arange(length)
    return np.clip(np.minimum(place, length - 1 - place) / max(edge, 1), 0, 1)


def _partials(
    random: np.random.Generator,
    samples: int,
    rate: int,
    hertz: NDArray[np.float64],
    level: NDArray[np.float64],
) -> NDArray[np.float64]:
    time = np.arange(samples) / rate
    out = np.zeros(samples)
    for frequency, gain in zip(hertz, level, strict=True):
        if frequency < rate / 2:
            out += gain * np.sin(2 * np.pi * (frequency * time + random.random()))
    return out


def _timbre(random: np.random.Generator) -> tuple[NDArray[np.float64], float, float, float]:
    """Levels of the harmonics, attack and decay in seconds, depth of vibrato in semitones."""
    harmonics = np.arange(1, 13)
    level = random.uniform(0.2, 1, 12) / harmonics ** random.uniform(0.7, 2.2)
    plucked = random.random() < 0.5
    attack = random.uniform(0.002, 0.01) if plucked else random.uniform(0.03, 0.2)
    return level, attack, random.uniform(0.2, 0.8) if plucked else 8.0, random.choice([0.0, 0.25])


def _note(
    rate: int,
    hertz: float,
    seconds: float,
    timbre: tuple[NDArray[np.float64], float, float, float],
) -> NDArray[np.float64]:
    level, attack, decay, vibrato = timbre
    release = 0.15
    time = np.arange(int((seconds + release) * rate)) / rate
    bend = vibrato * np.log(2) / 12 * np.sin(2 * np.pi * 5.5 * time) * np.minimum(time / 0.4, 1)
    phase = 2 * np.pi * np.cumsum(hertz * np.exp(bend)) / rate
    out = np.zeros(len(time))
    for number, gain in enumerate(level, 1):
        if number * hertz * 1.03 < rate / 2:
            out += gain * np.sin(number * phase) * np.exp(-time * (number - 1) / (2 * decay))
    envelope = np.minimum(time / attack, 1) * np.exp(-time / decay)
    return out * envelope * np.clip((seconds + release - time) / release, 0, 1)


def _drum(random: np.random.Generator, rate: int, kick: bool) -> NDArray[np.float64]:
    time = np.arange(int(0.25 * rate)) / rate
    if kick:
        return (
            1.5 * np.sin(2 * np.pi * (50 * time - 4 * np.exp(-time / 0.03))) * np.exp(-time / 0.1)
        )
    return random.standard_normal(len(time)) * np.exp(-time / 0.05)


def _hat(random: np.random.Generator, rate: int) -> NDArray[np.float64]:
    noise = np.diff(random.standard_normal(int(0.06 * rate)), prepend=0.0)
    return noise * np.exp(-np.arange(len(noise)) / rate / 0.015)


def _add(out: NDArray[np.float64], place: int, sound: NDArray[np.float64], samples: int) -> None:
    if place < samples:
        part = out[place : place + len(sound)]
        part += sound[: len(part)]
