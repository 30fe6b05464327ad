"""What an ONNX file asks for, seen from its bytes: only arithmetic, on weights that it holds.

A graph can ask for more: files elsewhere on the disk (external data), loops that need not end,
operators of other libraries, functions that unfold into more than memory holds. The graphs of the
bundled family do none of it, so what does is refused before ONNX Runtime sees it. Numbers of fields
are those of onnx.proto; the encoding is that of Protocol Buffers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from codetalker.reading import Malformed, check_text

_VARINT, _WIDE, _BYTES, _NARROW = 0, 1, 2, 5
"""Wire types: a number, 8 bytes, a length and so many bytes, 4 bytes."""

_INSIDE = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "weights", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "constant", 10: "constant", 22: "sparse", 23: "sparse"},
    "sparse": {1: "weights", 2: "weights"},
}
"""Of each message, the fields that hold messages, and which."""
_REFUSED = {
    ("model", 20): "training",
    ("model", 25): "functions of its own",
    ("attribute", 6): "a graph in a graph, such as a loop",
    ("attribute", 11): "a graph in a graph, such as a loop",
    ("weights", 13): "data in another file",
    ("constant", 13): "data in another file",
}
_NODE_DOMAIN, _DOMAINS = 7, (b"", b"ai.onnx")
_DATA_TYPE, _FLOAT_DATA, _RAW_DATA, _DOUBLE_DATA, _DATA_LOCATION = 2, 4, 9, 10, 14
_FLOATS = {1: "<f4", 10: "<f2", 11: "<f8"}
"""Of tensors' data types, those that can hold what is no number."""


def check_arithmetic(content: bytes) -> None:
    """See that a graph is arithmetic alone, and its weights finite.

    Raises:
        Malformed: it is not, or is no ONNX file.
    """
    _check("model", memoryview(content))


def _check(kind: str, message: memoryview) -> None:
    inside = _INSIDE.get(kind, {})
    tensor = kind in ("weights", "constant")
    floats: list[tuple[str | None, memoryview]] = []
    data_type = 0
    for number, value in _fields(message):
        if asked := _REFUSED.get((kind, number)):
            raise Malformed(f"it asks for {asked}")
        if number in inside:
            if not isinstance(value, memoryview):
                raise Malformed("it is no ONNX file")
            _check(inside[number], value)
        elif kind == "node" and number == _NODE_DOMAIN and value not in _DOMAINS:
            raise Malformed(f"it asks for operators of {_text(value)!r}")
        elif tensor and number == _DATA_LOCATION and value != 0:
            raise Malformed("it asks for data in another file")
        elif tensor and number == _DATA_TYPE and isinstance(value, int):
            data_type = value
        elif tensor and isinstance(value, memoryview):
            if number in (_FLOAT_DATA, _DOUBLE_DATA):
                floats.append(("<f4" if number == _FLOAT_DATA else "<f8", value))
            elif number == _RAW_DATA:
                floats.append((None, value))
    for own, data in floats:
        if stored := own or _FLOATS.get(data_type):
            _check_finite(kind, stored, data)


def _check_finite(kind: str, stored: str, data: memoryview) -> None:
    """Constants of a computation may be infinite, as in masks; weights may not."""
    if len(data) % np.dtype(stored).itemsize:
        raise Malformed("its weights are cut off")
    values = np.frombuffer(data, stored)
    if np.isnan(values).any() or (kind == "weights" and np.isinf(values).any()):
        raise Malformed("its weights are not finite")


def _text(value: int | memoryview) -> str:
    return check_text(bytes(value).decode(errors="replace")) if not isinstance(value, int) else ""


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of a message: number, and value as far as it is a number or bytes."""
    position, end = 0, len(message)
    while position < end:
        tag, position = _varint(message, position)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, position = _varint(message, position)
            yield number, value
            continue
        if wire == _BYTES:
            length, position = _varint(message, position)
        elif wire in (_WIDE, _NARROW):
            length = 8 if wire == _WIDE else 4
        else:
            raise Malformed("it is no ONNX file")
        if not number or position + length > end:
            raise Malformed("it is no ONNX file, or cut off")
        yield number, message[position : position + length]
        position += length


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """A number, seven bits a byte, and where the next begins."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            break
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise Malformed("it is no ONNX file, or cut off")
