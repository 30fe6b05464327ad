"""The prepared store: a vertex data set on disk, converted once and mapped into memory.

`store.json` describes it; `vertices/NAME.npy` is (T, V, 3), `audio/NAME.npy` (N,) at 16 kHz,
`templates.npy` (S, V, 3), all float32. docs/data.md specifies the format.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
from numpy.typing import NDArray

from codetalker.arguments import shown
from codetalker.arrays import map_npy
from codetalker.audio import SAMPLE_RATE, Waveform
from codetalker.disk import replacing
from codetalker.errors import DataError
from codetalker.reading import Malformed, check_file_name, read_json, refusing
from codetalker.typed import convert

_FORMAT_VERSION = 1
MANIFEST = "store.json"


@dataclass(frozen=True)
class StoreClip:
    """One sentence of a store: `frames` of motion and `samples` of sound, in one `split`."""

    name: str
    subject: str
    sentence: int
    split: str
    frames: int
    samples: int


@dataclass(frozen=True)
class Store:
    """A prepared data set; arrays are mapped, not read.

    Attributes:
        folder: where it lies.
        dataset: what it was made from.
        fps: frames per second of the motion.
        unit_mm: millimetres per unit of the coordinates; None where they have none.
        vertices_per_face: V.
        subjects: in the order of `templates.npy`.
        styles: the subjects to learn as speaking styles, in the order of the style table.
        clips: all of them, also those that no split uses.
        problems: what the preparation could not use, one line each.
    """

    folder: Path
    dataset: str
    fps: float
    unit_mm: float | None
    vertices_per_face: int
    subjects: tuple[str, ...]
    styles: tuple[str, ...]
    clips: tuple[StoreClip, ...]
    problems: tuple[str, ...] = ()

    def select(self, split: str | None = None, subject: str | None = None) -> list[StoreClip]:
        """The clips of one split and one subject; None takes all.

        Raises:
            DataError: there is none; the message lists what there is.
        """
        chosen = [
            c for c in self.clips if split in (None, c.split) and subject in (None, c.subject)
        ]
        if not chosen:
            wanted = " ".join(word for word in (split, subject) if word)
            there = ", ".join(sorted({f"{c.split} {c.subject}" for c in self.clips}))
            raise DataError(f"{self.folder} has no clips of {wanted!r}; it has: {there}")
        return chosen

    def template(self, subject: str) -> NDArray[np.float32]:
        """(V, 3) the subject's neutral face.

        Raises:
            DataError: there is no such subject.
        """
        if subject not in self.subjects:
            raise DataError(
                f"{self.folder} has no subject {subject!r}; it has: {', '.join(self.subjects)}"
            )
        return self._map("templates.npy")[self.subjects.index(subject)]

    def vertices(self, clip: StoreClip) -> NDArray[np.float32]:
        """(T, V, 3), mapped: slices are read from the disk as they are used."""
        return self._map(f"vertices/{clip.name}.npy", (clip.frames, self.vertices_per_face, 3))

    def waveform(self, clip: StoreClip) -> Waveform:
        """The sound at 16 kHz, mapped."""
        return Waveform(self._map(f"audio/{clip.name}.npy", (clip.samples,)), SAMPLE_RATE)

    def regions(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Indices of the lip and of the upper-face vertices, from `lve.txt` and `fdd.txt`.

        Raises:
            DataError: the user has not put them there, or they do not fit the mesh.
        """
        return self._region("lve.txt"), self._region("fdd.txt")

    def _region(self, name: str) -> NDArray[np.int64]:
        path = self.folder / name
        if not path.is_file():
            raise DataError(
                f"{path} is missing; copy the official {name} there (vertex numbers, separated "
                "by commas), or prepare from a folder that has regions/"
            )
        return read_region(path, self.vertices_per_face)

    def _map(self, name: str, shape: tuple[int, ...] | None = None) -> NDArray[np.float32]:
        try:
            array = map_npy(self.folder / name)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.folder / name} cannot be read; prepare the data again"
            ) from error
        if array.dtype != np.float32 or shape not in (None, array.shape):
            raise DataError(f"{self.folder / name} is not what {MANIFEST} says; prepare it again")
        return array

    def save_manifest(self) -> None:
        """Write `store.json`, by which the folder becomes a store."""
        content = {"format_version": _FORMAT_VERSION} | asdict(self)
        del content["folder"]
        with replacing(self.folder / MANIFEST) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n")


def open_store(folder: Path | str) -> Store:
    """Open a folder that `codetalker prepare` has made.

    Raises:
        DataError: it is none, is unfinished, or is of another version.
    """
    folder = Path(folder)
    missing = f"{folder} has no {MANIFEST}; make it: codetalker prepare vocaset|biwi SRC -o DIR"
    what = f"{folder / MANIFEST} is damaged"
    with refusing(DataError, what, "prepare the data again", missing):
        content: dict[str, Any] = read_json(folder / MANIFEST)
        if (version := content.pop("format_version")) != _FORMAT_VERSION:
            raise DataError(
                f"{folder} has format version {shown(version)}, this program reads "
                f"{_FORMAT_VERSION}; prepare the data again"
            )
        kinds = get_type_hints(Store)
        values = {name: convert(kinds[name], value, name) for name, value in content.items()}
        store = Store(folder=folder, **values)
        for clip in store.clips:
            check_file_name(clip.name)
        if not (0 < store.fps <= 1000 and store.vertices_per_face > 0):
            raise Malformed("its rate or its face is none")
        return store


def read_region(path: Path, vertices: int) -> NDArray[np.int64]:
    """Vertex numbers of a region file, separated by commas or spaces.

    Raises:
        DataError: it holds anything else, or a number that the mesh does not have.
    """
    try:
        numbers = np.array(path.read_text().replace(",", " ").split(), np.int64)
    except (OSError, ValueError, OverflowError) as error:
        raise DataError(f"{path} is not a list of vertex numbers") from error
    if not len(numbers) or numbers.min() < 0 or numbers.max() >= vertices:
        raise DataError(f"{path} does not fit a mesh of {vertices} vertices")
    return numbers
