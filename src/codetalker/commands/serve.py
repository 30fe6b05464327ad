"""`codetalker serve`: files and live streams over HTTP and WebSockets.

In the flow **speech -> features -> codes -> motion -> mesh -> file**, and wire, all of it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

from tyro.conf import UseAppendAction, arg

from codetalker.errors import OptionError
from codetalker.listening import address_of, is_loopback, listening
from codetalker.page import write_page
from codetalker.server.access import Access
from codetalker.server.app import Server
from codetalker.server.limits import Limits
from codetalker.server.models import Models
from codetalker.server.running import Running

N = TypeVar("N", int, float)
_TOKEN = "CODETALKER_TOKEN"
_SHORTEST_TOKEN = 16


def _shown_as(metavar: str):
    return arg(metavar=metavar, help_behavior_hint="")


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token_file: Annotated[Path | None, _shown_as("FILE")] = None,
    without_token: bool = False,
    allow_host: Annotated[UseAppendAction[tuple[str, ...]], _shown_as("NAME")] = (),
    allow_origin: Annotated[UseAppendAction[tuple[str, ...]], _shown_as("ORIGIN")] = (),
    model: Annotated[UseAppendAction[tuple[str, ...]], _shown_as("MODEL")] = (),
    streams: int = Limits.streams,
    jobs: int = Limits.jobs,
    megabytes: int = Limits.body >> 20,
    seconds: float = Limits.seconds,
    idle: float = Limits.idle,
    grace: float = 10.0,
    page: bool = True,
) -> int:
    """Serve faces: POST /v1/animate for recordings, WebSocket /v1/stream for live voices.

    Also /v1/models, /healthz, /metrics, /audio_to_blendshapes for NeuroSync's players (--port
    5000), /openapi.json, and the page at /. SIGTERM and Ctrl-C end it.

    Args:
        host: address to listen at; beyond this machine a token is needed.
        port: 0 is any free one.
        token_file: holds the token that clients have to send, as Authorization: Bearer TOKEN; or
            set the environment variable CODETALKER_TOKEN.
        without_token: listen beyond this machine without one.
        allow_host: a name that the server is called by, beside localhost and addresses; repeat it.
        allow_origin: a web site whose pages may use it, https://example.org; repeat it.
        model: folder or name of a model; repeat it. By default the bundled studio, for recordings,
            and live, for streams.
        streams: live ones at once.
        jobs: recordings that are animated at once.
        megabytes: of a recording.
        seconds: of sound in a recording.
        idle: seconds without a message after which a stream ends.
        grace: seconds that open streams may go on once the server is to end.
        page: whether the page is at /.
    """
    limits = Limits(
        streams=_least("streams", streams, 0),
        jobs=_least("jobs", jobs, 1),
        body=_least("megabytes", megabytes, 1) << 20,
        seconds=_least("seconds", seconds, 1),
        idle=_least("idle", idle, 1),
    )
    access = Access(_token(token_file), allow_host, [_origin(text) for text in allow_origin])
    with listening(host, port) as bound, TemporaryDirectory(prefix="codetalker-") as folder:
        if access.token is None and not without_token and not is_loopback(bound):
            raise OptionError(
                f"{host} is reached from beyond this machine; set a token by --token-file or "
                f"{_TOKEN}, or say --without-token"
            )
        models = Models(model)
        written = write_page(Path(folder) / "page", served=True) if page else None
        server = Running(Server(models, limits, access, written), limits, _least("grace", grace, 0))
        print(f"{address_of(bound)}: serving {', '.join(models.names)}", flush=True)
        with suppress(KeyboardInterrupt):  # the signal again, when all is done
            server.run([bound])
    return 0


def _origin(text: str) -> str:
    """A web site as browsers name it in `Origin`."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or f"{parts.scheme}://{parts.netloc}" != text:
        raise OptionError(f"--allow-origin {text} is no web site; write https://example.org")
    return text


def _least(name: str, value: N, least: int) -> N:
    if not least <= value < 1 << 40:
        raise OptionError(f"--{name} is {value}; choose {least} or more")
    return value


def _token(file: Path | None) -> str | None:
    """That of the file or of the environment.

    Raises:
        OptionError: the file cannot be read, or the token is too short to be one.
    """
    source = str(file) if file else _TOKEN
    try:
        text = file.read_text("utf-8") if file else os.environ.get(_TOKEN)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OptionError(f"--token-file {file} cannot be read: {reason}; name another") from None
    if text is None:
        return None
    token = text.strip()
    if len(token) < _SHORTEST_TOKEN or not token.isascii() or not token.isprintable():
        raise OptionError(
            f"the token of {source} is no line of {_SHORTEST_TOKEN} or more ASCII characters; "
            "make one: openssl rand -hex 32"
        )
    return token
