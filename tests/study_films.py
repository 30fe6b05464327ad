"""Short films and motions of two systems, of speech that is a tone that comes and goes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from codetalker.audio import Waveform
from codetalker.motion import Motion
from codetalker.rig import bundled_head
from conftest import write_sound

SECONDS, FPS = 0.8, 25


def speech(clip: int, seconds: float = SECONDS) -> np.ndarray:
    """(N,) int16 at 16 kHz: as many bursts as the clip's number says, and two more."""
    time = np.arange(round(seconds * 16000)) / 16000
    loud = np.sin(np.pi * (clip + 2) * time / seconds) ** 2
    return (12000 * loud * np.sin(2 * np.pi * 220 * time)).astype(np.int16)


def motion(clip: int, strength: float, seconds: float = SECONDS) -> Motion:
    """A jaw that opens with the bursts."""
    names = bundled_head().blendshape_names
    time = np.arange(round(seconds * FPS)) / FPS
    weights = np.zeros((len(time), len(names)), np.float32)
    weights[:, names.index("jawOpen")] = strength * np.sin(np.pi * (clip + 2) * time / seconds) ** 2
    return Motion(weights, names, FPS)


def write_motions(folder: Path, strength: float, clips: int) -> Path:
    """Motions `0.npz` and their sounds `0.wav`, and so on."""
    folder.mkdir()
    for clip in range(clips):
        motion(clip, strength).save(folder / f"{clip}.npz")
        write_sound(folder / f"{clip}.wav", speech(clip))
    return folder


def write_film(path: Path, clip: int, strength: float, seconds: float = SECONDS) -> Path:
    """One film, 64 pixels wide."""
    sound = Waveform.of(speech(clip, seconds), 16000)
    return replace(motion(clip, strength, seconds), audio=sound).save(path, size=64)
