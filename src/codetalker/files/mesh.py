"""Mesh files: a face's vertices and triangles from and to PLY and OBJ, one mesh or one each frame.

In the flow ... -> motion -> **mesh -> file**. Polygons are cut into triangles; normals, colours
and texture coordinates are passed over.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from codetalker.errors import RigError
from codetalker.progress import Progress

_MAX_BYTES = 64 << 20
"""Larger mesh files are refused: a million vertices are no face alone."""

_PLY_TYPES = {
    "char": "b",
    "uchar": "B",
    "short": "h",
    "ushort": "H",
    "int": "i",
    "uint": "I",
    "float": "f",
    "double": "d",
    "int8": "b",
    "uint8": "B",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "float32": "f",
    "float64": "d",
}
"""PLY's names of number types, and Python's `struct` letters for them."""


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
    """Read a `.ply` or `.obj` mesh, or the (V, 3) array of a `.npy` file.

    Raises:
        RigError: the file is missing, damaged, or of another kind.
    """
    path = Path(path)
    readers = {".ply": _read_ply, ".obj": _read_obj, ".npy": _read_npy}
    if path.suffix.lower() not in readers:
        raise RigError(f"{path} is no mesh file; give one of {', '.join(readers)}")
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise RigError(f"{path} is larger than {_MAX_BYTES >> 20} MB; give the face alone")
        mesh = readers[path.suffix.lower()](path)
    except FileNotFoundError:
        raise RigError(f"{path} does not exist; check the spelling of the path") from None
    except (OSError, ValueError, IndexError, KeyError, StopIteration, struct.error) as error:
        raise RigError(f"{path} is no readable mesh ({error}); export it again") from error
    if mesh.vertices.ndim != 2 or mesh.vertices.shape[1] != 3 or not len(mesh.vertices):
        raise RigError(f"{path} does not hold the (V, 3) vertices of a mesh; export it again")
    if not np.isfinite(mesh.vertices).all():
        raise RigError(f"{path} holds NaN or infinite coordinates; export it again")
    triangles = mesh.triangles
    if triangles is not None and triangles.size:
        if triangles.min() < 0 or triangles.max() >= len(mesh.vertices):
            raise RigError(f"{path} has triangles of vertices that it lacks; export it again")
        return mesh
    return Mesh(mesh.vertices)


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


def _read_npy(path: Path) -> Mesh:
    array = np.load(path, allow_pickle=False)
    return Mesh(array.reshape(-1, 3).astype(np.float32))


def _read_obj(path: Path) -> Mesh:
    vertices, polygons = [], []
    for line in path.read_text(errors="replace").splitlines():
        kind, *words = line.split() or [""]
        if kind == "v":
            vertices.append([float(word) for word in words[:3]])
        elif kind == "f":
            corners = [int(word.split("/")[0]) for word in words]
            polygons.append([c - 1 if c > 0 else len(vertices) + c for c in corners])
    return Mesh(np.array(vertices, np.float32), _fans(polygons))


def _fans(polygons: list[list[int]]) -> NDArray[np.int32]:
    """Cut convex polygons into triangles around their first corner."""
    triangles = [
        (corners[0], corners[i], corners[i + 1])
        for corners in polygons
        for i in range(1, len(corners) - 1)
    ]
    return np.array(triangles, np.int32).reshape(-1, 3)


def _read_ply(path: Path) -> Mesh:
    data = path.read_bytes()
    end = data.index(b"end_header")
    lines = [line.split() for line in data[:end].decode("ascii", "replace").splitlines()]
    if lines[0] != ["ply"]:
        raise ValueError("it does not begin with ply")
    encoding = next(line[1] for line in lines if line[:1] == ["format"])
    elements: list[tuple[str, int, list[list[str]]]] = []
    for line in lines:
        if line[:1] == ["element"]:
            elements.append((line[1], int(line[2]), []))
        elif line[:1] == ["property"]:
            elements[-1][2].append(line[1:])
            unknown = set(line[1:-1]) - {"list", *_PLY_TYPES}
            if unknown:
                raise ValueError(f"it has the unknown type {unknown.pop()}")
    take = _ply_numbers(data, data.index(b"\n", end) + 1, encoding)
    vertices, polygons = [], []
    for name, count, properties in elements:
        for _ in range(count):
            row = _ply_row(take, properties)
            if name == "vertex":
                vertices.append([row[axis] for axis in "xyz"])
            elif name == "face":
                corners = row["vertex_indices" if "vertex_indices" in row else "vertex_index"]
                polygons.append([int(corner) for corner in corners])
    return Mesh(np.array(vertices, np.float32), _fans(polygons))


def _ply_row(take: Callable[[str], float], properties: list[list[str]]) -> dict[str, Any]:
    """One vertex or face: property name -> number, or list of numbers."""
    row = {}
    for kind, *rest in properties:
        if kind == "list":
            count_type, item_type, name = rest
            row[name] = [take(item_type) for _ in range(int(take(count_type)))]
        else:
            row[rest[0]] = take(kind)
    return row


def _ply_numbers(data: bytes, start: int, encoding: str) -> Callable[[str], float]:
    """A function that takes the next number, of a PLY type, from the body of the file."""
    if encoding == "ascii":
        words = iter(data[start:].split())
        return lambda kind: float(next(words, b"nothing"))  # which is no number
    order = {"binary_little_endian": "<", "binary_big_endian": ">"}[encoding]
    formats = {kind: struct.Struct(order + letter) for kind, letter in _PLY_TYPES.items()}
    position = start

    def take(kind: str) -> float:
        nonlocal position
        form = formats[kind]
        (number,) = form.unpack_from(data, position)
        position += form.size
        return number

    return take
