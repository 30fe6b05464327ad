"""Continuous streams from short clips: trimmed to their speech, joined, with other sounds between.

In the flow **speech** -> features -> codes -> motion, before training. A corpus of isolated
sentences teaches that speech begins after half a second of silence with lips that open from shut;
what users bring does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from codetalker.arkit import MOUTH_CHANNELS, UPPER_FACE_CHANNELS
from codetalker.audio import SAMPLE_RATE
from codetalker.causal.articulation import REST, SETTLED, targets_of
from codetalker.causal.augment import Augmentation, stretch
from codetalker.causal.features import Stream, at_rate
from codetalker.data.clip import ANTICIPATE_S, Clip
from codetalker.data.noise import SOUNDS, babble
from codetalker.data.phones import PhoneClip

STREAM_SECONDS = 90.0
"""Long enough for pauses of every length and for a level that lasts."""
MARGIN = (0.08, 0.24)
"""Seconds kept before the first word and after the last."""

SOUND_LEVELS = {
    "white": (-75.0, -25.0),
    "pink": (-75.0, -20.0),
    "brown": (-75.0, -20.0),
    "hum": (-70.0, -25.0),
    "room": (-75.0, -30.0),
    "tones": (-50.0, -15.0),
    "clicks": (-60.0, -20.0),
    "music": (-45.0, -15.0),
    "babble": (-60.0, -35.0),
    "silence": (0.0, 0.0),
}
"""dB of full scale between which each kind of sound is drawn, against speech at about -20."""
SOUND_SHARES = (0.1, 0.12, 0.1, 0.06, 0.12, 0.08, 0.08, 0.14, 0.05, 0.15)


@dataclass(frozen=True)
class Piece:
    """A whole number of frames of sound with motion, its mask and its articulatory targets."""

    samples: NDArray[np.float32]
    weights: NDArray[np.float32]
    mask: NDArray[np.bool_]
    targets: NDArray[np.float32]


def joined_streams(
    clips: Sequence[Clip],
    random: np.random.Generator,
    fps: int,
    *,
    augment: bool,
    phones: Mapping[str, PhoneClip] = MappingProxyType({}),
) -> Iterator[Stream]:
    """Shuffle each speaker's clips, trim and join them to streams of about 90 s.

    Args:
        phones: those of the clips by their names, where they are known.
    """
    voices = [c.waveform().samples for c in list(clips)[:: max(1, len(clips) // 12)]]
    for style in sorted({clip.speaker for clip in clips}):
        own = [clip for clip in clips if clip.speaker == style]
        order = random.permutation(len(own))
        made = (
            _clip_piece(own[i], phones.get(own[i].name), random, fps, augment=augment)
            for i in order
        )
        for piece in _joined(made, random, fps, voices):
            yield Stream(piece.samples, piece.weights, piece.mask, style, piece.targets)


def phone_streams(
    clips: Sequence[PhoneClip],
    random: np.random.Generator,
    fps: int,
    channels: int,
    style: str,
    *,
    augment: bool,
) -> Iterator[Stream]:
    """The same from phone-timed speech: no motion is known, only what its phones ask for."""
    voices = [c.waveform().samples for c in list(clips)[:: max(1, len(clips) // 12)]]
    order = random.permutation(len(clips))
    made = (_phone_piece(clips[i], random, fps, channels, augment=augment) for i in order)
    for piece in _joined(made, random, fps, voices):
        yield Stream(piece.samples, piece.weights, piece.mask, style, piece.targets)


def _clip_piece(
    clip: Clip, phones: PhoneClip | None, random: np.random.Generator, fps: int, *, augment: bool
) -> Piece:
    voice = Augmentation.draw(random) if augment else Augmentation()
    weights, samples = at_rate(clip, fps), clip.waveform().samples
    hop, first = SAMPLE_RATE // fps, 0
    if clip.speech:
        start, end = clip.speech
        first = max(0, int((start - random.uniform(*MARGIN)) * fps))
        last = min(len(weights), int((end + random.uniform(*MARGIN)) * fps) + 1)
        weights, samples = weights[first:last], samples[first * hop : last * hop]
    weights = stretch(weights, voice.speed)
    mask = np.ones(weights.shape, np.bool_)
    upper = list(UPPER_FACE_CHANNELS)
    if not weights[:, upper].any():  # what a capture never moves is not known
        mask[:, upper] = False
    samples = _fitted(voice.apply(samples, random), len(weights) * hop)
    if phones is not None:
        phones = _moved(phones, first / fps, voice.speed)
    return Piece(samples, weights, mask, targets_of(phones, len(weights), fps))


def _phone_piece(
    clip: PhoneClip, random: np.random.Generator, fps: int, channels: int, *, augment: bool
) -> Piece:
    voice = Augmentation.draw(random) if augment else Augmentation()
    hop = SAMPLE_RATE // fps
    samples = voice.apply(clip.waveform().samples, random)
    frames = len(samples) // hop
    unknown = np.zeros((frames, channels))
    return Piece(
        _fitted(samples, frames * hop),
        unknown.astype(np.float32),
        unknown.astype(np.bool_),
        targets_of(_moved(clip, 0.0, voice.speed), frames, fps),
    )


def _moved(clip: PhoneClip, start: float, speed: float) -> PhoneClip:
    """Its phones as they are in a piece that begins at `start` seconds and is that much faster."""
    return replace(clip, starts=(clip.starts - start) / speed, ends=(clip.ends - start) / speed)


def _joined(
    pieces: Iterator[Piece],
    random: np.random.Generator,
    fps: int,
    voices: Sequence[NDArray[np.float32]],
) -> Iterator[Piece]:
    """Streams of about 90 s, each at its own level."""
    parts: list[Piece] = []
    for piece in pieces:
        if not parts or random.random() < 0.3:
            settle = round(SETTLED * fps) if parts else 0
            parts.append(_pause(random, fps, piece, voices, settle))
        parts.append(piece)
        if sum(len(part.weights) for part in parts) > STREAM_SECONDS * fps:
            yield _join(parts, random, fps)
            parts = []
    if parts:
        yield _join(parts, random, fps)


def _pause(
    random: np.random.Generator,
    fps: int,
    like: Piece,
    voices: Sequence[NDArray[np.float32]],
    settle: int,
) -> Piece:
    """A mouth at rest in some other sound, after the first `settle` frames: mostly short, sometimes
    up to 4 s."""
    low, high = [(0.24, 0.6), (0.6, 1.5), (1.5, 4.0)][random.choice(3, p=[0.45, 0.35, 0.2])]
    frames = int(random.uniform(low, high) * fps)
    samples = _other_sound(random, frames * SAMPLE_RATE // fps, voices)
    known = np.zeros((frames, like.weights.shape[1]), np.bool_)
    known[:, list(MOUTH_CHANNELS)] = True
    targets = targets_of(None, frames, fps)
    targets[settle : max(frames - round(ANTICIPATE_S * fps), settle), REST] = 1
    return Piece(samples, np.zeros(known.shape, np.float32), known, targets)


def _other_sound(
    random: np.random.Generator, count: int, voices: Sequence[NDArray[np.float32]]
) -> NDArray[np.float32]:
    """(count,) samples that are not speech at a drawn level, with hard edges or soft ones."""
    kind = list(SOUND_LEVELS)[random.choice(len(SOUND_SHARES), p=SOUND_SHARES)]
    if kind == "silence":
        return np.zeros(count, np.float32)
    if kind == "babble":
        sound = babble(random, count, SAMPLE_RATE, voices)
    else:
        sound = SOUNDS[kind](random, count, SAMPLE_RATE)
    edge = random.choice([1.0, random.uniform(0.01, 0.2) * SAMPLE_RATE])
    place = np.arange(count)
    fade = np.clip(np.minimum(place, count - 1 - place) / edge, 0, 1)
    return (sound * fade * 10 ** (random.uniform(*SOUND_LEVELS[kind]) / 20)).astype(np.float32)


def _join(parts: list[Piece], random: np.random.Generator, fps: int) -> Piece:
    """Concatenate; a mouth comes to rest after speech and gets ready before it."""
    mouth = list(MOUTH_CHANNELS)
    for before, after in pairwise(parts):
        if before.mask.any() and not after.weights.any():
            _ease(after, before.weights[-1, mouth], mouth, round(SETTLED * fps))
        elif not before.weights.any() and after.mask.any():
            _ease(before, after.weights[0, mouth], mouth, -round(ANTICIPATE_S * fps))
    parts = _levelled(parts, random)
    fields = [[getattr(part, name) for part in parts] for name in Piece.__dataclass_fields__]
    return Piece(*(np.concatenate(field) for field in fields))


def _ease(pause: Piece, pose: NDArray, mouth: list[int], frames: int) -> None:
    """Let the pause begin in a pose that is not rest, or end in one where `frames` is negative;
    rest is so many frames away."""
    forward = frames > 0
    length = min(abs(frames), len(pause.weights) // 2)
    decay = (1 - np.arange(1, length + 1) / (length + 1)).astype(np.float32)[:, None] ** 2
    rows = slice(0, length) if forward else slice(len(pause.weights) - length, None)
    curve = pose * (decay if forward else decay[::-1])
    pause.weights[rows, mouth] = np.maximum(pause.weights[rows, mouth], curve)


def _levelled(parts: list[Piece], random: np.random.Generator) -> list[Piece]:
    """The stream at a drawn level: speech as it is, 10 dB louder or up to 45 dB quieter."""
    gain = 10 ** (random.choice([random.uniform(-15, 5), random.uniform(-45, 10)]) / 20)
    return [replace(p, samples=np.clip(p.samples * gain, -1, 1).astype(np.float32)) for p in parts]


def _fitted(samples: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    return np.pad(samples, (0, max(0, count - len(samples))))[:count]
