"""`codetalker stream`: sound from anywhere comes out everywhere, at its pace, and ends cleanly."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import codetalker
from codetalker.cli import main
from codetalker.errors import AudioError
from codetalker.live import sources
from codetalker.live.sources import from_pcm, from_wav
from conftest import write_sound
from tiny_model import babble

COMMAND = [sys.executable, "-m", "codetalker", "stream"]


def status(*arguments: object) -> int:
    return main(["stream", *map(str, arguments)])


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(0.5)
        yield bound


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """1.2 s: 30 frames."""
    sound = (babble(1.2) * 32767).astype(np.int16)[:, None]
    return write_sound(tmp_path / "speech.wav", sound)


def received(receiver: socket.socket) -> list[tuple[float, bytes]]:
    """Packets and when they came, until none comes for half a second."""
    packets = []
    while True:
        try:
            packets.append((time.monotonic(), receiver.recv(4096)))
        except TimeoutError:
            if packets:
                return packets


def place(receiver: socket.socket) -> str:
    return f"127.0.0.1:{receiver.getsockname()[1]}"


def weights_of(path: Path) -> np.ndarray:
    """The (T, 52) weights of a `raw:` file."""
    return np.fromfile(path, "<f4").reshape(-1, 55)[:, :52]


def test_a_file_is_sent_at_the_pace_of_its_sound_to_every_sink(
    tiny_bundle: Path, speech: Path, receiver: socket.socket, tmp_path: Path
) -> None:
    packets: list[tuple[float, bytes]] = []
    listening = threading.Thread(target=lambda: packets.extend(received(receiver)))
    listening.start()
    to = (f"livelink://{place(receiver)}?subject=Ann", f"jsonl:{tmp_path}/out", f"raw:{tmp_path}/r")
    assert status(speech, *(x for sink in to for x in ("--to", sink)), "--model", tiny_bundle) == 0
    listening.join()
    times, data = zip(*packets, strict=True)
    assert [struct.unpack(">i", one[48:52])[0] for one in data] == list(range(30))
    assert all(one[41:48] == b"\0\0\0\3Ann" for one in data)
    assert np.median(np.diff(times)) == pytest.approx(0.04, abs=0.02)
    assert 0.9 < times[-1] - times[0] < 5  # 1.16 s where nothing else runs
    opening, *lines = map(json.loads, (tmp_path / "out").read_text().splitlines())
    assert [line["frame"] for line in lines] == list(range(30))
    assert opening["latency"] == pytest.approx(0.2)
    offline = codetalker.load(tiny_bundle).animate(speech, life="full")  # type: ignore[call-arg]
    np.testing.assert_array_equal(weights_of(tmp_path / "r"), offline.weights)
    np.testing.assert_allclose([line["head"] for line in lines], offline.head, atol=1e-5)


def test_fast_gives_the_same_frames_at_once(
    tiny_bundle: Path, speech: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = ("--fast", "--life", "off", "--style", "anna", "--strength", "1.5", "--seed", "3")
    to = ("--to", f"raw:{tmp_path}/r", "--to", "jsonl:-")
    assert status(speech, *to, "--model", tiny_bundle, *options) == 0
    offline = codetalker.load(tiny_bundle).animate(speech, style="anna", strength=1.5, seed=3)
    np.testing.assert_array_equal(weights_of(tmp_path / "r"), offline.weights)
    told = capfd.readouterr()
    assert len(told.out.splitlines()) == 31
    assert f"raw:{tmp_path}/r: 30 frames, 0 dropped" in told.err
    assert "0 frames were late" in told.err


@pytest.mark.parametrize(
    ("sample", "rate", "channels"),
    [("s16le", 16000, 1), ("f32le", 48000, 2), ("s32le", 44100, 1), ("s24le", 8000, 2), ("", 0, 0)],
)
def test_standard_input_is_heard(
    tiny_bundle: Path, speech: Path, tmp_path: Path, sample: str, rate: int, channels: int
) -> None:
    """Raw samples of any kind, or a WAV."""
    if sample:
        sound = np.repeat(babble(1.2, rate)[:, None], channels, axis=1)
        data = encoded(sound, sample)
        options = ["--rate", rate, "--channels", channels, "--format", sample]
        offline = codetalker.load(tiny_bundle).animate(sound, rate=rate)
    else:
        data, options = speech.read_bytes(), []
        offline = codetalker.load(tiny_bundle).animate(speech)
    options += ["--fast", "--life", "off", "--model", tiny_bundle, "--to", f"raw:{tmp_path}/r"]
    subprocess.run([*COMMAND, "-", *map(str, options)], input=data, check=True, timeout=60)
    np.testing.assert_allclose(weights_of(tmp_path / "r"), offline.weights, atol=2e-3)


def encoded(sound: np.ndarray, sample: str) -> bytes:
    """(N, channels) floats as the bytes of raw samples."""
    if sample == "f32le":
        return sound.astype("<f4").tobytes()
    bits = int(sample[1:3])
    whole = np.round(sound * (2.0 ** (bits - 1) - 1)).astype("<i4")
    return whole[..., None].view(np.uint8)[..., : bits // 8].tobytes()


def wav(sound: np.ndarray, sample: str, rate: int = 16000, size: int | None = None) -> bytes:
    """(N, channels) floats as a WAV with a chunk that nobody needs, of a length that it states."""
    bits, code = int(sample[1:3]), 3 if sample[0] == "f" else 1
    data, width = encoded(sound, sample), sound.shape[1] * bits // 8
    about = struct.pack("<HHIIHH", code, sound.shape[1], rate, rate * width, width, bits)
    chunks = b"LIST" + struct.pack("<I", 3) + b"abc\0" + b"fmt " + struct.pack("<I", 16) + about
    length = len(data) if size is None else size
    return b"RIFF\xff\xff\xff\xffWAVE" + chunks + b"data" + struct.pack("<I", length) + data


class Trickle(io.RawIOBase):
    """Bytes that come a few at a time."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self.data, self.sizes = data, sizes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        size = self.sizes.pop(0) if self.sizes else 4096
        piece, self.data = self.data[: min(size, len(buffer))], self.data[min(size, len(buffer)) :]
        buffer[: len(piece)] = piece
        return len(piece)


