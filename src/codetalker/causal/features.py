"""Training streams: clips of one speaker in a row, with pauses, heard through one encoder window at
a time exactly as at run time.

In the flow **speech -> features** -> codes -> motion, before training. Features are computed once
per pass over the corpus, each pass with freshly drawn voices and channels, and kept on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from codetalker.audio import SAMPLE_RATE
from codetalker.causal.augment import Augmentation, stretch
from codetalker.causal.codec import MOUTH, UPPER
from codetalker.causal.whisper import WhisperEncoder
from codetalker.data.clip import Clip
from codetalker.disk import new_folder
from codetalker.motion import Motion
from codetalker.windows import SpeechWindows

SETTLE = 6
"""Motion frames in which a mouth comes to rest after the last frame of a clip (240 ms)."""
STREAM_SECONDS = 90.0


@dataclass(frozen=True)
class Stream:
    """Speech with its motion.

    Attributes:
        samples: (N,) float32 at 16 kHz.
        weights: (T, K) float32 at `fps` of the windows; frame i is at i / fps seconds.
        mask: (T, K) bool, false where the motion is not known.
        style: the speaker.
    """

    samples: NDArray[np.float32]
    weights: NDArray[np.float32]
    mask: NDArray[np.bool_]
    style: str


@dataclass(frozen=True)
class FeatureSet:
    """One pass over the corpus, memory-mapped.

    Attributes:
        features: (W, kept, D) float16, one row per window.
        weights, mask: (W * frames_per_hop, K) float32, bool.
        starts: (S + 1,) int64, the window at which each stream starts, and the end.
        styles: S style indices, int64.
    """

    features: NDArray[np.float16]
    weights: NDArray[np.float32]
    mask: NDArray[np.bool_]
    starts: NDArray[np.int64]
    styles: NDArray[np.int64]

    def save(self, folder: Path) -> None:
        """Write one `.npy` per array; the folder appears only when it is whole."""
        with new_folder(folder) as partial:
            for name, array in vars(self).items():
                np.save(partial / f"{name}.npy", array)

    @staticmethod
    def load(folder: Path) -> FeatureSet:
        """Map what `save` wrote."""
        names = FeatureSet.__dataclass_fields__
        return FeatureSet(**{n: np.load(folder / f"{n}.npy", mmap_mode="r") for n in names})


def streams(
    clips: list[Clip], random: np.random.Generator, fps: int, *, augment: bool
) -> Iterator[Stream]:
    """Shuffle each speaker's clips and join them to streams of about 90 s."""
    for style in sorted({clip.speaker for clip in clips}):
        own = [clip for clip in clips if clip.speaker == style]
        parts: list[tuple[NDArray, NDArray, NDArray]] = []
        for index in random.permutation(len(own)):
            parts.append(_part(own[index], random, fps, augment=augment))
            if sum(len(weights) for _, weights, _ in parts) > STREAM_SECONDS * fps:
                yield _join(parts, style)
                parts = []
        if parts:
            yield _join(parts, style)


def extract(
    encoder: WhisperEncoder, windows: SpeechWindows, samples: NDArray[np.float32], batch: int = 64
) -> NDArray[np.float16]:
    """(N,) samples -> (count, kept, D) float16 features of every window."""
    cut, device = windows.cut(samples), encoder.positions.device
    chunks = []
    with torch.inference_mode():
        for i in range(0, len(cut), batch):
            heard = encoder(torch.from_numpy(cut[i : i + batch].copy()).to(device), windows.kept)
            chunks.append(heard.half().cpu().numpy())
    return np.concatenate(chunks)


