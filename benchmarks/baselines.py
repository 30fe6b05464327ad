"""Scores the baselines on a corpus: the static face and ridge regression.

    python benchmarks/baselines.py --corpus ../shared/corpus --whisper model.bin

The ridge is fitted on the speaker's training clips, from the same speech features in the same
windows as the talker has; `model.bin` is the Whisper encoder that training takes as well.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from codetalker.causal.features import extract
from codetalker.causal.whisper import WhisperConfig, load_whisper
from codetalker.data.clip import Clip, select
from codetalker.data.corpus import read_corpus
from codetalker.evaluation.baselines import Ridge, motion_taps, static
from codetalker.evaluation.metrics import RigMetrics
from codetalker.evaluation.report import Report, Row
from codetalker.rig import bundled_head
from codetalker.windows import SpeechWindows


def main(
    corpus: Path,
    whisper: Path,
    speaker: str = "s1",
    split: str = "val",
    threads: int = 1,
) -> None:
    """Print the table."""
    torch.set_num_threads(threads)
    encoder, windows = load_whisper(whisper, WhisperConfig()), SpeechWindows()
    clips = read_corpus(corpus)
    train, held_out = select(clips, "train", speaker), select(clips, split, speaker)

    def features(clip: Clip) -> NDArray[np.float32]:
        taps = motion_taps(extract(encoder, windows, clip.waveform().samples), windows)
        return taps[: len(clip.weights)]

    pairs = [
        (features(clip).astype(np.float16), clip.weights)
        for clip in track(train, "features", console=Console(stderr=True))
    ]
    ridge = Ridge.fit(lambda: pairs)
    rows = []
    for name, predict in {
        "static": lambda clip: static(len(clip.weights)),
        "ridge": lambda clip: ridge.predict(features(clip)),
    }.items():
        metrics = RigMetrics(bundled_head())
        for clip in held_out:
            metrics.add(clip.name, predict(clip), clip.weights, clip.fps, clip.silence())
        rows.append(Row(speaker, name, metrics.result()))
    Report("baselines", str(corpus), split, tuple(rows)).show(Console())


if __name__ == "__main__":
    tyro.cli(main)
