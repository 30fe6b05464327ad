"""Streams: a voice comes over a WebSocket as it is spoken, frames go back as they are made.

In the flow **speech -> features -> codes -> motion -> wire**, all of it. Sound is heard a hop at a
time, once it completes frames and it is the stream's turn; frames wait in the socket, and a client
that leaves them there holds up itself, then is closed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from codetalker.errors import CodeTalkerError, one_line
from codetalker.live.frames import Encoding, frames_of
from codetalker.live.sources import samples_of
from codetalker.motion import Motion
from codetalker.server.inbox import Inbox
from codetalker.server.limits import Limits, Refused
from codetalker.server.messages import INVALID, Control, Hello, parsed
from codetalker.server.metrics import Metrics
from codetalker.server.models import Models
from codetalker.server.turns import Turns

if TYPE_CHECKING:
    from codetalker.causal.stream import Live

_log = logging.getLogger(__name__)
DONE, GOING_AWAY, POLICY, FAILED, BUSY = 1000, 1001, 1008, 1011, 1013
"""Codes that a WebSocket is closed with (RFC 6455, 7.4.1, and its registry)."""
_HOP = 0.08
"""Seconds of sound that are heard in one turn, at most."""
_ROUNDING = 1e-3
"""Samples."""
_SMALL = 0.01
"""Seconds of sound from which on a message is none of many small ones."""
_LAST = 5.0
"""Seconds that streams have to end in, once they are told to."""


@dataclass(frozen=True)
class End:
    """The sound is over: why, and the code that the socket is closed with."""

    reason: str
    code: int = DONE


class Streams:
    """The live streams of a server."""

    def __init__(self, models: Models, limits: Limits, metrics: Metrics) -> None:
        self._models, self._limits, self._metrics = models, limits, metrics
        self._turns = Turns()
        self._open: set[Session] = set()
        self.closing = False

    async def serve(self, socket: WebSocket) -> None:
        """Serve one, from its first message to its last."""
        await socket.accept()
        session = Session(socket, self._models, self._limits, self._metrics, self._turns)
        try:
            if self.closing:
                raise Refused(GOING_AWAY, "the server is going away; connect again")
            if len(self._open) >= self._limits.streams:
                raise Refused(BUSY, f"{len(self._open)} streams are open already; try again later")
            self._open.add(session)
            self._metrics.open.set(len(self._open))
            reason = await session.run()
        except Refused as refused:
            reason = "refused"
            await session.close(refused.status, {"error": str(refused)})
        except CodeTalkerError as error:
            reason = "refused"
            await session.close(INVALID, {"error": one_line(str(error))})
        except WebSocketDisconnect:
            reason = "gone"
        except Exception:
            _log.exception("a stream has failed")
            reason = "failed"
            await session.close(FAILED, {"error": "the server has failed; its log says how"})
        finally:
            self._open.discard(session)
            self._metrics.open.set(len(self._open))
        self._metrics.ended.labels(reason).inc()

    async def drain(self, seconds: float) -> None:
        """Open no more; let those that are open go on for so long, then end them, with all the
        frames of what they have heard."""
        self.closing = True
        await self._emptied(seconds)
        for session in self._open:
            session.end(End("the server is going away", GOING_AWAY))
        await self._emptied(_LAST)

    def close(self) -> None:
        """End what computes."""
        self._turns.close()

    async def _emptied(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self._open and time.monotonic() < until:
            await asyncio.sleep(0.02)


class Session:
    """One stream: a task listens, another one answers."""

    def __init__(
        self, socket: WebSocket, models: Models, limits: Limits, metrics: Metrics, turns: Turns
    ) -> None:
        self._socket, self._models, self._limits = socket, models, limits
        self._metrics, self._turns = metrics, turns
        self._write: Callable[[bytes], Awaitable[None]] = self._as_text
        self._inbox: Inbox[Control | End] = Inbox()
        self._told: dict[str, Any] = {
            "sound": 0.0, "lost": 0.0, "frames": 0, "computing": 0.0, "longest_wait": 0.0,
        }  # fmt: skip

    async def run(self) -> str:
        """From the first message to the last; why it has ended.

        Raises:
            Refused, CodeTalkerError: what the client did wrong.
            WebSocketDisconnect: it has gone.
        """
        hello = await self._hello()
        talker = self._models.streaming(hello.model)
        if hello.fps not in (None, talker.fps):
            raise Refused(INVALID, f"hello: fps: this model gives {talker.fps:g} a second")
        given: dict[str, Any] = {"blinks": hello.blinks, "life": hello.life}
        own = {name: value for name, value in given.items() if name in talker.options}
        live = talker.stream(
            hello.rate, style=hello.style, strength=hello.strength, seed=hello.seed, **own
        )
        if hello.frames == "raw":
            self._write = self._socket.send_bytes
        self._fps = float(talker.fps)
        encoding = hello.encoding(self._fps, live.latency)
        await self._socket.send_text(hello.opening(self._fps, live.latency))
        listener = asyncio.create_task(self._listen(hello))
        try:
            end = await self._answer(hello, live, encoding)
        finally:
            listener.cancel()
            with suppress(asyncio.CancelledError):
                await listener
        told = {name: round(value, 6) for name, value in self._told.items()}
        await self.close(end.code, {"end": {"reason": end.reason, **told}})
        return end.reason

    def end(self, end: End) -> None:
        """End it after what it has received."""
        self._inbox.push(end)

    async def close(self, code: int, message: dict[str, Any]) -> None:
        """Say the last, if it can be said."""
        with suppress(Exception):
            async with asyncio.timeout(self._limits.stall):
                if self._socket.application_state is WebSocketState.CONNECTED:
                    await self._socket.send_text(json.dumps(message))
                    reason = message.get("error", message.get("end", {}).get("reason", ""))
                    await self._socket.close(code, reason.encode()[:120].decode(errors="ignore"))

    async def _hello(self) -> Hello:
        try:
            async with asyncio.timeout(self._limits.hello):
                message = await self._received()
        except TimeoutError:
            raise Refused(
                POLICY, f"no hello within {self._limits.hello:g} s; send it first"
            ) from None
        if not isinstance(message, str):
            raise Refused(INVALID, 'the first message is no JSON text; send {"rate": 16000}')
        return parsed(Hello, message)

    async def _received(self) -> str | bytes:
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        text = message.get("text")
        return message["bytes"] if text is None else text

    async def _listen(self, hello: Hello) -> None:
        """Put what comes into the inbox, until the sound is over."""
        try:
            rate = _Rate(self._limits.messages)
            while True:
                try:
                    async with asyncio.timeout(self._limits.idle):
                        message = await self._received()
                except TimeoutError:
                    self.end(End(f"nothing came for {self._limits.idle:g} s", POLICY))
                    return
                sound = len(message) if isinstance(message, bytes) else 0
                rate.count(1 - hello.seconds(sound) / _SMALL)
                if sound % hello.width:
                    raise Refused(
                        INVALID, f"{sound} bytes are no whole number of samples of {hello.width}"
                    )
                if isinstance(message, str):
                    control = parsed(Control, message)
                    await self._inbox.put(control)
                    if control.end:
                        return
                elif sound:
                    await self._inbox.put(message)
        except Exception as error:
            self._inbox.fail(error)

    async def _answer(self, hello: Hello, live: Live, encoding: Encoding) -> End:
        """Send the frames of what is in the inbox, until its end."""
        hop = max(1, round(_HOP * hello.rate))
        item: bytes | Control | End
        while True:
            if self._told["sound"] < self._limits.stream:
                due = self._told["frames"] / self._fps + live.latency - self._told["sound"]
                least = min(hop, max(1, ceil(due * hello.rate - _ROUNDING)))
                item = await self._inbox.take(least * hello.width, hop * hello.width)
            else:
                item = End(f"it is longer than {self._limits.stream:g} s", POLICY)
            if isinstance(item, bytes):
                samples = samples_of(item, hello.format).reshape(-1, hello.channels)
                await self._turn(partial(live.feed, samples), encoding)
                self._heard(len(samples) / hello.rate)
            elif isinstance(item, End) or item.end:
                await self._turn(live.finish, encoding)
                return item if isinstance(item, End) else End("end")
            elif item.change:
                live.change(**item.change.model_dump())
            elif item.lost is not None:
                await self._lose(round(item.lost * hello.rate), hop, hello, live, encoding)

    async def _lose(
        self, samples: int, hop: int, hello: Hello, live: Live, encoding: Encoding
    ) -> None:
        for start in range(0, samples, hop):
            seconds = min(hop, samples - start) / hello.rate
            await self._turn(partial(live.feed, None, seconds=seconds), encoding)
            self._told["lost"] += seconds
            self._heard(seconds)

    def _heard(self, seconds: float) -> None:
        self._told["sound"] += seconds
        self._metrics.sound.labels("stream").inc(seconds)

    async def _turn(self, hear: Callable[[], Motion], encoding: Encoding) -> None:
        """Hear a piece of sound and send its frames."""

        def packets() -> list[bytes]:
            return [packet for frame in frames_of(hear()) for packet in encoding.packets(frame)]

        turn = await self._turns.take(packets)
        self._told["computing"] += turn.worked
        self._told["longest_wait"] = max(self._told["longest_wait"], turn.waited)
        self._metrics.waited.observe(turn.waited)
        self._metrics.worked.observe(turn.worked)
        await self._send(turn.result)
        self._told["frames"] += len(turn.result)
        self._metrics.frames.inc(len(turn.result))

    async def _as_text(self, packet: bytes) -> None:
        await self._socket.send_text(packet.decode())

    async def _send(self, packets: list[bytes]) -> None:
        """A message for each."""
        try:
            async with asyncio.timeout(self._limits.stall):
                for packet in packets:
                    await self._write(packet)
        except RuntimeError:  # what uvicorn raises once it has closed the socket itself
            raise WebSocketDisconnect(1006) from None
        except TimeoutError:
            raise Refused(
                POLICY, f"frames were not read for {self._limits.stall:g} s; read them as they come"
            ) from None


class _Rate:
    """Refuses more than so many a second, over two seconds."""

    def __init__(self, most: float) -> None:
        self._most, self._room, self._at = most, 2 * most, time.monotonic()

    def count(self, cost: float) -> None:
        now = time.monotonic()
        self._room = min(2 * self._most, self._room + (now - self._at) * self._most)
        self._at = now
        self._room -= max(0.0, cost)
        if self._room < 0:
            raise Refused(
                POLICY, f"more than {self._most:g} small messages a second; send 20 ms at a time"
            )
