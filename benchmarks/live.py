"""How long a live stream computes and how late its frames are.

    python benchmarks/live.py [MODEL] [--rate 48000]

Sound is fed in chunks of 10 ms, as a microphone gives it; the frames of a hop come at once, so a
hop's computing is that of the chunk that completes it.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

import codetalker

EXAMPLE = Path(__file__).parents[1] / "examples" / "sense_and_sensibility.flac"


def main(
    model: Annotated[str | None, tyro.conf.Positional] = None,
    rate: int = 48000,
    seconds: float = 30,
) -> None:
    """Print the table.

    Args:
        model: folder or name; the bundled model by default.
        rate: of the microphone, Hz.
        seconds: how much sound is fed.
    """
    talker = codetalker.load(model)
    sound = codetalker.Waveform.load(EXAMPLE).resampled(rate).samples
    sound = np.resize(sound, round(seconds * rate))
    live, chunk = talker.stream(rate), rate // 100
    hops, idle, late, frames = [], [], [], 0
    for start in range(0, len(sound) - chunk + 1, chunk):
        wall, cpu = time.perf_counter(), time.process_time()
        new = len(live.feed(sound[start : start + chunk]))
        cost = time.perf_counter() - wall, time.process_time() - cpu
        (hops if new else idle).append(cost)
        heard = (start + chunk) / rate
        late += [heard - (frames + i) / talker.fps for i in range(new)]
        frames += new
    table = Table("ms", "median", "95 %", "most")
    for what, costs in (("a hop", hops), ("a chunk between hops", idle)):
        for kind, column in zip(
            ("by the clock", "of the processor"), np.transpose(costs), strict=True
        ):
            _row(table, f"{what}, {kind}", column)
    _row(table, "sound after a frame's moment until it is there", np.array(late))
    Console(width=100).print(table)
    print(f"declared latency {1e3 * talker.latency:.0f} ms at 16 kHz; {frames} frames")


def _row(table: Table, what: str, seconds: np.ndarray) -> None:
    figures = (*np.percentile(seconds, (50, 95)), seconds.max())
    table.add_row(what, *(f"{1e3 * figure:.2f}" for figure in figures))


if __name__ == "__main__":
    tyro.cli(main)
