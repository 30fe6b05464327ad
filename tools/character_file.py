"""Write a character as other programs do: meshes with morph targets, a skeleton, a texture, a clip.

For tests of what reads such files, so nothing of the package's own writer or reader is used.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

_KINDS = {"<f4": 5126, "<i2": 5122, "|u1": 5121, "<u2": 5123, "<u4": 5125}
_TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}


@dataclass(frozen=True)
class Bone:
    """A joint: name, parent among the bones (-1 for none), place, how it is turned."""

    name: str
    parent: int
    place: tuple[float, float, float]
    rotation: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class ShapedMesh:
    """A mesh of N vertices; targets: name -> (N, 3); shares: (N, bones) for a skinned one."""

    name: str
    vertices: NDArray[np.floating]
    triangles: NDArray[np.integer]
    targets: Mapping[str, NDArray[np.floating]] = field(default_factory=dict)
    colour: tuple[float, float, float] = (0.8, 0.6, 0.5)
    shares: NDArray[np.floating] | None = None


def character(
    meshes: list[ShapedMesh],
    bones: tuple[Bone, ...] = (),
    *,
    quantised: bool = False,
    sparse: bool = False,
    names: bool = True,
    extensions: Mapping[str, object] | None = None,
) -> bytes:
    """The content of a `.glb`.

    Args:
        meshes: a node for each.
        bones: the skeleton; the root turns in an animation `idle`.
        quantised: positions and targets in 16 bits (KHR_mesh_quantization), unskinned.
        sparse: targets as sparse accessors.
        names: write `targetNames`.
        extensions: of the whole file, such as VRM's.
    """
    file = _File()
    document: dict = {
        "asset": {"version": "2.0", "generator": "character_file", "copyright": "CC0"},
        "extras": {"kept": [1.0, 1e-5, 2.50]},
        "scene": 0,
        "meshes": [],
        "nodes": [],
        "materials": [],
        "samplers": [{}],
        "images": [{"bufferView": file.view(_png()), "mimeType": "image/png"}],
        "textures": [{"source": 0, "sampler": 0}],
    }
    for index, mesh in enumerate(meshes):
        _add_mesh(file, document, mesh, index, quantised, sparse, names)
    roots = list(range(len(meshes)))
    if bones:
        roots += _add_skeleton(file, document, bones, meshes)
    document["scenes"] = [{"nodes": roots}]
    used = ["KHR_mesh_quantization"] if quantised else []
    if used:
        document |= {"extensionsRequired": used}
    if extensions:
        document["extensions"] = dict(extensions)
        used += list(extensions)
    if used:
        document["extensionsUsed"] = used
    return file.binary(document)


def _add_mesh(file, document, mesh, index, quantised, sparse, names) -> None:
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    middle, reach = (low + high) / 2, float((high - low).max()) / 2
    node: dict = {"name": mesh.name, "mesh": index}
    corners = mesh.triangles.reshape(-1, 1)
    attributes: dict = {"TEXCOORD_0": file.accessor(np.zeros((len(mesh.vertices), 2)), 34962)}
    if quantised:
        node |= {"translation": middle.tolist(), "scale": [reach] * 3}
        attributes["POSITION"] = file.small((mesh.vertices - middle) / reach)
        targets = [{"POSITION": file.small(moved / reach)} for moved in mesh.targets.values()]
    else:
        attributes["POSITION"] = file.accessor(mesh.vertices, 34962, bounds=True)
        add = file.sparse if sparse else lambda m: file.accessor(m, 34962, bounds=True)
        targets = [{"POSITION": add(moved)} for moved in mesh.targets.values()]
    if mesh.shares is not None:
        which = np.argsort(-mesh.shares, axis=1)[:, :4]
        which = np.pad(which, ((0, 0), (0, 4 - which.shape[1])))
        some = np.take_along_axis(mesh.shares, which, axis=1)
        some[:, mesh.shares.shape[1] :] = 0
        some = some / some.sum(1, keepdims=True)
        which[some == 0] = 0
        attributes["JOINTS_0"] = file.accessor(which.astype("u1"), 34962)
        attributes["WEIGHTS_0"] = file.accessor(some, 34962)
        node["skin"] = 0
    kind = "<u2" if len(mesh.vertices) < 65535 else "<u4"
    entry: dict = {
        "name": mesh.name,
        "primitives": [
            {
                "attributes": attributes,
                "indices": file.accessor(corners.astype(kind), 34963),
                "material": index,
            }
        ],
    }
    if targets:
        entry["primitives"][0]["targets"] = targets
        if names:
            entry["extras"] = {"targetNames": list(mesh.targets)}
    document["meshes"].append(entry)
    document["nodes"].append(node)
    surface = {
        "baseColorFactor": [*mesh.colour, 1.0],
        "baseColorTexture": {"index": 0},
        "metallicFactor": 0.0,
    }
    document["materials"].append({"name": f"{mesh.name} skin", "pbrMetallicRoughness": surface})


def _add_skeleton(file, document, bones, meshes) -> list[int]:
    """Returns the roots; the bones come after the meshes' nodes."""
    first = len(document["nodes"])
    world = []
    for bone in bones:
        matrix = np.eye(4)
        matrix[:3, :3] = _turn(bone.rotation)
        if bone.parent >= 0:
            above = world[bone.parent]
            matrix[:3, :3] = above[:3, :3] @ matrix[:3, :3]
        matrix[:3, 3] = bone.place
        world.append(matrix)
    for index, bone in enumerate(bones):
        above = world[bone.parent] if bone.parent >= 0 else np.eye(4)
        local = np.linalg.inv(above) @ world[index]
        node: dict = {"name": bone.name, "translation": local[:3, 3].tolist()}
        node["rotation"] = list(bone.rotation)
        children = [first + i for i, other in enumerate(bones) if other.parent == index]
        document["nodes"].append(node | ({"children": children} if children else {}))
    if any(mesh.shares is not None for mesh in meshes):
        bind = np.stack([np.linalg.inv(matrix).T.ravel() for matrix in world])
        joints = [first + i for i in range(len(bones))]
        document["skins"] = [{"joints": joints, "inverseBindMatrices": file.accessor(bind)}]
    times = file.accessor(np.array([[0.0], [1.0]]), bounds=True)
    turns = file.accessor(np.array([[0.0, 0, 0, 1], [0.0, 0.0871557, 0, 0.9961947]]))
    document["animations"] = [
        {
            "name": "idle",
            "samplers": [{"input": times, "output": turns}],
            "channels": [{"sampler": 0, "target": {"node": first, "path": "rotation"}}],
        }
    ]
    return [first + i for i, bone in enumerate(bones) if bone.parent < 0]


