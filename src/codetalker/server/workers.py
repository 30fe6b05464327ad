"""Workers: the processes of `work`, a bounded number at once, each for one recording at a time.

In the flow **speech -> features -> codes -> motion -> mesh -> file**. A job that is cancelled,
because its client has gone, ends with its process; so does one that takes too long.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from asyncio.subprocess import PIPE, Process
from typing import Any

from codetalker.server.limits import Limits, Refused
from codetalker.server.work import Job

_log = logging.getLogger(__name__)


class Workers:
    """Processes that wait for recordings; they start when they are needed.

    Args:
        limits: how many at once (`jobs`), and how long each may take (`job`).
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._slots = asyncio.Semaphore(limits.jobs)
        self._free: list[Process] = []

    async def do(self, job: Job) -> dict[str, Any]:
        """The answer to a job, once it is its turn.

        Raises:
            Refused: the sound or an option is at fault, or it takes too long.
            RuntimeError: we are.
        """
        async with self._slots:
            worker = await self._one()
            try:
                answer = await asyncio.wait_for(_asked(worker, job), self._limits.job)
            except BaseException as error:
                await _ended(worker)
                if isinstance(error, TimeoutError):
                    raise Refused(
                        422, f"it takes longer than {self._limits.job:g} s; send it in pieces"
                    ) from None
                if isinstance(error, ConnectionError):
                    raise Refused(
                        422, "what reads the sound broke down; convert it to WAV"
                    ) from None
                raise
            self._free.append(worker)
        if "defect" in answer:
            raise RuntimeError(answer["defect"])
        if "error" in answer:
            raise Refused(422, answer["error"])
        return answer

    async def close(self) -> None:
        """End the processes."""
        for worker in self._free:
            await _ended(worker)

    async def _one(self) -> Process:
        while self._free:
            worker = self._free.pop()
            if worker.returncode is None:
                return worker
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "codetalker.server.work", stdin=PIPE, stdout=PIPE
        )


async def _asked(worker: Process, job: Job) -> dict[str, Any]:
    assert worker.stdin and worker.stdout
    worker.stdin.write(job.line())
    await worker.stdin.drain()
    line = await worker.stdout.readline()
    if not line:
        _log.warning("a process that animates ended with status %s", await worker.wait())
        raise ConnectionError
    return json.loads(line)


async def _ended(worker: Process) -> None:
    if worker.returncode is None:
        worker.kill()
    await worker.wait()
