"""Sinks: where frames go, written as URLs, and how a slow one is kept from holding up the others.

In the flow speech -> features -> codes -> motion -> **wire**.

    livelink://host:11111?subject=Face      Live Link Face, to Unreal
    vmc://host:39539?names=vrm0&bones=yes   VMC; names: vrm0, vrm1 or arkit
    ifacialmocap://host:49983               iFacialMocap's text
    jsonl:FILE  raw:FILE                    JSON lines, float32; - is standard output
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import FileIO
from queue import Full, Queue
from threading import Thread
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from codetalker.errors import OptionError, OutputError, did_you_mean
from codetalker.live import ifacialmocap, livelink, vmc
from codetalker.live.frames import Encoding, Frame, JsonLines, Raw

WAITING = 50
"""Frames that wait for a slow sink: 2 s; what comes then is dropped."""
CLOSING = 1.0
"""Seconds that a sink has to take what waits, at the end."""

Options = dict[str, str]
_DATAGRAMS: dict[str, tuple[int, Options, Callable[[Options, float], Encoding]]] = {
    "livelink": (
        livelink.PORT,
        {"subject": "CodeTalker"},
        lambda given, fps: livelink.LiveLinkFace(given["subject"], fps),
    ),
    "vmc": (
        vmc.PORT,
        {"names": "vrm0|vrm1|arkit", "bones": "yes|no"},
        lambda given, fps: vmc.Vmc(given["names"], given["bones"] == "yes"),  # type: ignore[arg-type]
    ),
    "ifacialmocap": (ifacialmocap.PORT, {}, lambda given, fps: ifacialmocap.IFacialMocap()),
}
"""Port, options with their default or `|` between their values, and encoding of each protocol."""
_STREAMS: dict[str, Callable[[float, float], Encoding]] = {
    "jsonl": JsonLines,
    "raw": lambda fps, latency: Raw(),
}


class Line(Protocol):
    """Where bytes go."""

    def write(self, packet: bytes) -> None: ...
    def close(self) -> None: ...


class Datagrams:
    """UDP to one place. What the network does not take at once is lost, as it may be anywhere."""

    def __init__(self, host: str, port: int) -> None:
        family, kind, _, _, self._place = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        self._socket = socket.socket(family, kind)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)

    def write(self, packet: bytes) -> None:
        """Send a datagram."""
        self._socket.sendto(packet, self._place)

    def close(self) -> None:
        """Send no more."""
        self._socket.close()


class Pipe:
    """A file, or standard output for `-`; a frame is there when it has been written."""

    def __init__(self, path: str) -> None:
        own = path != "-"
        self._file = FileIO(path if own else sys.stdout.fileno(), "w", closefd=own)

    def write(self, packet: bytes) -> None:
        """Write all of it."""
        rest = memoryview(packet)
        while rest:
            rest = rest[self._file.write(rest) :]

    def close(self) -> None:
        """Write no more."""
        self._file.close()


class Sink:
    """A line behind a thread of its own: a slow one drops frames and holds up nobody.

    Args:
        name: what the user calls it.
        encoding: of its protocol.
        line: where its bytes go.
        patient: wait for a slow one instead.

    Attributes:
        sent: frames.
        error: that has ended it; or None.
    """

    def __init__(self, name: str, encoding: Encoding, line: Line, patient: bool = False) -> None:
        self.name, self._encoding, self._line, self._patient = name, encoding, line, patient
        self.sent = self._given = 0
        self.error: OSError | None = None
        self._waiting: Queue[Frame | None] = Queue(WAITING)
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Frames that have not been sent; those that still wait among them."""
        return self._given - self.sent

    def put(self, frame: Frame) -> None:
        """Take a frame, or drop it."""
        self._given += 1
        with suppress(Full):
            self._waiting.put(frame, block=self._patient)

    def close(self) -> None:
        """Send what waits; what a sink does not take within a second is dropped."""
        patience = None if self._patient else CLOSING
        with suppress(Full):
            self._waiting.put(None, timeout=patience)
        self._thread.join(patience)

    def _run(self) -> None:
        try:
            if self._encoding.opening:
                self._line.write(self._encoding.opening)
            while frame := self._waiting.get():
                self._send(frame)
            self._line.close()
        except OSError as error:
            self.error = error
            while self._waiting.get():
                pass

    def _send(self, frame: Frame) -> None:
        try:
            for packet in self._encoding.packets(frame):
                self._line.write(packet)
            self.sent += 1
        except OSError:
            if not isinstance(self._line, Datagrams):  # a network comes back, what broke does not
                raise


def open_sinks(urls: Sequence[str], fps: float, latency: float, patient: bool) -> list[Sink]:
    """The sinks of URLs as the module describes them; none is opened before all are understood.

    Args:
        fps, latency: of the frames.
        patient: see `Sink`.

    Raises:
        OptionError: a URL names no protocol, or an option that it does not have.
        OutputError: there is no such host, or a file cannot be written.
    """
    plans = [_plan(url, fps, latency) for url in urls]
    lines = [_opened(url, line) for url, (_, line) in zip(urls, plans, strict=True)]
    return [
        Sink(url, encoding, line, patient)
        for url, (encoding, _), line in zip(urls, plans, lines, strict=True)
    ]


def _opened(url: str, line: Callable[[], Line]) -> Line:
    try:
        return line()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"--to {url} cannot be opened: {reason}; check its name") from None


def _plan(url: str, fps: float, latency: float) -> tuple[Encoding, Callable[[], Line]]:
    """How the frames are written, and where."""
    kind, _, rest = url.partition(":")
    known = [*_DATAGRAMS, *_STREAMS]
    if kind not in known:
        raise OptionError(f"--to {url}: there is no {kind!r}; {did_you_mean(kind, known, str)}")
    if kind in _STREAMS:
        if not rest:
            raise OptionError(f"--to {url} names no file; write {kind}:FILE, or {kind}:-")
        return _STREAMS[kind](fps, latency), lambda: Pipe(rest)
    usual, options, encoding = _DATAGRAMS[kind]
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or usual
        if not host or parts.path.strip("/") or parts.username:
            raise ValueError
    except ValueError:
        raise OptionError(f"--to {url} names no host; write {kind}://HOST:{usual}") from None
    given = _options(url, parts.query, options)
    return encoding(given, fps), lambda: Datagrams(host, port)


def _options(url: str, query: str, known: Options) -> Options:
    given = {name: values.partition("|")[0] for name, values in known.items()}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            hint = did_you_mean(name, known, str) if known else "leave it out"
            raise OptionError(f"--to {url}: there is no option {name!r}; {hint}")
        values = known[name].split("|")
        if not value or (len(values) > 1 and value not in values):
            raise OptionError(f"--to {url}: {name} is {value!r}; choose {' or '.join(values)}")
        given[name] = value
    return given
