"""Pace: frames are sent at their moments, whoever is slow, and never in a burst."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codetalker.live import sinks
from codetalker.live.frames import Frame
from codetalker.live.gaps import PATIENCE, filled
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
@given(WAITS, st.booleans())
def test_no_frame_is_early_none_in_a_burst_and_none_waits_for_nothing(
    waits: list[float], steady: bool
) -> None:
    schedule, last, delay = Schedule(FPS, steady), -np.inf, -np.inf
    for moment, now in arrivals(waits):
        due = schedule.times(moment, now)[1]
        assert due >= now
        assert due - last >= STEP / 2 - 1e-9
        if due > now + 1e-9:  # it waits: for its own moment, or not to follow the last too soon
            assert steady or due - moment >= delay - 1e-9
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
    schedule.restart()  # someone has noticed that it has paused, if only for a moment
    assert schedule.times(3 * STEP, 10.2) == pytest.approx((10.2 + MARGIN, 10.2 + MARGIN))
    assert SLIP < 10


@pytest.mark.parametrize("drift", [0.9999, 1.0001])
def test_the_clock_of_a_microphone_is_followed(drift: float) -> None:
    """In two hours it is 0.7 s before or behind ours; no frame waits for it, and few are late."""
    schedule = Schedule(FPS, steady=True)
    arrivals = np.arange(2 * 90_000) * STEP * drift
    due, sent = np.transpose([schedule.times(i * STEP, now) for i, now in enumerate(arrivals)])
    assert (sent - arrivals).max() < 0.05
    assert (arrivals - due).max() < 0.001
    assert np.diff(sent).min() > STEP / 2 - 1e-9


def test_a_pipe_that_is_ahead_stays_ahead_and_one_that_is_behind_is_followed() -> None:
    schedule, moments = Schedule(FPS), np.arange(100) * STEP
    sent = [schedule.times(moment, 0.0)[1] for moment in moments]
    np.testing.assert_allclose(sent, moments + MARGIN)
    late = [schedule.times(4 + moment, 4.1 + moment) for moment in moments]
    due, sent = np.transpose(late[-50:])
    np.testing.assert_allclose(due, sent)


def timed() -> tuple[list[tuple[float, int]], Pacer]:
    seen: list[tuple[float, int]] = []
    pacer = Pacer(lambda f: seen.append((time.monotonic(), f.number)), FPS, Schedule(FPS))
    return seen, pacer


def test_a_pacer_sends_at_the_moments() -> None:
    """None early; how late, a busy machine decides."""
    began = time.monotonic()
    seen, pacer = timed()
    for i in range(20):
        pacer.put(frame(i))
    pacer.finish()
    times, numbers = np.transpose(seen)
    assert numbers.tolist() == list(range(20))
    late = times - began - MARGIN - numbers * STEP
    assert late.min() >= 0
    assert np.median(late) < 0.2


def test_frames_that_come_late_are_counted() -> None:
    _, pacer = timed()
    for i, wait in enumerate((0.0, 0.0, 0.2, 0.0, 0.0, 0.0)):
        time.sleep(wait)  # two frames come 0.1 s late, the others while those are caught up
        pacer.put(frame(i))
    pacer.finish()
    assert pacer.late >= 1
    _, pacer = timed()
    pacer.put(frame(0))
    pacer.finish()
    assert pacer.late <= 1


def test_sound_that_comes_faster_waits_and_a_stop_does_not() -> None:
    seen, pacer = timed()
    fed = threading.Thread(target=lambda: [pacer.put(frame(i)) for i in range(70)], daemon=True)
    began = time.monotonic()
    fed.start()
    fed.join(0.3)
    assert fed.is_alive()
    pacer.stop()
    assert len(seen) <= (time.monotonic() - began) * FPS + 1
    assert len(seen) < 50
    assert round(BACKLOG * FPS) < 70


def taken(
    waits: list[float],
    idle: Callable[[], bool] = lambda: True,
    error: Exception | None = None,
) -> list:
    """(seconds, chunk) of what comes of chunks that each come after a wait."""

    def chunks() -> Iterator[int]:
        for i, wait in enumerate(waits):
            time.sleep(wait)
            yield i
        if error:
            raise error

    began = time.monotonic()
    return [(time.monotonic() - began, x) for x in filled(chunks(), 0.02, idle)]


def test_pauses_are_filled_as_long_as_they_are() -> None:
    got = taken([0.0, 0.6, 0.3])
    assert [x for _, x in got if x is not None] == [0, 1, 2]
    come = [at for at, x in got if x is not None]
    for before, after in pairwise(come):
        silent = [at for at, x in got if x is None and before < at < after]
        assert silent[0] - before >= PATIENCE - 0.01
        assert len(silent) == pytest.approx((after - before - PATIENCE) / 0.02, abs=6)


def test_no_pause_begins_while_frames_wait() -> None:
    assert None not in [x for _, x in taken([0.0, 0.4], lambda: False)]


def test_a_pause_that_has_begun_goes_on_while_its_own_frames_wait() -> None:
    answers = iter([True])
    got = [x for _, x in taken([0.0, 0.4], lambda: next(answers, False))]
    assert got.count(None) > 3


def test_what_goes_wrong_with_a_source_is_told() -> None:
    with pytest.raises(ValueError, match="broken"):
        taken([0.0], error=ValueError("broken"))


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
    assert time.monotonic() - began < 200 * slow.seconds / 2
    for sink in both:
        sink.close()
    seconds = time.monotonic() - began
    assert seconds < 200 * slow.seconds / 2 + 2 * CLOSING
    assert quick.taken == [b"begin", *(b"%d" % i for i in range(200))]
    assert (both[1].sent, both[1].dropped, quick.closed) == (200, 0, True)
    assert both[0].dropped >= 200 - seconds / slow.seconds
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
