"""Workers: processes that do jobs, each one at a time, a bounded number at once.

A job is a line of JSON on a worker's standard input, its answer one on standard output. What a job
breaks is nobody else's: a worker that takes too long, or whose caller has gone, ends; so does one
whose caller's process has ended. Another takes its place.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import traceback
import warnings
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping
from typing import Any

from codetalker.errors import SoundWarning

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
"""That this process may use."""
Answer = dict[str, Any]
_LONGEST_TRACEBACK = 8000
_LONGEST_ANSWER = 1 << 20


class TookTooLong(Exception):
    """A job has not been done in time."""


class BrokeDown(Exception):
    """A worker has ended in the middle of its job; the text says with which status."""


class Workers:
    """Processes that wait for jobs; they start when they are needed.

    Args:
        module: what runs in them, by `python -m`; it calls `answer_jobs`.
        count: how many at once.
        seconds: that a job may take.
        environment: variables of theirs beside our own.
    """

    def __init__(
        self, module: str, count: int, seconds: float, environment: Mapping[str, str] | None = None
    ) -> None:
        self._module, self._seconds = module, seconds
        self._environment = {**os.environ, **(environment or {})}
        self._slots = asyncio.Semaphore(count)
        self._free: list[Process] = []

    async def do(self, job: Mapping[str, Any]) -> Answer:
        """The answer to a job, once it is its turn.

        Raises:
            TookTooLong, BrokeDown: there is none.
            RuntimeError: the defect of ours that the worker has met.
        """
        async with self._slots:
            worker = await self._one()
            try:
                answer = await asyncio.wait_for(_asked(worker, job), self._seconds)
            except BaseException as error:
                await _ended(worker)
                if isinstance(error, TimeoutError):
                    raise TookTooLong(f"it takes longer than {self._seconds:g} s") from None
                raise
            self._free.append(worker)
        if "defect" in answer:
            raise RuntimeError(answer["defect"])
        return answer

    async def close(self) -> None:
        """End the processes."""
        while self._free:
            await _ended(self._free.pop())

    async def _one(self) -> Process:
        while self._free:
            worker = self._free.pop()
            if worker.returncode is None:
                return worker
        command = (sys.executable, "-m", self._module)
        return await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, env=self._environment, limit=_LONGEST_ANSWER
        )


async def _asked(worker: Process, job: Mapping[str, Any]) -> Answer:
    assert worker.stdin and worker.stdout
    try:
        worker.stdin.write(json.dumps(job).encode() + b"\n")
        await worker.stdin.drain()
        line = await worker.stdout.readline()
    except ConnectionError:
        line = b""
    if not line:
        raise BrokeDown(f"a worker ended with status {await worker.wait()}")
    return json.loads(line)


async def _ended(worker: Process) -> None:
    """End it, and its pipes with it: what is left of them would complain of a closed loop."""
    if worker.returncode is None:
        worker.kill()
    await worker.communicate()


def answer_jobs(done: Callable[[dict[str, Any]], Answer], nice: int = 0) -> None:
    """What a worker does until its caller ends it, or has ended.

    Args:
        done: gives the answer to a job; what it raises is a defect of ours.
        nice: how far the worker stands back for other processes.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # our caller ends us, when it is done
        signal.signal(number, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(nice)
    warnings.simplefilter("ignore", SoundWarning)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    for line in sys.stdin.buffer:
        try:
            answer = done(json.loads(line))
        except Exception:
            answer = {"defect": traceback.format_exc()[-_LONGEST_TRACEBACK:]}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()
