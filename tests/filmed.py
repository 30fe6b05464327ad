"""Films of the bundled head in known motion, made for the tests; and who can track faces."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

import codetalker
from codetalker.audio import Waveform
from codetalker.capture.landmarks import Landmarks
from codetalker.capture.points import face_points
from codetalker.evaluation.lipgap import closures, gap_basis, is_closed
from codetalker.head_pose import matrices
from codetalker.motion import Motion
from codetalker.render.renderer import Renderer
from codetalker.rig import bundled_head

EXAMPLE = Path(__file__).parents[1] / "examples/sense_and_sensibility.flac"
TRACKER = os.environ.get("CODETALKER_TRACKER") or (
    sys.executable if importlib.util.find_spec("mediapipe") else ""
)
"""A Python that has mediapipe."""
needs_tracker = pytest.mark.skipif(
    not TRACKER, reason="no mediapipe here; CODETALKER_TRACKER may name a Python that has it"
)


def spoken(seconds: float = 6.0) -> Motion:
    """The bundled model speaks the example, and its head turns by 15 degrees to either side."""
    talker = codetalker.load("studio")
    sound = Waveform.load(EXAMPLE)
    sound = Waveform(sound.samples[: round(seconds * sound.rate)], sound.rate)
    motion = talker.animate(sound)
    t = np.arange(len(motion)) / motion.fps
    turns = np.stack([4 * np.sin(2 * t), 15 * np.sin(np.pi * t / 2), 3 * np.sin(1.3 * t)], 1)
    head = np.radians(turns).astype(np.float32)
    return Motion(motion.weights, motion.names, motion.fps, sound, head=head)


def tracked(motion: Motion, noise: float = 0.3, size: int = 512) -> Landmarks:
    """What a tracker that is `noise` pixels off would see of a motion."""
    rig = bundled_head()
    points = face_points().of(rig.vertices(motion.weights_for(rig.blendshape_names)))
    if motion.head is not None:
        points = np.einsum("tij,tpj->tpi", matrices(motion.head), points)
    scale = size / 0.35
    pixels = points * (scale, -scale, -scale) + (size / 2, size / 2 + 0.08 * scale, 0)
    pixels += np.random.default_rng(5).normal(0, noise, pixels.shape)
    times = np.arange(len(motion)) / motion.fps
    alone = np.zeros(len(motion), np.float32)
    return Landmarks(times, pixels.astype(np.float32), alone, (size, size))


def pictures_of(motion: Motion, size: int, noise: float = 6.0) -> np.ndarray:
    """(T, size, size, 3) uint8: the head in motion, with noise (standard deviation, of 255)."""
    animation = motion.on()
    renderer = Renderer.of(animation.rig, size, head_turns=True)
    rng = np.random.default_rng(0)
    frames = [renderer.frame(face) for face in animation.vertices()]
    return np.stack(
        [(f + rng.normal(0, noise, f.shape)).clip(0, 255).astype(np.uint8) for f in frames]
    )


def write_film(
    path: Path,
    pictures: np.ndarray,
    times: Iterable[float],
    sound: Waveform | None = None,
    *,
    sound_starts: float = 0.0,
    turned: int = 0,
    layout: str = "yuv420p",
    codec: str = "libx264",
) -> Path:
    """Pictures at times in seconds, with a sound whose track begins at a time.

    `turned` is by how many degrees a player shall turn the pictures, counter-clockwise.
    """
    with av.open(str(path), "w") as film:
        stream = film.add_stream(codec, rate=60, options={"crf": "18", "preset": "ultrafast"})
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt, stream.time_base = layout, Fraction(1, 60000)
        stream.codec_context.time_base = Fraction(1, 60000)
        if turned:
            stream.set_display_rotation(turned)
        track = film.add_stream("aac", rate=16000, layout="mono") if sound is not None else None
        for picture, time in zip(pictures, times, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = round(time * 60000), Fraction(1, 60000)
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
        if track is not None and sound is not None:
            for start in range(0, len(sound.samples), 1024):
                part = sound.samples[None, start : start + 1024]
                heard = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), "fltp", "mono")
                heard.sample_rate, heard.time_base = 16000, Fraction(1, 16000)
                heard.pts = start + round(sound_starts * 16000)
                film.mux(track.encode(heard))
            film.mux(track.encode(None))
    return path


def gaps_of(weights: np.ndarray) -> np.ndarray:
    """(T,) lip gap in millimetres of (T, 52) weights."""
    return weights @ gap_basis(bundled_head()) * 1000


def agreement(found: np.ndarray, true: np.ndarray, fps: float) -> tuple[float, float]:
    """Correlation of the lip gaps of (T, 52) weights, and the share of closures that close."""
    gap, wanted = gaps_of(found), gaps_of(true)
    closed = [is_closed(gap, closure, fps) for closure in closures(wanted, fps)]
    return float(np.corrcoef(gap, wanted)[0, 1]), float(np.mean(closed))
