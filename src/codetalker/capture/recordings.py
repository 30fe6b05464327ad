"""Recordings: what a user gives, films, landmarks and takes, each with its sound.

A take holds weights that another program found (Live Link Face and its like); its sound lies beside
it under the same name, as does that of a landmark file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from codetalker.arrays import open_npz
from codetalker.capture.still_landmarks import names_in
from codetalker.errors import DataError
from codetalker.files.readers import READABLE
from codetalker.reading import open_regular, refusing

FILMS = (
    ".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".mts", ".m2ts", ".ts",
    ".wmv", ".3gp", ".ogv", ".flv", ".mxf",
)  # fmt: skip
_SOUNDS = (".wav", ".flac", ".m4a", ".mp3", ".aac", ".ogg", ".opus", ".aif", ".aiff", ".caf")
_VARIANTS = ("_cal", "_raw", "_neutral")
"""What Live Link Face adds to a take's name: calibrated, as it was, the face at rest."""
_ANYTHING = (".json", ".txt")
"""What files of these kinds are, only their sound tells."""
_PIECE = 1 << 20


@dataclass(frozen=True)
class Recording:
    """A face in motion and its sound.

    Attributes:
        name: of the clip that it becomes.
        kind: `film`, `landmarks`, `still` (landmarks of a corpus) or `take`.
        motion: the file that shows or holds the motion.
        sound: the file that holds the sound; None if none was found.
    """

    name: str
    kind: str
    motion: Path
    sound: Path | None

    @property
    def files(self) -> list[Path]:
        """What is read."""
        return [self.motion] if self.sound in (None, self.motion) else [self.motion, self.sound]


def digests_of(recordings: Iterable[Recording]) -> list[str]:
    """SHA-256 of the kind, the name and the bytes of each recording's files.

    Raises:
        DataError: one cannot be read.
    """
    read: dict[Path, bytes] = {}  # many recordings may be in one file
    found = []
    for recording in recordings:
        digest = hashlib.sha256(f"{recording.kind} {recording.name}".encode())
        for path in recording.files:
            if path not in read:
                read[path] = _digest(path)
            digest.update(path.name.encode() + b"\0" + read[path])
        found.append(digest.hexdigest())
    return found


def _digest(path: Path) -> bytes:
    digest = hashlib.sha256()
    with (
        refusing(DataError, f"{path} cannot be read", "check its path and mode"),
        open_regular(path) as stream,
    ):
        while piece := stream.read(_PIECE):
            digest.update(piece)
    return digest.digest()


def find_recordings(inputs: Iterable[Path]) -> list[Recording]:
    """The recordings of files and folders.

    In a folder, a film beside a take of its name is the take's sound, of a take's variants the
    calibrated one is taken, and JSON and text are takes if a sound of their name is there.

    Raises:
        DataError: an input does not exist, is of no known kind, or holds none; or names clash.
    """
    found: list[Recording] = []
    for path in inputs:
        if path.is_dir():
            inside = _of_folder(path)
            if not inside:
                raise DataError(
                    f"{path} holds no film and no take; docs/capture.md lists the kinds"
                )
            found += inside
        else:
            found += _of_file(path)
    names = [recording.name for recording in found]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise DataError(f"two recordings are called {double}; rename one")
    return found


def _of_folder(folder: Path) -> list[Recording]:
    files = [path for path in sorted(folder.iterdir()) if path.is_file()]
    takes = {_base(path): path for path in reversed(files) if path.suffix.lower() in READABLE}
    calibrated = {_base(path): path for path in files if path.stem.endswith("_cal")}
    chosen = [calibrated.get(base, path) for base, path in sorted(takes.items())]
    chosen = [path for path in chosen if not path.stem.endswith("_neutral")]
    recordings = [recording for path in chosen for recording in _of_file(path)]
    recordings = [r for r in recordings if r.sound or r.motion.suffix.lower() not in _ANYTHING]
    sounds = {recording.sound for recording in recordings}
    films = [path for path in files if path.suffix.lower() in FILMS and path not in sounds]
    return recordings + [recording for path in films for recording in _of_file(path)]


def _of_file(path: Path) -> list[Recording]:
    suffix = path.suffix.lower()
    if not path.exists():
        raise DataError(f"{path} does not exist; check the spelling of the path")
    if suffix in FILMS:
        return [Recording(path.stem, "film", path, path)]
    if suffix not in READABLE:
        kinds = ", ".join((*FILMS[:3], *READABLE))
        raise DataError(f"{path} is no film and no take; give {kinds} and their like")
    arrays = _arrays(path) if suffix == ".npz" else frozenset()
    if {"first", "delta"} <= arrays:
        audio = path.parent / "audio"
        return [
            Recording(
                name, "still", path, sound if (sound := audio / f"{name}.flac").is_file() else None
            )
            for name in names_in(path)
        ]
    kind = "landmarks" if "points" in arrays else "take"
    return [Recording(_base(path), kind, path, _sound_of(path))]


def _arrays(path: Path) -> frozenset[str]:
    what, remedy = f"{path} cannot be read", "give landmarks or a motion"
    with refusing(DataError, what, remedy), open_npz(path) as file:
        return file.names
    return False


def _base(path: Path) -> str:
    """The name that a take's files have in common."""
    for variant in _VARIANTS:
        if path.stem.endswith(variant):
            return path.stem.removesuffix(variant)
    return path.stem


def _sound_of(path: Path) -> Path | None:
    """The sound file or film of that name beside a take."""
    base = _base(path).casefold()
    beside = [other for other in sorted(path.parent.iterdir()) if other.stem.casefold() == base]
    for kinds in (_SOUNDS, FILMS):
        for other in beside:
            if other.suffix.lower() in kinds:
                return other
    return None
