"""Other voices, rooms and channels from the recordings of a few speakers.

In the flow **speech** -> features -> codes -> motion, before training only. One short-time Fourier
pass changes pitch, formants and equaliser; then come room, noise, channel and level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codetalker.audio import SAMPLE_RATE

_FFT = 512
_HOP = 128
ENVELOPE_LIFTER = 24
"""Cepstral coefficients that make the spectral envelope: up to 1.5 ms, below any voice's period."""


@dataclass(frozen=True)
class Augmentation:
    """One voice and channel, drawn at random.

    Attributes:
        speed: playing speed; pitch and formants move along, and the motion must be resampled too.
        pitch, formant: factors of fundamental frequency and vocal-tract resonances.
        equaliser: gains in dB at 0, 500, 1000, 2000, 4000, 8000 Hz.
        band: pass band in Hz.
        reverberation: seconds to -60 dB, 0 for a dry room; `wetness` is its share of the power.
        noise: level in dB relative to the speech; `tilt` its slope in dB per octave.
        gain: dB.
        companded: whether 8-bit mu-law coding (telephone) is applied.
    """

    speed: float = 1.0
    pitch: float = 1.0
    formant: float = 1.0
    equaliser: tuple[float, ...] = (0.0,) * 6
    band: tuple[float, float] = (0.0, 8000.0)
    reverberation: float = 0.0
    wetness: float = 0.0
    noise: float = -70.0
    tilt: float = -3.0
    gain: float = 0.0
    companded: bool = False

    @staticmethod
    def draw(random: np.random.Generator) -> Augmentation:
        """A voice and a channel as recordings from the wild have them."""

        def chance(probability: float) -> bool:
            return bool(random.random() < probability)

        telephone = chance(0.08)
        band = (
            (300.0, 3400.0) if telephone else (random.uniform(0, 120), random.uniform(4500, 8000))
        )
        return Augmentation(
            speed=float(np.exp(random.uniform(-0.12, 0.14))) if chance(0.5) else 1.0,
            pitch=float(np.exp(random.uniform(-0.25, 0.55))) if chance(0.6) else 1.0,
            formant=float(np.exp(random.uniform(-0.1, 0.16))) if chance(0.5) else 1.0,
            equaliser=tuple(random.normal(0, 2.5, 6)),
            band=band if telephone or chance(0.4) else (0.0, 8000.0),
            reverberation=random.uniform(0.1, 0.6) if chance(0.3) else 0.0,
            wetness=random.uniform(0.02, 0.25),
            noise=-random.uniform(15, 60),
            tilt=random.uniform(-6, 0),
            gain=random.uniform(-22, 4),
            companded=telephone or chance(0.05),
        )

    def apply(
        self, samples: NDArray[np.float32], random: np.random.Generator
    ) -> NDArray[np.float32]:
        """(N,) float32 speech at 16 kHz -> (round(N / speed),) float32 as heard through it all."""
        samples = stretch(samples, self.speed)
        samples = _respeak(samples, self)
        if self.reverberation:
            samples = _reverberate(samples, self.reverberation, self.wetness, random)
        level = float(np.sqrt(np.mean(samples**2))) + 1e-9
        noise = _coloured_noise(len(samples), self.tilt, random)
        noisy = samples + noise * level * 10 ** (self.noise / 20)
        samples = (noisy * 10 ** (self.gain / 20)).astype(np.float32)
        if self.companded:
            samples = _mu_law(samples)
        return np.clip(samples, -1, 1).astype(np.float32)


def stretch(values: NDArray[np.float32], speed: float) -> NDArray[np.float32]:
    """(N, ...) -> (round(N / speed), ...): linear interpolation in time, as tape would play it."""
    if speed == 1.0:
        return values
    place = np.arange(round(len(values) / speed)) * speed
    below = np.minimum(place.astype(int), len(values) - 1)
    above = np.minimum(below + 1, len(values) - 1)
    share = (place - below).astype(np.float32).reshape(-1, *[1] * (values.ndim - 1))
    return (values[below] * (1 - share) + values[above] * share).astype(np.float32)


