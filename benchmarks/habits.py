"""What each style of a model does on recordings without truth: lids, and lips after the speech.

    python benchmarks/habits.py RECORDING... [--model MODEL]

`lids` is the share of frames in which they cover more than 30%; `blinks` counts closings beyond
half; `jaw` is the standard deviation of jawOpen; `still mm` is how far the lips are from rest from
300 ms to 2 s after the last sound, with digital silence put behind it: on average and in the worst
recording. All recordings are cut to their first 6 s.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table
from tyro.conf import Positional

import codetalker
from codetalker.audio import SAMPLE_RATE
from codetalker.evaluation.metrics import silence_motion_mm

AUDIBLE = 0.01
"""Level of the last sample that counts as sound; full scale is 1."""


def main(recordings: Positional[tuple[Path, ...]], model: str | None = None) -> None:
    """Print a row per style."""
    talker, rig = codetalker.load(model), codetalker.bundled_head()
    table = Table("style", "lids", "blinks a minute", "jaw", "still mm", "at worst")
    speech = [_spoken(path) for path in recordings]
    for style in talker.styles:
        lids, jaw, still, blinks = [], [], [], 0
        for samples in speech:
            pause = np.zeros(2 * SAMPLE_RATE, np.float32)
            motion = talker.animate(np.concatenate([samples, pause]), rate=SAMPLE_RATE, style=style)
            end = round(len(samples) / SAMPLE_RATE * motion.fps)
            spoken = motion.weights[:end]
            eye = spoken[:, motion.names.index("eyeBlinkLeft")]
            lids.append(eye > 0.3)
            blinks += int(((eye[1:] > 0.5) & (eye[:-1] <= 0.5)).sum())
            jaw.append(spoken[:, motion.names.index("jawOpen")])
            silent = np.arange(len(motion)) >= end + 0.3 * motion.fps
            still.append(silence_motion_mm(rig, motion.weights, silent) or 0.0)
        minutes = sum(map(len, speech)) / SAMPLE_RATE / 60
        row = (np.concatenate(lids).mean(), blinks / minutes, np.concatenate(jaw).std())
        figures = (f"{row[0]:.2f}", f"{row[1]:.0f}", f"{row[2]:.3f}")
        table.add_row(style, *figures, f"{np.mean(still):.2f}", f"{max(still):.2f}")
    Console().print(table)


def _spoken(path: Path) -> np.ndarray:
    """Up to 6 s of a recording, until its last audible sample."""
    samples = codetalker.Waveform.load(path).samples[: 6 * SAMPLE_RATE]
    return samples[: np.flatnonzero(np.abs(samples) > AUDIBLE)[-1] + 1]


if __name__ == "__main__":
    tyro.cli(main)
