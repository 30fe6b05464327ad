"""Tracks: what other programs make of the same sounds, as systems of the benchmark.

Programs for the web give mouth shapes over time, not motion of this head. They are given the sounds
as files, and their shapes become weights by least squares fitted on clips with true motion: the
best that anybody could make of them on this rig, hearing 200 ms ahead.
"""

from __future__ import annotations

import hashlib
import wave
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codetalker.audio import SAMPLE_RATE, Waveform
from codetalker.benchmark.systems import Kind, System, static
from codetalker.curves import frame_count, resample_curves
from codetalker.data.clip import Clip
from codetalker.disk import replacing
from codetalker.errors import DataError
from codetalker.motion import Motion
from codetalker.reading import read_json, refusing
from codetalker.rig import bundled_head
from codetalker.typed import build

TAPS = (-2, 5)
"""Frames before and after each one whose shapes its weights are made of."""
FITTED = 120
"""Clips that the least squares are fitted on, at most."""
_LARGEST = 512 << 20


@dataclass(frozen=True)
class Tracks:
    """A file of tracks.

    Attributes:
        program, version, licence: whose.
        fps: frames per second.
        shapes: names of the mouth shapes.
        tracks: name of a sound -> its frames, each with a number per shape.
        note: what a reader should know, such as settings.
    """

    program: str
    version: str
    licence: str
    fps: float
    shapes: tuple[str, ...]
    tracks: dict[str, tuple[tuple[float, ...], ...]]
    note: str = ""


def sound_name(sound: Waveform) -> str:
    """By which a sound is recognised in files of tracks."""
    return hashlib.sha256(sound.samples.tobytes()).hexdigest()[:24]


def recorder(folder: Path) -> System:
    """A system that writes what it hears as `NAME.wav`, 16 kHz, 16 bit, and does not move."""
    still = static()

    def animate(sound: Waveform, style: str | None, seed: int) -> Motion:
        write_sound(sound, folder)
        return still.animate(sound, style, seed)

    return replace(still, name="recorder", animate=animate, remembers=True)


def write_sound(sound: Waveform, folder: Path) -> None:
    """Write it, unless it is there."""
    path = folder / f"{sound_name(sound)}.wav"
    if path.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, wave.open(str(temporary), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, len(sound.samples), "NONE", ""))
        file.writeframes((sound.samples.clip(-1, 1) * 32767).round().astype("<i2").tobytes())


def fitted_on(clips: Sequence[Clip]) -> list[Clip]:
    """Training clips of the speaker with the most of them, spread over all."""
    train = [clip for clip in clips if clip.split == "train"]
    speakers = [clip.speaker for clip in train]
    own = [c for c in train if c.speaker == max(sorted(set(speakers)), key=speakers.count)]
    return own[:: -(-len(own) // FITTED)]


def system_of(path: Path, clips: Sequence[Clip]) -> System:
    """The system of a file of tracks.

    Raises:
        DataError: the file is malformed or lacks a sound.
    """
    remedy = "make it again from the sounds that --sounds has written"
    with refusing(DataError, f"{path} is no file of tracks", remedy):
        read = build(Tracks, read_json(path, _LARGEST), "tracks", strict=False)
        curves = {name: np.array(t, np.float32) for name, t in read.tracks.items()}
        if any(c.ndim != 2 or c.shape[1] != len(read.shapes) for c in curves.values()):
            raise ValueError("a frame has not one number per shape")

    def inputs(sound: Waveform, fps: float) -> NDArray[np.float32]:
        """(T, taps * shapes + 1) of a sound, the last column 1."""
        if (name := sound_name(sound)) not in curves:
            raise DataError(f"{path} lacks the sound {name}; {remedy}")
        count = frame_count(sound.duration, fps)
        shapes = resample_curves(curves[name], read.fps, fps, count)
        before, after = TAPS
        padded = np.pad(shapes, ((-before, after), (0, 0)), mode="edge")
        taps = np.lib.stride_tricks.sliding_window_view(padded, after - before + 1, axis=0)
        return np.concatenate([taps.reshape(count, -1), np.ones((count, 1))], 1, dtype=np.float32)

    pairs = [(inputs(clip.waveform(), clip.fps), clip.weights) for clip in fitted_on(clips)]
    counts = [min(len(a), len(b)) for a, b in pairs]
    heard, true = (
        np.concatenate([pair[i][:n] for pair, n in zip(pairs, counts, strict=True)]) for i in (0, 1)
    )
    matrix = np.linalg.lstsq(heard.astype(np.float64), true.astype(np.float64), rcond=1e-4)[0]
    fps = fitted_on(clips)[0].fps

    def animate(sound: Waveform, style: str | None, seed: int) -> Motion:
        weights = np.clip(inputs(sound, fps) @ matrix, 0, 1).astype(np.float32)
        return Motion(weights, bundled_head().blendshape_names, fps)

    digest = hashlib.sha256(matrix.tobytes() + path.read_bytes()).hexdigest()[:16]
    note = f"{read.version}, {read.licence}; mouth shapes by least squares on {len(pairs)} clips"
    return System(
        path.stem, read.program, Kind.WEB, animate, digest, (), TAPS[1] / fps,
        remembers=True, note="; ".join(filter(None, (note, read.note))),
    )  # fmt: skip
