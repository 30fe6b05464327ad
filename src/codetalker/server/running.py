"""Running: the server at an address, until it is told to end; open streams are finished then.

In the flow **speech** -> features -> codes -> motion -> **wire**.
"""

from __future__ import annotations

import socket

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from codetalker.server.app import Server
from codetalker.server.limits import Limits

_ENDING = 10
"""Seconds that answers have to end in, after the streams."""


class Running(uvicorn.Server):
    """A server that lets open streams go on for `grace` seconds when it is told to end, then ends
    them, with their last frames."""

    def __init__(self, server: Server, limits: Limits, grace: float) -> None:
        super().__init__(
            uvicorn.Config(
                server.app,
                ws=WebSocketsSansIOProtocol,
                ws_max_size=limits.message,
                ws_per_message_deflate=False,
                log_level="warning",
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=_ENDING,
            )
        )
        self._streams, self._grace = server.streams, grace

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """What uvicorn calls; it closes WebSockets at once."""
        for listener in self.servers:
            listener.close()
        await self._streams.drain(self._grace)
        await super().shutdown(sockets)
