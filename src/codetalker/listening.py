"""Listening: the sockets of our servers, as their commands are told and tell."""

from __future__ import annotations

import socket
from ipaddress import ip_address

from codetalker.errors import OptionError

_UNREAD_MS = 30_000
"""After which a connection ends whose other side takes nothing."""


def listening(host: str, port: int) -> socket.socket:
    """A socket at an address; any free port for 0.

    Raises:
        OptionError: there is no such address here, or it is taken.
    """
    if not 0 <= port < 1 << 16:
        raise OptionError(f"--port is {port}; choose from 0 to 65535")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.create_server(address[:2], family=family, backlog=256)
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
