"""Mesh files: a face's vertices and triangles from and to PLY and OBJ, one mesh or one each frame.

In the flow ... -> motion -> **mesh -> file**. Polygons are cut into triangles; normals, colours
and texture coordinates are passed over.
"""

from __future__ import annotations

import codecs
import os
import re
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from codetalker.arrays import Field, read_npy
from codetalker.errors import CodeTalkerError, RigError
from codetalker.files.ply import MAX_ROWS, read_ply
from codetalker.progress import Progress
from codetalker.reading import Malformed, read_regular, refusing

MAX_BYTES = 64 << 20
"""Larger mesh files are refused: a million vertices are no face alone."""
_ARRAY = Field(np.float32, "vertices 3", "1 numbers", "numbers")
_OBJ_LINE = re.compile(rb"(?:^|(?<=[\r\n]))[ \t]*(v|f)[ \t]+([^\r\n]*)")
_OBJ_JOINED = re.compile(rb"\\\r?\n")
_MAX_LINE = 1 << 16
_TOO_LARGE = "it is too large for a face"
_NO_VERTICES = "it does not hold the (V, 3) vertices of a mesh"


@dataclass(frozen=True, eq=False)
class Mesh:
    """A still face.

    Attributes:
        vertices: (V, 3) float32.
        triangles: (F, 3) int32, or None where the file has none.
    """

    vertices: NDArray[np.float32]
    triangles: NDArray[np.int32] | None = None


def read_mesh(path: str | os.PathLike[str]) -> Mesh:
    """Read a `.ply` or `.obj` mesh, or the (V, 3) array of a `.npy` file, also flattened.

    Raises:
        RigError: the file is missing, damaged, or of another kind.
    """
    path = Path(path)
    readers = {".ply": _read_ply, ".obj": _read_obj, ".npy": _read_npy}
    if path.suffix.lower() not in readers:
        raise RigError(f"{path} is no mesh file; give one of {', '.join(readers)}")
    with refusing(RigError, f"{path} is no readable mesh", "export the face alone, again"):
        return readers[path.suffix.lower()](read_regular(path, MAX_BYTES))


def check_triangles(triangles: NDArray, vertices: int, kind: type[CodeTalkerError]) -> None:
    """See that (F, 3) triangles are of a face's vertices.

    Raises:
        CodeTalkerError: of that kind: they are not, or no triangles.
    """
    if triangles.ndim != 2 or triangles.shape[1] != 3 or triangles.dtype.kind not in "iu":
        raise kind(f"triangles of shape {triangles.shape} and type {triangles.dtype}; pass (F, 3)")
    if triangles.size and (triangles.min() < 0 or triangles.max() >= vertices):
        raise kind(
            f"triangles of vertices {triangles.min()} to {triangles.max()} of a face that has "
            f"{vertices}; pass those of this face"
        )


def write_ply(path: Path, mesh: Mesh) -> None:
    """Write a binary little-endian PLY file with float32 vertices."""
    triangles = np.empty((0, 3), np.int32) if mesh.triangles is None else mesh.triangles
    header = (
        "ply\nformat binary_little_endian 1.0\ncomment codetalker\n"
        f"element vertex {len(mesh.vertices)}\n"
        "property float x\nproperty float y\nproperty float z\n"
        f"element face {len(triangles)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    faces = np.empty(len(triangles), [("count", "u1"), ("corners", "<i4", 3)])
    faces["count"], faces["corners"] = 3, triangles
    path.write_bytes(header.encode() + mesh.vertices.astype("<f4").tobytes() + faces.tobytes())


def write_obj(path: Path, mesh: Mesh) -> None:
    """Write a Wavefront OBJ file; coordinates come back as the same float32."""
    lines = [f"v {x:.9g} {y:.9g} {z:.9g}" for x, y, z in mesh.vertices.tolist()]
    if mesh.triangles is not None:
        lines += [f"f {a} {b} {c}" for a, b, c in (mesh.triangles + 1).tolist()]
    path.write_text("\n".join(lines) + "\n")


class Meshes(Protocol):
    """A face that moves, as a mesh for every frame."""

    def __len__(self) -> int: ...
    def mesh(self, frame: int) -> Mesh: ...


def write_sequence(path: Path, face: Meshes, *, progress: Progress | None = None) -> None:
    """Write a mesh for every frame: `NAME_00000.ply`, ... for the path `NAME.ply`."""
    write = {".obj": write_obj, ".ply": write_ply}[path.suffix.lower()]
    for frame in range(len(face)):
        name = f"{path.stem}_{frame:05d}{path.suffix.lower()}"
        write(path.with_name(name), face.mesh(frame))
        if progress is not None:
            progress(frame + 1, len(face))


def _read_npy(content: bytes) -> Mesh:
    return _mesh(read_npy(content, _ARRAY).reshape(-1, 3))


def _read_ply(content: bytes) -> Mesh:
    return _mesh(*read_ply(content))


def _read_obj(content: bytes) -> Mesh:
    """Vertices and faces; corners are counted from 1, or from the latest vertex back."""
    content = _OBJ_JOINED.sub(b" ", content.removeprefix(codecs.BOM_UTF8))
    coordinates, corners, lengths = array("d"), array("q"), array("q")
    for kind, rest in (match.groups() for match in _OBJ_LINE.finditer(content)):
        if len(rest) > _MAX_LINE:
            raise Malformed("it has a line that is too long")
        words = rest.split()
        if kind == b"v":
            if len(words) < 3:
                raise Malformed(_NO_VERTICES)
            coordinates.extend(map(float, words[:3]))
        else:
            here = len(coordinates) // 3
            numbers = [int(word.split(b"/")[0]) for word in words]
            corners.extend(n - 1 if n > 0 else here + n if n else -1 for n in numbers)
            lengths.append(len(words))
        if max(len(coordinates) // 3, len(lengths)) > MAX_ROWS:
            raise Malformed(_TOO_LARGE)
    vertices = np.array(coordinates).reshape(-1, 3)
    return _mesh(vertices, np.array(corners, np.int64), np.array(lengths, np.int64))


def _mesh(
    vertices: NDArray,
    corners: NDArray = np.empty(0, np.int64),  # noqa: B008
    lengths: NDArray[np.integer] = np.empty(0, np.int64),  # noqa: B008
) -> Mesh:
    """A mesh of (V, 3) vertices and polygons, which have so many of the corners each.

    Polygons are taken to be convex, and cut around their first corner.

    Raises:
        Malformed: there are no vertices, they are not finite, or a corner is none of them.
    """
    if not len(vertices):
        raise Malformed(_NO_VERTICES)
    with np.errstate(over="ignore", invalid="ignore"):
        vertices = np.ascontiguousarray(vertices, np.float32)
    if not np.isfinite(vertices).all():
        raise Malformed("it holds NaN or infinite coordinates")
    if len(corners) > 4 * MAX_ROWS:
        raise Malformed(_TOO_LARGE)
    if not ((corners >= 0) & (corners < len(vertices))).all():
        raise Malformed("it has triangles of vertices that it lacks")
    whole = corners.astype(np.int32)
    if not np.array_equal(whole, corners):
        raise Malformed("the corners of its faces are no whole numbers")
    starts, fans = np.cumsum(lengths) - lengths, np.maximum(lengths - 2, 0)
    first = np.repeat(starts, fans)
    turn = np.arange(len(first)) - np.repeat(np.cumsum(fans) - fans, fans)
    triangles = whole[np.stack([first, first + turn + 1, first + turn + 2], 1)]
    return Mesh(vertices, triangles if len(triangles) else None)
