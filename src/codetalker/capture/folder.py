"""The corpus folder that a capture makes: clips as `codetalker.data.corpus` reads them.

`capture.json` says how good each clip is and what was rejected, and of what bytes and options the
folder was made; `tracked/` keeps the landmarks of each film, so that no film is tracked twice.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from codetalker.arkit import ARKIT_NAMES
from codetalker.capture.clips import Captured, Clip
from codetalker.capture.landmarks import Landmarks
from codetalker.curves import between
from codetalker.disk import explained, replacing
from codetalker.errors import CodeTalkerError, DataError
from codetalker.files.html import flac
from codetalker.reading import read_json, refusing

RECORD, SHEET = "capture.json", "contact.html"
_FORMAT_VERSION = 1


class CorpusFolder:
    """What is there of a capture, and what is to be written.

    Args:
        path: the folder; made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with explained(path):
            (path / "audio").mkdir(parents=True, exist_ok=True)
            (path / "tracked").mkdir(exist_ok=True)

    def written(self, names: list[str]) -> list[Path]:
        """The files that clips of these names make."""
        audio = [self.path / "audio" / f"{name}.flac" for name in names]
        return [*audio, self.path / "motion.npz", self.path / RECORD, self.path / SHEET]

    def record(self) -> dict[str, Any] | None:
        """What an earlier capture has found; None if there is none that was finished."""
        path = self.path / RECORD
        try:
            with refusing(DataError, f"{path} is damaged", "remove it"):
                record = read_json(path)
                names = [clip["name"] for clip in record["clips"]]
                whole = all(file.is_file() for file in self.written(names))
                return record if whole and record["format_version"] == _FORMAT_VERSION else None
        except CodeTalkerError:
            return None

    def tracked(self, digest: str) -> Landmarks | None:
        """The landmarks of a film that was tracked before."""
        path = self._tracked(digest)
        if not path.exists():
            return None
        try:
            return Landmarks.load(path)
        except DataError:
            return None  # a damaged file is made again

    def keep(self, digest: str, landmarks: Landmarks) -> None:
        """Keep landmarks for the next time."""
        landmarks.save(self._tracked(digest))

    def write(self, found: Captured, speaker: str, fps: float, made_from: str) -> None:
        """Write all clips, and at last the record.

        Raises:
            OutputError: the folder cannot be written.
        """
        for clip in found.clips:
            with replacing(self.path / "audio" / f"{clip.name}.flac") as temporary:
                temporary.write_bytes(flac(clip.sound))
        with replacing(self.path / "motion.npz") as temporary:
            np.savez_compressed(temporary, **_arrays(found.clips, speaker, fps))
        record = {
            "format_version": _FORMAT_VERSION,
            "speaker": speaker,
            "fps": fps,
            "clips": [_clip_json(clip) for clip in found.clips],
            "rejected": [
                {"source": r.recording.motion.name, "start": round(r.start, 3), "reason": r.reason}
                for r in found.rejected
            ],
            "made_from": made_from,
        }
        with replacing(self.path / RECORD) as temporary:
            temporary.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")

    def _tracked(self, digest: str) -> Path:
        return self.path / "tracked" / f"{digest[:32]}.npz"


def _arrays(clips: list[Clip], speaker: str, fps: float) -> dict[str, Any]:
    """The arrays of `motion.npz`, clips one after another."""
    motions = [clip.motion.resample(fps) for clip in clips]
    lengths = np.array([len(motion) for motion in motions])
    places = [
        between(np.arange(len(m)) / fps, np.arange(len(c.place)) / c.motion.fps, c.place)
        for c, m in zip(clips, motions, strict=True)
    ]
    heads = [np.zeros((len(m), 3), np.float32) if m.head is None else m.head for m in motions]
    return {
        "names": np.array([clip.name for clip in clips]),
        "speaker": np.array([speaker] * len(clips)),
        "weights": np.concatenate([motion.weights for motion in motions]),
        "head_pose": np.hstack([np.concatenate(heads), np.concatenate(places)]),
        "starts": np.cumsum(lengths) - lengths,
        "lengths": lengths,
        "blendshape_names": np.array(ARKIT_NAMES),
        "fps": np.float64(fps),
    }


def _clip_json(clip: Clip) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": clip.name,
        "source": clip.recording.motion.name,
        "start": round(clip.start, 3),
        "seconds": round(clip.motion.duration, 3),
        "sound_offset_ms": None,
        "sound_correlation": None,
    }
    if clip.offset is not None:
        found["sound_offset_ms"] = round(clip.offset.seconds * 1000)
        found["sound_correlation"] = round(clip.offset.correlation, 3)
    return found | (clip.quality.as_json() if clip.quality else {})
