"""PLY meshes: vertices and polygons as the header declares them, in text or binary of either order.

Read a table at a time: rows whose lists are equally long at once, others one by one.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from codetalker.reading import Malformed

_TYPES = {
    "char": "i1",
    "uchar": "u1",
    "short": "i2",
    "ushort": "u2",
    "int": "i4",
    "uint": "u4",
    "float": "f4",
    "double": "f8",
    "int8": "i1",
    "uint8": "u1",
    "int16": "i2",
    "uint16": "u2",
    "int32": "i4",
    "uint32": "u4",
    "float32": "f4",
    "float64": "f8",
}
"""PLY's names of number types, and numpy's."""
_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": ""}
_HEADER = re.compile(rb"(.*?)^end_header[ \t]*(?:\r\n|\n|\r)", re.DOTALL | re.MULTILINE)
_MAX_HEADER = 1 << 16
MAX_ROWS = 1 << 20
"""Of an element: a million vertices are no face."""
_MAX_LENGTH = 1 << 26
_MAX_PROPERTIES = 64
_SHORT = 16
"""Lists up to this length are looked for at once."""


@dataclass
class _Property:
    name: str
    type: str
    length: str = ""
    """Type of a list's length; empty for what is no list."""


@dataclass
class _Element:
    name: str
    rows: int
    properties: list[_Property] = field(default_factory=list)


def read_ply(data: bytes) -> tuple[NDArray, NDArray, NDArray[np.intp]]:
    """(V, 3) vertices, the corners (C,) of all polygons one after another, and how many each has.

    Corners are numbers of whatever type, not yet seen to be vertices.

    Raises:
        Malformed, LookupError: it is no PLY file, or ends too early.
    """
    header = _HEADER.match(data, 0, _MAX_HEADER)
    if not header or not data.startswith((b"ply\n", b"ply\r")):
        raise Malformed("it has no header of a PLY file")
    order, elements = _elements(header[1].decode("ascii", "replace"))
    rest = data[header.end() :]
    body = _Text(rest) if order is None else _Binary(rest, order)
    vertices, corners, lengths = np.empty((0, 3)), [np.empty(0, np.uint8)], [np.empty(0, int)]
    for element in elements:
        for table in _tables(body, element):
            if element.name == "vertex":
                vertices = np.stack([table[axis] for axis in "xyz"], 1)
            elif element.name == "face":
                polygons = table["vertex_indices" if "vertex_indices" in table else "vertex_index"]
                corners.append(polygons.ravel())
                lengths.append(np.full(len(polygons), polygons.shape[1]))
    return vertices, np.concatenate(corners), np.concatenate(lengths)


def _elements(header: str) -> tuple[str | None, list[_Element]]:
    """The byte order, None in text, and the tables that follow."""
    order: str | None = None
    known = False
    elements: list[_Element] = []
    for line in header.splitlines():
        match line.split():
            case ["format", encoding, _]:
                order, known = _ORDERS[encoding] or None, True
            case ["element", name, rows]:
                if not rows.isdecimal() or len(rows) > 9 or int(rows) > MAX_ROWS:
                    raise Malformed(f"it has {rows[:20]} elements {name!r}")
                if any(name == element.name for element in elements):
                    raise Malformed(f"it has the element {name!r} twice")
                elements.append(_Element(name, int(rows)))
            case ["property", "list", length, kind, name] if elements:
                if _TYPES[length].startswith("f"):
                    raise Malformed(f"the length of {name!r} is no whole number")
                elements[-1].properties.append(_Property(name, _TYPES[kind], _TYPES[length]))
            case ["property", kind, name] if elements:
                if kind not in _TYPES:
                    raise Malformed(f"it has the unknown type {kind}")
                elements[-1].properties.append(_Property(name, _TYPES[kind]))
            case ["ply"] | ["comment" | "obj_info", *_] | []:
                pass
            case _:
                raise Malformed(f"its header has the line {line[:40]!r}")
    if not known or len(elements) > _MAX_PROPERTIES:
        raise Malformed("its header has no format, or too many elements")
    for element in elements:
        names = {part.name for part in element.properties}
        if len(names) != len(element.properties) or len(names) > _MAX_PROPERTIES:
            raise Malformed(f"{element.name!r} has a property twice, or too many")
    return order, elements


