"""Pace: frames leave at their time in the sound's clock, none in a burst, and nothing waits long.

In the flow speech -> features -> codes -> motion -> **wire**. A model gives two frames at once and
a pipe gives sound as it pleases; who looks at a face wants one frame every 40 ms.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from math import inf
from queue import Full, Queue
from threading import Event, Thread

from codetalker.live.frames import Frame

MARGIN = 0.02
"""Seconds that every frame waits beyond its moment, so that the next need not be early."""
SLIP = 0.25
"""Seconds late from which on the sound has paused, and its clock with it."""
BACKLOG = 2.0
"""Seconds of frames that wait at most; then the sound has to."""


class Schedule:
    """When to send what comes: at its time in the sound's clock, a constant delay later.

    The delay is that of the first frame and `MARGIN`. A late frame goes at once, and the next ones
    catch up, half a frame apart; after a pause the clock goes on from where it was.

    Args:
        fps: frames per second.
        ahead: seconds before its moment that a frame may come from a source that cannot wait, such
            as a microphone whose clock is fast; more shortens the delay. None for other sources.
    """

    def __init__(self, fps: float, ahead: float | None = None) -> None:
        self._least, self._ahead = 0.5 / fps, ahead
        self._anchor: float | None = None
        self._last = float("-inf")

    def times(self, moment: float, now: float) -> tuple[float, float]:
        """When the next frame is due, that of `moment` in the sound, and when to send it.

        Args:
            moment: seconds in the sound's clock.
            now: when it has come, by the clock of the result.
        """
        if self._anchor is None or now - (self._anchor + moment) > SLIP:
            self._anchor = now + MARGIN - moment
        if self._ahead is not None:
            self._anchor = min(self._anchor, now + self._ahead - moment)
        due = self._anchor + moment
        self._last = max(due, now, self._last + self._least)
        return due, self._last


class Pacer:
    """Sends frames from a thread of its own, each when it is due.

    Args:
        send: takes each frame at its moment.
        fps: frames per second.
        schedule: the moments; None sends every frame as soon as it comes.

    Attributes:
        late: frames that were sent more than a frame after they were due.
    """

    def __init__(
        self, send: Callable[[Frame], object], fps: float, schedule: Schedule | None
    ) -> None:
        self._send, self._schedule, self._frame = send, schedule, 1 / fps
        self.late = 0
        self._waiting: Queue[tuple[float, float, Frame] | None] = Queue(round(BACKLOG * fps))
        self._stopped = Event()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def put(self, frame: Frame) -> None:
        """Take the next frame; returns when fewer than `BACKLOG` wait."""
        now = time.monotonic()
        times = self._schedule.times(frame.time, now) if self._schedule else (inf, now)
        self._waiting.put((*times, frame))

    def finish(self) -> None:
        """Send what waits, at its moments."""
        self._waiting.put(None)
        self._thread.join()

    def stop(self) -> None:
        """Send nothing more."""
        self._stopped.set()
        with suppress(Full):  # then it does not wait for one
            self._waiting.put_nowait(None)
        self._thread.join()

    def _run(self) -> None:
        while waiting := self._waiting.get():
            due, moment, frame = waiting
            if self._stopped.wait(max(0.0, moment - time.monotonic())):
                return
            self.late += time.monotonic() - due > self._frame
            self._send(frame)
