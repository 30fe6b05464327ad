"""A pool of workers on this machine, no more than its memory holds; and how a worker is asked.

In the flow **speech -> features -> codes -> motion -> mesh -> file**, all of it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from codetalker.batch.work import Plan, Row, blank
from codetalker.workers import BrokeDown, TookTooLong, Workers

_MODULE = "codetalker.batch.work"
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Of a worker: there is one for each core."""
_TRIES = 2
_CONTAINER = Path("/sys/fs/cgroup/memory.max")


def workers(count: int, seconds: float) -> Workers:
    """Some that animate recordings.

    Args:
        seconds: that one may take.
    """
    return Workers(_MODULE, count, seconds, _ENVIRONMENT)


async def row_of(workers: Workers, plan: Plan, recording: dict[str, Any]) -> Row:
    """What becomes of a recording, whatever becomes of its worker: one that breaks down is replaced
    once, for it may not have been the recording's fault."""
    broken = ""
    for _ in range(_TRIES):
        try:
            return await workers.do(plan.job(recording))
        except BrokeDown as error:
            broken = f"{error}, and so did another; convert the sound to WAV, or give more --memory"
        except TookTooLong as late:
            return blank(recording, f"{late}; cut the sound, or allow more with --timeout")
        except RuntimeError as defect:
            return blank(recording, f"a defect of codetalker: {str(defect).splitlines()[-1]}")
    return blank(recording, broken)


def on_this_machine(
    recordings: Iterable[dict[str, Any]], plan: Plan, count: int, seconds: float
) -> Iterator[Row]:
    """The rows of recordings, as they are done.

    Args:
        recordings: taken as they are needed, some more than there are workers.
        count: of workers.
        seconds: that a recording may take.
    """
    waiting, running = iter(recordings), set()
    with asyncio.Runner() as runner:
        loop, pool = runner.get_loop(), workers(count, seconds)
        try:
            while True:
                for recording in islice(waiting, 2 * count - len(running)):
                    running.add(loop.create_task(row_of(pool, plan, recording)))
                if not running:
                    return
                done, running = runner.run(_first(running))
                yield from (task.result() for task in done)
        finally:
            runner.run(_close(pool, running))


async def _first(tasks: set[asyncio.Task[Row]]) -> tuple[set, set]:
    return await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


async def _close(pool: Workers, tasks: set[asyncio.Task[Row]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await pool.close()


def free_memory() -> int:
    """Bytes that this machine, or the container that we are in, can still give."""
    free = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    with suppress(OSError, ValueError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free += [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable")]
    with suppress(OSError, ValueError):
        free.append(int(_CONTAINER.read_text()))
    return min(free)
