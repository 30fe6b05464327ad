"""The bones that turn a character's head, eyes and jaw: which they are, and how far they turn.

In the flow speech -> ... -> motion -> **mesh** -> file. VRM says which bones are which; of other
skeletons (Mixamo, Ready Player Me, Character Creator, MetaHuman, VRoid, Daz, Blender's rigs) the
names do.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codetalker.characters.gltf_file import GltfFile
from codetalker.characters.scene import rotation_of, world_matrices
from codetalker.head_pose import quaternions

HEAD, LEFT_EYE, RIGHT_EYE, JAW = "head", "leftEye", "rightEye", "jaw"
"""As VRM calls them."""
JAW_TURN = np.radians(20.7)
"""Of a jaw bone for a jawOpen of 1: what that turns the bundled head's lower teeth by."""
_JAW = re.compile(r"(facial)?c?(m|lower)?jaw(root|master|main|m|x|bone|joint|jnt)?")
_PREFIX = re.compile(
    r"^(.*:|mixamorig\d*|cc_base_|def-|org-|bip\d+ ?|jbip[cl]?|j_(bip|adj)_[clr]_)"
)
_SIDE_IN_NAME = {LEFT_EYE: ("l", "left"), RIGHT_EYE: ("r", "right")}


def find_bones(file: GltfFile) -> dict[str, int]:
    """The nodes of `HEAD`, `LEFT_EYE`, `RIGHT_EYE` and `JAW`, as far as the file has them."""
    said = _said_by_vrm(file)
    joints = {joint for skin in file.gltf.skins for joint in skin.joints}
    found: dict[str, int] = {}
    for bone in (HEAD, LEFT_EYE, RIGHT_EYE, JAW):
        named = [i for i in sorted(joints) if 0 <= i < len(file.gltf.nodes) and _is(file, i, bone)]
        for node in [said[bone]] if bone in said else named[:1]:
            if file.gltf.nodes[node].matrix is None:  # only translation, rotation, scale may turn
                found[bone] = node
    return found


def _is(file: GltfFile, node: int, bone: str) -> bool:
    name = file.gltf.nodes[node].name.casefold()
    short = _PREFIX.sub("", name)
    if bone == HEAD:
        return short == "head"
    if bone == JAW:
        return _JAW.fullmatch(re.sub(r"[\W_\d]", "", short)) is not None
    letter, word = _SIDE_IN_NAME[bone]
    words = {w for w in re.split(r"[\W_]+", name) if w}
    sided = letter in words or word in words
    return short in (f"{word}eye", f"eye{word}") or (
        sided and ("eye" in words or "faceeye" in words) and len(words - {letter, word}) <= 3
    )


def _said_by_vrm(file: GltfFile) -> dict[str, int]:
    """The humanoid bones of VRM 1.0 and 0.x."""
    vrm, vrm0 = (file.gltf.extensions.get(name) for name in ("VRMC_vrm", "VRM"))
    bones: Any = _get(vrm, "humanoid", "humanBones")
    said = {name: _get(bones, name, "node") for name in (HEAD, LEFT_EYE, RIGHT_EYE, JAW)}
    for bone in _get(vrm0, "humanoid", "humanBones") or ():
        if _get(bone, "bone") in said:
            said[_get(bone, "bone")] = _get(bone, "node")
    count = len(file.gltf.nodes)
    return {name: node for name, node in said.items() if type(node) is int and 0 <= node < count}


def _get(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def local_turns(
    file: GltfFile, node: int, angles: NDArray[np.floating], front: NDArray[np.float64]
) -> NDArray[np.float32]:
    """(T, 4) x, y, z, w, the rotations of a node that turn it from rest.

    Args:
        node: the bone.
        angles: (T, 3) pitch, yaw, roll as `codetalker.head_pose` has them.
        front: (3, 3) the scene's axes -> those of a face that looks along +z.
    """
    parent = file.parents[node]
    world = np.eye(3) if parent is None else rotation_of(world_matrices(file)[parent])
    axes = front @ world
    turns = quaternions(angles).astype(np.float64)
    turns[:, :3] = turns[:, :3] @ axes  # the turn's axis, seen from the parent
    return _times(turns, np.array(file.gltf.nodes[node].rotation)).astype(np.float32)


def _times(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, 4) and (4,) quaternions x, y, z, w -> (T, 4) their products, of unit length."""
    v, w = a[:, :3], a[:, 3:]
    product = np.empty_like(a)
    product[:, :3] = w * b[:3] + b[3] * v + np.cross(v, b[:3])
    product[:, 3] = w[:, 0] * b[3] - v @ b[:3]
    return product / np.linalg.norm(product, axis=1, keepdims=True)
