"""Arrays on disk, `.npy` and `.npz`: read as data, of declared kinds and shapes, with limits that
are known before anything is unpacked.

The one reader of arrays: nothing here runs code, and a small file takes little memory.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike, NDArray

from codetalker.reading import Malformed, check_text, open_regular

MAX_BYTES = 512 << 20
"""Of what is unpacked at once, or the file's own size if that is more: 28 hours of weights."""
_MAX_TEXT_BYTES = 16 << 20
_PIECE = 1 << 20
_MAX_HEADER = 10_000
_HEADERS = {(1, 0): (2, npy.read_array_header_1_0), (2, 0): (4, npy.read_array_header_2_0)}
_KINDS = {"f": "fiu", "i": "iu", "U": "U", "b": "b"}
"""Kinds of number that do for each kind."""

Source = str | os.PathLike[str] | bytes
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, init=False)
class Field:
    """What an array must be.

    Attributes:
        dtype: that it is brought to: a float, an int, `str` or `bool`.
        shapes: its axes, one of these: `T K`. Axes of one name are equally long in all arrays of a
            file; a number is that length; no axis is a single value.
        least, most: of all values; None is any. Floats are finite unless `finite` is False.
        optional: the file may lack it.
    """

    dtype: np.dtype[Any]
    shapes: tuple[tuple[str, ...], ...]
    least: float | None
    most: float | None
    finite: bool
    optional: bool

    def __init__(
        self,
        dtype: DTypeLike,
        *shapes: str,
        least: float | None = None,
        most: float | None = None,
        finite: bool = True,
        optional: bool = False,
    ) -> None:
        values = {
            "dtype": np.dtype(dtype),
            "shapes": tuple(tuple(shape.split()) for shape in shapes or ("",)),
            "least": least,
            "most": most,
            "finite": finite,
            "optional": optional,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def checked(self, array: NDArray[Any], name: str, axes: dict[str, int]) -> NDArray[Any]:
        """The array in the declared type, once its values are seen to be as declared.

        Args:
            axes: how long the axes that are known are; those of this array are added.

        Raises:
            Malformed: they are not.
        """
        fitting = (found for shape in self.shapes if (found := _bound(shape, array.shape, axes)))
        if (own := next(fitting, None)) is None:
            declared = " or ".join(_described(shape, axes) for shape in self.shapes)
            raise Malformed(f"{_have(name)} shape {array.shape}, not {declared}")
        if array.dtype.kind not in _KINDS[self.dtype.kind]:
            raise Malformed(f"{name} is of type {array.dtype}, not {self.dtype.name}")
        axes.update(own)
        if self.dtype.kind == "U":
            for text in array.ravel().tolist():
                check_text(text)
            return array
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.ascontiguousarray(array, self.dtype).reshape(array.shape)
        if self.dtype.kind == "i" and not np.array_equal(values, array):
            raise Malformed(f"{name} holds numbers that are too large")
        if self.dtype.kind == "f" and self.finite and not np.isfinite(values).all():
            raise Malformed(f"{name} {'hold' if name.endswith('s') else 'holds'} NaN or infinity")
        low = self.least is not None and (values < self.least).any()
        if values.size and (low or (self.most is not None and (values > self.most).any())):
            low = "" if self.least is None else f" from {self.least:g}"
            high = "" if self.most is None else f" to {self.most:g}"
            found = f"{values.min()} ... {values.max()}" if values.size > 1 else values.item()
            raise Malformed(f"{name} is {found}, not{low}{high}")
        return values


Layout = Mapping[str, Field]


class Npz:
    """An opened `.npz` file, of whose members `read` unpacks what is declared."""

    def __init__(self, archive: zipfile.ZipFile, limit: int) -> None:
        self._archive = archive
        self._limit = limit
        self._axes: dict[str, int] = {}
        self._members: dict[str, zipfile.ZipInfo] = {}
        for entry in archive.infolist():
            name = entry.filename.removesuffix(".npy")
            if name in self._members:
                raise Malformed(f"{name!r} occurs twice")
            self._members[name] = entry

    @property
    def names(self) -> frozenset[str]:
        """Of the arrays."""
        return frozenset(self._members)

    def read(self, layout: Layout) -> Arrays:
        """The arrays of the layout; those that are optional and not there are left out.

        Raises:
            Malformed, Exception: what `zipfile` and its kind make of damaged archives.
        """
        needed = {name for name, field in layout.items() if not field.optional}
        if missing := needed - self.names:
            raise Malformed(f"it lacks {', '.join(sorted(missing))}")
        return {name: self._read(name, layout[name]) for name in layout if name in self.names}

    def read_all(self) -> Arrays:
        """Every array, of numbers, text, or records of these, whatever its shape.

        Raises:
            Malformed, Exception: as `read`.
        """
        return {name: self._read(name, None) for name in self._members}

    def _read(self, name: str, field: Field | None) -> NDArray[Any]:
        entry = self._members[name]
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Malformed(f"{name} is packed in another way than npz files are")
        with self._archive.open(entry) as stream:
            header = _Header.read(stream, name, records=field is None)
            wide = max(header.dtype.itemsize, field.dtype.itemsize if field else 1) * header.count
            limit = _MAX_TEXT_BYTES if header.dtype.kind == "U" else self._limit
            if wide > limit:
                raise Malformed(f"{name} unpacks to {wide / 2**20:.4g} MiB, which is too much")
            self._limit -= wide if header.dtype.kind != "U" else 0
            if header.start + header.size != entry.file_size:
                raise Malformed(f"{name} has {entry.file_size} bytes, not {header.size}")
            array = header.fill(stream)
        return field.checked(array, name, self._axes) if field else array


@contextmanager
def open_npz(source: Source, limit: int = MAX_BYTES) -> Iterator[Npz]:
    """Open an `.npz` file, or its bytes. Read it within `refusing`.

    Args:
        limit: bytes that its arrays may take, where the file itself does not take more.

    Raises:
        Malformed, OSError, Exception: what `zipfile` makes of files that are none.
    """
    with _opened(source) as (stream, size), zipfile.ZipFile(stream) as archive:
        yield Npz(archive, max(limit, size))


def read_npz(source: Source, layout: Layout) -> Arrays:
    """The declared arrays of an `.npz` file, or of its bytes; see `open_npz`."""
    with open_npz(source) as file:
        return file.read(layout)


def read_npy(source: Source, field: Field) -> NDArray[Any]:
    """The array of an `.npy` file, or of its bytes. Read it within `refusing`.

    Raises:
        Malformed, OSError, ValueError: it is none, or not as declared.
    """
    with _opened(source) as (stream, size):
        header = _Header.read(stream, "the array")
        if header.start + header.size != size:
            raise Malformed(f"the array has {size - header.start} bytes, not {header.size}")
        return field.checked(header.fill(stream), "the array", {})


def map_npy(path: str | os.PathLike[str]) -> NDArray[Any]:
    """The array of numbers in an `.npy` file, mapped: read from the disk as it is used.

    Raises:
        Malformed, OSError, ValueError: the file holds none, or not all of it.
    """
    with _opened(path) as (stream, size):
        header = _Header.read(stream, "the array")
        if header.start + header.size > size:
            raise Malformed(f"the array has {size - header.start} bytes, not {header.size}")
    if not header.size:
        return np.empty(header.shape, header.dtype)
    order = "F" if header.fortran else "C"
    return np.memmap(path, header.dtype, "r", header.start, header.shape, order)


@dataclass(frozen=True)
class _Header:
    """What an `.npy` file says of itself."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    start: int

    @staticmethod
    def read(stream: IO[bytes], name: str, *, records: bool = False) -> _Header:
        """Read it, which leaves the stream at the array itself; `records` may be of many fields."""
        version = npy.read_magic(stream)
        if version not in _HEADERS:
            raise Malformed(f"{name} is of npy version {version}")
        width, read = _HEADERS[version]
        length = stream.read(width)
        text = stream.read(min(int.from_bytes(length, "little"), _MAX_HEADER))
        if set(text) & set(b"-+~"):  # no array has such a header: it would be long to evaluate
            raise Malformed(f"the header of {name} is none")
        shape, fortran, dtype = read(BytesIO(length + text))
        allowed = dtype.kind in "fiubU" or (records and dtype.fields and not dtype.hasobject)
        if not (allowed and dtype.itemsize):
            raise Malformed(f"{name} is of type {dtype}, neither numbers nor text")
        if any(type(length) is not int or length < 0 for length in shape):
            raise Malformed(f"{name} has the shape {shape}")
        return _Header(dtype, shape, bool(fortran), stream.tell())

    @property
    def count(self) -> int:
        return prod(self.shape)

    @property
    def size(self) -> int:
        """Bytes of the array itself."""
        return self.count * self.dtype.itemsize

    def fill(self, stream: IO[bytes]) -> NDArray[Any]:
        """The array itself, read to the end, where the archive's checksum is seen to be right."""
        array = np.empty(self.shape[::-1] if self.fortran else self.shape, self.dtype)
        buffer, filled = array.reshape(-1).view(np.uint8), 0
        while piece := stream.read(_PIECE):
            buffer[filled : filled + len(piece)] = np.frombuffer(piece, np.uint8)
            filled += len(piece)
        if filled != len(buffer):
            raise Malformed("it ends in the middle of an array")
        return array.T if self.fortran else array


def _described(shape: tuple[str, ...], axes: Mapping[str, int]) -> str:
    """A shape with the lengths that are known: `(clips = 2, frames, 3)`."""
    return f"({', '.join(f'{a} = {axes[a]}' if a in axes else a for a in shape)})"


def _have(name: str) -> str:
    return f"{name} have" if name.endswith("s") else f"{name} has"


@contextmanager
def _opened(source: Source) -> Iterator[tuple[IO[bytes], int]]:
    """The source as a stream, and its size."""
    if isinstance(source, bytes):
        yield BytesIO(source), len(source)
        return
    with open_regular(Path(source)) as stream:
        yield stream, os.fstat(stream.fileno()).st_size


def _bound(
    shape: tuple[str, ...], found: tuple[int, ...], axes: Mapping[str, int]
) -> dict[str, int] | None:
    """The axes of an array, if it has that shape."""
    if len(shape) != len(found):
        return None
    own: dict[str, int] = {"": 0}
    for axis, length in zip(shape, found, strict=True):
        known = int(axis) if axis.isdigit() else own.get(axis, axes.get(axis, length))
        if known != length:
            return None
        own[axis] = length
    return own
