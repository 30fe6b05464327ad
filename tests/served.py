"""A server in a thread, at a free port, for tests that talk to it as clients do."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Thread
from typing import Any

import httpx
import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from codetalker.listening import address_of, listening
from codetalker.server.app import Server
from codetalker.server.limits import Limits
from codetalker.server.models import Models
from codetalker.server.running import Running


@dataclass(frozen=True)
class Served:
    """A server that runs."""

    url: str
    running: Running
    server: Server

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, **options)

    def connect(self, **options: Any) -> ClientConnection:
        """To `/v1/stream`."""
        return connect(f"ws{self.url.removeprefix('http')}/v1/stream", **options)

    def metric(self, name: str) -> float:
        """The value of a sample with all its labels."""
        lines = self.server.metrics.text().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


@contextmanager
def served(
    models: Models,
    limits: Limits | None = None,
    grace: float = 0,
    unread: int | None = None,
    **options: Any,
) -> Iterator[Served]:
    """While the block runs; `unread` bytes wait in the system for a client that does not read."""
    limits = limits or Limits()
    with listening("127.0.0.1", 0) as bound:
        if unread:  # what it accepts has it from here
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, unread)
        server = Server(models, limits, **options)
        running = Running(server, limits, grace)
        thread = Thread(target=running.run, args=([bound],))
        thread.start()
        try:
            yield Served(address_of(bound), running, server)
        finally:
            running.should_exit = True
            thread.join(30)
            assert not thread.is_alive()


def say(line: ClientConnection, **message: Any) -> None:
    line.send(json.dumps(message))


def rest(line: ClientConnection) -> list[Any]:
    """All messages until the server closes; texts as JSON."""
    messages = []
    with suppress(ConnectionClosed):
        for message in line:
            messages.append(json.loads(message) if isinstance(message, str) else message)
    return messages


def pcm(seconds: float, rate: int = 16000, seed: int = 0) -> np.ndarray:
    """(N,) int16 of something like a voice."""
    time_ = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(seed).normal(0, 0.05, len(time_))
    voice = 0.3 * np.sin(2 * np.pi * 140 * time_) * (np.sin(2 * np.pi * 3 * time_) > 0)
    return ((voice + noise) * 20000).astype("<i2")


def until(true: Any, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not (done := true()) and time.monotonic() < end:
        time.sleep(0.02)
    return bool(done)
