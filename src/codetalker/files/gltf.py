"""A binary glTF 2.0 file with animated morph meshes, written from the specification.

In the flow speech -> features -> codes -> motion -> mesh -> **file**. `glb.py` gives it the face.
Section numbers are those of the Khronos glTF 2.0 specification; no extension of it is used, so
that every reader opens the file.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_COMPONENTS = {"<f4": 5126, "|u1": 5121, "<u2": 5123, "<u4": 5125}
_FLOAT = _COMPONENTS["<f4"]
_ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 34962, 34963
"""Targets of buffer views (5.11.5)."""
_TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}


@dataclass(frozen=True)
class PbrMaterial:
    """How a part looks: metallic-roughness, not metallic.

    Attributes:
        name: shown in editors.
        colour: red, green, blue, alpha in 0..1, linear; multiplies the texture.
        roughness: 0 mirror, 1 chalk.
        alpha_mode: OPAQUE, MASK (cut at 0.5) or BLEND.
        double_sided: seen from behind, too.
        texture: which of the textures it carries; or None.
    """

    name: str
    colour: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    roughness: float = 0.6
    alpha_mode: str = "OPAQUE"
    double_sided: bool = False
    texture: int | None = None


@dataclass(frozen=True, eq=False)
class Primitive:
    """The triangles of one material, with vertices of their own (N).

    Attributes:
        material: its look.
        positions, normals: (N, 3) float32, metres and unit vectors.
        triangles: (F, 3) int, counter-clockwise seen from outside.
        position_offsets, normal_offsets: (K, N, 3) float32, the change at weight 1 of each of its
            mesh's targets.
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
class MorphMesh:
    """Primitives that share their morph targets, an object of its own in editors.

    Attributes:
        name: of the mesh and its node.
        primitives: one for each material.
        targets: the places in `MorphAnimation.target_names` of its targets; empty for a mesh that
            does not move.
    """

    name: str
    primitives: tuple[Primitive, ...]
    targets: tuple[int, ...]


@dataclass(frozen=True)
class Texture:
    """A picture file, `image/png` or `image/jpeg`."""

    content: bytes
    mime_type: str


@dataclass(frozen=True, eq=False)
class MorphAnimation:
    """Meshes with morph targets, and the targets' weights over time.

    Attributes:
        meshes: what is seen.
        target_names: K names.
        weights: (T, K) float32.
        fps: frames per second.
        head: (T, 4) float32 unit quaternions x, y, z, w, the head's turn about the origin; None for
            a still one. The primitives have a `neck`.
        textures: the pictures of the textured materials.
        copyright: the meshes' origin and licence.
    """

    meshes: tuple[MorphMesh, ...]
    target_names: tuple[str, ...]
    weights: NDArray[np.float32]
    fps: float
    head: NDArray[np.float32] | None = None
    textures: tuple[Texture, ...] = ()
    copyright: str = ""


def gltf_binary(animation: MorphAnimation) -> bytes:
    """The content of a `.glb` file."""
    file = _Builder()
    turns = animation.head is not None
    materials = _Materials()
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "codetalker", "copyright": animation.copyright},
        "scene": 0,
        "scenes": [{"nodes": list(range(len(animation.meshes)))}],
        "nodes": [{"name": mesh.name, "mesh": i} for i, mesh in enumerate(animation.meshes)],
        "meshes": [
            _mesh(file, mesh, animation.target_names, materials, turns) for mesh in animation.meshes
        ],
        "materials": materials.entries,
    }
    joints = _add_skin(file, document) if turns else None
    document["animations"] = [_animation(file, animation, joints)]
    if animation.textures:
        images = [
            {"bufferView": file.view(texture.content), "mimeType": texture.mime_type}
            for texture in animation.textures
        ]
        document |= {"images": images, "textures": [{"source": i} for i in range(len(images))]}
    return file.binary(document)


def _mesh(
    file: _Builder, mesh: MorphMesh, names: tuple[str, ...], materials: _Materials, turns: bool
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": mesh.name,
        "primitives": [_primitive(file, part, materials, turns) for part in mesh.primitives],
    }
    if mesh.targets:
        entry["weights"] = [0.0] * len(mesh.targets)
        entry["extras"] = {"targetNames": [names[target] for target in mesh.targets]}
    return entry


