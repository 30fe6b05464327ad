"""Characters made by `tools/build_characters.py`, for tests of what reads them."""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path

import numpy as np

from codetalker.motion import Motion
from codetalker.rig import bundled_head

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

import build_characters
from character_file import Bone, ShapedMesh, character

__all__ = ["Bone", "ShapedMesh", "build_characters", "character", "face_file", "heads", "speech"]

HEAD = bundled_head()


@lru_cache(maxsize=1)
def heads() -> dict[str, bytes]:
    return build_characters.heads()


def face_file(path: Path, name: str) -> Path:
    """One of the heads, by the name of its file."""
    place = path / name
    place.write_bytes(heads()[name])
    return place


def speech(frames: int = 60, head: bool = False) -> Motion:
    """A jaw that opens and closes, lips that roll in over it, eyes that look about."""
    wave = np.sin(np.arange(frames) / 3) ** 2
    weights = np.zeros((frames, 52), np.float32)
    for name, values in (
        ("jawOpen", 0.5 * wave),
        ("mouthFunnel", 0.2 * wave),
        ("mouthRollLower", 0.4 * (1 - wave)),
        ("eyeBlinkLeft", wave),
        ("eyeLookOutLeft", 0.3 * wave),
        ("eyeLookInRight", 0.15 * wave),
    ):
        weights[:, HEAD.blendshape_names.index(name)] = values
    turn = np.stack([0.1 * wave, 0.2 * wave, -0.1 * wave], 1).astype(np.float32)
    return Motion(weights, HEAD.blendshape_names, 25.0, head=turn if head else None)
