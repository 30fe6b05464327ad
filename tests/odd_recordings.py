"""Recordings as they occur, made of one plain sound: containers, codecs, offsets, gaps, damage."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 48000
SECONDS = 6.0


def beeps(seconds: float = SECONDS, rate: int = RATE, pitch: float = 440.0) -> np.ndarray:
    """(N,) float32: tones of unequal length with pauses, so that no shift looks like another."""
    t = np.arange(round(seconds * rate)) / rate
    on = np.sin(2 * np.pi * (0.9 * t + 0.12 * t**2)) > 0
    return (0.3 * on * np.sin(2 * np.pi * pitch * t)).astype(np.float32)


def write_recording(
    path: Path,
    codec: str,
    sounds: Sequence[np.ndarray] = (),
    *,
    rate: int = RATE,
    offset: float = 0.0,
    gap: tuple[float, float] | None = None,
    pictures: bool = False,
    default: int | None = None,
) -> Path:
    """A file of sound tracks of one codec, by default one with `beeps`.

    Args:
        offset: seconds that the sound begins after the pictures.
        gap: seconds from and to which packets are dropped, and their time stamps with them.
        pictures: 25 black ones a second beside it.
        default: the only track that is marked so.
    """
    with av.open(str(path), "w") as file:
        film = None
        if pictures:
            film = file.add_stream("libvpx" if path.suffix == ".webm" else "mpeg4", rate=25)
            film.width = film.height = 64
            film.pix_fmt = "yuv420p"
        tracks = [file.add_stream(codec, rate=rate) for _ in sounds or (0,)]
        for number, track in enumerate(tracks):
            track.layout = "mono"
            track.bit_rate = 128_000
            if default is not None:
                chosen = av.stream.Disposition.default if number == default else 0
                track.disposition = av.stream.Disposition(chosen)
        if film is not None:
            for number in range(round(SECONDS * 25)):
                picture = av.VideoFrame(64, 64, "yuv420p")
                picture.pts, picture.time_base = number, Fraction(1, 25)
                file.mux(film.encode(picture))
            file.mux(film.encode(None))
        for track, sound in zip(tracks, sounds or (beeps(rate=rate),), strict=True):
            for packet in _packets(track, sound, rate):
                time = float(packet.pts * packet.time_base)
                if gap and gap[0] <= time < gap[1]:
                    continue
                shift = round(offset / packet.time_base)
                packet.pts += shift
                packet.dts = packet.pts
                file.mux(packet)
    return path


def _packets(track: av.AudioStream, sound: np.ndarray, rate: int) -> list[av.Packet]:
    context = track.codec_context
    if not context.is_open:
        context.open()
    convert = av.AudioResampler(
        context.format.name, "mono", rate, frame_size=context.frame_size or 1024
    )
    frame = av.AudioFrame.from_ndarray(sound[None], "fltp", "mono")
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    frames = [*convert.resample(frame), *convert.resample(None)]
    packets = [packet for whole in frames for packet in track.encode(whole)] + track.encode(None)
    return [packet for packet in packets if packet.pts is not None]


def lag(heard: np.ndarray, true: np.ndarray, start: float, end: float) -> float:
    """Seconds by which a part of `true` comes later in `heard`; both (N,) at 16 kHz."""
    loud = [np.convolve(x**2, np.ones(320) / 320, "same")[::16] ** 0.5 for x in (heard, true)]
    first, last = round(start * 1000), round(end * 1000)
    part = loud[1][first:last] - loud[1][first:last].mean()
    lags = [d for d in range(-1500, 1501, 5) if first + d >= 0 and last + d <= len(loud[0])]
    alike = []
    for d in lags:
        other = loud[0][first + d : last + d]
        other = other - other.mean()
        alike.append(float(part @ other) / (np.linalg.norm(other) + 1e-9))
    return lags[int(np.argmax(alike))] / 1000
