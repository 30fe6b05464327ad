"""What live streams of the server cost: one table for each number of streams.

    python benchmarks/serve.py [--streams 8 24] [--seconds 60]

`codetalker serve` runs in a process of its own. Streams begin at random moments within a second and
send 20 ms of sound each 20 ms, as microphones do; a frame is late by how much of the clock has gone
by since its moment in the sound, beyond the latency that the stream has declared.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table
from websockets.asyncio.client import connect

from codetalker.audio import Waveform

EXAMPLE = Path(__file__).parents[1] / "examples" / "sense_and_sensibility.flac"
CHUNK = 0.02
ALLOWED = 0.1
"""Seconds beyond the declared latency."""
SETTLED = 10.0
"""Seconds from which on memory should not grow."""


@dataclass
class Run:
    """Some streams, measured.

    Attributes:
        late: (N,) seconds beyond the latency, of every frame of every stream.
        memory: (2,) bytes of the server's own after `SETTLED` seconds and at the end.
        cpu: seconds of the processor that the server took, per second.
        missing: frames that did not come.
    """

    late: np.ndarray
    memory: np.ndarray
    cpu: float
    missing: int


def main(streams: tuple[int, ...] = (8, 24), seconds: float = 60, rate: int = 48000) -> None:
    """Print the table.

    Args:
        streams: how many at once, run after run.
        seconds: that each run takes.
        rate: of the sound, Hz.
    """
    table = Table("real-time WebSocket streams", *map(str, streams))
    runs = [asyncio.run(_run(count, seconds, rate)) for count in streams]
    rows = {
        "frames": lambda r: f"{len(r.late)}, {r.missing} missing",
        "beyond the declared latency: median": lambda r: f"{1e3 * np.median(r.late):.0f} ms",
        "99 %": lambda r: f"{1e3 * np.quantile(r.late, 0.99):.0f} ms",
        "most": lambda r: f"{1e3 * r.late.max():.0f} ms",
        f"later than {1e3 * ALLOWED:.0f} ms": lambda r: f"{int((r.late > ALLOWED).sum())}",
        "cores that the server takes": lambda r: f"{r.cpu:.2f}",
        "memory of its own after 10 s": lambda r: f"{r.memory[0] / 2**20:.1f} MB",
        "at the end": lambda r: f"{r.memory[1] / 2**20:.1f} MB",
    }
    for name, shown in rows.items():
        table.add_row(name, *(shown(run) for run in runs))
    Console(width=100).print(table)
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


async def _run(count: int, seconds: float, rate: int) -> Run:
    sound = Waveform.load(EXAMPLE).resampled(rate).samples
    sound = np.tile(sound, int(seconds * rate / len(sound)) + 2)
    samples = (32767 * np.clip(sound, -1, 1)).astype("<i2")
    random = np.random.default_rng(0)
    with _serving(count) as (url, pid):
        tasks = []
        for _ in range(count):
            first = random.integers(len(samples) - int(seconds * rate))
            own = samples[first : first + int(seconds * rate)].tobytes()
            tasks.append(asyncio.create_task(_stream(url, own, rate, random.uniform(0, 1))))
        await asyncio.sleep(SETTLED)
        before, cpu, began = _memory(pid), _cpu(pid), time.perf_counter()
        await asyncio.sleep(seconds - SETTLED)
        after, took = _memory(pid), time.perf_counter() - began
        cpu = (_cpu(pid) - cpu) / took
        late = [await task for task in tasks]
    missing = count * round(seconds * 25) - sum(map(len, late))
    return Run(np.concatenate(late), np.array([before, after]), cpu, missing)


async def _stream(url: str, sound: bytes, rate: int, wait: float) -> np.ndarray:
    """Seconds beyond the latency of each frame that came while sound did, or after."""
    await asyncio.sleep(wait)
    step = round(CHUNK * rate) * 2
    async with connect(f"ws{url.removeprefix('http')}/v1/stream", compression=None) as line:
        await line.send(json.dumps({"rate": rate}))
        latency = json.loads(await line.recv())["latency"]
        began = time.perf_counter()

        async def speak() -> None:
            for i, start in enumerate(range(0, len(sound), step), 1):
                await asyncio.sleep(max(0.0, began + i * CHUNK - time.perf_counter()))
                await line.send(sound[start : start + step])
            await line.send('{"end": true}')

        speaking = asyncio.create_task(speak())
        late = []
        async for text in line:
            now = time.perf_counter()
            message = json.loads(text)
            if "frame" in message:
                late.append(now - began - message["time"] - latency)
        await speaking
        return np.array(late)


@contextmanager
def _serving(streams: int):
    command = [sys.executable, "-m", "codetalker", "serve", "--port", "0", "--no-page"]
    command += ["--streams", str(streams)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        found = re.match(r"(http://\S+): serving", server.stdout.readline())
        assert found
        yield found[1], server.pid
    finally:
        server.terminate()
        server.wait()


def _memory(pid: int) -> int:
    _, resident, shared, *_ = map(int, Path(f"/proc/{pid}/statm").read_text().split())
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    tyro.cli(main)