def _turn(q: tuple[float, float, float, float]) -> NDArray[np.float64]:
    x, y, z, w = q
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + 2 * w * cross + 2 * cross @ cross


def _png() -> bytes:
    """One white pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixel = zlib.compress(b"\0\xff\xff\xff")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")


class _File:
    def __init__(self) -> None:
        self.data, self.views, self.accessors = bytearray(), [], []

    def view(self, data: bytes, target: int = 0, stride: int = 0) -> int:
        self.data += b"\0" * (-len(self.data) % 4)
        view = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data)}
        view |= {"target": target} if target else {}
        self.views.append(view | ({"byteStride": stride} if stride else {}))
        self.data += data
        return len(self.views) - 1

    def accessor(self, array, target: int = 0, bounds: bool = False) -> int:
        array = array if array.dtype.str in _KINDS else array.astype("<f4")
        return self._describe({"bufferView": self.view(array.tobytes(), target)}, array, bounds)

    def small(self, array) -> int:
        """(N, 3) from -1 to 1 in 16 bits, rows of 8 bytes."""
        values = np.rint(np.clip(array, -1, 1) * 32767).astype("<i2")
        rows = np.pad(values, ((0, 0), (0, 1)))
        view = self.view(rows.tobytes(), 34962, 8)
        return self._describe({"bufferView": view, "normalized": True}, values, True)

    def sparse(self, array) -> int:
        array = array.astype("<f4")
        where = np.flatnonzero(np.abs(array).max(1) > 0).astype("<u4")
        where = where if len(where) else np.zeros(1, "<u4")
        entry = {
            "sparse": {
                "count": len(where),
                "indices": {"bufferView": self.view(where.tobytes()), "componentType": 5125},
                "values": {"bufferView": self.view(array[where].tobytes())},
            }
        }
        return self._describe(entry, array, True)

    def _describe(self, entry: dict, array, bounds: bool) -> int:
        kind = _KINDS[array.dtype.str]
        entry |= {"componentType": kind, "count": len(array), "type": _TYPES[array.shape[1]]}
        if bounds:
            entry |= {"min": array.min(0).tolist(), "max": array.max(0).tolist()}
        self.accessors.append(entry)
        return len(self.accessors) - 1

    def binary(self, document: dict) -> bytes:
        self.data += b"\0" * (-len(self.data) % 4)
        document |= {"bufferViews": self.views, "accessors": self.accessors}
        document["buffers"] = [{"byteLength": len(self.data)}]
        text = json.dumps(document, indent=1).encode()
        text += b" " * (-len(text) % 4)
        head = struct.pack("<4sII", b"glTF", 2, 28 + len(text) + len(self.data))
        chunk = struct.pack("<I4s", len(text), b"JSON") + text
        return head + chunk + struct.pack("<I4s", len(self.data), b"BIN\0") + bytes(self.data)
