"""How fast a batch goes with one worker and with several, and what memory many recordings take.

    python benchmarks/batch.py [--ray] [--clips 100] [--many 10000]

Each run is `codetalker batch` in a process of its own. Rates are between the first and the last
recording, without the start. Machines are shared: the sides take turns, and the load is printed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table

from animate import EXAMPLE, write_speech
from codetalker.batch.ledger import Ledger
from codetalker.batch.location import Location

SHORT = 4800
"""Samples of a short recording at 16 kHz."""


@dataclass
class Run:
    """A batch, measured.

    Attributes:
        wall: seconds of the whole command.
        rate: recordings per second between the first and the last.
        worked: seconds that recordings took, each, by their worker's clock.
        memory: (MB of the driver, MB of its processes together), every second.
    """

    wall: float
    rate: float
    worked: float
    memory: list[tuple[float, float]] = field(default_factory=list)


def main(
    clips: int = 100,
    many: int = 0,
    ray: bool = False,
    workers: int = 2,
    turns: int = 2,
    model: str = "studio",
) -> None:
    """Print the tables.

    Args:
        clips: recordings of 6 s in each run.
        many: recordings of 0.3 s over which memory is watched; none for 0.
        ray: the several workers are also those of a local Ray.
        workers: how many several are.
        turns: how often each side runs; the best counts.
        model: folder or name.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if clips:
            _throughput(folder, clips, workers, ray, turns, model)
        if many:
            _memory(folder, many, workers, model)
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def _throughput(folder: Path, clips: int, workers: int, ray: bool, turns: int, model: str) -> None:
    sounds = folder / "clips"
    sounds.mkdir()
    for i in range(clips):
        shutil.copy(EXAMPLE, sounds / f"{i:04}.flac")
    sides = {"1 worker": ["--workers", "1"], f"{workers} workers": ["--workers", str(workers)]}
    if ray:
        sides |= {f"{workers} on Ray": ["--workers", str(workers), "--ray", "local"]}
    runs: dict[str, list[Run]] = {side: [] for side in sides}
    for _ in range(turns):
        for side, options in sides.items():
            runs[side].append(_run(sounds, folder / "out", [*options, "--model", model]))
    table = Table(f"{clips} recordings of 6 s", "command, s", "clips/s", "s each", "speed-up")
    best = {side: max(own, key=lambda run: run.rate) for side, own in runs.items()}
    for side, run in best.items():
        factor = run.rate / best["1 worker"].rate
        cells = (f"{run.wall:.1f}", f"{run.rate:.2f}", f"{run.worked:.3f}", f"{factor:.2f}")
        table.add_row(side, *cells)
    Console(width=100).print(table)


def _memory(folder: Path, many: int, workers: int, model: str) -> None:
    sounds = folder / "many"
    sounds.mkdir()
    write_speech(folder / "speech.wav", 1)
    header, samples = 44, (folder / "speech.wav").read_bytes()
    for i in range(many):
        short = bytearray(samples[: header + 2 * SHORT])
        short[40:44], short[4:8] = (
            (2 * SHORT).to_bytes(4, "little"),
            (36 + 2 * SHORT).to_bytes(4, "little"),
        )
        (sounds / f"{i:05}.wav").write_bytes(short)
    run = _run(sounds, folder / "out", ["--workers", str(workers), "--model", model])
    table = Table(f"memory over {many} recordings of 0.3 s", "driver, MB", f"{workers} workers, MB")
    for share in (0.1, 0.25, 0.5, 0.75, 0.98):
        driver, others = run.memory[int(share * len(run.memory))]
        table.add_row(f"at {share:.0%} of the time", f"{driver:.0f}", f"{others:.0f}")
    Console(width=100).print(table)
    print(f"{run.rate:.1f} recordings/s")


def _run(sounds: Path, out: Path, options: list[str]) -> Run:
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "codetalker", "batch", str(sounds), "-o", str(out)]
    began, memory = time.perf_counter(), []
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([*command, "--format", "npz", *options], **quiet) as driver:
        while driver.poll() is None:
            children = Path(f"/proc/{driver.pid}/task/{driver.pid}/children").read_text().split()
            memory.append((_resident(driver.pid), sum(map(_resident, map(int, children)))))
            time.sleep(1)
    wall = time.perf_counter() - began
    assert driver.returncode == 0, driver.returncode
    rows = Ledger(Location.of(str(out))).rows().to_pylist()
    ended = sorted(row["ended"] for row in rows)
    rate = (len(rows) - 1) / (ended[-1] - ended[0]).total_seconds()
    return Run(wall, rate, sum(row["took"] for row in rows) / len(rows), memory)


def _resident(pid: int) -> float:
    """MB; 0 of a process that has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    tyro.cli(main)
