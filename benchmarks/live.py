"""What a live stream costs: one table, on one core.

    python benchmarks/live.py [MODEL] [--rate 48000] [--hour 3600]

Sound is fed in chunks of 20 ms, as a microphone gives it, as fast as it is taken. The frames of a
hop come at once, so that a hop's computing is that of the chunk that completes it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

import codetalker
from codetalker.progress import ProgressBar

EXAMPLE = Path(__file__).parents[1] / "examples" / "sense_and_sensibility.flac"
CHUNK = 0.02
IMPORT = "import codetalker"
COLD = """
import codetalker, numpy, sys
model, rate = sys.argv[1] or None, int(sys.argv[2])
live = codetalker.load(model).stream(rate)
assert len(live.feed(numpy.zeros(rate // 2, 'f4')))
"""


@dataclass
class Run:
    """A stream, measured.

    Attributes:
        wall: seconds of the clock in all.
        hops: (N, 2) seconds of each hop, by the clock and of the processor.
        lateness: (T,) seconds of sound after a frame's moment until it is there.
        memory: bytes that the process has after each minute of sound, the start among them.
    """

    wall: float
    hops: np.ndarray
    lateness: np.ndarray
    memory: np.ndarray


def main(
    model: Annotated[str | None, tyro.conf.Positional] = None,
    rate: int = 48000,
    hour: float = 3600,
    core: int = 0,
) -> None:
    """Print the table.

    Args:
        model: folder or name; the bundled model by default.
        rate: of the microphone, Hz.
        hour: seconds of the longest stream.
        core: which one to run on.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    loading = _process(IMPORT), _process(COLD, model or "", rate)
    talker = codetalker.load(model)
    talker.animate(EXAMPLE)  # a first run, thrown away: what follows is warm
    with ProgressBar("streaming", counts=True) as bar:
        # The longest first: what others have left would be in its memory.
        longest, minute, short = (_run(talker, rate, seconds, bar) for seconds in (hour, 60, 5))
    runs = short, minute, longest
    wall, cpu = 1e3 * longest.hops.T
    table = Table("live stream, one core", "")
    table.add_row(
        "real-time factor, " + ", ".join(f"{s:g} s" for s in (5, 60, hour)),
        ", ".join(f"{r.wall / s:.3f}" for r, s in zip(runs, (5, 60, hour), strict=True)),
    )
    live = talker.stream(rate)
    table.add_row("declared latency", f"{1e3 * live.latency:.0f} ms")
    table.add_row(
        "  kept, in chunks of 20 ms: sound after a frame's moment",
        f"{1e3 * max(longest.lateness):.0f} ms",
    )
    table.add_row("time to first frame", f"{1e3 * (live.latency + short.hops[0, 0]):.0f} ms")
    hop = round(1e3 * 2 / talker.fps)
    for what, times in (("by the clock", wall), ("of the processor", cpu)):
        figures = f"{np.median(times):.1f} ms, {np.percentile(times, 99):.1f} ms"
        table.add_row(f"per {hop} ms hop {what}: median, 99 %", figures)
    table.add_row("streams per core, by the mean", f"{1 / (minute.wall / 60):.0f}")
    table.add_row("memory: slope after the first minute", _slope(longest.memory))
    table.add_row("memory of its own", f"{longest.memory[-1] / 2**20:.0f} MB")
    table.add_row("import codetalker", f"{1e3 * loading[0]:.0f} ms")
    table.add_row("cold start to the first frame", f"{loading[1]:.2f} s")
    Console(width=100).print(table)


def _run(talker: codetalker.StreamingTalker, rate: int, seconds: float, bar: ProgressBar) -> Run:
    live, step = talker.stream(rate), round(CHUNK * rate)
    chunks, frames = round(seconds / CHUNK), round(seconds * talker.fps)
    # Written once already, so that what is measured does not grow the process.
    costs, lateness = np.full((chunks, 2), np.nan), np.full(frames, np.nan)
    memory, began = [], time.perf_counter()
    for i, chunk in zip(range(chunks), _voice(rate, step), strict=False):
        if i * CHUNK % 60 == 0:
            memory.append(_memory())
            bar.update(i * CHUNK, seconds)
        wall, cpu = time.perf_counter(), time.process_time()
        motion = live.feed(chunk)
        if len(motion):
            costs[i] = time.perf_counter() - wall, time.process_time() - cpu
            first = round(motion.start * talker.fps)
            moments = motion.start + np.arange(len(motion)) / talker.fps
            lateness[first : first + len(motion)] = (i + 1) * CHUNK - moments
    wall = time.perf_counter() - began
    memory.append(_memory())
    hops = costs[~np.isnan(costs[:, 0])]
    return Run(wall, hops, lateness[~np.isnan(lateness)], np.array(memory))


def _voice(rate: int, step: int) -> Iterator[np.ndarray]:
    sound = codetalker.Waveform.load(EXAMPLE).resampled(rate).samples
    yield from cycle(np.split(sound[: len(sound) // step * step], len(sound) // step))


def _memory() -> int:
    """Bytes of its own that the process has in memory; 0 where nobody tells."""
    told = Path("/proc/self/statm")
    if not told.exists():
        return 0
    _, resident, shared, *_ = map(int, told.read_text().split())
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")


def _slope(memory: np.ndarray) -> str:
    after = memory[1:] / 2**10
    if len(after) < 3:
        return "-"
    slope = np.polyfit(np.arange(len(after)), after, 1)[0]
    return f"{slope:+.1f} kB a minute; least and most {np.ptp(after):.0f} kB apart"


def _process(code: str, *arguments: object) -> float:
    """Seconds of the fastest of three processes."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code, *map(str, arguments)], check=True)
        times.append(time.perf_counter() - began)
    return min(times)


if __name__ == "__main__":
    tyro.cli(main)