@settings(max_examples=40)
@given(
    sample=st.sampled_from(["s16le", "s24le", "s32le", "f32le"]),
    channels=st.integers(1, 3),
    sizes=st.lists(st.integers(1, 700), max_size=20),
    stated=st.sampled_from([None, 0, 0xFFFFFFFF, 0x7FFFF000]),
    raw=st.booleans(),
)
def test_sound_from_a_pipe_is_the_same_however_it_trickles(
    sample: sources.Sample, channels: int, sizes: list[int], stated: int | None, raw: bool
) -> None:
    sound = np.random.default_rng(0).uniform(-0.9, 0.9, (1500, channels))
    if raw:
        pipe = io.BufferedReader(Trickle(encoded(sound, sample), sizes))
        source = from_pcm(pipe, sample, 16000, channels)
    else:
        pipe = io.BufferedReader(Trickle(wav(sound, sample, size=stated), sizes))
        source = from_wav(pipe)
    assert source.rate == 16000
    chunks = list(source.chunks)
    heard = np.concatenate(chunks)
    scale = 1.0 if sample == "f32le" else 2.0 ** (8 * heard.dtype.itemsize - 1)
    np.testing.assert_allclose(heard / scale, sound, atol=1e-4)
    assert max(map(len, chunks)) <= 0.02 * 16000


def test_what_follows_the_sound_of_a_wav_is_no_sound() -> None:
    data = wav(np.zeros((100, 1)), "s16le") + b"LIST" + bytes(1000)
    source = from_wav(io.BufferedReader(io.BytesIO(data)))  # type: ignore[arg-type]
    assert sum(map(len, source.chunks)) == 100