def feature_set(
    clips: list[Clip],
    encoder: WhisperEncoder,
    windows: SpeechWindows,
    styles: tuple[str, ...],
    seed: int,
    *,
    augment: bool,
    progress: Callable[[float], None] = lambda seconds: None,
) -> FeatureSet:
    """One pass over the clips; `progress` gets the seconds of audio done."""
    random = np.random.default_rng(seed)
    features, weights, masks, lengths, names = [], [], [], [0], []
    for stream in streams(clips, random, windows.fps, augment=augment):
        features.append(extract(encoder, windows, stream.samples))
        frames = len(features[-1]) * windows.frames_per_hop
        extra = ((0, frames - len(stream.weights)), (0, 0))
        weights.append(np.pad(stream.weights, extra))
        masks.append(np.pad(stream.mask, extra))
        lengths.append(len(features[-1]))
        names.append(styles.index(stream.style))
        progress(len(stream.samples) / SAMPLE_RATE)
    data = FeatureSet(
        np.concatenate(features),
        np.concatenate(weights),
        np.concatenate(masks),
        np.cumsum(lengths),
        np.array(names),
    )
    borrow_upper_face(data, windows.frames_per_hop, np.random.default_rng((seed, 1)))
    return data


def borrow_upper_face(data: FeatureSet, frames_per_hop: int, random: np.random.Generator) -> None:
    """Give streams whose eyes and brows are not known those of others, in place.

    Speech hardly determines them; without any, such a style would learn nothing of them and blink
    at random.
    """
    upper = list(UPPER.channels)
    bounds = data.starts * frames_per_hop
    spans = [slice(a, b) for a, b in pairwise(bounds)]
    known = [data.mask[span][:, upper].any() for span in spans]
    if not any(known) or all(known):
        return
    own = [span for span, there in zip(spans, known, strict=True) if there]
    weights = np.concatenate([data.weights[span][:, upper] for span in own])
    mask = np.concatenate([data.mask[span][:, upper] for span in own])
    for span in (span for span, there in zip(spans, known, strict=True) if not there):
        rows = (random.integers(len(weights)) + np.arange(span.stop - span.start)) % len(weights)
        data.weights[span, upper] = weights[rows]
        data.mask[span, upper] = mask[rows]


def at_rate(clip: Clip, fps: int) -> NDArray[np.float32]:
    """The clip's (T, K) weights at `fps`."""
    if clip.fps == fps:
        return clip.weights
    names = tuple(map(str, range(clip.weights.shape[1])))
    return Motion(clip.weights, names, clip.fps).resample(fps).weights


def _part(
    clip: Clip, random: np.random.Generator, fps: int, *, augment: bool
) -> tuple[NDArray, NDArray, NDArray]:
    """One clip and a pause: samples, weights, mask; a whole number of frames."""
    voice = Augmentation.draw(random) if augment else Augmentation()
    weights = stretch(at_rate(clip, fps), voice.speed)
    hop = SAMPLE_RATE // fps
    pause = _pause(random)
    samples = np.pad(clip.waveform().samples, (0, round(pause * hop * voice.speed)))
    samples = voice.apply(samples, random)
    total = len(weights) + pause
    samples = np.pad(samples, (0, max(0, total * hop - len(samples))))[: total * hop]
    decay = np.clip(1 - np.arange(1, pause + 1) / SETTLE, 0, 1)[:, None] ** 2
    mask = np.ones((total, weights.shape[1]), np.bool_)
    upper = list(UPPER.channels)
    if not weights[:, upper].any():  # what a capture never moves is not known
        mask[:, upper] = False
    mask[len(weights) :, upper] = False
    rest = (weights[-1] * decay).astype(np.float32)
    return samples, np.concatenate([weights, rest]), mask


def _pause(random: np.random.Generator) -> int:
    """Frames of silence after a clip: mostly short, sometimes up to 3 s."""
    low, high = [(6, 12), (12, 40), (40, 75)][random.choice(3, p=[0.6, 0.3, 0.1])]
    return int(random.integers(low, high))


def _join(parts: list[tuple[NDArray, NDArray, NDArray]], style: str) -> Stream:
    """Concatenate; the mouth opens over the last frames of a pause into the next clip's pose."""
    mouth = list(MOUTH.channels)
    for (_, weights, _), (_, following, _) in pairwise(parts):
        rise = (np.arange(1, 4) / 4)[:, None].astype(np.float32) ** 2
        weights[-3:, mouth] = np.maximum(weights[-3:, mouth], following[0, mouth] * rise)
    samples, weights, mask = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Stream(samples, weights, mask, style)
