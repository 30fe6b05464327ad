"""Clips of free speech: some sentences of one voice at one tempo and pitch, with pauses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from utterance import Utterance, Voice

from codetalker.data.noise import pink
from codetalker.data.phones import PhoneClip, write_flac

_MARGIN = 0.08  # seconds kept around a sentence: onsets and releases beyond the labels
_TAPE_STEP = 0.02  # playing speeds are multiples of it, so that few resampling filters are needed
_FIRST_PAUSE, _PAUSE = (0.2, 0.8), (0.3, 1.5)  # seconds, from and to


@dataclass(frozen=True)
class Delivery:
    """How a clip is spoken.

    Attributes:
        tempo: of the synthesis; 1 is the voice's own.
        tape: playing speed afterwards, which moves pitch and formants along.
        level: RMS of the speech, dB of full scale.
        floor: of the noise under it, or -inf.
    """

    tempo: float
    tape: float
    level: float
    floor: float

    @staticmethod
    def draw(random: np.random.Generator) -> Delivery:
        """Tempo by a third either way, pitch by two semitones, speech 30 to 70 dB above noise."""
        tape = float(np.exp(random.uniform(-0.12, 0.12)))
        level = float(random.uniform(-30, -20))
        return Delivery(
            tempo=float(np.exp(random.uniform(-0.3, 0.3))) / tape,
            tape=round(tape / _TAPE_STEP) * _TAPE_STEP,
            level=level,
            floor=level - float(random.uniform(30, 70)) if random.random() < 0.8 else -np.inf,
        )


def speak_clip(
    folder: Path,
    name: str,
    voice: Voice,
    sentences: Iterator[str],
    seconds: float,
    random: np.random.Generator,
) -> PhoneClip:
    """Speak sentences until `seconds` are full; write the sound, return the clip.

    Args:
        folder: where `audio/` is.
        name: of the clip.
        voice: speaks.
        sentences: taken as needed.
        seconds: the clip ends with the first sentence that passes this length.
        random: draws the delivery and the pauses.
    """
    delivery = Delivery.draw(random)
    parts = [Utterance.silence(random.uniform(*_FIRST_PAUSE))]
    said: list[str] = []
    while sum(part.duration for part in parts) < seconds:
        said.append(next(sentences))
        spoken = voice.speak(said[-1], delivery.tempo).trimmed(_MARGIN)
        parts.append(spoken.taped(delivery.tape).faded())
        parts.append(Utterance.silence(random.uniform(*_PAUSE)))
    clip = Utterance.joined(parts)
    audio = folder / "audio" / f"{name}.flac"
    write_flac(audio, _levelled(clip, delivery, random))
    return PhoneClip(
        name=name,
        audio=audio,
        phones=clip.phones,
        starts=clip.edges[:-1],
        ends=clip.edges[1:],
        language=voice.language,
        voice=voice.name,
        source=voice.source,
        text=" ".join(said),
    )


def _levelled(
    clip: Utterance, delivery: Delivery, random: np.random.Generator
) -> NDArray[np.float32]:
    """The wanted RMS over what is spoken, never clipped, with the noise floor under it."""
    level = np.sqrt(np.mean(clip.samples[clip.spoken()] ** 2)) + 1e-9
    peak = np.abs(clip.samples).max() + 1e-9
    speech = clip.samples * min(10 ** (delivery.level / 20) / level, 0.9 / peak)
    if delivery.floor == -np.inf:
        return speech
    noise = pink(random, len(speech), clip.rate) * 10 ** (delivery.floor / 20)
    return (speech + noise).astype(np.float32)
