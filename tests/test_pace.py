"""Pace: frames are sent at their moments, whoever is slow, and never in a burst."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codetalker.live import sinks
from codetalker.live.frames import Frame
from codetalker.live.pace import BACKLOG, MARGIN, SLIP, Pacer, Schedule
from codetalker.live.sinks import CLOSING, WAITING, Datagrams, Pipe, Sink

FPS = 25
STEP = 1 / FPS


def frame(number: int) -> Frame:
    return Frame(number, number * STEP, np.zeros(52, np.float32), np.zeros(3), np.zeros((2, 2)))


def arrivals(waits: list[float], hop: int = 2) -> Iterator[tuple[float, float]]:
    """(moment, arrival) of frames that come by hops, each so long after the one before."""
    now = 100.0
    for i, wait in enumerate(waits):
        now += wait
        for j in range(hop):
            yield (hop * i + j) * STEP, now


WAITS = st.lists(st.floats(0, 0.6), min_size=1, max_size=60)


@settings(max_examples=100)
@given(WAITS, st.sampled_from([None, 0.25]))
def test_no_frame_is_early_none_in_a_burst_and_none_waits_for_nothing(
    waits: list[float], ahead: float | None
) -> None:
    schedule, last, delay = Schedule(FPS, ahead), -np.inf, -np.inf
    for moment, now in arrivals(waits):
        due = schedule.times(moment, now)[1]
        assert due >= now
        assert due - last >= STEP / 2 - 1e-9
        if due > now + 1e-9:  # it waits: for its own moment, or not to follow the last too soon
            assert due <= max(now + (ahead or np.inf), last + STEP / 2) + 1e-9
            assert ahead or due - moment >= delay - 1e-9
        delay = delay if np.isfinite(delay) else due - moment
        last = due


def test_a_steady_voice_is_sent_steadily() -> None:
    """Hops of two frames every 80 ms, up to 19 ms late, leave every 40 ms."""
    random = np.random.default_rng(0)
    schedule, moments = Schedule(FPS), np.arange(200)
    times = [
        schedule.times(i * STEP, 5 + i // 2 * 2 * STEP + (random.uniform(0, 0.019) if i else 0))[1]
        for i in moments
    ]
    np.testing.assert_allclose(np.diff(times), STEP, atol=1e-9)
    assert times[0] == pytest.approx(5 + MARGIN)


def test_after_a_hitch_frames_catch_up_at_twice_the_pace() -> None:
    """Six frames' worth of nothing, then all at once: half a frame apart until all is well."""
    schedule = Schedule(FPS)
    schedule.times(0, 0.0)
    sent = [schedule.times(i * STEP, 0.24)[1] for i in range(1, 20)]
    assert sent[0] == 0.24
    np.testing.assert_allclose(np.diff(sent[:9]), STEP / 2)
    np.testing.assert_allclose(sent[-3:], [MARGIN + i * STEP for i in (17, 18, 19)])


def test_after_a_pause_the_clock_goes_on_from_where_it_was() -> None:
    schedule = Schedule(FPS)
    sent = [schedule.times(i * STEP, now) for i, now in enumerate((0.0, 10.0, 10.0))]
    moments = [MARGIN, 10 + MARGIN, 10 + MARGIN + STEP]
    np.testing.assert_allclose(sent, [[moment, moment] for moment in moments])
    assert SLIP < 10


def test_the_fast_clock_of_a_microphone_adds_no_delay() -> None:
    """Two hours at 100 parts per million too fast: 0.7 s of frames that come early."""
    schedule = Schedule(FPS, ahead=0.25)
    arrivals = np.arange(2 * 90_000) * STEP * 0.9999
    waits = [schedule.times(i * STEP, now)[1] - now for i, now in enumerate(arrivals)]
    assert max(waits) <= 0.25 + 1e-6
    assert waits[-1] > 0.2
    assert np.abs(np.diff(waits)).max() < 1e-4


def timed() -> tuple[list[tuple[float, int]], Pacer]:
    seen: list[tuple[float, int]] = []
    pacer = Pacer(lambda f: seen.append((time.monotonic(), f.number)), FPS, Schedule(FPS))
    return seen, pacer


def test_a_pacer_sends_at_the_moments() -> None:
    seen, pacer = timed()
    for i in range(20):
        pacer.put(frame(i))
    pacer.finish()
    times, numbers = zip(*seen, strict=True)
    assert numbers == tuple(range(20))
    np.testing.assert_allclose(np.array(times) - times[0], np.arange(20) * STEP, atol=0.03)
    assert pacer.late == 0


