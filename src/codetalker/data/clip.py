"""Clip: a recording with the true motion of the face that spoke it.

What readers of corpora return, and what training and evaluation take.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codetalker.audio import Waveform
from codetalker.errors import AudioError, DataError

SILENCE_WORDS = frozenset({"sil", "sp", ""})
"""What alignments call a stretch without speech."""


SETTLE_S = 0.3
"""A mouth may take this long to come to rest after speech ..."""
ANTICIPATE_S = 0.2
"""... and may open this long before it."""


@dataclass(frozen=True)
class Clip:
    """One recording: its sound stays on disk until `waveform` is called.

    Attributes:
        name: unique within its corpus folder.
        speaker: who speaks; the name of the speaking style to be learned.
        split: `train`, `val`, or `unseen` for a speaker that is never trained on.
        audio: the sound file.
        weights: (T, 52) float32 blendshape weights; frame i is at i / fps seconds of the sound.
        fps: frames per second.
        words: (start, end, word) in seconds, in order; empty where there is no alignment.
    """

    name: str
    speaker: str
    split: str
    audio: Path
    weights: NDArray[np.float32]
    fps: float
    words: tuple[tuple[float, float, str], ...] = ()

    @property
    def duration(self) -> float:
        """Seconds of motion."""
        return len(self.weights) / self.fps

    @property
    def speech(self) -> tuple[float, float] | None:
        """Begin of the first word and end of the last, seconds; None without an alignment."""
        spoken = [(start, end) for start, end, word in self.words if word not in SILENCE_WORDS]
        return (spoken[0][0], spoken[-1][1]) if spoken else None

    def waveform(self) -> Waveform:
        """Read the sound.

        Raises:
            AudioError: the file is missing or not audio.
        """
        return Waveform.load(self.audio)

    def digest(self, *, with_sound: bool) -> str:
        """SHA-256 of who speaks, the split and the motion, and if asked the sound's file and words.

        Raises:
            AudioError: that file cannot be read.
        """
        digest = hashlib.sha256(repr((self.name, self.speaker, self.split, self.fps)).encode())
        digest.update(repr(self.weights.shape).encode() + self.weights.tobytes())
        if with_sound:
            digest.update(repr(self.words).encode() + read_sound(self.audio))
        return digest.hexdigest()

    def silence(
        self, settle: float = SETTLE_S, anticipate: float = ANTICIPATE_S
    ) -> NDArray[np.bool_] | None:
        """(T,) true in frames where the alignment knows that the speaker is silent.

        A mouth needs time to come to rest and opens before the first sound; so frames within
        `settle` seconds after a word and `anticipate` seconds before one are not counted.
        None without an alignment.
        """
        if not self.words:
            return None
        times = np.arange(len(self.weights)) / self.fps
        quiet = np.ones(len(times), np.bool_)
        for start, end, word in self.words:
            if word not in SILENCE_WORDS:
                quiet &= (times < start - anticipate) | (times > end + settle)
        return quiet


def read_sound(audio: Path) -> bytes:
    """The file of a sound as it is.

    Raises:
        AudioError: it cannot be read.
    """
    try:
        return audio.read_bytes()
    except OSError as error:
        raise AudioError(f"{audio} cannot be read: {error.strerror}") from None


def select(clips: list[Clip], split: str | None = None, speaker: str | None = None) -> list[Clip]:
    """The clips of one split and one speaker; None takes all.

    Raises:
        DataError: there is none; the message lists what there is.
    """
    chosen = [c for c in clips if split in (None, c.split) and speaker in (None, c.speaker)]
    if not chosen:
        there = sorted({f"{c.split} {c.speaker}" for c in clips})
        wanted = " ".join(w for w in (split, speaker) if w)
        raise DataError(f"no clips of {wanted!r}; the corpus has: {', '.join(there) or 'none'}")
    return chosen
