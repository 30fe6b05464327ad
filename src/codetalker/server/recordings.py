"""Recordings: sound comes as the body of a request, a file with a face goes back.

In the flow **speech -> features -> codes -> motion -> mesh -> file**, all of it. What comes is only
ever a file of our own name in a folder that nobody else has; the work is done by `Workers`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from codetalker.server.limits import Limits, Refused
from codetalker.server.metrics import Metrics
from codetalker.server.models import Models, answers_of
from codetalker.server.work import NEUROSYNC, Job
from codetalker.server.workers import Workers

T = TypeVar("T")
_GONE = 499
"""The status of a request whose client has gone; nobody reads it."""
_DISCARDING = 5.0
"""Seconds that a client that sends too much has to finish, so that it reads why it is refused."""


class Recordings:
    """The recordings of a server."""

    def __init__(self, models: Models, limits: Limits, metrics: Metrics) -> None:
        self._models, self._limits, self._metrics = models, limits, metrics
        self._workers = Workers(limits)
        self._waiting = 0

    async def animated(
        self, request: Request, folder: Path, format: str, model: str | None, **options: Any
    ) -> Path:
        """The file that comes of a request's body.

        Args:
            folder: for what is received and what is made.
            format: one of `ANSWERS`, or `neurosync`.
            model: by name; that for recordings for None.
            options: of `Talker.animate`.

        Raises:
            Refused: why there is none.
        """
        formats = answers_of(self._models.talker(model))
        if format not in (*formats, NEUROSYNC):
            raise Refused(422, f"this model gives no {format}; choose {', '.join(formats)}")
        sound, out = folder / "sound", folder / f"face.{format}"
        job = Job(
            sound=str(sound),
            out=str(out),
            model=self._models.folder(model),
            format=format,
            seconds=self._limits.seconds,
            options=options,
        )
        with self._counted():
            await self._receive(request, sound)
            began = time.perf_counter()
            answer = await _unless_gone(request, self._workers.do(job))
            self._metrics.jobs.observe(time.perf_counter() - began)
        self._metrics.sound.labels("recording").inc(answer["seconds"])
        return out

    async def close(self) -> None:
        """End the processes."""
        await self._workers.close()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        if self._waiting >= self._limits.waiting:
            raise Refused(
                503, f"{self._waiting} recordings wait already; try again later", retry_after="1"
            )
        self._waiting += 1
        self._metrics.waiting.set(self._waiting)
        try:
            yield
        finally:
            self._waiting -= 1
            self._metrics.waiting.set(self._waiting)

    async def _receive(self, request: Request, path: Path) -> None:
        """Write the body to a file."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind.startswith("multipart/"):
            raise Refused(
                415, "the body is a form; send the sound itself: curl --data-binary @speech.wav"
            )
        most, size = self._limits.body, 0
        try:
            async with asyncio.timeout(self._limits.upload):
                with path.open("wb") as file:
                    async for chunk in request.stream():
                        size += len(chunk)
                        if size > most:
                            await _discard(request)
                            raise Refused(
                                413, f"the sound has more than {most} bytes; compress or cut it"
                            )
                        file.write(chunk)
        except TimeoutError:
            raise Refused(
                408, f"the sound has not come within {self._limits.upload:g} s; send less at once"
            ) from None
        except ClientDisconnect:
            raise Refused(_GONE, "the client has gone") from None
        if not size:
            raise Refused(422, "the request has no body; send the bytes of a recording as it")


async def _discard(request: Request) -> None:
    try:
        async with asyncio.timeout(_DISCARDING):
            async for _ in request.stream():
                pass
    except (TimeoutError, ClientDisconnect, RuntimeError):
        pass


async def _unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What comes of the work, which is cancelled when the client goes.

    Raises:
        Refused: it has gone.
    """
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise Refused(_GONE, "the client has gone")
    finally:
        for one in (task, gone):
            one.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
