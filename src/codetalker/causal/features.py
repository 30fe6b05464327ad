"""Training streams: clips of one speaker in a row, with pauses, heard through one encoder window at
a time exactly as at run time.

In the flow **speech -> features** -> codes -> motion, before training. Features are computed once
per pass over the corpus, each pass with freshly drawn voices and channels, and kept on disk: what
is in memory does not grow with the hours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from codetalker.arkit import UPPER_FACE_CHANNELS
from codetalker.arrays import map_npy
from codetalker.audio import SAMPLE_RATE
from codetalker.causal.articulation import NOTHING
from codetalker.causal.loudness import Loudness
from codetalker.causal.whisper import WhisperEncoder
from codetalker.data.clip import Clip
from codetalker.disk import new_folder
from codetalker.growing import growing
from codetalker.motion import Motion
from codetalker.windows import SpeechWindows


@dataclass(frozen=True)
class Stream:
    """Speech with its motion.

    Attributes:
        samples: (N,) float32 at 16 kHz.
        weights: (T, K) float32 at `fps` of the windows; frame i is at i / fps seconds.
        mask: (T, K) bool, false where the motion is not known.
        style: the speaker.
        targets: (T, columns) float32 that phones ask for; see `codetalker.causal.articulation`.
    """

    samples: NDArray[np.float32]
    weights: NDArray[np.float32]
    mask: NDArray[np.bool_]
    style: str
    targets: NDArray[np.float32]


_GROWING = ("features", "weights", "mask", "targets")


@dataclass(frozen=True)
class FeatureSet:
    """One pass over the corpus, memory-mapped.

    Attributes:
        features: (W, kept, D) float16, one row per window.
        weights, mask: (W * frames_per_hop, K) float32, bool.
        targets: (W * frames_per_hop, columns) float32, what phones ask for.
        starts: (S + 1,) int64, the window at which each stream starts, and the end.
        styles: S style indices, int64.
    """

    features: NDArray[np.float16]
    weights: NDArray[np.float32]
    mask: NDArray[np.bool_]
    targets: NDArray[np.float32]
    starts: NDArray[np.int64]
    styles: NDArray[np.int64]

    @staticmethod
    def load(folder: Path) -> FeatureSet:
        """Map what `feature_set` wrote."""
        names = FeatureSet.__dataclass_fields__
        return FeatureSet(**{n: map_npy(folder / f"{n}.npy") for n in names})


def extract(
    encoder: WhisperEncoder,
    windows: SpeechWindows,
    samples: NDArray[np.float32],
    batch: int = 64,
    loudness: Loudness | None = None,
) -> NDArray[np.float16]:
    """(N,) samples -> (count, kept, D) float16 features of every window, heard at its gain."""
    cut, device = windows.cut(samples), encoder.positions.device
    if loudness:
        lead, hop = windows.lead, windows.hop_samples
        cut = np.stack(list(loudness.levelled(cut, lead, hop, np.zeros(2))))
    chunks = []
    with torch.inference_mode():
        for i in range(0, len(cut), batch):
            part = torch.from_numpy(cut[i : i + batch].copy()).to(device)
            chunks.append(encoder(part, windows.kept, windows.unheard).half().cpu().numpy())
    return np.concatenate(chunks)


def feature_set(
    folder: Path,
    streams: Iterable[Stream],
    encoder: WhisperEncoder,
    windows: SpeechWindows,
    styles: tuple[str, ...],
    random: np.random.Generator,
    *,
    loudness: Loudness | None = None,
    progress: Callable[[float], None] = lambda seconds: None,
) -> FeatureSet:
    """One pass over the streams, of which one at a time is in memory.

    Args:
        folder: for an `.npy` file per array; it appears only when it is whole.
        random: which streams lend eyes and brows to those that have none.
        progress: gets the seconds of audio done.

    Raises:
        OutputError: the folder cannot be written.
    """
    lengths, names = [0], []
    with new_folder(folder) as partial:
        with growing(partial, *_GROWING) as (features, weights, masks, targets):
            for stream in streams:
                heard = extract(encoder, windows, stream.samples, loudness=loudness)
                frames = len(heard) * windows.frames_per_hop
                extra = ((0, frames - len(stream.weights)), (0, 0))
                features.append(heard)
                weights.append(np.pad(stream.weights, extra))
                masks.append(np.pad(stream.mask, extra))
                targets.append(np.pad(stream.targets, extra, constant_values=NOTHING))
                lengths.append(len(heard))
                names.append(styles.index(stream.style))
                progress(len(stream.samples) / SAMPLE_RATE)
        np.save(partial / "starts.npy", np.cumsum(lengths))
        np.save(partial / "styles.npy", np.array(names))
        borrow_upper_face(partial, windows.frames_per_hop, random)
    return FeatureSet.load(folder)


def borrow_upper_face(folder: Path, frames_per_hop: int, random: np.random.Generator) -> None:
    """Give streams of a set whose eyes and brows are not known those of others, in its files.

    Speech hardly determines them; without any, such a style would learn nothing of them and blink
    at random.
    """
    starts = np.load(folder / "starts.npy") * frames_per_hop
    weights, mask = (np.load(folder / f"{n}.npy", mmap_mode="r+") for n in ("weights", "mask"))
    upper = list(UPPER_FACE_CHANNELS)
    spans = [slice(a, b) for a, b in pairwise(starts)]
    known = [mask[span][:, upper].any() for span in spans]
    if not any(known) or all(known):
        return
    lent = [np.arange(s.start, s.stop) for s, there in zip(spans, known, strict=True) if there]
    own = np.concatenate(lent)
    for span in (span for span, there in zip(spans, known, strict=True) if not there):
        rows = own[(random.integers(len(own)) + np.arange(span.stop - span.start)) % len(own)]
        for array in (weights, mask):
            array[span, upper] = array[rows[:, None], upper]


def at_rate(clip: Clip, fps: int) -> NDArray[np.float32]:
    """The clip's (T, K) weights at `fps`."""
    if clip.fps == fps:
        return clip.weights
    names = tuple(map(str, range(clip.weights.shape[1])))
    return Motion(clip.weights, names, clip.fps).resample(fps).weights