def test_frames_that_come_late_are_counted() -> None:
    _, pacer = timed()
    for i, wait in enumerate((0.0, 0.0, 0.2, 0.0, 0.0, 0.0)):
        time.sleep(wait)  # two frames come 0.1 s late, the others while those are caught up
        pacer.put(frame(i))
    pacer.finish()
    assert 1 <= pacer.late <= 4
    _, pacer = timed()
    pacer.put(frame(0))
    pacer.finish()
    assert pacer.late == 0


def test_sound_that_comes_faster_waits_and_a_stop_does_not() -> None:
    seen, pacer = timed()
    fed = threading.Thread(target=lambda: [pacer.put(frame(i)) for i in range(70)], daemon=True)
    began = time.monotonic()
    fed.start()
    fed.join(0.3)
    assert fed.is_alive()
    assert len(seen) <= 0.3 * FPS + 2
    pacer.stop()
    assert time.monotonic() - began < 1
    assert len(seen) < 20
    assert round(BACKLOG * FPS) < 70


class Line:
    """Takes a packet every so often."""

    def __init__(self, seconds: float = 0.0, error: OSError | None = None) -> None:
        self.seconds, self.error, self.taken, self.closed = seconds, error, [], False

    def write(self, packet: bytes) -> None:
        time.sleep(self.seconds)
        if self.error and self.taken:
            raise self.error
        self.taken.append(packet)

    def close(self) -> None:
        self.closed = True


class Numbers:
    opening = b"begin"

    def packets(self, frame: Frame) -> list[bytes]:
        return [b"%d" % frame.number]


def test_a_slow_sink_drops_frames_and_holds_up_nobody() -> None:
    slow, quick = Line(0.05), Line()
    both = [Sink("slow", Numbers(), slow), Sink("quick", Numbers(), quick)]
    began = time.monotonic()
    for i in range(200):
        for sink in both:
            sink.put(frame(i))
        time.sleep(0.001)
    assert time.monotonic() - began < 2
    for sink in both:
        sink.close()
    assert time.monotonic() - began < 2 + 2 * CLOSING + 0.5
    assert quick.taken == [b"begin", *(b"%d" % i for i in range(200))]
    assert (both[1].sent, both[1].dropped, quick.closed) == (200, 0, True)
    assert both[0].dropped >= 200 - WAITING - 60
    assert both[0].sent + both[0].dropped == 200
    numbers = [int(packet) for packet in slow.taken[1:]]
    assert numbers == sorted(numbers)


def test_a_patient_sink_gets_every_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(0.002)
    monkeypatch.setattr(sinks, "CLOSING", 0.01)
    sink = Sink("slow", Numbers(), line, patient=True)
    for i in range(WAITING * 3):
        sink.put(frame(i))
    sink.close()
    assert (sink.sent, sink.dropped, len(line.taken)) == (3 * WAITING, 0, 3 * WAITING + 1)


def test_a_sink_that_fails_says_so_and_takes_no_more() -> None:
    failure = OSError(28, "No space left on device")
    for patient in (False, True):
        sink = Sink("full", Numbers(), Line(error=failure), patient)
        for i in range(WAITING * 2):
            sink.put(frame(i))
        sink.close()
        assert (sink.error, sink.sent, sink.dropped) == (failure, 0, 2 * WAITING)


class Outage(Datagrams):
    """A network that is away for every other packet."""

    def __init__(self) -> None:
        self.tried = 0

    def write(self, packet: bytes) -> None:
        self.tried += 1
        if self.tried % 2:
            raise OSError(101, "Network is unreachable")

    def close(self) -> None:
        pass


def test_a_network_that_comes_back_is_sent_to_again() -> None:
    encoding = Numbers()
    encoding.opening = b""
    sink = Sink("away", encoding, Outage())
    for i in range(WAITING):
        sink.put(frame(i))
    sink.close()
    assert (sink.error, sink.sent, sink.dropped) == (None, WAITING // 2, WAITING // 2)


def test_a_pipe_writes_all_of_a_packet(tmp_path) -> None:
    pipe = Pipe(str(tmp_path / "out"))
    pipe.write(b"x" * 3_000_000)
    pipe.close()
    assert (tmp_path / "out").stat().st_size == 3_000_000
