"""What voices are and return: sound, and the phones in it with their times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from codetalker.audio import SAMPLE_RATE
from codetalker.data.phones import SILENCE
from codetalker.resampling import resample


@dataclass(frozen=True, eq=False)
class Utterance:
    """Speech with its phones.

    Attributes:
        samples: (N,) float32.
        rate: Hz.
        phones: (P) IPA, `sil` for silence.
        edges: (P + 1,) float64 seconds; phone p lasts from edges[p] to edges[p + 1].
    """

    samples: NDArray[np.float32]
    rate: int
    phones: tuple[str, ...]
    edges: NDArray[np.float64]

    @classmethod
    def silence(cls, seconds: float) -> Utterance:
        """Zeros at 16 kHz."""
        samples = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
        return cls(samples, SAMPLE_RATE, (SILENCE,), np.array([0.0, len(samples) / SAMPLE_RATE]))

    @classmethod
    def joined(cls, parts: Sequence[Utterance]) -> Utterance:
        """One after another; all have the same rate."""
        rate = parts[0].rate
        starts = np.cumsum([0, *(len(part.samples) for part in parts)]) / rate
        ends = [part.edges[1:] + start for part, start in zip(parts, starts, strict=False)]
        return cls(
            np.concatenate([part.samples for part in parts]),
            rate,
            tuple(phone for part in parts for phone in part.phones),
            np.concatenate([[0.0], *ends]),
        ).merged()

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.rate

    def trimmed(self, margin: float) -> Utterance:
        """Silence before the first and after the last phone cut to at most `margin` seconds."""
        spoken = [i for i, phone in enumerate(self.phones) if phone != SILENCE]
        if not spoken:
            raise ValueError("nothing is spoken in this utterance")
        start = max(self.edges[0], self.edges[spoken[0]] - margin)
        end = min(self.edges[-1], self.edges[spoken[-1] + 1] + margin)
        cut = slice(round(start * self.rate), round(end * self.rate))
        samples = self.samples[cut]
        edges = np.clip(self.edges - cut.start / self.rate, 0, len(samples) / self.rate)
        edges[-1] = len(samples) / self.rate
        return replace(self, samples=samples, edges=edges).merged()

    def taped(self, speed: float) -> Utterance:
        """At 16 kHz, as tape would play it at `speed`: pitch and formants move along."""
        samples = resample(self.samples, round(self.rate * speed), SAMPLE_RATE)
        edges = self.edges / speed
        edges[-1] = len(samples) / SAMPLE_RATE
        return Utterance(samples, SAMPLE_RATE, self.phones, edges)

    def faded(self) -> Utterance:
        """Without clicks where it begins and ends."""
        samples = self.samples.copy()
        edge = min(self.rate // 100, len(samples) // 2)
        ramp = np.linspace(0, 1, edge, dtype=np.float32)
        samples[:edge] *= ramp
        samples[-edge:] *= ramp[::-1]
        return replace(self, samples=samples)

    def spoken(self) -> NDArray[np.bool_]:
        """(N,) whether each sample is within a phone."""
        times = np.arange(len(self.samples)) / self.rate
        index = np.searchsorted(self.edges[1:-1], times, side="right")
        return np.array([phone != SILENCE for phone in self.phones])[index]

    def merged(self) -> Utterance:
        """Neighbouring silences as one, empty phones dropped."""
        phones: list[str] = []
        edges: list[float] = [float(self.edges[0])]
        for phone, end in zip(self.phones, self.edges[1:].tolist(), strict=True):
            if phones and phone == phones[-1] == SILENCE:
                edges[-1] = end
            elif end > edges[-1]:
                phones.append(phone)
                edges.append(end)
        return replace(self, phones=tuple(phones), edges=np.array(edges))


@dataclass(frozen=True)
class Voice:
    """A speaker.

    Attributes:
        name: unique.
        source: the program or model that speaks.
        language: as eSpeak names it.
        speak: (sentence, tempo: 1 is the voice's own, 2 twice as fast) -> how it is spoken.
    """

    name: str
    source: str
    language: str
    speak: Callable[[str, float], Utterance]
