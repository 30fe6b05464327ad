"""A binary glTF 2.0 file with animated morph meshes, written from the specification.

In the flow speech -> features -> codes -> motion -> mesh -> **file**. `glb.py` gives it the face.
Section numbers are those of the Khronos glTF 2.0 specification; no extension of it is used, so
that every reader opens the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codetalker.files.gltf_buffer import ELEMENTS, VERTICES, GltfBuffer, index_type


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
    file = GltfBuffer()
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
    file: GltfBuffer, mesh: MorphMesh, names: tuple[str, ...], materials: _Materials, turns: bool
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": mesh.name,
        "primitives": [_primitive(file, part, materials, turns) for part in mesh.primitives],
    }
    if mesh.targets:
        entry["weights"] = [0.0] * len(mesh.targets)
        entry["extras"] = {"targetNames": [names[target] for target in mesh.targets]}
    return entry


def _animation(
    file: GltfBuffer, animation: MorphAnimation, head_joint: int | None
) -> dict[str, Any]:
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


def _add_skin(file: GltfBuffer, document: dict[str, Any]) -> int:
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
    file: GltfBuffer, part: Primitive, materials: _Materials, turns: bool
) -> dict[str, Any]:
    attributes = {
        "POSITION": file.accessor(part.positions, VERTICES, bounds=True),
        "NORMAL": file.accessor(part.normals, VERTICES),
    }
    if part.uvs is not None:
        attributes["TEXCOORD_0"] = file.accessor(_short(part.uvs), VERTICES, normalized=True)
    if turns and part.neck is not None:
        joints, shares = _skinned(part.neck)
        attributes["JOINTS_0"] = file.accessor(joints, VERTICES)
        attributes["WEIGHTS_0"] = file.accessor(shares, VERTICES, normalized=True)
    indices = part.triangles.astype(index_type(len(part.positions))).reshape(-1, 1)
    entry = {
        "attributes": attributes,
        "indices": file.accessor(indices, ELEMENTS),
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
