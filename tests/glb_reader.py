"""A second reader of GLB files, from the specification, for tests of ours."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
KINDS = {5121: "|u1", 5126: "<f4", 5123: "<u2", 5125: "<u4"}


class Glb:
    """A second reader of the format, from the specification."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        magic, version, length = struct.unpack_from("<4sII", data)
        assert (magic, version, length) == (b"glTF", 2, len(data))
        size, kind = struct.unpack_from("<I4s", data, 12)
        assert kind == b"JSON"
        assert size % 4 == 0
        self.json: dict[str, Any] = json.loads(data[20 : 20 + size])
        binary_size, kind = struct.unpack_from("<I4s", data, 20 + size)
        assert kind == b"BIN\0"
        self.binary = data[28 + size :]
        assert len(self.binary) == binary_size == self.json["buffers"][0]["byteLength"]

    def array(self, index: int) -> np.ndarray:
        """The accessor's content, with sparse values put in; its bounds are checked."""
        entry = self.json["accessors"][index]
        width = COMPONENTS[entry["type"]]
        if "bufferView" in entry:
            array = self._view(entry["bufferView"], entry["componentType"]).reshape(-1, width)
        else:
            array = np.zeros((entry["count"], width), np.float32)
        if "sparse" in entry:
            sparse = entry["sparse"]
            where = self._view(sparse["indices"]["bufferView"], sparse["indices"]["componentType"])
            assert (np.diff(where.astype(int)) > 0).all()
            assert len(where) == sparse["count"]
            array[where] = self._view(sparse["values"]["bufferView"], 5126).reshape(-1, width)
        assert len(array) == entry["count"]
        if "min" in entry:
            np.testing.assert_array_equal(array.min(axis=0), np.array(entry["min"], np.float32))
            np.testing.assert_array_equal(array.max(axis=0), np.array(entry["max"], np.float32))
        return array

    def _view(self, index: int, kind: int) -> np.ndarray:
        view = self.json["bufferViews"][index]
        assert view["byteOffset"] % 4 == 0
        part = self.binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
        return np.frombuffer(part, KINDS[kind]).copy()
