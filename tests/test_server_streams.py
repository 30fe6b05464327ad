"""Live streams of the server: what talker.stream gives, bounded, and none harms another."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from codetalker.arkit import ARKIT_NAMES
from codetalker.live.frames import frames_of
from codetalker.motion import Motion
from codetalker.server.limits import Limits
from codetalker.server.models import Models
from codetalker.visemes import to_visemes, to_vowels
from served import Served, pcm, rest, say, served, until

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
"""Of clients that are cut off on purpose."""
RATE = 16000
SOUND = pcm(3.0)
TOLERANCE = 2e-5
"""Weights are written with five digits."""


@pytest.fixture(scope="module")
def models(bundled_model: Path) -> Models:
    return Models(["live"])


@pytest.fixture(scope="module")
def server(models: Models) -> Iterator[Served]:
    with served(models) as one:
        yield one


def spoken(server: Served, chunks: list[bytes | dict], **hello: object) -> list:
    """What comes back for a whole stream."""
    with server.connect() as line:
        say(line, **hello)
        for chunk in chunks:
            line.send(chunk if isinstance(chunk, bytes) else json.dumps(chunk))
        say(line, end=True)
        return rest(line)


def split(data: bytes, *sizes: int) -> list[bytes]:
    parts, i = [], 0
    while data:
        size = sizes[i % len(sizes)]
        parts.append(data[:size])
        data, i = data[size:], i + 1
    return parts


def weights(messages: list) -> np.ndarray:
    return np.array([m["weights"] for m in messages if "frame" in m])


def reset(line: ClientConnection) -> None:
    """Go without a word."""
    line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.socket.shutdown(socket.SHUT_RDWR)
    line.socket.close()


@pytest.mark.parametrize("sizes", [(640,), (2, 3000, 10), (96000,)])
def test_a_stream_is_what_the_talker_gives(
    server: Served, models: Models, sizes: tuple[int, ...]
) -> None:
    talker = models.streaming("live")
    opening, *frames, end = spoken(
        server, split(SOUND.tobytes(), *sizes), style="s3", strength=1.2, life="off", seed=5
    )
    assert tuple(opening["names"]) == ARKIT_NAMES
    assert (opening["fps"], opening["latency"]) == (25, pytest.approx(0.2))
    whole = talker.animate(SOUND, rate=RATE, style="s3", strength=1.2, seed=5)
    np.testing.assert_allclose(weights(frames), whole.weights, atol=TOLERANCE)
    assert [f["frame"] for f in frames] == list(range(75))
    np.testing.assert_allclose([f["time"] for f in frames], np.arange(75) / 25)
    assert end["end"]["reason"] == "end"
    assert (end["end"]["frames"], end["end"]["sound"]) == (75, 3.0)
    assert 0 < end["end"]["computing"] < 10


def test_losses_and_changes_happen_where_they_are_sent(server: Served, models: Models) -> None:
    live = models.streaming("live").stream(48000, life="full")
    sound = pcm(2.0, 48000)
    stereo = np.stack([sound, sound // 2], 1)
    wanted = [live.feed(stereo[:30000]), live.feed(None, seconds=0.35)]
    live.change(style="s1", strength=0.5, life="idle", seconds=0.4)
    wanted += [live.feed(stereo[30000:]), live.finish()]
    _, *frames, end = spoken(
        server,
        [
            *split(stereo[:30000].tobytes(), 3840),
            {"lost": 0.35},
            {"change": {"style": "s1", "strength": 0.5, "life": "idle", "seconds": 0.4}},
            *split(stereo[30000:].tobytes(), 3840),
        ],
        rate=48000,
        channels=2,
    )
    made = Motion.joined(wanted)
    np.testing.assert_allclose(weights(frames), made.weights, atol=TOLERANCE)
    np.testing.assert_allclose([f["head"] for f in frames], made.head, atol=TOLERANCE)
    assert end["end"]["lost"] == pytest.approx(0.35)
    assert end["end"]["sound"] == pytest.approx(2.35)


def test_frames_come_while_sound_does(server: Served) -> None:
    """Those before t - latency are there once t has been heard, without an end."""
    with server.connect() as line:
        say(line, life="off")
        line.send(SOUND[: RATE // 2].tobytes())
        opening = json.loads(line.recv(timeout=20))
        due = int((0.5 - opening["latency"]) * 25) // 2 * 2
        got = [json.loads(line.recv(timeout=20))["frame"] for _ in range(due)]
        assert got == list(range(due))
        assert due >= 6


@pytest.mark.parametrize("output", ["arkit", "visemes", "vrm1", "vrm0"])
def test_raw_frames_are_a_time_and_the_values(server: Served, models: Models, output: str) -> None:
    sound = (SOUND / 32768).astype("<f4")
    opening, *frames, _ = spoken(
        server, split(sound.tobytes(), 4000), format="f32le", output=output, frames="raw"
    )
    made = models.streaming("live").stream(RATE, life="full")
    wanted = [*frames_of(Motion.joined([made.feed(SOUND), made.finish()]))]
    assert len(frames) == len(wanted) == 75
    for packet, frame in zip(frames, wanted, strict=True):
        (moment,), values = struct.unpack("<d", packet[:8]), np.frombuffer(packet[8:], "<f4")
        assert moment == frame.time
        lids = frame.weights[[ARKIT_NAMES.index(f"eyeBlink{s}") for s in ("Left", "Right")]]
        shown = {
            "arkit": frame.weights,
            "visemes": to_visemes(frame.weights[None])[0],
        }.get(output, [*to_vowels(frame.weights[None])[0], *lids])
        np.testing.assert_allclose(values, [*shown, *frame.head], atol=1e-5)
        assert len(opening["names"]) == len(values) - 3
    first = {"arkit": ARKIT_NAMES[0], "visemes": "viseme_sil", "vrm1": "aa", "vrm0": "A"}
    assert opening["names"][0] == first[output]


def test_a_stream_without_sound_has_no_frames(server: Served) -> None:
    opening, end = spoken(server, [b""])
    assert opening["names"]
    assert end["end"]["frames"] == 0


@pytest.mark.parametrize(
    "first",
    [
        "", "[]", "{", "null", '"rate"', b"\0\1", '{"rate": "16000"}', '{"rate": 7999}',
        '{"rate": 1e9}', '{"format": "mp3"}', '{"channels": 0}', '{"strength": NaN}',
        '{"strength": 4}', '{"seed": -1}', '{"style": "nobody"}',
        '{"style": "s1:-1"}', '{"model": "../live"}', '{"model": "/etc"}',
        '{"fps": 60}', '{"output": "x"}', '{"frames": 1}', '{"life": "half"}', '{"rat": 16000}',
        '{"rate": 16000, "rate": []}', '{"style": "\\u0000"}', "{" * 5000,
    ],
)  # fmt: skip
def test_a_malformed_hello_is_told_in_a_line(server: Served, first: str | bytes) -> None:
    with server.connect() as line:
        line.send(first)
        (message,) = rest(line)
    assert message["error"]
    assert "\n" not in message["error"]
    assert line.close_code == 1007
    assert line.close_reason


@pytest.mark.parametrize(
    "message",
    [
        b"\0", "{}", '{"end": false}', '{"end": true, "lost": 1}', '{"lost": -1}', '{"lost": 61}',
        '{"lost": Infinity}', '{"change": {"style": "nobody"}}', '{"change": {"strength": 9}}',
        '{"change": {"seconds": -1}}', '{"change": null}', '{"stop": true}', "\0", "[" * 9000,
    ],
)  # fmt: skip
def test_a_malformed_message_ends_its_stream_in_a_line(
    server: Served, message: str | bytes
) -> None:
    with server.connect() as line:
        say(line)
        line.send(SOUND.tobytes())
        line.send(message)
        *_, last = rest(line)
    assert last["error"]
    assert line.close_code == 1007


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_sound_that_is_none_ends_its_stream(server: Served, value: float) -> None:
    with server.connect() as line:
        say(line, format="f32le")
        line.send(np.full(1600, value, "<f4").tobytes())
        *_, last = rest(line)
    assert last["error"]
    assert line.close_code == 1007


def test_too_large_a_message_is_refused(server: Served) -> None:
    with server.connect() as line:
        say(line)
        with suppress(ConnectionClosed):
            line.send(bytes(Limits.message + 2))
        with suppress(ConnectionClosed):
            rest(line)
        assert line.close_code == 1009


def test_limits_are_told_and_free_the_place(models: Models) -> None:
    limits = Limits(streams=2, idle=0.4, hello=0.3, messages=50, stream=2.0)
    with served(models, limits) as server:
        with server.connect() as silent, server.connect() as mute:
            say(silent)
            assert until(lambda: server.metric("codetalker_streams_open") == 2)
            with server.connect() as third:
                (message,) = rest(third)
            assert "2 streams" in message["error"]
            assert third.close_code == 1013
            (message,) = rest(mute)
            assert "hello" in message["error"]
            assert mute.close_code == 1008
            *_, last = rest(silent)
            assert "nothing came" in last["end"]["reason"]
            assert silent.close_code == 1008
        assert until(lambda: server.metric("codetalker_streams_open") == 0)
        with server.connect() as flood:
            say(flood)
            with suppress(ConnectionClosed):
                for _ in range(300):
                    flood.send(b"\0\0")
            *_, last = rest(flood)
            assert "small messages" in last["error"]
            assert flood.close_code == 1008
        *_, last = spoken(server, split(pcm(3.0).tobytes(), 2560))
        assert "longer" in last["end"]["reason"]


def test_many_messages_with_sound_in_them_are_no_flood(models: Models) -> None:
    with served(models, Limits(messages=20)) as server:
        *_, end = spoken(server, split(pcm(4.0).tobytes(), 640))
    assert end["end"]["frames"] == 100


def test_who_does_not_read_holds_up_itself_and_is_closed(models: Models) -> None:
    """A minute of sound as fast as it goes, and not a frame is read."""
    with served(models, Limits(stall=1.0), unread=8192) as server:
        host, port = server.url.removeprefix("http://").split(":")
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect((host, int(port)))
        deaf.sendall(
            f"GET /v1/stream HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        assert deaf.recv(1000).startswith(b"HTTP/1.1 101")
        deaf.settimeout(0.5)

        def send(code: int, data: bytes) -> None:
            head = bytes([0x80 | code, 0xFF]) + struct.pack(">Q", len(data)) + bytes(4)
            deaf.sendall(head + data)

        send(1, b'{"rate": 16000, "life": "full"}')
        began = time.monotonic()
        with suppress(OSError):
            while time.monotonic() - began < 15:
                send(2, SOUND[:16000].tobytes())
        *_, end = spoken(server, split(SOUND.tobytes(), 2560))
        assert end["end"]["frames"] == 75
        assert until(lambda: server.metric("codetalker_streams_open") == 0, 20)
        assert server.metric('codetalker_streams_total{reason="refused"}') == 1
        assert server.metric("codetalker_frames_total") < 75 + 60 * 25
        deaf.close()


def test_clients_that_vanish_leave_nothing(server: Served) -> None:
    for i in range(10):
        line = server.connect()
        if i % 3:
            say(line)
        if i % 2:
            line.send(SOUND.tobytes())
        reset(line) if i % 4 else line.socket.shutdown(socket.SHUT_RDWR)
    assert until(lambda: server.metric("codetalker_streams_open") == 0, 20)
    *_, end = spoken(server, [SOUND.tobytes()])
    assert end["end"]["frames"] == 75


def test_a_flood_leaves_others_their_turns(server: Served) -> None:
    """Two upload as fast as they are heard; one that speaks gets its frames meanwhile."""
    stop = Event()

    def flood() -> None:
        line = server.connect()
        say(line)
        Thread(target=rest, args=(line,), daemon=True).start()
        while not stop.is_set():
            line.send(SOUND.tobytes())
        reset(line)

    floods = [Thread(target=flood, daemon=True) for _ in range(2)]
    for one in floods:
        one.start()
    time.sleep(0.5)
    waits = []
    with server.connect() as line:
        say(line)
        line.recv()
        for i in range(20):
            line.send(SOUND[i * 1280 : (i + 1) * 1280].tobytes())
            began = time.monotonic()
            if i > 2:
                line.recv(timeout=20), line.recv(timeout=20)
                waits.append(time.monotonic() - began)
    stop.set()
    assert np.median(waits) < 0.2


def test_a_server_that_ends_lets_streams_finish(models: Models) -> None:
    """One that goes on ends itself; one that does not gets the frames of what it has sent."""
    with served(models, grace=1.5) as server:
        going, hanging = server.connect(), server.connect()
        with going, hanging:
            for line in (going, hanging):
                say(line)
                line.send(SOUND[:32000].tobytes())
                line.recv()
            server.running.should_exit = True
            time.sleep(0.4)
            with pytest.raises(OSError):
                server.connect()
            going.send(SOUND[32000:].tobytes())
            say(going, end=True)
            *frames, end = rest(going)
            assert (len(frames), end["end"]["reason"], going.close_code) == (75, "end", 1000)
            *frames, end = rest(hanging)
            assert (len(frames), hanging.close_code) == (50, 1001)
            assert "going away" in end["end"]["reason"]