def _respeak(samples: NDArray[np.float32], voice: Augmentation) -> NDArray[np.float32]:
    """Pitch by a phase vocoder and resampling, formants and equaliser by filtering each frame."""
    spectra = _analyse(samples)
    pitched = voice.pitch != 1.0
    if pitched:
        spectra = _vocode(spectra, voice.pitch)
    magnitude = np.abs(spectra) + 1e-6
    cepstrum = np.fft.irfft(np.log(magnitude), axis=1)
    cepstrum[:, ENVELOPE_LIFTER : _FFT - ENVELOPE_LIFTER + 1] = 0
    envelope = np.fft.rfft(cepstrum, axis=1).real
    bins = np.arange(_FFT // 2 + 1)
    # before resampling by the pitch factor, what will sound at bin b is still at bin b / pitch
    source = bins * (voice.pitch / voice.formant)
    below = np.minimum(source.astype(int), _FFT // 2 - 1)
    share = np.minimum(source - below, 1.0)
    wanted = envelope[:, below] * (1 - share) + envelope[:, below + 1] * share
    hertz = bins * voice.pitch * SAMPLE_RATE / _FFT
    curve = np.interp(
        np.log2(hertz + 60), np.log2([60, 500, 1000, 2000, 4000, 8000]), voice.equaliser
    )
    gain = wanted - envelope + curve * (np.log(10) / 20)
    gain[:, (hertz < voice.band[0]) | (hertz > voice.band[1])] = np.log(1e-3)
    shaped = _synthesise(spectra * np.exp(np.minimum(gain, 6.0)), round(len(samples) * voice.pitch))
    if pitched:
        shaped = stretch(shaped, voice.pitch)
    shaped = np.pad(shaped, (0, max(0, len(samples) - len(shaped))))[: len(samples)]
    power = np.mean(samples**2) / (np.mean(shaped**2) + 1e-12)
    return (shaped * np.sqrt(power)).astype(np.float32)


WINDOW = np.hanning(_FFT + 1)[:_FFT].astype(np.float32)


def _analyse(samples: NDArray[np.float32]) -> NDArray[np.complex64]:
    padded = np.pad(samples, (_FFT // 2, _FFT))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::_HOP]
    return np.fft.rfft(frames * WINDOW, axis=1).astype(np.complex64)


def _synthesise(spectra: NDArray[np.complex64], length: int) -> NDArray[np.float32]:
    frames = np.fft.irfft(spectra, axis=1).astype(np.float32) * WINDOW
    out = np.zeros(len(frames) * _HOP + _FFT, np.float32)
    for phase in range(_FFT // _HOP):  # frames that do not overlap are laid down at once
        part = frames[phase :: _FFT // _HOP]
        out[phase * _HOP : phase * _HOP + part.size] += part.reshape(-1)
    out /= float((WINDOW**2).sum() / _HOP)
    return out[_FFT // 2 : _FFT // 2 + length]


def _vocode(spectra: NDArray[np.complex64], factor: float) -> NDArray[np.complex64]:
    """`factor` times as long at the same pitch (phase vocoder, Flanagan and Golden 1966)."""
    place = np.arange(0, len(spectra) - 1, 1 / factor)
    below = place.astype(int)
    share = (place - below)[:, None]
    magnitude = np.abs(spectra[below]) * (1 - share) + np.abs(spectra[below + 1]) * share
    turn = np.angle(spectra[below + 1] * np.conj(spectra[below]))
    expected = 2 * np.pi * _HOP * np.arange(_FFT // 2 + 1) / _FFT
    turn = expected + (turn - expected + np.pi) % (2 * np.pi) - np.pi
    phase = np.cumsum(turn, axis=0) + np.angle(spectra[:1])
    return (magnitude * np.exp(1j * phase)).astype(np.complex64)


def _reverberate(
    samples: NDArray[np.float32], seconds: float, wetness: float, random: np.random.Generator
) -> NDArray[np.float32]:
    """Convolve with the direct sound and a tail of noise that decays exponentially."""
    length = int(seconds * SAMPLE_RATE)
    tail = random.standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
    tail[: SAMPLE_RATE // 400] = 0
    tail *= np.sqrt(wetness / np.sum(tail**2))
    tail[0] = np.sqrt(1 - wetness)
    size = 1 << (len(samples) + length).bit_length()
    wet = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(tail, size), size)
    return wet[: len(samples)].astype(np.float32)


def _coloured_noise(length: int, tilt: float, random: np.random.Generator) -> NDArray[np.float32]:
    """Noise of unit power whose spectrum falls by `tilt` dB per octave."""
    spectrum = np.fft.rfft(random.standard_normal(length))
    octave = np.log2(np.maximum(np.arange(len(spectrum)), 1) / len(spectrum) * 8000 / 60 + 1)
    noise = np.fft.irfft(spectrum * 10 ** (tilt * octave / 20), length)
    return (noise / (noise.std() + 1e-9)).astype(np.float32)


def _mu_law(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Through 8 bits of mu-law and back (ITU-T G.711, continuous form)."""
    clipped = np.clip(samples, -1, 1)
    coded = np.sign(clipped) * np.log1p(255 * np.abs(clipped)) / np.log(256)
    coded = np.round(coded * 127) / 127
    return (np.sign(coded) * np.expm1(np.abs(coded) * np.log(256)) / 255).astype(np.float32)
