"""Do the labels lie where the sound says? One line of figures for each voice of a folder.

    python tools/speak/check.py FOLDER

- pauses: level over `sil` longer than 0.2 s without 30 ms at its ends, dB of the speech; and the
  share of their 10 ms frames that are louder than 25 dB below the speech.
- plosives: the quietest moment between the middles of the two vowels around each p t k b d ɡ; how
  often it lies within the label, and how far outside otherwise.
- sibilants: s z ʃ ʒ between two vowels; where the ratio of the bands above and below 3 kHz
  crosses the middle of its values inside and outside, against the label's edges.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from codetalker.data.phones import SILENCE, VOWEL_HEIGHT, PhoneClip, read_phones, symbols

STEP = 0.005  # seconds between frames of 20 ms


@dataclass
class Findings:
    """What was measured on the clips of one voice; errors in seconds, levels in dB."""

    seconds: float = 0.0
    pauses: list[float] = field(default_factory=list)
    loud: list[bool] = field(default_factory=list)
    plosives: list[float] = field(default_factory=list)
    onsets: list[float] = field(default_factory=list)
    offsets: list[float] = field(default_factory=list)

    def line(self) -> str:
        edges = np.array(self.onsets + self.offsets) * 1e3
        plosives = np.array(self.plosives) * 1e3
        return (
            f"{self.seconds / 60:5.1f} min | pauses {np.median(self.pauses):4.0f} dB, loud "
            f"{np.mean(self.loud):.3f} | {len(plosives):4d} plosives, within "
            f"{np.mean(plosives == 0):.3f}, 95% at most {np.quantile(plosives, 0.95):.0f} ms off | "
            f"{len(self.onsets):4d} sibilants: on {np.median(self.onsets) * 1e3:+.0f}, off "
            f"{np.median(self.offsets) * 1e3:+.0f} ms, median |error| {np.median(abs(edges)):.0f}, "
            f"95% {np.quantile(abs(edges), 0.95):.0f} ms"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder")
    found: dict[str, Findings] = defaultdict(Findings)
    for clip in read_phones(parser.parse_args().folder):
        measure(clip, found[clip.voice])
    for voice, findings in sorted(found.items()):
        print(f"{voice:>20} {findings.line()}")


def measure(clip: PhoneClip, found: Findings) -> None:
    """Add what one clip shows."""
    low, high = bands(clip.waveform().samples, clip.waveform().rate)
    whole = 10 * np.log10(10 ** (low / 10) + 10 ** (high / 10))
    times = np.arange(len(whole)) * STEP
    speech = np.median(whole[~clip.during({SILENCE}, times)])
    found.seconds += clip.duration
    vowels = [bool(symbols(phone)) and symbols(phone)[-1] in VOWEL_HEIGHT for phone in clip.phones]
    for index, phone in enumerate(clip.phones):
        start, end = float(clip.starts[index]), float(clip.ends[index])
        if phone == SILENCE and end - start > 0.2:
            inside = whole[(times > start + 0.03) & (times < end - 0.03)] - speech
            found.pauses.append(float(np.median(inside)))
            found.loud.extend((inside > -25).tolist())
        if not (0 < index < len(vowels) - 1 and vowels[index - 1] and vowels[index + 1]):
            continue
        middle = (start + end) / 2
        before, after = clip.starts[index - 1] + start, end + clip.ends[index + 1]
        near = np.flatnonzero((times > before / 2) & (times < after / 2))
        if phone in ("p", "t", "k", "b", "d", "ɡ"):
            quietest = times[near[whole[near].argmin()]]
            found.plosives.append(float(max(start - quietest, quietest - end, 0.0)))
        elif phone in ("s", "z", "ʃ", "ʒ") and end - start > 0.05:
            ratio = high - low
            heart = abs(times - middle) < (end - start) / 4
            outside = (abs(times - start + 0.05) < 0.02) | (abs(times - end - 0.05) < 0.02)
            threshold = (np.median(ratio[heart]) + np.median(ratio[outside])) / 2
            hissing = np.flatnonzero(ratio[near] > threshold)
            if len(hissing):
                found.onsets.append(float(times[near[hissing[0]]] - start))
                found.offsets.append(float(times[near[hissing[-1]]] - end))


def bands(samples: NDArray[np.float32], rate: int) -> tuple[NDArray[np.float64], ...]:
    """(N,) -> the power in dB below and above 3 kHz, each (T,), every 5 ms."""
    size, hop = round(0.02 * rate), round(STEP * rate)
    padded = np.pad(samples, size // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)) ** 2
    hertz = np.fft.rfftfreq(size, 1 / rate)
    below, above = (hertz > 80) & (hertz < 3000), hertz >= 3000
    return tuple(10 * np.log10(power[:, band].sum(1) + 1e-9) for band in (below, above))


if __name__ == "__main__":
    main()
