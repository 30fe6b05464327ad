"""What a reader of a data set hands to `prepare`: clips that load themselves when asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codetalker.audio import Waveform
from codetalker.errors import DataError

SOUND_SUFFIXES = {
    *(".wav", ".wave", ".w64", ".flac", ".mp3", ".mp2", ".m4a", ".aac", ".ogg", ".oga", ".opus"),
    *(".aif", ".aiff", ".aifc", ".au", ".caf", ".wma", ".amr", ".wv", ".mka", ".ac3"),
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".flv", ".wmv", ".mpg", ".mpeg", ".3gp"),
}
"""Of the files in which a clip's sound may lie."""


@dataclass(frozen=True)
class SourceClip:
    """One sentence; nothing is read before `vertices` or `waveform` is called.

    Attributes:
        name: `SUBJECT_SENTENCE` as the official files are called.
        subject: who speaks.
        sentence: its number.
        vertices: loads (T, V, 3) float32 at the source's frame rate.
        waveform: loads the sound.
        motion_files, sound_files: what these two read.
    """

    name: str
    subject: str
    sentence: int
    vertices: Callable[[], NDArray[np.float32]]
    waveform: Callable[[], Waveform]
    motion_files: tuple[Path, ...] = ()
    sound_files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Source:
    """A data set as its publisher or a user stores it.

    Attributes:
        templates: subject -> (V, 3) float32 neutral face.
        clips: what can be read.
        problems: what is known to be missing before anything is read, one line each.
        regions: the user's region files (`lve.txt`, `fdd.txt`) by name, as far as there are any.
    """

    templates: dict[str, NDArray[np.float32]]
    clips: tuple[SourceClip, ...]
    problems: tuple[str, ...] = ()
    regions: dict[str, Path] = field(default_factory=dict)


def parse_name(name: str) -> tuple[str, int]:
    """Subject and sentence number of `SUBJECT_SENTENCE`: what is before the last `_`, final digits.

    Raises:
        DataError: the name is not of that form.
    """
    match = re.fullmatch(r"(\w[\w .+-]*)_[^\W_]*?(\d+)", name)  # no path separators
    if not match:
        raise DataError(
            f"{name!r} is not SUBJECT_SENTENCE with a number at the end, such as F2_e01"
        )
    return match[1], int(match[2])


def parse_names(names: Iterable[str]) -> tuple[dict[str, tuple[str, int]], list[str]]:
    """Name -> subject and sentence of those that are understood; a line about every other one."""
    parsed, problems = {}, []
    for name in names:
        try:
            parsed[name] = parse_name(name)
        except DataError as error:
            problems.append(f"{name}: {error}")
    return parsed, problems


def files_by_stem(folder: Path, suffixes: Collection[str]) -> dict[str, list[Path]]:
    """The files of a folder with one of these suffixes, in any case, by their name without it."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*")):
        if path.suffix.lower() in suffixes and not path.name.startswith("."):
            found.setdefault(path.stem, []).append(path)
    return found


def find_regions(folder: Path) -> dict[str, Path]:
    """The region files in a data set's folder or its `regions` folder."""
    found = {}
    for name in ("lve.txt", "fdd.txt"):
        for path in (folder / name, folder / "regions" / name):
            if path.is_file():
                found[name] = path
    return found
