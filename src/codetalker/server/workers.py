"""Recordings that are animated in processes of their own, and how a client is refused.

In the flow **speech -> features -> codes -> motion -> mesh -> file**. A job that is cancelled,
because its client has gone, ends with its process; so does one that takes too long.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any

from codetalker import workers
from codetalker.server.limits import Limits, Refused
from codetalker.server.work import Job

_log = logging.getLogger(__name__)


class Workers:
    """Processes that wait for recordings.

    Args:
        limits: how many at once (`jobs`), and how long each may take (`job`).
    """

    def __init__(self, limits: Limits) -> None:
        self._workers = workers.Workers("codetalker.server.work", limits.jobs, limits.job)

    async def do(self, job: Job) -> dict[str, Any]:
        """The answer to a job, once it is its turn.

        Raises:
            Refused: the sound or an option is at fault, or it takes too long.
            RuntimeError: we are.
        """
        try:
            answer = await self._workers.do(asdict(job))
        except workers.TookTooLong as late:
            raise Refused(422, f"{late}; send it in pieces") from None
        except workers.BrokeDown as error:
            _log.warning("%s", error)
            raise Refused(422, "what reads the sound broke down; convert it to WAV") from None
        if "error" in answer:
            raise Refused(422, answer["error"])
        return answer

    async def close(self) -> None:
        """End the processes."""
        await self._workers.close()
