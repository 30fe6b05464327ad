"""Gaps: a voice that pauses, as one that answers does, leaves a face that lives on.

In the flow **speech** -> features -> codes -> motion -> wire. A pipe gives nothing between two
sentences; without sound the last frames of the first would hang until the second begins.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from queue import Empty, Queue
from threading import Thread
from typing import TypeVar

T = TypeVar("T")
PATIENCE = 0.1
"""Seconds without sound after which it has paused."""
_READ_AHEAD = 50
"""Chunks."""


def filled(chunks: Iterator[T], seconds: float, idle: Callable[[], bool]) -> Iterator[T | None]:
    """The chunks, read by a thread of its own, and None for so many seconds of a pause.

    Args:
        chunks: of sound; each may be long in coming.
        seconds: that a None stands for.
        idle: whether what was made of the chunks so far is done with: no pause begins before.
    """
    read: Queue[T | BaseException | None] = Queue(_READ_AHEAD)
    Thread(target=_read, args=(chunks, read), daemon=True).start()
    paused: float | None = None
    while True:
        wait = PATIENCE if paused is None else max(0.0, paused + seconds - time.monotonic())
        try:
            chunk = read.get(timeout=wait)
        except Empty:
            if paused is not None or idle():
                paused = time.monotonic() if paused is None else paused + seconds
                yield None
            continue
        if chunk is None:
            return
        if isinstance(chunk, BaseException):
            raise chunk
        paused = None
        yield chunk


def _read(chunks: Iterator[T], read: Queue[T | BaseException | None]) -> None:
    try:
        for chunk in chunks:
            read.put(chunk)
        read.put(None)
    except Exception as error:
        read.put(error)
