"""VMC, the Virtual Motion Capture protocol: OSC over UDP to an avatar's port 39539.

In the flow speech -> features -> codes -> motion -> **wire**. A frame is `/VMC/Ext/Blend/Val` for
each shape, `/VMC/Ext/Blend/Apply`, `/VMC/Ext/OK`, `/VMC/Ext/T`, and `/VMC/Ext/Bone/Pos` for head
and eyes, in bundles that fit a datagram. Bones are in Unity's left-handed axes, where + x is to the
subject's right: ours, mirrored.
"""

from __future__ import annotations

import struct
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from codetalker.arkit import ARKIT_NAMES
from codetalker.head_pose import quaternions
from codetalker.live.frames import Frame, Shapes
from codetalker.visemes import to_vowels

PORT = 39539
Names = Literal["vrm0", "vrm1", "arkit"]
_MOST = 1400
"""Bytes of a datagram, below what any network splits."""
_AT_ONCE = struct.pack(">Q", 1)


class Vmc:
    """The packets of an avatar.

    Args:
        names: of the shapes: five vowels and the lids as VRM 0 or VRM 1 calls them, or all of
            ARKit's, as avatars for Perfect Sync have them.
        bones: whether the turns of head and eyes are sent. Their positions are 0: a receiver that
            applies positions must be told not to.
    """

    opening = b""

    def __init__(self, names: Names = "vrm0", bones: bool = True) -> None:
        self._shapes = {"vrm0": VRM0, "vrm1": VRM1, "arkit": _PERFECT_SYNC}[names]
        self._bones = bones

    def packets(self, frame: Frame) -> list[bytes]:
        """One or more bundles; the last one applies the shapes."""
        weights = self._shapes.of(frame.weights)
        messages = [
            message("/VMC/Ext/Blend/Val", name, float(weight))
            for name, weight in zip(self._shapes.names, weights, strict=True)
        ]
        messages += [
            message("/VMC/Ext/Blend/Apply"),
            message("/VMC/Ext/OK", 1),
            message("/VMC/Ext/T", frame.time),
        ]
        if self._bones:
            turns = np.array([frame.head, *((down, left, 0) for down, left in frame.eyes)])
            for bone, (x, y, z, w) in zip(_BONES, quaternions(turns).tolist(), strict=True):
                messages.append(message("/VMC/Ext/Bone/Pos", bone, 0.0, 0.0, 0.0, x, -y, -z, w))
        return bundles(messages)


_BONES = ("Head", "LeftEye", "RightEye")
_PLACE = {name: i for i, name in enumerate(ARKIT_NAMES)}
_LIDS = [_PLACE["eyeBlinkLeft"], _PLACE["eyeBlinkRight"]]


def _vowels_and_lids(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([to_vowels(weights[None])[0], weights[_LIDS]])


VRM0 = Shapes(("A", "I", "U", "E", "O", "Blink_L", "Blink_R"), _vowels_and_lids)
VRM1 = Shapes(("aa", "ih", "ou", "ee", "oh", "blinkLeft", "blinkRight"), _vowels_and_lids)
_PERFECT_SYNC = Shapes(tuple(name[0].upper() + name[1:] for name in ARKIT_NAMES))


def message(address: str, *values: str | float | int) -> bytes:
    """An OSC message; a float is sent as f, an int as i, text as s (OSC 1.0)."""
    tags, data = ",", b""
    for value in values:
        if isinstance(value, str):
            tags, data = tags + "s", data + _text(value)
        elif isinstance(value, int):
            tags, data = tags + "i", data + struct.pack(">i", value)
        else:
            tags, data = tags + "f", data + struct.pack(">f", value)
    return _text(address) + _text(tags) + data


def bundles(messages: list[bytes]) -> list[bytes]:
    """The messages, in order, in bundles that each fit a datagram."""
    made = [_text("#bundle") + _AT_ONCE]
    for one in messages:
        if len(made[-1]) + 4 + len(one) > _MOST:
            made.append(_text("#bundle") + _AT_ONCE)
        made[-1] += struct.pack(">i", len(one)) + one
    return made


def _text(text: str) -> bytes:
    """Ended by a zero, and filled with zeros to four bytes."""
    data = text.encode() + b"\0"
    return data + bytes(-len(data) % 4)
