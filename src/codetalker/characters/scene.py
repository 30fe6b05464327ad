"""Where the meshes of a glTF file stand at rest, and what their morph targets do there.

In the flow speech -> ... -> motion -> **mesh** -> file. A skinned mesh stands where its joints hold
it (3.7.3.3), any other where its node is; targets are turned and scaled with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codetalker.characters.accessors import Accessors
from codetalker.characters.gltf_file import GltfFile, Mesh, Node, Primitive, at
from codetalker.reading import Malformed

_TRIANGLES = 4
MAX_TARGETS = 2000
"""Of a mesh: MetaHumans have some 800."""


@dataclass(frozen=True, eq=False)
class Part:
    """A primitive of a mesh, in the scene's metres at rest.

    Attributes:
        mesh: index of its mesh.
        vertices: (N, 3) float32.
        triangles: (F, 3) int64.
        offsets: (K, N, 3) float32, of the mesh's K targets at weight 1.
        material: its index; -1 for none.
        uv: (N, 2) float32 of its textures, zeros if it has none.
    """

    mesh: int
    vertices: NDArray[np.float32]
    triangles: NDArray[np.int64]
    offsets: NDArray[np.float32]
    material: int
    uv: NDArray[np.float32]


def target_names(mesh: Mesh, index: int) -> tuple[str, ...]:
    """The names of a mesh's targets, as `extras` have them; `target 3` where there is none, and
    `jawOpen #4` for the fourth that is called as an earlier one.

    Raises:
        Malformed: its primitives have different numbers of targets.
    """
    counts = {len(primitive.targets) for primitive in mesh.primitives}
    if len(counts) != 1:
        raise Malformed(f"the primitives of mesh {index} differ in their number of targets")
    count = counts.pop()
    if count > MAX_TARGETS:
        raise Malformed(f"mesh {index} has {count} targets, which is beyond reason")
    for holder in (mesh, *mesh.primitives):
        names: Any = holder.extras.get("targetNames") if isinstance(holder.extras, dict) else None
        if isinstance(names, list) and len(names) == count:
            told = [str(name) for name in names]
            return tuple(f"{n} #{i + 1}" if n in told[:i] else n for i, n in enumerate(told))
    return tuple(f"target {i}" for i in range(count))


def world_matrices(file: GltfFile) -> NDArray[np.float64]:
    """(nodes, 4, 4) of every node at rest."""
    nodes, parents = file.gltf.nodes, file.parents
    local = [_local(node) for node in nodes]
    world = np.zeros((len(nodes), 4, 4))
    order = [i for i, parent in enumerate(parents) if parent is None]
    for index in order:  # grows while it is walked
        parent = parents[index]
        world[index] = local[index] if parent is None else world[parent] @ local[index]
        order.extend(nodes[index].children)
    return world


def rotation_of(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 3), the turn in a (4, 4) matrix without its scale."""
    u, _, v = np.linalg.svd(matrix[:3, :3])
    turn = u @ v
    return turn if np.linalg.det(turn) > 0 else -turn


def parts(file: GltfFile) -> list[Part]:
    """All the meshes that nodes show.

    Raises:
        Malformed: an array is damaged, or there is too much of it.
    """
    world, read = world_matrices(file), Accessors(file)
    return [_part(file, read, world, *shown) for shown in _shown(file)]


def turned(file: GltfFile, node: int, turn: NDArray[np.floating]) -> list[NDArray[np.float32]]:
    """The (N, 3) vertices of each of the `parts` where a node and what hangs on it are turned
    by (3, 3) about its place."""
    world, read = world_matrices(file), Accessors(file)
    about = np.eye(4)
    about[:3, :3] = turn
    about[:3, 3] = world[node, :3, 3] - turn @ world[node, :3, 3]
    below = [node]
    for index in below:  # grows while it is walked
        world[index] = about @ world[index]
        below.extend(file.gltf.nodes[index].children)
    return [_standing(file, read, world, *shown)[0] for shown in _shown(file)]


def _shown(file: GltfFile) -> Iterator[tuple[int, Primitive]]:
    """Nodes and the primitives that they show."""
    for index, node in enumerate(file.gltf.nodes):
        if node.mesh is not None:
            for primitive in at(file.gltf.meshes, node.mesh, "mesh").primitives:
                if primitive.mode == _TRIANGLES and "POSITION" in primitive.attributes:
                    yield index, primitive


