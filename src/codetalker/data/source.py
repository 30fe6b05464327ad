"""What a reader of a data set hands to `prepare`: clips that load themselves when asked."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codetalker.audio import Waveform
from codetalker.errors import DataError


@dataclass(frozen=True)
class SourceClip:
    """One sentence; nothing is read before `vertices` or `waveform` is called.

    Attributes:
        name: `SUBJECT_SENTENCE` as the official files are called.
        subject: who speaks.
        sentence: its number.
        vertices: loads (T, V, 3) float32 at the source's frame rate.
        waveform: loads the sound.
    """

    name: str
    subject: str
    sentence: int
    vertices: Callable[[], NDArray[np.float32]]
    waveform: Callable[[], Waveform]


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


def find_regions(folder: Path) -> dict[str, Path]:
    """The region files in a data set's folder or its `regions` folder."""
    found = {}
    for name in ("lve.txt", "fdd.txt"):
        for path in (folder / name, folder / "regions" / name):
            if path.is_file():
                found[name] = path
    return found
