"""Lip gap seen in video: recordings without motion whose mouths a camera saw.

A folder holds `audio/NAME.flac` and `lip_gap.npz`; docs/data.md specifies it. Only measured with,
never trained on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codetalker.arrays import Field, read_npz
from codetalker.audio import Waveform
from codetalker.errors import DataError
from codetalker.reading import Malformed, check_file_name, refusing

ARRAYS = "lip_gap.npz"
_PER_FRAME = ("time", "gap", "width")
_LAYOUT = {
    "names": Field(str, "clips"),
    "starts": Field(np.int64, "clips", least=0),
    "lengths": Field(np.int64, "clips", least=2),
    "time": Field(np.float64, "frames"),
    "gap": Field(np.float64, "frames", finite=False),
    "width": Field(np.float64, "frames", finite=False),
}


@dataclass(frozen=True, eq=False)
class SeenClip:
    """One recording and what was seen of its mouth; the sound stays on disk.

    Attributes:
        name: unique within its folder.
        audio: the sound file.
        times: (N,) float64 seconds of each video frame.
        gap: (N,) float64, distance of the inner lips along the face's vertical axis over the
            distance of the outer corners of the eyes; NaN where no face was seen.
        width: (N,) the same of the corners of the mouth.
    """

    name: str
    audio: Path
    times: NDArray[np.float64]
    gap: NDArray[np.float64]
    width: NDArray[np.float64]

    @property
    def duration(self) -> float:
        """Seconds that were seen."""
        return float(self.times[-1] - self.times[0])

    def waveform(self) -> Waveform:
        """Read the sound.

        Raises:
            AudioError: the file is missing or not audio.
        """
        return Waveform.load(self.audio)


def read_seen(folder: Path | str) -> tuple[SeenClip, ...]:
    """Read what was seen of every clip.

    Raises:
        DataError: the folder or a sound is missing, or the arrays are malformed.
    """
    path = Path(folder) / ARRAYS
    missing = f"{folder} has no {ARRAYS}; see docs/data.md for the layout"
    with refusing(DataError, f"{path} is damaged", "see docs/data.md for its arrays", missing):
        arrays = read_npz(path, _LAYOUT)
        names = [check_file_name(name) for name in arrays["names"].tolist()]
        if not names or len(set(names)) != len(names):
            raise Malformed("it names no clip, or one twice")
    spans = zip(arrays["starts"].tolist(), arrays["lengths"].tolist(), strict=True)
    frames = {name: arrays[name] for name in _PER_FRAME}
    return tuple(
        _clip(path, name, start, length, frames)
        for name, (start, length) in zip(names, spans, strict=True)
    )


def _clip(
    path: Path, name: str, start: int, length: int, frames: dict[str, NDArray[np.float64]]
) -> SeenClip:
    audio = path.parent / "audio" / f"{name}.flac"
    if not audio.is_file():
        raise DataError(f"{audio} is missing, but {path} names it")
    if length > len(frames["time"]) - start:
        raise DataError(f"{path}: clip {name!r} lies outside the arrays; see docs/data.md")
    times, gap, width = (frames[key][start : start + length] for key in _PER_FRAME)
    seen = np.isfinite(gap) & np.isfinite(width)
    if not (np.diff(times) > 0).all() or not seen.any():
        raise DataError(f"{path}: the times of clip {name!r} do not rise, or no face was seen")
    return SeenClip(name, audio, times, np.where(seen, gap, np.nan), width)
