"""Inbox: what a client has sent and is not yet heard, bounded; who sends more has to wait.

In the flow **speech** -> features -> codes -> motion -> wire.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

C = TypeVar("C")
_MOST_BYTES, _MOST_MESSAGES = 1 << 20, 256


class Inbox(Generic[C]):
    """Sound and controls, in order.

    `put` waits while there is much; `take` waits while there is nothing.
    """

    def __init__(self) -> None:
        self._items: deque[bytes | C] = deque()
        self._bytes = self._controls = 0
        self._failure: BaseException | None = None
        self._changed = asyncio.Event()

    async def put(self, item: bytes | C) -> None:
        """Leave sound, or a control, once there is room."""
        while self._full():
            await self._next_change()
        self.push(item)

    def push(self, item: bytes | C) -> None:
        """Leave it now."""
        self._items.append(item)
        if isinstance(item, bytes):
            self._bytes += len(item)
        else:
            self._controls += 1
        self._changed.set()

    def fail(self, failure: BaseException) -> None:
        """Have it raised by the next `take`, whatever waits."""
        self._failure = failure
        self._changed.set()

    async def take(self, least: int, most: int) -> bytes | C:
        """The sound that comes next, or the control.

        Args:
            least: bytes of sound to wait for, unless a control comes after less, or no more fits.
            most: bytes that are taken at once.

        Raises:
            BaseException: what `fail` was given.
        """
        while not (self._controls or self._failure or self._full() or self._bytes >= least):
            await self._next_change()
        if self._failure:
            raise self._failure
        self._changed.set()
        if isinstance(self._items[0], bytes):
            return self._sound(most)
        self._controls -= 1
        return self._items.popleft()

    def _full(self) -> bool:
        return self._bytes >= _MOST_BYTES or len(self._items) >= _MOST_MESSAGES

    def _sound(self, most: int) -> bytes:
        parts, left = [], most
        while left and self._items and isinstance(part := self._items[0], bytes):
            self._items.popleft()
            if len(part) > left:
                self._items.appendleft(part[left:])
            parts.append(part[:left])
            left -= len(parts[-1])
        sound = b"".join(parts)
        self._bytes -= len(sound)
        return sound

    async def _next_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
