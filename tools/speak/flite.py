"""Flite's statistical voices, by its program: fast, phones in steps of 5 ms.

Free software of Carnegie Mellon University; the voices slt (a woman), rms and awb (men) are built
from the CMU ARCTIC recordings. Debian package `flite`.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import numpy as np
from utterance import Utterance, Voice

from codetalker.audio import SAMPLE_RATE, Waveform
from codetalker.data.phones import ARPABET, SILENCE

VOICES = ("slt", "rms", "awb")
_OWN = {"pau": SILENCE, "ssil": SILENCE, "axr": "ɚ", "nx": "ɾ̃", "en": "n̩", "em": "m̩", "el": "l̩"}


def voice(name: str) -> Voice:
    """The voice of that name."""

    def speak(text: str, tempo: float) -> Utterance:
        with tempfile.TemporaryDirectory() as folder:
            sound = Path(folder) / "speech.wav"
            spoken = subprocess.run(
                [
                    *("flite", "-voice", name, "--setf", f"duration_stretch={1 / tempo:.4f}"),
                    *("-psdur", "-t", f" {text}", "-o", str(sound)),
                ],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.split()
            samples = Waveform.load(sound).samples
        labels, ends = zip(*(part.rsplit(":", 1) for part in spoken), strict=True)
        phones = tuple(_OWN.get(label) or ARPABET[label.upper()] for label in labels)
        edges = np.array([0.0, *map(float, ends)])
        edges[-1] = len(samples) / SAMPLE_RATE
        return Utterance(samples, SAMPLE_RATE, phones, edges).merged()

    return Voice(name, "flite", "en", speak)
