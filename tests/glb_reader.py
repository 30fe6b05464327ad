"""A second reader of GLB files, from the specification, for tests of ours."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
KINDS = {5121: "|u1", 5126: "<f4", 5123: "<u2", 5125: "<u4"}


class Part(NamedTuple):
    """A primitive, with (N, 3) positions and normals at rest and posed."""

    primitive: dict[str, Any]
    positions: np.ndarray
    normals: np.ndarray
    posed: np.ndarray
    posed_normals: np.ndarray


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
            array = self._view(entry, entry["componentType"], width)
            if entry.get("normalized"):
                array = array / np.float32(np.iinfo(array.dtype).max)
        else:
            array = np.zeros((entry["count"], width), np.float32)
        if "sparse" in entry:
            sparse = entry["sparse"]
            count = {"count": sparse["count"]}
            indices, values = sparse["indices"] | count, sparse["values"] | count
            array = array.copy()
            where = self._view(indices, indices["componentType"], 1)[:, 0]
            assert (np.diff(where.astype(int)) > 0).all()
            array[where] = self._view(values, 5126, width)
        assert len(array) == entry["count"]
        if "min" in entry:
            np.testing.assert_array_equal(array.min(axis=0), np.array(entry["min"], np.float32))
            np.testing.assert_array_equal(array.max(axis=0), np.array(entry["max"], np.float32))
        return array

    def mesh(self, name: str) -> dict[str, Any]:
        """The mesh of that name."""
        (found,) = [mesh for mesh in self.json["meshes"] if mesh["name"] == name]
        return found

    def posed(self, names: tuple[str, ...], weights: np.ndarray) -> Iterator[Part]:
        """Every primitive at rest and under (K,) weights of the named targets."""
        for mesh in self.json["meshes"]:
            targets = mesh.get("extras", {}).get("targetNames", [])
            own = np.array([weights[names.index(name)] for name in targets], np.float32)
            for primitive in mesh["primitives"]:
                assert len(primitive.get("targets", [])) == len(targets)
                kinds = ("POSITION", "NORMAL")
                rest = [self.array(primitive["attributes"][kind]) for kind in kinds]
                posed = [base.copy() for base in rest]
                for weight, target in zip(own, primitive.get("targets", []), strict=True):
                    for array, kind in zip(posed, kinds, strict=True):
                        array += weight * self.array(target[kind])
                yield Part(primitive, *rest, *posed)

    def _view(self, entry: dict[str, Any], kind: int, width: int) -> np.ndarray:
        """(count, width) of what an accessor, or half of a sparse one, says is in its view."""
        view = self.json["bufferViews"][entry["bufferView"]]
        within = entry.get("byteOffset", 0)
        assert view["byteOffset"] % 4 == within % 4 == 0
        size = entry["count"] * width * np.dtype(KINDS[kind]).itemsize
        assert within + size <= view["byteLength"]
        start = view["byteOffset"] + within
        return np.frombuffer(self.binary[start : start + size], KINDS[kind]).reshape(-1, width)