GOOD = wav(np.zeros((100, 1)), "s16le")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "ends within its header"),
        (b"RIFF", "ends within its header"),
        (b"OggS" + bytes(40), "is no WAV; pass --rate"),
        (GOOD[:30], "ends within its header"),
        (GOOD.replace(b"fmt ", b"fmu "), "does not say what it holds"),
        (GOOD.replace(b"fmt \x10\0\0\0\1\0", b"fmt \x10\0\0\0\7\0"), "kind 7 and 16 bits"),
        (GOOD.replace(b"fmt \x10\0\0\0\1\0\1", b"fmt \x10\0\0\0\1\0\0"), "does not say"),
        (GOOD.replace(b"LIST\3\0\0\0", b"LIST\3\0\0\xff"), "damaged header"),
    ],
)
def test_what_is_no_wav_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        from_wav(io.BufferedReader(io.BytesIO(data)))  # type: ignore[arg-type]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(
    tiny_bundle: Path, tmp_path: Path, receiver: socket.socket, how: signal.Signals
) -> None:
    options = ["-", "--rate", "16000", "--model", tiny_bundle, "--to", f"vmc://{place(receiver)}"]
    command = [*COMMAND, *map(str, options), "--to", f"raw:{tmp_path}/r"]
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    # what a shell starts in the background ignores SIGINT, and so do its children
    heeds = partial(signal.signal, how, signal.SIG_DFL)
    with subprocess.Popen(command, preexec_fn=heeds, **pipes) as running:
        assert running.stdin
        assert running.stderr
        running.stdin.write(bytes(32000))
        running.stdin.flush()
        receiver.settimeout(20)
        receiver.recv(4096)
        time.sleep(0.3)
        running.send_signal(how)
        assert running.wait(5) == 0
        told = running.stderr.read().decode()
    assert "Traceback" not in told
    assert "frames, 0 dropped" in told
    assert (tmp_path / "r").stat().st_size % 220 == 0
    assert len(weights_of(tmp_path / "r")) >= 2


