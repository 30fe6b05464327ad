"""Limits: what one client may ask of the server, and how it is refused what is more.

In the flow **speech** -> features -> codes -> motion -> **wire**.
"""

from __future__ import annotations

from dataclasses import dataclass

from codetalker.errors import one_line
from codetalker.workers import CORES

_STREAMS_PER_CORE = 10
"""Of which each takes 0.06 of one."""


@dataclass(frozen=True)
class Limits:
    """What is taken.

    Attributes:
        body: bytes of a recording.
        seconds: of sound in a recording.
        upload: seconds that a recording may take to come.
        jobs: recordings that are animated at once.
        waiting: recordings that are received, wait or are animated.
        job: seconds that a recording may take to be animated.
        streams: live ones at once.
        message: bytes of one message of a stream.
        messages: a second that hold less than 10 ms of sound.
        hello: seconds until a stream's first message has come.
        idle: seconds without a message after which a stream ends.
        stall: seconds that a client may leave frames unread.
        stream: seconds of sound in a stream.
    """

    body: int = 100 << 20
    seconds: float = 3600
    upload: float = 300
    jobs: int = 1
    waiting: int = 16
    job: float = 600
    streams: int = _STREAMS_PER_CORE * CORES
    message: int = 1 << 20
    messages: float = 1000
    hello: float = 10
    idle: float = 60
    stall: float = 10
    stream: float = 24 * 3600


class Refused(Exception):
    """A request or a stream that is refused, in one line.

    Attributes:
        status: of HTTP, or the code that a WebSocket is closed with.
        headers: of the answer.
    """

    def __init__(self, status: int, message: str, **headers: str) -> None:
        super().__init__(one_line(message))
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
