"""How fast a model animates whole recordings, from the command line and in a running program.

    python benchmarks/animate.py [MODEL] [--hour]

Wall and processor time are both given, because machines are shared: the best of several runs. The
real-time factor is time over the duration of the sound; the split is of processor time.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import codetalker
from codetalker.audio import SAMPLE_RATE
from codetalker.causal.runtime import CausalTalker

EXAMPLE = Path(__file__).parents[1] / "examples" / "sense_and_sensibility.flac"


@dataclass(frozen=True)
class Cost:
    """Seconds by the clock and of the processor."""

    wall: float
    cpu: float


def best_of(runs: int, work: Callable[[], object], child: bool = False) -> Cost:
    """The least wall and the least processor time of several runs; `child`: of a subprocess."""
    walls, cpus = [], []
    for _ in range(runs):
        wall, cpu = time.perf_counter(), _processor_time(child)
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(_processor_time(child) - cpu)
    return Cost(min(walls), min(cpus))


def _processor_time(child: bool) -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN if child else resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def speech(seconds: float) -> NDArray[np.float32]:
    """The example recording, over and over."""
    sound = codetalker.Waveform.load(EXAMPLE).samples
    return np.resize(sound, round(seconds * SAMPLE_RATE))


def write_speech(path: Path, seconds: int) -> None:
    """A WAV file of the example recording, over and over."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        for start in range(0, seconds, 60):
            part = speech(min(60, seconds - start))
            file.writeframes((part * 32767).astype("<i2").tobytes())


def command(model: str | None, sound: Path, output: Path) -> None:
    """`codetalker animate` in a process of its own."""
    options = ["--model", model] if model else []
    line = [sys.executable, "-m", "codetalker", "animate", str(sound), "-o", str(output)]
    subprocess.run([*line, *options], check=True, stdout=subprocess.DEVNULL)


def parts(talker: CausalTalker, sound: NDArray[np.float32], runs: int) -> tuple[float, float]:
    """Processor seconds for all windows of the speech encoder, and for all frames."""
    cut = talker.bundle.windows.cut(sound)
    heard = np.concatenate([talker.hear(window) for window in cut])

    def all_frames() -> None:
        state = talker.start()
        for row in heard:
            talker.frame(row, state)

    hear = best_of(runs, lambda: [talker.hear(window) for window in cut])
    return hear.cpu, best_of(runs, all_frames).cpu


def main(
    model: Annotated[str | None, tyro.conf.Positional] = None, hour: bool = False, runs: int = 5
) -> None:
    """Print the table.

    Args:
        model: folder or name; the bundled model by default.
        hour: one hour of sound as well, with the memory it takes.
        runs: how often each is measured.
    """
    talker = codetalker.load(model)
    table = Table("what", "wall s", "CPU s", "wall RTF", "CPU RTF", "notes")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_speech(folder / "5.wav", 5)
        work = lambda: command(model, folder / "5.wav", folder / "5.glb")  # noqa: E731
        _row(table, "command, 5 s to GLB", 5, best_of(runs, work, child=True))
        for seconds in (5, 60):
            sound = speech(seconds)
            whole = best_of(runs, lambda sound=sound: talker.animate(sound, rate=SAMPLE_RATE))
            hear, frames = parts(talker, sound, max(1, runs // 2))
            rest = max(0.0, whole.cpu - hear - frames)
            names = {"speech": hear, "frames": frames, "rest": rest}
            split = ", ".join(f"{name} {part / whole.cpu:.0%}" for name, part in names.items())
            _row(table, f"animate, {seconds} s", seconds, whole, split)
        if hour:
            write_speech(folder / "hour.wav", 3600)
            work = lambda: command(model, folder / "hour.wav", folder / "hour.glb")  # noqa: E731
            cost = best_of(1, work, child=True)
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            _row(table, "command, 1 h to GLB", 3600, cost, f"at most {peak:.0f} MB")
    Console(width=100).print(table)


def _row(table: Table, what: str, seconds: float, cost: Cost, notes: str = "") -> None:
    factors = (f"{cost.wall / seconds:.3f}", f"{cost.cpu / seconds:.3f}")
    table.add_row(what, f"{cost.wall:.2f}", f"{cost.cpu:.2f}", *factors, notes)


if __name__ == "__main__":
    tyro.cli(main)
