"""The binary buffer of a glTF 2.0 file: arrays in it, and the JSON that describes them.

In the flow speech -> features -> codes -> motion -> mesh -> **file**. `gltf.py` fills it. Section
numbers are those of the Khronos glTF 2.0 specification.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

_COMPONENTS = {"<f4": 5126, "|u1": 5121, "<u2": 5123, "<u4": 5125}
_FLOAT = _COMPONENTS["<f4"]
VERTICES, ELEMENTS = 34962, 34963
"""Targets of buffer views (5.11.5)."""
_TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}


def index_type(count: int) -> str:
    """The smallest type for indices below `count`; 65535 would mean something else (3.7.2.1)."""
    return "<u2" if count < 65536 else "<u4"


class GltfBuffer:
    """Collects arrays into the one binary buffer and describes them in JSON."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._views: list[dict[str, Any]] = []
        self._accessors: list[dict[str, Any]] = []
        self._zeros: dict[int, int] = {}
        self._sparse: tuple[_Shared, _Shared] | None = None

    def view(self, data: bytes, target: int | None = None) -> int:
        """Append bytes, aligned to four (3.6.2.4); returns the buffer view's index."""
        self._data += b"\0" * (-len(self._data) % 4)
        view = {"buffer": 0, "byteOffset": len(self._data), "byteLength": len(data)}
        self._views.append(view if target is None else view | {"target": target})
        self._data += data
        return len(self._views) - 1

    def accessor(
        self,
        array: NDArray[Any],
        target: int | None = None,
        bounds: bool = False,
        normalized: bool = False,
    ) -> int:
        """Append a (N, 1..4) array, float32 unless of integers; returns the accessor's index.
        Normalized integers are shares of the largest."""
        array = array if array.dtype.str in _COMPONENTS else array.astype("<f4")
        view = self.view(array.tobytes(), target)
        kind = _COMPONENTS[array.dtype.str]
        entry: dict[str, Any] = {"bufferView": view, "componentType": kind}
        if normalized and kind != _FLOAT:
            entry["normalized"] = True
        return self._describe(array, entry, bounds)

    def offsets(self, array: NDArray[np.float32], bounds: bool = False) -> int:
        """Append (N, 3) offsets of a target, sparse where that is smaller (3.6.2.3); an accessor
        without data is all zeros (3.6.2.2), and one does for all that have N."""
        moved = np.flatnonzero(array.any(axis=1)).astype(index_type(len(array)))
        if not len(moved):
            if len(array) not in self._zeros:
                self._zeros[len(array)] = self._describe(array, {"componentType": _FLOAT}, True)
            return self._zeros[len(array)]
        if len(moved) * (12 + moved.itemsize) >= len(array) * 12:  # bytes per vertex
            return self.accessor(array, VERTICES, bounds)
        if self._sparse is None:
            self._views += [{}, {}]
            self._sparse = _Shared(len(self._views) - 2), _Shared(len(self._views) - 1)
        places, values = self._sparse
        kind = _COMPONENTS[moved.dtype.str]
        sparse = {
            "count": len(moved),
            "indices": places.append(moved.tobytes()) | {"componentType": kind},
            "values": values.append(array[moved].astype("<f4").tobytes()),
        }
        return self._describe(array, {"componentType": _FLOAT, "sparse": sparse}, bounds)

    def _describe(self, array: NDArray[Any], entry: dict[str, Any], bounds: bool) -> int:
        entry |= {"count": len(array), "type": _TYPES[array.shape[1]]}
        if bounds:
            entry |= {"min": _shortest(array.min(axis=0)), "max": _shortest(array.max(axis=0))}
        self._accessors.append(entry)
        return len(self._accessors) - 1

    def binary(self, document: dict[str, Any]) -> bytes:
        """The GLB file."""
        for shared in self._sparse or ():
            self._views[shared.view] = self._views[self.view(bytes(shared.data))]
            self._views.pop()
        self._data += b"\0" * (-len(self._data) % 4)  # the buffer ends with its chunk
        document |= {
            "accessors": self._accessors,
            "bufferViews": self._views,
            "buffers": [{"byteLength": len(self._data)}],
        }
        text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
        return container(text, self._data)


def container(text: bytes, data: bytes | bytearray, more: bytes = b"") -> bytes:
    """A GLB file (4.4) of the JSON's text, padded with spaces, the binary buffer, padded with
    zeros, and any chunks that follow."""
    text += b" " * (-len(text) % 4)
    data += b"\0" * (-len(data) % 4)
    total = 12 + 8 + len(text) + 8 + len(data) + len(more)
    return b"".join(
        [
            struct.pack("<4sII", b"glTF", 2, total),
            struct.pack("<I4s", len(text), b"JSON"),
            text,
            struct.pack("<I4s", len(data), b"BIN\0"),
            data,
            more,
        ]
    )


class _Shared:
    """The bytes of a buffer view that many accessors share."""

    def __init__(self, view: int) -> None:
        self.view = view
        self.data = bytearray()

    def append(self, data: bytes) -> dict[str, int]:
        """Append bytes, aligned to four; returns where they are."""
        self.data += b"\0" * (-len(self.data) % 4)
        place = {"bufferView": self.view, "byteOffset": len(self.data)}
        self.data += data
        return place


def _shortest(values: NDArray[Any]) -> list[float]:
    """Numbers in the fewest digits that mean the same float32 (3.6.2.5)."""
    return [float(str(value)) for value in values.astype(np.float32)]