def _standing(
    file: GltfFile, read: Accessors, world: NDArray[np.float64], node: int, primitive: Primitive
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """(N, 3) vertices of a primitive, (N, 3, 3) what its targets are turned by, (N,) which of the
    accessor's vertices they are, (F, 3) triangles."""
    attributes = primitive.attributes
    local = read.floats(attributes["POSITION"], 3)
    used, triangles = _triangles(read, primitive, len(local))
    skin = file.gltf.nodes[node].skin
    if skin is None or "JOINTS_0" not in attributes:
        placed = np.broadcast_to(world[node], (len(used), 4, 4))
    else:
        placed = _held(file, read, world, skin, attributes, used, len(local))
    frames = placed[:, :3, :3].astype(np.float32)
    vertices = np.einsum("nij,nj->ni", frames, local[used]) + placed[:, :3, 3].astype(np.float32)
    return vertices, frames, used, triangles


def _part(
    file: GltfFile, read: Accessors, world: NDArray[np.float64], node: int, primitive: Primitive
) -> Part:
    gltf = file.gltf
    vertices, frames, used, triangles = _standing(file, read, world, node, primitive)
    count = len(read.floats(primitive.attributes["POSITION"], 3))
    offsets = np.zeros((len(primitive.targets), len(used), 3), np.float32)
    for offset, target in zip(offsets, primitive.targets, strict=True):
        if "POSITION" in target:
            moved = read.floats(target["POSITION"], 3)
            if len(moved) != count:
                raise Malformed("a target has another number of vertices than its mesh")
            offset[:] = np.einsum("nij,nj->ni", frames, moved[used])
    mesh = gltf.nodes[node].mesh
    assert mesh is not None
    material = -1
    if primitive.material is not None:
        at(gltf.materials, primitive.material, "material")
        material = primitive.material
    uv = np.zeros((len(used), 2), np.float32)
    if "TEXCOORD_0" in primitive.attributes:
        told = read.floats(primitive.attributes["TEXCOORD_0"], 2)
        if len(told) != count:
            raise Malformed("a mesh has another number of texture coordinates than of vertices")
        uv[:] = told[used]
    return Part(mesh, vertices, triangles, offsets, material, uv)


def _triangles(
    read: Accessors, primitive: Primitive, count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(N,) vertices that triangles use, of those that the primitives of a mesh often share, and
    (F, 3) triangles on these."""
    corners = np.arange(count)
    if primitive.indices is not None:
        corners = read.whole(primitive.indices, 1, count)[:, 0]
    used, corners = np.unique(corners[: len(corners) // 3 * 3], return_inverse=True)
    return used, corners.reshape(-1, 3)


def _held(
    file: GltfFile,
    read: Accessors,
    world: NDArray[np.float64],
    skin_index: int,
    attributes: dict[str, int],
    used: NDArray[np.int64],
    count: int,
) -> NDArray[np.float64]:
    """(N, 4, 4) of the vertices of a skinned mesh that are used, of all its `count`."""
    skin = at(file.gltf.skins, skin_index, "skin")
    for joint in skin.joints:
        at(file.gltf.nodes, joint, "node")
    bind = np.tile(np.eye(4), (len(skin.joints), 1, 1))
    if skin.inverseBindMatrices is not None:
        columns = read.floats(skin.inverseBindMatrices, 16).reshape(-1, 4, 4)
        if len(columns) < len(skin.joints):
            raise Malformed("a skin has fewer matrices than joints")
        bind = columns[: len(skin.joints)].swapaxes(1, 2).astype(np.float64)
    joints = world[list(skin.joints)] @ bind
    placed = np.zeros((len(used), 4, 4))
    total = np.zeros((len(used), 1, 1))
    for name in (name for name in attributes if name.startswith("JOINTS_")):
        which = read.whole(attributes[name], 4, len(skin.joints))
        shares = read.floats(attributes.get(name.replace("JOINTS", "WEIGHTS"), -1), 4)
        if len(which) != count or len(shares) != count:
            raise Malformed("a skin has another number of vertices than its mesh")
        for column in range(4):
            share = shares[used, column, None, None]
            placed += share * joints[which[used, column]]
            total += share
    return placed / np.where(total > 0, total, 1)


def _local(node: Node) -> NDArray[np.float64]:
    """(4, 4) of a node (3.5.2)."""
    matrix = np.eye(4)
    if node.matrix is not None:
        if len(node.matrix) != 16:
            raise Malformed("a node's matrix has not 16 numbers")
        return np.array(node.matrix).reshape(4, 4).T
    matrix[:3, :3] = as_matrix(np.array(node.rotation)) * np.array(node.scale)
    matrix[:3, 3] = node.translation
    return matrix


def as_matrix(quaternion: NDArray[np.float64]) -> NDArray[np.float64]:
    """(4,) unit quaternion x, y, z, w -> (3, 3) rotation."""
    x, y, z, w = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
