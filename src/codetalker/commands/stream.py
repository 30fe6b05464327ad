"""`codetalker stream`: a voice as it is spoken becomes a face in a game, an avatar, a program.

In the flow **speech -> features -> codes -> motion -> wire**, all of it.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, UseAppendAction, arg

from codetalker.errors import OptionError, OutputError
from codetalker.live.frames import frames_of
from codetalker.live.gaps import filled
from codetalker.live.pace import Pacer, Schedule
from codetalker.live.sinks import Sink, open_sinks
from codetalker.live.sources import (
    CHUNK,
    Sample,
    Source,
    from_file,
    from_microphone,
    from_pcm,
    from_wav,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from codetalker.causal.stream import Live
    from codetalker.motion import Motion


def _shown_as(metavar: str):
    return arg(metavar=metavar, help_behavior_hint="")


def stream(
    source: Annotated[Positional[str], _shown_as("SOURCE")] = "mic",
    *,
    to: Annotated[UseAppendAction[tuple[str, ...]], _shown_as("SINK")] = (),
    device: Annotated[str | None, _shown_as("NAME")] = None,
    rate: Annotated[int | None, _shown_as("HZ")] = None,
    channels: int = 1,
    format: Sample = "s16le",
    fast: bool = False,
    model: Annotated[str | None, _shown_as("MODEL")] = None,
    style: Annotated[str | None, _shown_as("STYLE")] = None,
    strength: float = 1.0,
    seed: int = 0,
    blinks: bool = True,
    life: Literal["off", "idle", "full"] = "full",
) -> int:
    """Send a face over the network while its voice is spoken.

    Ctrl-C ends it. Sinks: livelink://HOST:11111?subject=NAME, vmc://HOST:39539?names=vrm0 (or vrm1,
    arkit), ifacialmocap://HOST:49983, jsonl:FILE, raw:FILE; - is standard output.

    Args:
        source: mic; - for standard input, a WAV or, with --rate, raw samples; or an audio or video
            file, which is sent at the pace of its sound.
        to: where the frames go; repeat it for several sinks.
        device: microphone, by number or part of its name.
        rate: of the microphone, or of raw samples, in Hz.
        channels: of raw samples.
        format: of raw samples.
        fast: send frames as soon as they are made, and wait for slow sinks; a pause of standard
            input takes no time then.
        model: folder or name of a model for streams; the bundled `live` by default.
        style: a speaking style of the model, or a blend such as s1:0.5,s3:0.5.
        strength: scale of the articulation, 1 as trained.
        seed: for models that draw at random.
        blinks: procedural ones, where the model has them.
        life: procedural motion of eyes, head and brows: off, idle, as of one who listens, or full,
            with the accents of the voice.
    """
    if not to:
        raise OptionError("no sink is given; name one: --to vmc://127.0.0.1, or --to jsonl:-")
    import codetalker

    talker = codetalker.load(model)
    if not isinstance(talker, codetalker.StreamingTalker):
        raise OptionError(f"the model {model} has no streams; leave --model out")
    sound = _opened(source, device, rate, channels, format)
    given: dict[str, Any] = {"blinks": blinks, "life": life}
    own = {name: value for name, value in given.items() if name in talker.options}
    live = talker.stream(sound.rate, style=style, strength=strength, seed=seed, **own)
    sinks = open_sinks(to, talker.fps, live.latency, patient=fast)
    schedule = None if fast else Schedule(talker.fps, sound.steady)
    pacer = Pacer(lambda frame: [sink.put(frame) for sink in sinks], talker.fps, schedule)
    paced = sound.pauses and not fast
    chunks = filled(sound.chunks, CHUNK, pacer.idle) if paced else sound.chunks
    try:
        with _ended_by_signals():
            for motion in _motion(live, chunks, pacer):
                for frame in frames_of(motion):
                    pacer.put(frame)
                if all(sink.error for sink in sinks):
                    break
            pacer.finish()
    except KeyboardInterrupt:
        pass
    finally:
        pacer.stop()
        for sink in sinks:
            sink.close()
    return _told(sinks, pacer.late)


def _opened(
    source: str, device: str | None, rate: int | None, channels: int, format: Sample
) -> Source:
    if source == "mic":
        return from_microphone(device, rate)
    if device is not None:
        raise OptionError("--device is of the microphone; leave it out, or name mic as the source")
    if source == "-":
        pipe = BufferedReader(FileIO(sys.stdin.fileno(), closefd=False))
        return from_wav(pipe) if rate is None else from_pcm(pipe, format, rate, channels)
    if rate is not None:
        raise OptionError("a file has a rate of its own; leave --rate out")
    return from_file(Path(source))


def _motion(live: Live, chunks: Iterator[NDArray | None], pacer: Pacer) -> Iterator[Motion]:
    """What comes of the sound, and of its pauses, in which the face comes to rest and lives on."""
    paused = False
    for chunk in chunks:
        if chunk is None and not paused:
            pacer.restart()
        paused = chunk is None
        yield live.feed(chunk, seconds=CHUNK if paused else None)
    yield live.finish()


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does."""

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _told(sinks: list[Sink], late: int) -> int:
    """Say what became of the frames.

    Raises:
        OutputError: a sink failed, other than by not wanting more.
    """
    for sink in sinks:
        print(f"{sink.name}: {sink.sent} frames, {sink.dropped} dropped", file=sys.stderr)
    print(f"{late} frames were late", file=sys.stderr)
    for sink in sinks:
        if sink.error and not isinstance(sink.error, BrokenPipeError):
            raise OutputError(
                f"--to {sink.name} failed: {sink.error.strerror}; mend it or leave it out"
            )
    return 0