def test_a_face_lives_on_while_a_pipe_is_silent(tiny_bundle: Path, tmp_path: Path) -> None:
    """An answer, more than 1 s of nothing, another answer: frames all the way, most in time."""
    options = ["-", "--rate", "16000", "--model", tiny_bundle, "--to", f"jsonl:{tmp_path}/out"]
    with subprocess.Popen(
        [*COMMAND, *map(str, options)], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdin
        assert running.stderr
        answer = encoded(babble(1.0)[:, None], "s16le")
        running.stdin.write(answer)
        running.stdin.flush()
        while not (tmp_path / "out").exists() or len(lines_of(tmp_path / "out")) < 10:
            time.sleep(0.02)
        time.sleep(2.2)
        before = len(lines_of(tmp_path / "out"))
        running.stdin.write(answer)
        running.stdin.close()
        assert running.wait(10) == 0
        told = running.stderr.read().decode()
    assert before > 40  # 25 of the answer, and most of what follows it
    lines = lines_of(tmp_path / "out")
    assert [line["frame"] for line in lines] == list(range(len(lines)))
    assert len(lines) > before + 24
    assert len({tuple(line["head"]) for line in lines}) == len(lines)  # it lives
    assert int(told.splitlines()[-1].split()[0]) < len(lines) / 2


def lines_of(path: Path) -> list[dict]:
    """The frames of a `jsonl:` file that is being written."""
    return [json.loads(line) for line in path.read_text().split("\n")[1:-1]]


def test_a_pipe_that_nobody_reads_holds_up_no_other_sink(
    tiny_bundle: Path, speech: Path, receiver: socket.socket, tmp_path: Path
) -> None:
    """A full pipe takes none of 30 lines of 40 kB in all; the frames for others leave in time."""
    reading, writing = os.pipe()
    try:
        os.set_blocking(writing, False)
        while True:
            try:
                os.write(writing, bytes(4096))
            except BlockingIOError:
                break
        os.set_blocking(writing, True)
        options = [speech, "--model", tiny_bundle, "--to", "jsonl:-"]
        options += ["--to", f"ifacialmocap://{place(receiver)}"]
        running = subprocess.run(
            [*COMMAND, *map(str, options)], stdout=writing, stderr=subprocess.PIPE, timeout=20
        )
    finally:
        os.close(reading)
        os.close(writing)
    assert running.returncode == 0
    assert "jsonl:-: 0 frames, 30 dropped" in running.stderr.decode()
    data = [packet for _, packet in received(receiver)]
    assert len(data) == 30
    assert all(one.startswith(b"eyeBlink_L-") for one in data)


def test_a_reader_that_has_enough_ends_it(tiny_bundle: Path, speech: Path) -> None:
    command = " ".join([*COMMAND, str(speech), "--model", str(tiny_bundle), "--to", "jsonl:-"])
    run = subprocess.run(["sh", "-c", f"{command} | head -1"], capture_output=True, timeout=20)
    assert len(run.stdout.splitlines()) == 1
    assert b"rror" not in run.stderr


class FakeMicrophone:
    """What `sounddevice` does, of a sound that ends with an unplugged cable."""

    class PortAudioError(Exception):
        pass

    def __init__(self, seconds: float = 1.0) -> None:
        self.sound, self.calls = babble(seconds, 48000), []

    def query_devices(self, device: object = None, kind: str | None = None) -> object:
        ours = {"name": "Ours", "max_input_channels": 1, "default_samplerate": 48000.0}
        if kind is None:
            return [{"name": "Speaker", "max_input_channels": 0}, ours]
        if device not in (None, 1, "Ours"):
            raise ValueError(f"No input device matching {device!r}")
        return ours

    def InputStream(self, rate: int, **options: object) -> object:
        self.calls.append((rate, options))
        return self

    def __enter__(self) -> FakeMicrophone:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True

    def read(self, count: int) -> tuple[np.ndarray, bool]:
        if len(self.sound) < count:
            raise self.PortAudioError("Device unavailable")
        time.sleep(count / 48000)
        heard, self.sound = self.sound[:count], self.sound[count:]
        return heard[:, None], False


@pytest.mark.parametrize("device", [None, "1", "Ours"])
def test_a_microphone_is_heard_until_it_fails(
    tiny_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    device: str | None,
) -> None:
    fake = FakeMicrophone()
    monkeypatch.setitem(sys.modules, "sounddevice", fake)  # type: ignore[arg-type]
    chosen = () if device is None else ("--device", device)
    sinks = ("--to", f"raw:{tmp_path}/r", "--model", tiny_bundle, "--life", "off")
    assert status("mic", *sinks, *chosen) == 2
    assert "the microphone has failed: Device unavailable" in capsys.readouterr().err
    (call,) = fake.calls
    assert (call[0], call[1]["channels"], call[1]["dtype"]) == (48000, 1, "float32")
    assert call[1]["device"] == (1 if device == "1" else device)
    assert fake.closed
    offline = codetalker.load(tiny_bundle).animate(babble(1.0, 48000), rate=48000).weights
    sent = weights_of(tmp_path / "r")
    assert 5 < len(sent) <= 20
    np.testing.assert_array_equal(sent, offline[: len(sent)])


def test_an_unknown_microphone_names_those_there_are(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", FakeMicrophone())  # type: ignore[arg-type]
    assert status("--device", "Other", "--to", "raw:x", "--model", tiny_bundle) == 2
    assert "choose one by --device: 1 Ours" in capsys.readouterr().err


def test_without_sounddevice_its_extra_is_named(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)  # type: ignore[arg-type]
    assert status("--to", "raw:x", "--model", tiny_bundle) == 2
    assert "codetalker-face[live]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no sink is given"),
        (("--to", "vmz://h"), "there is no 'vmz'; did you mean vmc?"),
        (("--to", "vmc"), "write vmc://HOST:39539"),
        (("--to", "vmc://"), "write vmc://HOST:39539"),
        (("--to", "livelink://h:99999"), "write livelink://HOST:11111"),
        (("--to", "vmc://h/path"), "names no host"),
        (("--to", "vmc://h?nams=vrm0"), "no option 'nams'; did you mean names?"),
        (("--to", "vmc://h?names=vrm2"), "choose vrm0 or vrm1 or arkit"),
        (("--to", "livelink://h?subject="), "subject is ''"),
        (("--to", "ifacialmocap://h?a=b"), "no option 'a'; leave it out"),
        (("--to", "jsonl:"), "names no file"),
        (("--to", "raw:r", "--rate", "16000"), "leave --rate out"),
        (("--to", "raw:r", "--device", "1"), "leave it out, or name mic"),
        (("--to", "raw:r", "--style", "ana"), "did you mean 'anna'"),
        (("--to", "raw:r", "--strength", "9"), "choose from 0 to 3"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    tiny_bundle: Path,
    speech: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kept").write_text("kept")
    kept = ("--to", "raw:kept") if arguments else ()
    assert status(speech, "--model", tiny_bundle, *kept, *arguments) == 2
    assert message in capsys.readouterr().err
    assert (tmp_path / "kept").read_text() == "kept"
    assert not (tmp_path / "r").exists()


def test_a_model_without_streams_is_refused(
    speech: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from fake_talker import FakeTalker

    monkeypatch.setattr(codetalker, "load", lambda model=None: FakeTalker(), raising=False)
    assert status(speech, "--to", "raw:r", "--model", "paper") == 2
    assert "has no streams" in capsys.readouterr().err
