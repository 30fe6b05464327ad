"""Landmarks that were held still before: `landmarks.npz` of a corpus, many clips in a file.

In the flow film -> landmarks -> **still head** -> weights -> corpus. Displacements from the neutral
face of each speaker, in the rig's axes and scale; their sound is `audio/NAME.flac` beside the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codetalker.arrays import Field, open_npz
from codetalker.errors import DataError
from codetalker.reading import check_file_name, refusing

_LAYOUT = {
    "names": Field(str, "clips"),
    "first": Field(np.int16, "clips 468 3"),
    "delta": Field(np.int8, "clips steps 468 3"),
    "scale": Field(np.float32, "", "1", least=0),
    "neutral": Field(np.float32, "468 3", "neutrals 468 3"),
    "speaker_index": Field(np.int64, "clips", least=0, optional=True),
}
_FPS = Field(np.float64, "", "1", least=1, most=240)
_USUAL_FPS = 25.0


@dataclass(frozen=True, eq=False)
class StillClip:
    """A clip of such a file.

    Attributes:
        name: of its sound file too.
        displacements: (T, 468, 3) float32 metres from the neutral face.
        neutral: (468, 3) float32 metres.
        fps: frames per second.
    """

    name: str
    displacements: NDArray[np.float32]
    neutral: NDArray[np.float32]
    fps: float


def names_in(path: Path) -> list[str]:
    """The clips of a file.

    Raises:
        DataError: it holds none.
    """
    with _reading(path), open_npz(path) as file:
        return [check_file_name(name) for name in file.read({"names": _LAYOUT["names"]})["names"]]


def read_still(path: Path) -> Iterator[StillClip]:
    """All clips of a file, one after another.

    Raises:
        DataError: it is no such file.
    """
    with _reading(path), open_npz(path) as file:
        arrays = file.read(_LAYOUT)
    fps = _USUAL_FPS
    beside = path.with_name("motion.npz")
    if beside.is_file():
        with _reading(beside), open_npz(beside) as file:
            fps = file.read({"fps": _FPS})["fps"].item()
    scale, neutral = np.float32(arrays["scale"].item()), arrays["neutral"]
    names = arrays["names"].tolist()
    speakers = arrays.get("speaker_index", np.arange(len(names)) % len(neutral))
    for name, first, delta, who in zip(
        names, arrays["first"], arrays["delta"], speakers, strict=True
    ):
        steps = np.concatenate([first[None].astype(np.int32), delta.astype(np.int32)])
        face = neutral if neutral.ndim == 2 else neutral[min(who, len(neutral) - 1)]
        yield StillClip(name, np.cumsum(steps, 0, dtype=np.int32) * scale, face, fps)


def _reading(path: Path):
    return refusing(DataError, f"{path} holds no still landmarks", "see docs/capture.md")
