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
    catch up, half a frame apart; after a pause the clock goes on from where it was. Where all
    frames of a second are late, the sound's clock is slower than ours, and the delay grows.

    Args:
        fps: frames per second.
        steady: whether sound comes as it is spoken, and cannot wait, as that of a microphone: where
            all frames of a second are early, its clock is faster than ours, and the delay shrinks.
    """

    def __init__(self, fps: float, steady: bool = False) -> None:
        self._least, self._steady, self._second = 0.5 / fps, steady, round(fps)
        self._anchor: float | None = None
        self._last = -inf
        self._early: list[float] = []

    def times(self, moment: float, now: float) -> tuple[float, float]:
        """When the next frame is due, that of `moment` in the sound, and when to send it.

        Args:
            moment: seconds in the sound's clock.
            now: when it has come, by the clock of the result.
        """
        if self._anchor is None or now - (self._anchor + moment) > SLIP:
            self._anchor = now + MARGIN - moment
        due = self._anchor + moment
        self._last = max(due, now, self._last + self._least)
        self._follow(due - now)
        return due, self._last

    def restart(self) -> None:
        """The sound has paused: what comes next is as the first."""
        self._anchor = None

    def _follow(self, early: float) -> None:
        """Keep up with a clock that is not quite ours."""
        self._early.append(early)
        if len(self._early) == self._second:
            least = min(self._early)
            if self._anchor is not None and (least < 0 or (self._steady and least > 2 * MARGIN)):
                self._anchor += MARGIN - least
            self._early.clear()


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

    def idle(self) -> bool:
        """Whether no frame waits."""
        return self._waiting.empty()

    def restart(self) -> None:
        """The sound has paused: its clock goes on with the next frame."""
        if self._schedule:
            self._schedule.restart()

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