class _Text:
    """The rest of a text file: numbers, of whatever type."""

    def __init__(self, data: bytes) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # at what is no number, it ends
            self._numbers = np.fromstring(data.decode("latin-1"), np.float64, sep=" ")
        self.position = 0

    def run(self, kind: str, length: int) -> NDArray:
        """The next (length,) numbers."""
        end = self.position + length
        if end > len(self._numbers):
            raise Malformed("it ends too early")
        numbers = self._numbers[self.position : end]
        self.position = end
        return numbers

    def table(self, kinds: Sequence[str], rows: int) -> list[NDArray]:
        """The next (rows,) numbers of as many columns as there are kinds."""
        return list(self.run("", rows * len(kinds)).reshape(rows, -1).T)


class _Binary:
    """The rest of a binary file: numbers of the kinds that are asked for."""

    def __init__(self, data: bytes, order: str) -> None:
        self._data, self._order = data, order
        self.position = 0

    def run(self, kind: str, length: int) -> NDArray:
        """The next (length,) numbers."""
        return self._take(np.dtype(self._order + kind), length)

    def table(self, kinds: Sequence[str], rows: int) -> list[NDArray]:
        """The next (rows,) numbers of columns of these kinds."""
        row = np.dtype([(str(i), self._order + kind) for i, kind in enumerate(kinds)])
        table = self._take(row, rows)
        return [table[str(i)] for i in range(len(kinds))]

    def _take(self, kind: np.dtype, count: int) -> NDArray:
        end = self.position + count * kind.itemsize
        if end > len(self._data):
            raise Malformed("it ends too early")
        taken = np.frombuffer(self._data[self.position : end], kind)
        self.position = end
        return taken


def _tables(body: _Text | _Binary, element: _Element) -> Iterator[dict[str, NDArray]]:
    """The rows of an element, in parts: name -> (rows,) numbers, or (rows, length) of lists."""
    if not element.properties or not element.rows:
        return
    if (table := _like_the_first(body, element)) is not None:
        yield table
        return
    for _ in range(element.rows):
        row = {}
        for part in element.properties:
            numbers = body.run(part.type, _length(body, part))
            row[part.name] = numbers[None] if part.length else numbers
        yield row


def _like_the_first(body: _Text | _Binary, element: _Element) -> dict[str, NDArray] | None:
    """All rows at once, if the lists of each are as long as those of the first; else none."""
    start = body.position
    lengths, kinds = [], []
    for part in element.properties:
        lengths.append(_length(body, part))
        body.run(part.type, lengths[-1])
        kinds += [part.length] * bool(part.length) + [part.type] * min(lengths[-1], _SHORT + 1)
    body.position = start
    with suppress(Malformed):  # too short for rows that are like the first
        columns = iter(body.table(kinds, element.rows) if max(lengths) <= _SHORT else [])
        table = {}
        for part, length in zip(element.properties, lengths, strict=True):
            if part.length and not (next(columns, np.array(-1)) == length).all():
                break
            own = [next(columns) for _ in range(length)]
            table[part.name] = np.array(own).T.reshape(element.rows, -1) if part.length else own[0]
        else:
            return table
    body.position = start
    return None


def _length(body: _Text | _Binary, part: _Property) -> int:
    """How many numbers a property has in the next row."""
    if not part.length:
        return 1
    length = float(body.run(part.length, 1)[0])
    if not (0 <= length < _MAX_LENGTH and length.is_integer()):
        raise Malformed(f"it has a list {part.name!r} of {length:g} numbers")
    return int(length)
