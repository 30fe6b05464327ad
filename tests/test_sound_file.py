"""Sound of a file: in time with its film, whatever the container, and from nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import warnings
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest

from codetalker.audio import SAMPLE_RATE, Waveform
from codetalker.cli import main
from codetalker.errors import AudioError, SoundWarning
from codetalker.ogg import Link
from conftest import load_apart, write_sound
from odd_recordings import RATE, SECONDS, beeps, lag, write_recording

FRAME = 0.04
"""Seconds: what nobody sees."""
PLAIN = Waveform.of(beeps(), RATE).samples
FILMS = [
    ("mkv", "aac"), ("mkv", "libopus"), ("mkv", "pcm_s16le"), ("webm", "libopus"), ("mp4", "aac"),
    ("mov", "pcm_s16le"), ("ts", "aac"), ("ts", "mp2"), ("mpg", "mp2"), ("nut", "aac"),
]  # fmt: skip
SOUNDS = [
    ("mkv", "flac"), ("m4a", "aac"), ("ogg", "libopus"), ("ogg", "flac"), ("webm", "libopus"),
    ("mka", "libmp3lame"), ("ts", "mp2"), ("nut", "pcm_s16le"),
]  # fmt: skip
WHOLE = [
    *SOUNDS, ("wav", "pcm_s16le"), ("wav", "pcm_s24le"), ("wav", "pcm_u8"), ("wav", "pcm_f64le"),
    ("wav", "pcm_s64le"), ("wav", "adpcm_ima_wav"), ("w64", "pcm_s16le"), ("aiff", "pcm_s16be"),
    ("au", "pcm_s16be"), ("caf", "pcm_s16le"), ("flac", "flac"), ("mp3", "libmp3lame"),
    ("aac", "aac"), ("ac3", "ac3"), ("avi", "pcm_s16le"), ("tta", "tta"),
    ("wv", "wavpack"), ("mp2", "mp2"), ("opus", "libopus"), ("oga", "flac"),
]  # fmt: skip


def offsets(heard: np.ndarray, parts: list[tuple[float, float]]) -> list[float]:
    return [lag(heard, PLAIN, *part) for part in parts]


@pytest.mark.parametrize(("suffix", "codec"), WHOLE)
def test_every_container_and_codec_is_in_time(tmp_path: Path, suffix: str, codec: str) -> None:
    heard = Waveform.load(write_recording(tmp_path / f"a.{suffix}", codec)).samples
    assert len(heard) / SAMPLE_RATE == pytest.approx(SECONDS, abs=0.1)
    found = offsets(heard, [(0.3, 1.6), (2.0, 3.5), (4.0, 5.7)])
    assert np.abs(found).max() <= FRAME, found


@pytest.mark.parametrize(("suffix", "codec"), SOUNDS)
def test_silence_stands_where_packets_are_missing(tmp_path: Path, suffix: str, codec: str) -> None:
    path = write_recording(tmp_path / f"a.{suffix}", codec, gap=(2, 3))
    with pytest.warns(SoundWarning, match=r"a\.\w+: (0\.9|1\.0|1\.1) s of sound are missing"):
        heard = Waveform.load(path).samples
    found = offsets(heard, [(0.3, 1.6), (3.3, 4.4), (4.4, 5.7)])
    assert np.abs(found).max() <= FRAME, found
    assert np.abs(heard[round(2.2 * SAMPLE_RATE) : round(2.8 * SAMPLE_RATE)]).max() < 1e-3


@pytest.mark.parametrize("offset", [0.5, -0.5])
@pytest.mark.parametrize(("suffix", "codec"), FILMS)
def test_sound_keeps_its_place_beside_the_pictures(
    tmp_path: Path, suffix: str, codec: str, offset: float
) -> None:
    path = write_recording(tmp_path / f"a.{suffix}", codec, offset=offset, pictures=True)
    heard = Waveform.load(path).samples
    found = offsets(heard, [(0.9, 1.9), (2.2, 3.5), (4.0, 5.2)])
    assert np.abs(np.array(found) - offset).max() <= FRAME, found


def test_a_film_and_its_face_are_equally_long(tmp_path: Path, tiny_bundle: Path) -> None:
    path = write_recording(tmp_path / "a.mkv", "aac", gap=(2, 3))
    assert main(["animate", str(path), "--model", str(tiny_bundle),
                 "-o", str(tmp_path / "a.csv")]) == 0  # fmt: skip
    rows = (tmp_path / "a.csv").read_text().splitlines()
    assert abs(len(rows) - 1 - SECONDS * 25) <= 1


def test_the_command_tells_of_missing_sound_in_one_line(
    tmp_path: Path, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_recording(tmp_path / "a.mkv", "flac", gap=(2, 3))
    assert main(["animate", str(path), "--model", str(tiny_bundle),
                 "-o", str(tmp_path / "a.npz")]) == 0  # fmt: skip
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: ")
    assert "missing" in line


def test_the_default_track_is_heard_or_the_one_that_is_named(tmp_path: Path) -> None:
    tracks = [beeps(pitch=300.0), beeps(pitch=2000.0)]
    path = write_recording(tmp_path / "a.mkv", "flac", tracks, default=1)

    def pitch(track: int | None) -> float:
        heard = Waveform.load(path, track).samples
        return float(np.abs(np.fft.rfft(heard)).argmax() / SECONDS)

    assert pitch(None) == pytest.approx(2000, abs=60)
    assert pitch(1) == pytest.approx(300, abs=60)
    assert pitch(2) == pytest.approx(2000, abs=60)
    for track in (0, 3):
        with pytest.raises(AudioError, match=rf"no sound track {track}; it has 1 \(.*flac"):
            Waveform.load(path, track)


def test_damage_costs_the_damaged_stretch_alone(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "a.mkv", "flac")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = bytes(400)
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SoundWarning)
        heard = Waveform.load(path).samples
    found = offsets(heard, [(0.3, 1.6), (4.4, 5.7)])
    assert np.abs(found).max() <= FRAME, found


@pytest.mark.parametrize("suffix", [".m3u8", ".mp3", ".wav", ".txt", ".ffconcat"])
@pytest.mark.parametrize("kind", ["hls", "concat", "sdp"])
def test_a_playlist_leads_to_no_other_file(tmp_path: Path, kind: str, suffix: str) -> None:
    """The file that it names is there and would be heard."""
    secret = write_sound(tmp_path / "secret.wav", np.full((16000, 1), 9000, np.int16))
    Waveform.load(secret)
    texts = {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile {secret.name}\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 "
        "RTP/AVP 0\n",
    }
    path = tmp_path / f"list{suffix}"
    path.write_text(texts[kind])
    with pytest.raises(AudioError, match="not an audio or video file"):
        Waveform.load(path)


def test_names_that_look_like_addresses_are_names(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_sound(tmp_path / "concat:a.wav", np.full((1600, 1), 900, np.int16))
    assert Waveform.load("concat:a.wav").duration == pytest.approx(0.1)


def test_tags_may_be_in_any_alphabet(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with av.open(str(path), "w") as file:
        file.metadata["title"] = "PLACEHOLDER"
        track = file.add_stream("pcm_s16le", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.full((1, 16000), 900, np.int16), "s16", "mono")
        frame.sample_rate = 16000
        file.mux(track.encode(frame))
        file.mux(track.encode(None))
    data = path.read_bytes()
    assert b"PLACEHOLDER" in data
    path.write_bytes(data.replace(b"PLACEHOLDER", "Málaga él ".encode("latin-1") + b"\xff"))
    assert Waveform.load(path).duration == pytest.approx(1)


def test_a_pipe_is_heard_to_its_end(tmp_path: Path) -> None:
    recording = write_recording(tmp_path / "a.wav", "pcm_s16le")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(recording.read_bytes()))
    writer.start()
    heard = Waveform.load(pipe)
    writer.join()
    np.testing.assert_array_equal(heard.samples, Waveform.load(recording).samples)


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_standard_input_is_heard(tmp_path: Path, name: str) -> None:
    recording = write_recording(tmp_path / "a.flac", "flac")
    code = f"from codetalker.audio import Waveform; print(Waveform.load({name!r}).duration)"
    for source in (recording, None):
        with recording.open("rb") as stream:
            run = subprocess.run(
                [sys.executable, "-c", code],
                stdin=stream if source else None,
                input=None if source else recording.read_bytes(),
                capture_output=True,
                check=True,
            )
        assert float(run.stdout) == pytest.approx(SECONDS, abs=0.01)


def test_an_empty_pipe_is_told(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    threading.Thread(target=lambda: pipe.write_bytes(b"")).start()
    with pytest.raises(AudioError, match="is empty; see whether what writes to it"):
        Waveform.load(pipe)


def test_a_rate_that_no_sound_has_is_refused_at_once(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", np.full((1600, 1), 900, np.int16), 999_983)
    with pytest.raises(AudioError, match="claims 999983 Hz"):
        Waveform.load(path)


@pytest.mark.parametrize(
    ("codec", "rates"),
    [("flac", (16000, 44100)), ("flac", (48000, 24000)), ("libopus", (48000, 48000))],
)
def test_every_link_of_a_chain_is_heard_at_its_rate(
    tmp_path: Path, codec: str, rates: tuple[int, int]
) -> None:
    parts = [
        write_recording(tmp_path / f"{i}.ogg", codec, [beeps(3, rate)], rate=rate).read_bytes()
        for i, rate in enumerate(rates)
    ]
    (tmp_path / "chain.ogg").write_bytes(b"".join(parts))
    heard = Waveform.load(tmp_path / "chain.ogg").samples
    assert len(heard) / SAMPLE_RATE == pytest.approx(6, abs=0.03)
    if codec == "flac":
        assert len(heard) == 6 * SAMPLE_RATE  # the end of each, which the converter holds
    three = 3 * SAMPLE_RATE
    for half in (heard[:three], heard[three:]):
        assert abs(lag(half, PLAIN[:three], 0.3, 2.6)) <= FRAME


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("mp3", "libmp3lame"), ("mp2", "mp2"), ("ac3", "ac3"), ("m4a", "aac"), ("flac", "flac")],
)
def test_half_a_second_of_damage_costs_no_time(tmp_path: Path, suffix: str, codec: str) -> None:
    """In files with time stamps and in those where the size of what is damaged tells."""
    path = write_recording(tmp_path / f"a.{suffix}", codec)
    data = bytearray(path.read_bytes())
    begin, length = int(0.47 * len(data)), len(data) // 12
    data[begin : begin + length] = np.random.default_rng(0).bytes(length)
    path.write_bytes(data)
    with pytest.warns(SoundWarning, match=r"0\.\d s of sound are missing, first at [23]\.\d s"):
        heard = Waveform.load(path).samples
    found = offsets(heard, [(0.3, 1.6), (4.0, 5.0), (4.4, 5.5)])
    assert np.abs(found).max() <= FRAME, found


def test_a_damaged_beginning_costs_itself_alone(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "a.mka", "libmp3lame")
    with av.open(str(path)) as file:
        packets = [p for p in file.demux() if p.size and p.pts * p.time_base < 0.5]
        spans = [(p.pos + 6, p.pos + p.size) for p in packets]  # a block's header before it
    data = bytearray(path.read_bytes())
    for begin, end in spans:
        data[begin:end] = bytes(end - begin)
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SoundWarning)
        heard = Waveform.load(path).samples
    found = offsets(heard, [(1.0, 2.6), (4.0, 5.5)])
    assert np.abs(found).max() <= FRAME, found


@pytest.mark.parametrize("pace", [0.995, 1.005])
def test_a_slow_or_fast_clock_is_followed(tmp_path: Path, pace: float) -> None:
    """A recorder whose 48000 samples are not quite a second, as its time stamps say."""
    sound = (beeps(24) * 32767).astype(np.int16)[None]
    with av.open(str(tmp_path / "a.mkv"), "w") as file:
        track = file.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for start in range(0, sound.shape[1], 1024):
            part = np.ascontiguousarray(sound[:, start : start + 1024])
            frame = av.AudioFrame.from_ndarray(part, "s16", "mono")
            frame.sample_rate, frame.pts = RATE, start
            for packet in track.encode(frame):
                packet.pts = packet.dts = round(packet.pts * pace)
                file.mux(packet)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SoundWarning)
        heard = Waveform.load(tmp_path / "a.mkv").samples
    plain = Waveform.of(beeps(24), RATE).samples
    for start in (1, 11, 21):
        late = lag(heard, plain, start, start + 1.3) - (pace - 1) * start
        assert abs(late) <= FRAME or start == 11  # a steady tone there: any shift fits


def test_gaps_are_seen_whatever_the_sample_type(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "a.nut", "pcm_s64le", gap=(2, 3))
    with pytest.warns(SoundWarning, match="1.0 s of sound are missing"):
        heard = Waveform.load(path).samples
    assert len(heard) / SAMPLE_RATE == pytest.approx(SECONDS, abs=FRAME)


def test_speech_corpora_in_nist_sphere_are_read(tmp_path: Path) -> None:
    samples = (PLAIN * 32767).astype("<i2")
    header = (
        "NIST_1A\n   1024\nchannel_count -i 1\nsample_rate -i 16000\nsample_n_bytes -i 2\n"
        f"sample_count -i {len(samples)}\nsample_byte_format -s2 01\nsample_coding -s3 pcm\n"
        "end_head\n"
    )
    (tmp_path / "a.sph").write_bytes(header.encode().ljust(1024) + samples.tobytes())
    heard = Waveform.load(tmp_path / "a.sph").samples
    np.testing.assert_array_equal(heard, samples / np.float32(32768))


def test_enormous_pictures_are_not_looked_at(tmp_path: Path) -> None:
    """A film of a few hundred kilobytes whose one picture would take 243 MB."""
    path = tmp_path / "a.mov"
    with av.open(str(path), "w") as file:
        film = file.add_stream("png", rate=25)
        film.width = film.height = 9000
        film.pix_fmt = "rgb24"
        track = file.add_stream("pcm_s16le", rate=16000, layout="mono")
        picture = av.VideoFrame(9000, 9000, "rgb24")
        picture.planes[0].update(bytes(picture.planes[0].buffer_size))
        picture.pts = 0
        for packet in film.encode(picture) + film.encode(None):
            file.mux(packet)
        frame = av.AudioFrame.from_ndarray(np.full((1, 16000), 900, np.int16), "s16", "mono")
        frame.sample_rate = 16000
        for packet in track.encode(frame) + track.encode(None):
            file.mux(packet)
    assert path.stat().st_size < 1e6
    seconds, kilobytes = load_apart(path)
    assert seconds == 1
    assert kilobytes < 150_000


@pytest.mark.parametrize(("offset", "whence"), [(-1, 0), (-200, 2), (-1, 1)])
def test_a_place_before_the_start_is_refused_without_a_word(offset: int, whence: int) -> None:
    part = Link(BytesIO(bytes(range(200))), 10, 110)
    assert part.seek(offset, whence) == -1
    assert (part.tell(), part.read(2)) == (0, bytes([10, 11]))
    assert part.seek(-2, 2) == 98
    assert part.read() == bytes([108, 109])
