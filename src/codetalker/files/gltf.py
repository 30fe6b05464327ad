"""A binary glTF 2.0 file with one animated morph mesh, written from the specification.

In the flow speech -> features -> codes -> motion -> mesh -> **file**. `glb.py` gives it the face.
Section numbers are those of the Khronos glTF 2.0 specification.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_COMPONENTS = {"<f4": 5126, "|u1": 5121, "<u2": 5123, "<u4": 5125}
_FLOAT = _COMPONENTS["<f4"]
_ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 34962, 34963
"""Targets of buffer views (5.11.5)."""
_TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
_FACE, _BODY, _HEAD = range(3)
"""Nodes: the mesh, and the two joints of a head that turns."""


@dataclass(frozen=True)
class PbrMaterial:
    """How a part looks: metallic-roughness, not metallic.

    Attributes:
        name: shown in editors.
        colour: red, green, blue, alpha in 0..1, linear; multiplies the texture.
        roughness: 0 mirror, 1 chalk.
        alpha_mode: OPAQUE, MASK (cut at 0.5) or BLEND.
        double_sided: seen from behind, too.
        textured: carries the mesh's texture.
    """

    name: str
    colour: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    roughness: float = 0.6
    alpha_mode: str = "OPAQUE"
    double_sided: bool = False
    textured: bool = False


@dataclass(frozen=True, eq=False)
class Primitive:
    """The triangles of one material, with vertices of their own (N).

    Attributes:
        material: its look.
        positions, normals: (N, 3) float32, metres and unit vectors.
        triangles: (F, 3) int, counter-clockwise seen from outside.
        position_offsets, normal_offsets: (K, N, 3) float32, the change at weight 1.
        uvs: (N, 2) float32, v down as glTF has it; or None.
        neck: (N,) float32, share of the head's turn that each vertex takes; or None.
    """

    material: PbrMaterial
    positions: NDArray[np.float32]
    normals: NDArray[np.float32]
    triangles: NDArray[np.integer]
    position_offsets: NDArray[np.float32]
    normal_offsets: NDArray[np.float32]
    uvs: NDArray[np.float32] | None = None
    neck: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class MorphAnimation:
    """A mesh of primitives that share K morph targets, and the targets' weights over time.

    Attributes:
        name: of the mesh and its node.
        primitives: one for each material.
        target_names: K names.
        weights: (T, K) float32.
        fps: frames per second.
        head: (T, 4) float32 unit quaternions x, y, z, w, the head's turn about the origin; None for
            a still one. The primitives have a `neck`.
        texture_png: the picture of the textured materials, or None.
        copyright: the mesh's origin and licence.
    """

    name: str
    primitives: tuple[Primitive, ...]
    target_names: tuple[str, ...]
    weights: NDArray[np.float32]
    fps: float
    head: NDArray[np.float32] | None = None
    texture_png: bytes | None = None
    copyright: str = ""


def write_gltf(path: Path, animation: MorphAnimation) -> None:
    """Write a `.glb` file."""
    file = _Builder()
    turns = animation.head is not None
    primitives = [
        _primitive(file, part, index, turns) for index, part in enumerate(animation.primitives)
    ]
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "codetalker", "copyright": animation.copyright},
        "scene": 0,
        "scenes": [{"nodes": [_FACE]}],
        "nodes": [{"name": animation.name, "mesh": 0}],
        "meshes": [
            {
                "name": animation.name,
                "primitives": primitives,
                "weights": [0.0] * len(animation.target_names),
                "extras": {"targetNames": list(animation.target_names)},
            }
        ],
        "materials": [_material(part.material) for part in animation.primitives],
        "animations": [_animation(file, animation)],
    }
    if turns:
        _add_skin(file, document)
    if animation.texture_png is not None:
        image = {"bufferView": file.view(animation.texture_png), "mimeType": "image/png"}
        document |= {"images": [image], "textures": [{"source": 0}]}
    path.write_bytes(file.binary(document))


def _animation(file: _Builder, animation: MorphAnimation) -> dict[str, Any]:
    """Weights, and the head's turn, over the same times."""
    times = (np.arange(len(animation.weights)) / animation.fps).astype(np.float32)
    clock = file.accessor(times[:, None], bounds=True)
    moved = [(_FACE, "weights", animation.weights.reshape(-1, 1))]
    if animation.head is not None:
        moved.append((_HEAD, "rotation", animation.head))
    return {
        "name": "speech",
        "samplers": [
            {"input": clock, "interpolation": "LINEAR", "output": file.accessor(values)}
            for _, _, values in moved
        ],
        "channels": [
            {"sampler": i, "target": {"node": node, "path": path}}
            for i, (node, path, _) in enumerate(moved)
        ],
    }


def _add_skin(file: _Builder, document: dict[str, Any]) -> None:
    """Two joints at the origin, the body that stays and the head on it (3.7.3)."""
    document["nodes"][_FACE]["skin"] = 0
    document["nodes"] += [{"name": "body", "children": [_HEAD]}, {"name": "head"}]
    document["scenes"][0]["nodes"].append(_BODY)
    bind = np.tile(np.eye(4, dtype=np.float32).reshape(1, 16), (2, 1))
    document["skins"] = [
        {"joints": [_BODY, _HEAD], "skeleton": _BODY, "inverseBindMatrices": file.accessor(bind)}
    ]


