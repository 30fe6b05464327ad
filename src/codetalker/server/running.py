"""Running: the server at an address, until it is told to end; open streams are finished then.

In the flow **speech** -> features -> codes -> motion -> **wire**.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from codetalker.errors import OptionError
from codetalker.server.app import Server
from codetalker.server.limits import Limits

_UNREAD_MS = 30_000
"""After which a connection ends whose other side takes nothing."""
_ENDING = 10
"""Seconds that answers have to end in, after the streams."""


def listening(host: str, port: int) -> socket.socket:
    """A socket at an address; any free port for 0.

    Raises:
        OptionError: there is no such address here, or it is taken.
    """
    if not 0 <= port < 1 << 16:
        raise OptionError(f"--port is {port}; choose from 0 to 65535")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.create_server(address[:2], family=family, backlog=128)
    except (OSError, UnicodeError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OptionError(
            f"{host}, port {port} cannot be listened at: {reason}; choose another --host or --port"
        ) from None
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # connections have it from here
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MS)
    return bound


def is_loopback(bound: socket.socket) -> bool:
    """Whether nobody but this machine reaches it."""
    return ip_address(bound.getsockname()[0].partition("%")[0]).is_loopback


def address_of(bound: socket.socket) -> str:
    """As a browser takes it."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


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
