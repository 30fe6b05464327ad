"""Access: who may speak to the server, decided before a byte of the body is read.

In the flow **speech** -> features -> codes -> motion -> **wire**. A page of another site may not
use a server on this machine (its `Origin` is refused), nor call it by a name of its own (DNS
rebinding: its `Host` is); where there is a token, all but the page and the health want it.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from codetalker.server.limits import Refused


@dataclass(frozen=True)
class Access:
    """Who may.

    Attributes:
        token: that clients show, as `Authorization: Bearer TOKEN` or `API-Key: TOKEN`; or None.
        hosts: names that the server is called by, beside `localhost` and any address.
        origins: of other sites whose pages may use it, such as `https://example.org`.
    """

    token: str | None = None
    hosts: Collection[str] = ()
    origins: Collection[str] = ()

    def check(self, headers: Headers, free: bool) -> None:
        """See that a request with these headers may be answered; a free one needs no token.

        Raises:
            Refused: it may not, and why.
        """
        host = headers.get("host", "")
        if not self._knows(host):
            raise Refused(403, f"this server is not called {host!r}; start it with --allow-host")
        origin = headers.get("origin")
        own = origin is not None and urlsplit(origin).netloc.lower() == host.lower()
        if origin is not None and not own and origin not in self.origins:
            raise Refused(403, f"pages of {origin} may not; start it with --allow-origin")
        if self.token is not None and not free and not self._shown(headers, self.token):
            raise Refused(
                401,
                "the token is missing or wrong; send Authorization: Bearer TOKEN",
                www_authenticate="Bearer",
            )

    def _knows(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name == "localhost" or name in self.hosts or _is_address(name)

    @staticmethod
    def _shown(headers: Headers, token: str) -> bool:
        kind, _, shown = headers.get("authorization", "").partition(" ")
        candidates = [shown.strip() if kind.lower() == "bearer" else "", headers.get("api-key", "")]
        return any(hmac.compare_digest(c.encode(), token.encode()) for c in candidates)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


class Guard:
    """ASGI: asks an `Access` before the application.

    Args:
        free: paths that need no token.
    """

    def __init__(self, app: ASGIApp, access: Access, free: Collection[str]) -> None:
        self._app, self._access, self._free = app, access, free

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            try:
                free = scope["path"] in self._free or scope.get("method") == "OPTIONS"
                self._access.check(Headers(scope=scope), free)
            except Refused as refused:
                await _refuse(scope, send, refused)
                return
        await self._app(scope, receive, send)


async def _refuse(scope: Scope, send: Send, refused: Refused) -> None:
    body = json.dumps({"error": str(refused)}).encode()
    headers = {"content-type": "application/json", **refused.headers}
    kind = {"http": "http.response", "websocket": "websocket.http.response"}[scope["type"]]
    if scope["type"] == "websocket" and kind not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    if scope["type"] == "http":  # uvicorn tells it for a WebSocket
        headers["content-length"] = str(len(body))
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": f"{kind}.start", "status": refused.status, "headers": pairs})
    await send({"type": f"{kind}.body", "body": body})
