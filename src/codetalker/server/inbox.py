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
        self._bytes = 0
        self._failure: BaseException | None = None
        self._changed = asyncio.Event()

    async def put(self, item: bytes | C) -> None:
        """Leave sound, or a control, once there is room."""
        while self._bytes >= _MOST_BYTES or len(self._items) >= _MOST_MESSAGES:
            await self._next_change()
        self.push(item)

    def push(self, item: bytes | C) -> None:
        """Leave it now."""
        self._items.append(item)
        self._bytes += len(item) if isinstance(item, bytes) else 0
        self._changed.set()

    def fail(self, failure: BaseException) -> None:
        """Have it raised by the next `take`, whatever waits."""
        self._failure = failure
        self._changed.set()

    async def take(self, most: int) -> bytes | C:
        """The sound that comes next, all there is up to so many bytes; or the control.

        Raises:
            BaseException: what `fail` was given.
        """
        while not self._items and not self._failure:
            await self._next_change()
        if self._failure:
            raise self._failure
        self._changed.set()
        if not isinstance(self._items[0], bytes):
            return self._items.popleft()  # type: ignore[return-value]
        return self._sound(most)

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
