"""eSpeak NG's formant voices: many languages, phones to the millisecond, plainly synthetic.

For measuring how a face follows other languages, not for training. GPL-3.0-or-later, run as a
program; Debian packages `espeak-ng` and `libespeak-ng1`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from utterance import Utterance, Voice

from codetalker.audio import SAMPLE_RATE, Waveform
from codetalker.data.phones import SILENCE

_WORDS_PER_MINUTE = 160
_PITCH = 50
_VOICELESS = "ptkcqʈ"
_QUIET = 0.1  # of the level of the loud parts
_LONGEST_CLOSURE = 0.12  # seconds
_AFTER_PAUSE = 0.06  # seconds of closure that are assumed in a pause
_BURST = 0.03  # seconds that the phone before keeps: its own burst may be as weak as a closure
_PROGRAM = Path(__file__).with_name("espeak_phones.py")


def voice(language: str, variant: str = "") -> Voice:
    """The voice of a language, or a variant of it: `f3`, `m7`."""
    name = f"{language}+{variant}" if variant else language

    def speak(text: str, tempo: float) -> Utterance:
        with tempfile.TemporaryDirectory() as folder:
            sound = Path(folder) / "speech.wav"
            speed = round(_WORDS_PER_MINUTE * tempo)
            spoken = subprocess.run(
                [sys.executable, _PROGRAM, name, str(speed), str(_PITCH), sound],
                input=text,
                capture_output=True,
                text=True,
                check=True,
            ).stdout.splitlines()
            samples = Waveform.load(sound).samples
        phones, edges = [SILENCE], [0.0]
        for line in spoken:
            start, _, phone = line.partition(" ")
            phones.append(phone or SILENCE)
            edges.append(int(start) / 1000)
        edges.append(len(samples) / SAMPLE_RATE)
        ordered = np.maximum.accumulate(np.minimum(edges, edges[-1]))
        return _with_closures(Utterance(samples, SAMPLE_RATE, tuple(phones), ordered).merged())

    return Voice(f"espeak_{variant}" if variant else "espeak", "espeak-ng", language, speak)


def _with_closures(utterance: Utterance) -> Utterance:
    """Voiceless plosives from their closure on: eSpeak starts them at the burst.

    The closure is the quiet right before the burst.
    """
    size = utterance.rate // 200
    frames = utterance.samples[: len(utterance.samples) // size * size].reshape(-1, size)
    level = np.sqrt(np.mean(frames**2, axis=1))
    quiet = level < np.quantile(level, 0.95) * _QUIET
    edges = utterance.edges.copy()
    for index, (before, phone) in enumerate(pairwise(utterance.phones), 1):
        if phone[0] in _VOICELESS:
            start = utterance.edges[index]
            longest = _AFTER_PAUSE if before == SILENCE else _LONGEST_CLOSURE
            floor = max(start - longest, utterance.edges[index - 1] + _BURST)
            place = round(start * 200)
            while place / 200 > floor and quiet[place - 1]:
                place -= 1
            edges[index] = min(place / 200, start)
    return replace(utterance, edges=edges)
