"""Turns: streams share the cores, one hop each at a time, in the order in which they ask.

In the flow speech -> **features -> codes -> motion**. A stream asks again only when it has had its
turn, so that one that is flooded with sound waits behind all the others between two hops.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from codetalker.workers import CORES

T = TypeVar("T")


@dataclass(frozen=True)
class Turn(Generic[T]):
    """What came of a turn.

    Attributes:
        result: of the work.
        waited, worked: seconds before and in it.
    """

    result: T
    waited: float
    worked: float


class Turns:
    """As many threads as there are cores; the runtime of the graphs lets go of Python's lock."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(CORES, "turn")

    async def take(self, work: Callable[[], T]) -> Turn[T]:
        """Do a piece of work once it is its turn; who is cancelled meanwhile does not wait."""
        asked = time.perf_counter()

        def done() -> Turn[T]:
            began = time.perf_counter()
            result = work()
            return Turn(result, began - asked, time.perf_counter() - began)

        return await asyncio.get_running_loop().run_in_executor(self._pool, done)

    def close(self) -> None:
        """Take no more work."""
        self._pool.shutdown(wait=False, cancel_futures=True)