def _animation(file: _Builder, animation: MorphAnimation, head_joint: int | None) -> dict[str, Any]:
    """Weights of the meshes that have targets, and the head's turn, over the same times."""
    times = (np.arange(len(animation.weights)) / animation.fps).astype(np.float32)
    clock = file.accessor(times[:, None], bounds=True)
    moved = [
        (node, "weights", animation.weights[:, mesh.targets].reshape(-1, 1))
        for node, mesh in enumerate(animation.meshes)
        if mesh.targets
    ]
    if animation.head is not None and head_joint is not None:
        moved.append((head_joint, "rotation", animation.head))
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


def _add_skin(file: _Builder, document: dict[str, Any]) -> int:
    """Two joints at the origin, the body that stays and the head on it (3.7.3); returns the
    head's node."""
    nodes = document["nodes"]
    body, head = len(nodes), len(nodes) + 1
    for node in nodes:
        node["skin"] = 0
    nodes += [{"name": "body", "children": [head]}, {"name": "head"}]
    document["scenes"][0]["nodes"].append(body)
    bind = np.tile(np.eye(4, dtype=np.float32).reshape(1, 16), (2, 1))
    document["skins"] = [
        {"joints": [body, head], "skeleton": body, "inverseBindMatrices": file.accessor(bind)}
    ]
    return head


def _primitive(
    file: _Builder, part: Primitive, materials: _Materials, turns: bool
) -> dict[str, Any]:
    attributes = {
        "POSITION": file.accessor(part.positions, _ARRAY_BUFFER, bounds=True),
        "NORMAL": file.accessor(part.normals, _ARRAY_BUFFER),
    }
    if part.uvs is not None:
        attributes["TEXCOORD_0"] = file.accessor(_short(part.uvs), _ARRAY_BUFFER, normalized=True)
    if turns and part.neck is not None:
        joints, shares = _skinned(part.neck)
        attributes["JOINTS_0"] = file.accessor(joints, _ARRAY_BUFFER)
        attributes["WEIGHTS_0"] = file.accessor(shares, _ARRAY_BUFFER, normalized=True)
    indices = part.triangles.astype(_index_type(len(part.positions))).reshape(-1, 1)
    entry = {
        "attributes": attributes,
        "indices": file.accessor(indices, _ELEMENT_ARRAY_BUFFER),
        "material": materials.place(part.material),
    }
    if len(part.position_offsets):
        entry["targets"] = [
            {"POSITION": file.offsets(position, bounds=True), "NORMAL": file.offsets(normal)}
            for position, normal in zip(part.position_offsets, part.normal_offsets, strict=True)
        ]
    return entry


def _short(uvs: NDArray[np.float32]) -> NDArray[Any]:
    """Texture coordinates as 16 bits of 0..1 where they are (3.7.2.1), a sixteenth of a pixel."""
    inside = ((uvs >= 0) & (uvs <= 1)).all()
    return np.round(uvs * 65535).astype("<u2") if inside else uvs


def _skinned(neck: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """(N, 4) joints and (N, 4) their shares, of the head and the body, as 16 bits of 0..1; joint 0
    where a share is 0 (3.7.3.3)."""
    shares = np.zeros((len(neck), 4), "<u2")
    shares[:, 0] = np.round(neck * 65535)
    shares[:, 1] = 65535 - shares[:, 0]
    joints = np.zeros((len(neck), 4), np.uint8)
    joints[shares[:, 0] > 0, 0] = 1
    return joints, shares


class _Materials:
    """The materials of the file, each once."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def place(self, material: PbrMaterial) -> int:
        entry = _material(material)
        if entry not in self.entries:
            self.entries.append(entry)
        return self.entries.index(entry)


def _material(material: PbrMaterial) -> dict[str, Any]:
    surface: dict[str, Any] = {
        "baseColorFactor": list(material.colour),
        "metallicFactor": 0.0,
        "roughnessFactor": material.roughness,
    }
    if material.texture is not None:
        surface["baseColorTexture"] = {"index": material.texture}
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
        moved = np.flatnonzero(array.any(axis=1)).astype(_index_type(len(array)))
        if not len(moved):
            if len(array) not in self._zeros:
                self._zeros[len(array)] = self._describe(array, {"componentType": _FLOAT}, True)
            return self._zeros[len(array)]
        if len(moved) * (12 + moved.itemsize) >= len(array) * 12:  # bytes per vertex
            return self.accessor(array, _ARRAY_BUFFER, bounds)
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
        """The GLB container (4.4): header, JSON chunk padded with spaces, binary with zeros."""
        for shared in self._sparse or ():
            self._views[shared.view] = self._views[self.view(bytes(shared.data))]
            self._views.pop()
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
