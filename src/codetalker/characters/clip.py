"""The character's own file with the motion in it: one animation more, all else as it was.

In the flow speech -> ... -> motion -> mesh -> **file**. The buffer grows at its end, and lists of
the JSON at theirs; every other member goes out in the bytes in which it came in.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from codetalker.characters.bones import (
    HEAD,
    JAW,
    JAW_TURN,
    LEFT_EYE,
    RIGHT_EYE,
    local_turns,
)
from codetalker.characters.gltf_file import GltfFile
from codetalker.files.gltf_buffer import container

if TYPE_CHECKING:
    from codetalker.characters.animation import CharacterAnimation

_NAME = "speech"
_FLOAT = 5126


def write_clip(path: Path, animation: CharacterAnimation) -> None:
    """Write the character's file with an animation `speech`: the weights of every mesh with shapes
    that move, and the turns of head, eyes and jaw where motion and skeleton have them."""
    character, clip = animation.character, Clip(animation.character.file)
    clock = clip.add((np.arange(len(animation)) / animation.fps)[:, None], bounds=True)
    column = {name: i for i, name in enumerate(character.shapes)}
    for node, what in enumerate(character.file.gltf.nodes):
        names = character.mesh_shapes.get(-1 if what.mesh is None else what.mesh, ())
        if any(name in character.driven for name in names):
            own = animation.weights[:, [column[name] for name in names]]
            clip.move(node, "weights", clock, own.reshape(-1, 1))
    for bone, angles in _turns(animation).items():
        if bone in character.bones:
            node = character.bones[bone]
            turned = local_turns(character.file, node, angles, character.front)
            clip.move(node, "rotation", clock, turned)
    path.write_bytes(clip.binary())


def _turns(animation: CharacterAnimation) -> dict[str, NDArray[np.floating]]:
    """Bone -> (T, 3) pitch, yaw, roll."""
    turns: dict[str, NDArray[np.floating]] = {}
    if animation.motion.head is not None:
        turns[HEAD] = animation.motion.head
    if animation.eyes is not None:
        for side, bone in enumerate((LEFT_EYE, RIGHT_EYE)):
            turns[bone] = np.pad(animation.eyes[:, side], ((0, 0), (0, 1)))
    if JAW in animation.character.bones:
        turns[JAW] = animation.weights[:, -1:] * np.array([JAW_TURN, 0, 0])
    return turns


class Clip:
    """An animation that is added to a file.

    Args:
        file: what it moves the nodes of.
    """

    def __init__(self, file: GltfFile) -> None:
        self._file = file
        self._data = bytearray()
        self._views: list[dict[str, Any]] = []
        self._accessors: list[dict[str, Any]] = []
        self._samplers: list[dict[str, Any]] = []
        self._channels: list[dict[str, Any]] = []

    def add(self, array: NDArray[np.floating], bounds: bool = False) -> int:
        """Append (N, 1), (N, 3) or (N, 4) values; returns the accessor's index in the file."""
        values = array.astype("<f4")
        start = _padded(len(self._file.binary)) + len(self._data)
        view = {"buffer": 0, "byteOffset": start, "byteLength": values.nbytes}
        entry = {
            "bufferView": len(self._file.gltf.bufferViews) + len(self._views),
            "componentType": _FLOAT,
            "count": len(values),
            "type": {1: "SCALAR", 3: "VEC3", 4: "VEC4"}[values.shape[1]],
        }
        if bounds:
            entry |= {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
        self._data += values.tobytes()
        self._views.append(view)
        self._accessors.append(entry)
        return len(self._file.gltf.accessors) + len(self._accessors) - 1

    def move(self, node: int, path: str, clock: int, values: NDArray[np.floating]) -> None:
        """A channel of the animation (5.5)."""
        output = self.add(values)
        self._channels.append(
            {"sampler": len(self._samplers), "target": {"node": node, "path": path}}
        )
        self._samplers.append({"input": clock, "interpolation": "LINEAR", "output": output})

    def binary(self) -> bytes:
        """The file (4.4)."""
        file = self._file
        held = bytes(file.binary)
        data = held + b"\0" * (_padded(len(held)) - len(held)) + self._data
        taken = {animation.name for animation in file.gltf.animations}
        names = (f"{_NAME} {i}" if i else _NAME for i in range(len(taken) + 1))
        name = next(name for name in names if name not in taken)
        animation = {"name": name, "samplers": self._samplers, "channels": self._channels}
        members = dict(file.members)
        members["buffers"] = _longer(members.get("buffers"), len(data))
        for member, added in (
            ("bufferViews", self._views),
            ("accessors", self._accessors),
            ("animations", [animation]),
        ):
            members[member] = _with_items(members.get(member), added)
        text = "{" + ",".join(f"{json.dumps(k)}:{v}" for k, v in members.items()) + "}"
        return container(text.encode(), data, file.more)


def _padded(length: int) -> int:
    return length + -length % 4


def _longer(buffers: str | None, length: int) -> str:
    """The list of buffers, the first one of that length."""
    first, *others = json.loads(buffers or "[{}]")
    return json.dumps([first | {"byteLength": length}, *others], separators=(",", ":"))


def _with_items(text: str | None, items: list[dict[str, Any]]) -> str:
    """The text of a list, with items after those that it has."""
    before = (text or "[]").rstrip()[:-1].rstrip()
    between = "" if before.endswith("[") else ","
    added = ",".join(json.dumps(item, separators=(",", ":"), allow_nan=False) for item in items)
    return f"{before}{between}{added}]"