def _primitive(file: _Builder, part: Primitive, material: int, turns: bool) -> dict[str, Any]:
    attributes = {
        "POSITION": file.accessor(part.positions, _ARRAY_BUFFER, bounds=True),
        "NORMAL": file.accessor(part.normals, _ARRAY_BUFFER),
    }
    if part.uvs is not None:
        attributes["TEXCOORD_0"] = file.accessor(part.uvs, _ARRAY_BUFFER)
    if turns and part.neck is not None:
        joints, shares = _skinned(part.neck)
        attributes["JOINTS_0"] = file.accessor(joints, _ARRAY_BUFFER)
        attributes["WEIGHTS_0"] = file.accessor(shares, _ARRAY_BUFFER)
    indices = part.triangles.astype(_index_type(len(part.positions))).reshape(-1, 1)
    return {
        "attributes": attributes,
        "indices": file.accessor(indices, _ELEMENT_ARRAY_BUFFER),
        "material": material,
        "targets": [
            dict(zip(("POSITION", "NORMAL"), file.offsets(position, normal), strict=True))
            for position, normal in zip(part.position_offsets, part.normal_offsets, strict=True)
        ],
    }


def _skinned(neck: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """(N, 4) joints and (N, 4) their shares, of the head and the body; joint 0 where a share is 0
    (3.7.3.3)."""
    shares = np.zeros((len(neck), 4), np.float32)
    shares[:, 0], shares[:, 1] = neck, 1 - neck
    joints = np.zeros((len(neck), 4), np.uint8)
    joints[neck > 0, 0] = 1
    return joints, shares


def _material(material: PbrMaterial) -> dict[str, Any]:
    surface: dict[str, Any] = {
        "baseColorFactor": list(material.colour),
        "metallicFactor": 0.0,
        "roughnessFactor": material.roughness,
    }
    if material.textured:
        surface["baseColorTexture"] = {"index": 0}
    return {
        "name": material.name,
        "pbrMetallicRoughness": surface,
        "alphaMode": material.alpha_mode,
        "doubleSided": material.double_sided,
    }


def _index_type(count: int) -> str:
    """The smallest type for indices below `count`; 65535 would mean something else (3.7.2.1)."""
    return "<u2" if count < 65536 else "<u4"


class _Builder:
    """Collects arrays into the one binary buffer and describes them in JSON."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._views: list[dict[str, Any]] = []
        self._accessors: list[dict[str, Any]] = []
        self._zeros: dict[int, int] = {}

    def view(self, data: bytes, target: int | None = None) -> int:
        """Append bytes, aligned to four (3.6.2.4); returns the buffer view's index."""
        self._data += b"\0" * (-len(self._data) % 4)
        view = {"buffer": 0, "byteOffset": len(self._data), "byteLength": len(data)}
        self._views.append(view if target is None else view | {"target": target})
        self._data += data
        return len(self._views) - 1

    def accessor(self, array: NDArray[Any], target: int | None = None, bounds: bool = False) -> int:
        """Append a (N, 1..4) array, float32 unless of indices; returns the accessor's index."""
        array = array if array.dtype.str in _COMPONENTS else array.astype("<f4")
        view = self.view(array.tobytes(), target)
        entry = {"bufferView": view, "componentType": _COMPONENTS[array.dtype.str]}
        return self._describe(array, entry, bounds)

    def offsets(
        self, position: NDArray[np.float32], normal: NDArray[np.float32]
    ) -> tuple[int, int]:
        """Append (N, 3) offsets of a target, sparse where that is smaller (3.6.2.3)."""
        moved = np.flatnonzero(position.any(axis=1) | normal.any(axis=1))
        moved = moved.astype(_index_type(len(position)))
        if not len(moved):
            zeros = self._zero_accessor(position)
            return zeros, zeros
        if len(moved) * (24 + moved.itemsize) >= len(position) * 24:  # bytes per vertex
            dense = (self.accessor(a, _ARRAY_BUFFER, bounds=True) for a in (position, normal))
            return next(dense), next(dense)
        kind = _COMPONENTS[moved.dtype.str]
        indices = {"bufferView": self.view(moved.tobytes()), "componentType": kind}
        return self._sparse(position, moved, indices), self._sparse(normal, moved, indices)

    def _sparse(
        self, array: NDArray[np.float32], moved: NDArray[np.integer], indices: dict[str, int]
    ) -> int:
        values = {"bufferView": self.view(array[moved].astype("<f4").tobytes())}
        sparse = {"count": len(moved), "indices": indices, "values": values}
        return self._describe(array, {"componentType": _FLOAT, "sparse": sparse}, bounds=True)

    def _zero_accessor(self, array: NDArray[np.float32]) -> int:
        """An accessor without data is all zeros (3.6.2.2); one does for all of a part's targets."""
        if len(array) not in self._zeros:
            self._zeros[len(array)] = self._describe(array, {"componentType": _FLOAT}, bounds=True)
        return self._zeros[len(array)]

    def _describe(self, array: NDArray[Any], entry: dict[str, Any], bounds: bool) -> int:
        entry |= {"count": len(array), "type": _TYPES[array.shape[1]]}
        if bounds:
            entry |= {"min": array.min(axis=0).tolist(), "max": array.max(axis=0).tolist()}
        self._accessors.append(entry)
        return len(self._accessors) - 1

    def binary(self, document: dict[str, Any]) -> bytes:
        """The GLB container (4.4): header, JSON chunk padded with spaces, binary with zeros."""
        self._data += b"\0" * (-len(self._data) % 4)
        document |= {
            "accessors": self._accessors,
            "bufferViews": self._views,
            "buffers": [{"byteLength": len(self._data)}],
        }
        text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
        text += b" " * (-len(text) % 4)
        total = 12 + 8 + len(text) + 8 + len(self._data)
        return b"".join(
            [
                struct.pack("<4sII", b"glTF", 2, total),
                struct.pack("<I4s", len(text), b"JSON"),
                text,
                struct.pack("<I4s", len(self._data), b"BIN\0"),
                self._data,
            ]
        )
