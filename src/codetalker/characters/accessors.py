"""Arrays of a glTF file: plain, strided, quantised and sparse ones, within limits.

In the flow speech -> ... -> motion -> **mesh** -> file. Section numbers are those of the Khronos
glTF 2.0 specification; quantised attributes are KHR_mesh_quantization's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from codetalker.characters.gltf_file import Accessor, GltfFile, at
from codetalker.reading import Malformed

_KINDS = {5120: "|i1", 5121: "|u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
MAX_VALUES = 1 << 27
"""Numbers in all arrays that are read together: half a gigabyte of float32."""


class Accessors:
    """Reads the arrays of one file; all that it reads together has `MAX_VALUES` numbers at most."""

    def __init__(self, file: GltfFile) -> None:
        self._file = file
        self._left = MAX_VALUES
        self._floats: dict[int, NDArray[np.float32]] = {}

    def floats(self, index: int, width: int) -> NDArray[np.float32]:
        """(N, width) float32, scaled to -1..1 or 0..1 where it is normalised.

        Raises:
            Malformed: it is not of that width, does not lie within the file, or is not finite.
        """
        if index in self._floats and self._floats[index].shape[1] == width:
            return self._floats[index]
        accessor = at(self._file.gltf.accessors, index, "accessor")
        values = self._read(accessor, width)
        if accessor.normalized and values.dtype.kind in "iu":
            most = np.float32(np.iinfo(values.dtype).max)
            values = np.maximum(values.astype(np.float32) / most, -1)
        values = values.astype(np.float32, copy=False)
        if not np.isfinite(values).all():
            raise Malformed(f"accessor {index} holds values that are no finite numbers")
        self._floats[index] = values
        return values

    def whole(self, index: int, width: int, below: int) -> NDArray[np.int64]:
        """(N, width) int64 from 0 to below.

        Raises:
            Malformed: it is not of that kind.
        """
        values = self._read(at(self._file.gltf.accessors, index, "accessor"), width)
        if values.dtype.kind == "f" or (len(values) and int(values.max()) >= below):
            raise Malformed(f"accessor {index} holds indices beyond what it refers to")
        return values.astype(np.int64)

    def _read(self, accessor: Accessor, width: int) -> NDArray:
        if _WIDTHS.get(accessor.type) != width or accessor.componentType not in _KINDS:
            raise Malformed(
                f"an accessor is {accessor.type} of kind {accessor.componentType}, where "
                f"{width} values are needed"
            )
        if accessor.count < 0 or accessor.count * width > self._left:
            raise Malformed(f"its arrays have more than {MAX_VALUES} values together")
        self._left -= accessor.count * width
        kind = np.dtype(_KINDS[accessor.componentType])
        if accessor.bufferView is None:
            values = np.zeros((accessor.count, width), kind)
        else:
            view, offset = accessor.bufferView, accessor.byteOffset
            values = self._slice(view, offset, kind, accessor.count, width)
        if accessor.sparse is not None:
            values = self._with_sparse(accessor, values)
        return values

    def _with_sparse(self, accessor: Accessor, values: NDArray) -> NDArray:
        """The values, with those put in that differ (3.6.2.3)."""
        sparse = accessor.sparse
        assert sparse is not None
        places, put = sparse.indices, sparse.values
        if not 0 <= sparse.count <= accessor.count or places.componentType not in (
            5121,
            5123,
            5125,
        ):
            raise Malformed("a sparse accessor has more values than places, or strange indices")
        kind = np.dtype(_KINDS[places.componentType])
        where = self._slice(places.bufferView, places.byteOffset, kind, sparse.count, 1)[:, 0]
        if sparse.count and int(where.max()) >= accessor.count:
            raise Malformed("a sparse accessor has values beyond its end")
        values = values.copy()
        values[where] = self._slice(
            put.bufferView, put.byteOffset, values.dtype, sparse.count, values.shape[1]
        )
        return values

    def _slice(
        self, view_index: int, offset: int, kind: np.dtype, count: int, width: int
    ) -> NDArray:
        """(count, width) values of a buffer view, each row `byteStride` after the one before."""
        view = at(self._file.gltf.bufferViews, view_index, "buffer view")
        binary = self._file.binary
        if view.buffer != 0 or view.byteOffset < 0 or view.byteLength < 0 or offset < 0:
            raise Malformed(f"buffer view {view_index} lies outside the file")
        row = kind.itemsize * width
        stride = view.byteStride or row
        reach = offset + (stride * (count - 1) + row if count else 0)
        if (
            stride < row
            or stride > 252 + row
            or reach > view.byteLength
            or view.byteOffset + view.byteLength > len(binary)
        ):
            raise Malformed(f"an accessor reaches beyond the end of buffer view {view_index}")
        start = view.byteOffset + offset
        return np.ndarray((count, width), kind, binary, start, (stride, kind.itemsize))
