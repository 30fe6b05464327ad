"""The video: frames, rate and sound, read back by a decoder."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from codetalker.animation import Animation
from codetalker.audio import Waveform
from codetalker.errors import OptionError, OutputError
from codetalker.files.html import flac
from codetalker.files.mp4 import write_mp4
from codetalker.motion import Motion
from codetalker.rig import bundled_head
from conftest import write_sound

SIZE = 64


def animation(frames: int, fps: float, audio: Waveform | None = None) -> Animation:
    """The mouth opens in the middle, at frame frames // 2."""
    names = bundled_head().blendshape_names
    weights = np.zeros((frames, len(names)), np.float32)
    weights[frames // 2 :, names.index("jawOpen")] = 0.8
    return Motion(weights, names, fps, audio).on()


def pictures(path: Path) -> tuple[np.ndarray, list[float]]:
    with av.open(str(path)) as film:
        frames = list(film.decode(video=0))
    times = [float(frame.time) for frame in frames]
    return np.stack([frame.to_ndarray(format="rgb24") for frame in frames]), times


def sound(path: Path) -> tuple[np.ndarray, int]:
    """Samples from time 0 on, as a player would give them out."""
    with av.open(str(path)) as film:
        stream = film.streams.audio[0]
        frames = list(film.decode(stream))
        rate = stream.rate
    samples = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    return samples[max(0, round(-float(frames[0].time) * rate)) :], rate


@pytest.mark.parametrize("fps", [24, 25, 29.97, 30, 60])
def test_every_frame_is_there_at_its_time(tmp_path: Path, fps: float) -> None:
    write_mp4(tmp_path / "a.mp4", animation(9, fps), size=SIZE)
    frames, times = pictures(tmp_path / "a.mp4")
    assert frames.shape == (9, SIZE, SIZE, 3)
    np.testing.assert_allclose(times, np.arange(9) / fps, atol=1e-3)
    with av.open(str(tmp_path / "a.mp4")) as film:
        stream = film.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.average_rate is not None
        assert abs(stream.average_rate - Fraction(fps)) < Fraction(1, 1000)
        assert not film.streams.audio


def test_sound_and_mouth_come_together(tmp_path: Path) -> None:
    frames, fps = 20, 25.0
    samples = np.zeros(int(16000 * frames / fps), np.float32)
    start = int(16000 * (frames // 2) / fps)
    samples[start : start + 800] = np.sin(np.arange(800) * 0.9)
    write_mp4(tmp_path / "a.mp4", animation(frames, fps, Waveform(samples)), size=SIZE)

    heard, rate = sound(tmp_path / "a.mp4")
    assert rate == 48000
    onset = np.flatnonzero(np.abs(heard) > 0.3)[0] / rate
    assert onset == pytest.approx(start / 16000, abs=0.004)  # AAC rings a little before an onset
    assert len(heard) / rate == pytest.approx(frames / fps, abs=0.03)

    seen, _ = pictures(tmp_path / "a.mp4")
    change = np.abs(np.diff(seen.astype(int), axis=0)).mean(axis=(1, 2, 3))
    assert change.argmax() + 1 == frames // 2


@pytest.mark.parametrize(
    ("rate", "layout", "channels"), [(44100, "stereo", 2), (8000, "mono", 1), (48000, "5.1", 6)]
)
@pytest.mark.parametrize("suffix", [".mp4", ".html"])
def test_the_sound_is_the_recordings_own(
    tmp_path: Path, rate: int, layout: str, channels: int, suffix: str
) -> None:
    """At its rate, with its channels, in its spectrum up to AAC's band limit, and at once."""
    random = np.random.default_rng(0)
    own = 0.1 * random.standard_normal((2 * rate, channels)).astype(np.float32)
    own *= np.repeat([1, 0.05] * 4, rate // 4)[:, None]  # loud and quiet, for the time
    recording = write_sound(tmp_path / "a.wav", own, rate, codec="pcm_f32le", layout=layout)
    motion = replace(Motion(np.zeros((50, 1)), ("jawOpen",), 25), audio=Waveform.load(recording))
    place = tmp_path / f"b{suffix}"
    if suffix == ".mp4":
        motion.save(place, size=SIZE)
    else:
        place.write_bytes(flac(motion.audio))
    with av.open(str(place)) as film:
        stream = film.streams.audio[0]
        assert (stream.rate, stream.layout.name) == (rate, layout)
        frames = list(film.decode(stream))
    theirs = np.concatenate([frame.to_ndarray() for frame in frames], axis=1)
    if suffix == ".html":
        theirs = theirs.reshape(-1, channels).T / 32768
    begins = round(float(frames[0].time) * rate)
    theirs = theirs[:, max(0, -begins) :][:, : len(own)]
    assert theirs.shape[1] >= len(own) - rate // 100
    for mine, other in zip(own.T, theirs, strict=True):
        if suffix == ".mp4" and layout == "5.1" and other.std() < 1e-2:
            continue  # AAC keeps of the low-frequency channel the lowest band alone
        part = slice(rate // 2, rate // 2 + len(other) // 2)
        lags = range(-rate // 100, rate // 100 + 1)
        alike = [np.dot(mine[part], np.roll(other, -lag)[part]) for lag in lags]
        assert lags[int(np.argmax(alike))] == 0
        spectra = [np.abs(np.fft.rfft(x[: len(other)]))[1:] for x in (mine, other)]
        top = min(0.45, 15000 / rate) * 2
        bands = [np.array_split(s[: int(top * len(s))], 8) for s in spectra]
        level = [[np.sqrt(np.mean(band**2)) for band in s] for s in bands]
        assert np.abs(20 * np.log10(np.divide(*level))).max() < 1.5  # dB


def test_a_recording_that_is_gone_leaves_what_was_heard(tmp_path: Path) -> None:
    recording = write_sound(tmp_path / "a.wav", np.full((48000, 2), 9000, np.int16), 48000,
                            layout="stereo")  # fmt: skip
    audio = Waveform.load(recording)
    recording.unlink()
    motion = replace(Motion(np.zeros((25, 1)), ("jawOpen",), 25), audio=audio)
    heard, rate = sound(motion.save(tmp_path / "b.mp4", size=SIZE))
    assert heard[rate // 4 : rate // 2].mean() == pytest.approx(9000 / 32768, rel=0.02)


def test_a_long_motion_is_posed_in_pieces(tmp_path: Path) -> None:
    """More frames than are posed at once: none is lost or doubled between the pieces."""
    told: list[tuple[float, float]] = []
    write_mp4(
        tmp_path / "a.mp4", animation(70, 25), size=16, progress=lambda *done: told.append(done)
    )
    assert told == [(i + 1, 70) for i in range(70)]
    frames, _ = pictures(tmp_path / "a.mp4")
    assert len(frames) == 70


def test_colours_survive(tmp_path: Path) -> None:
    """The matrix that is written into the file is the one that the pixels were converted with."""
    from codetalker.render.renderer import Renderer

    write_mp4(tmp_path / "a.mp4", animation(3, 25), size=128)
    with av.open(str(tmp_path / "a.mp4")) as film:
        frame = next(film.decode(video=0))
    assert frame.colorspace == 1  # BT.709, ITU-T H.273
    decoded = frame.to_ndarray(format="rgb24", src_colorspace="itu709").astype(int)
    drawn = Renderer.of(bundled_head(), 128).frame(bundled_head().template).astype(int)
    assert np.abs(decoded - drawn).mean(axis=(0, 1)).max() < 3


@pytest.mark.parametrize("size", [63, 0, -2, 5000])
def test_a_size_that_no_video_has_is_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(OptionError, match="even number of pixels"):
        write_mp4(tmp_path / "a.mp4", animation(3, 25), size=size)


def test_a_motion_without_frames_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no frames"):
        write_mp4(tmp_path / "a.mp4", animation(0, 25), size=SIZE)
