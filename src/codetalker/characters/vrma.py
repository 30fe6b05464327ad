"""VRM animation: vowels, blinks, gaze and the head's turn, for any VRM avatar, or with the vowels
that close the lips of one (VRMC_vrm_animation 1.0).

In the flow speech -> features -> codes -> motion -> mesh -> **file**. An expression's weight is the
x of a node of its own; bones stand in VRM's T-pose, and only the head turns.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from codetalker.arkit import ARKIT_NAMES
from codetalker.characters.clip import Clip
from codetalker.characters.gltf_file import GltfFile
from codetalker.characters.names import SOURCES
from codetalker.gaze import LOOKS, eye_angles
from codetalker.head_pose import quaternions
from codetalker.visemes import VOWELS, to_vowels, within_one

if TYPE_CHECKING:
    from codetalker.characters.animation import CharacterAnimation
    from codetalker.motion import Motion

_BONES = {
    "hips": ("", (0.0, 0.9, 0.0)),
    "spine": ("hips", (0.0, 0.15, 0.0)),
    "head": ("spine", (0.0, 0.4, 0.0)),
    "leftUpperLeg": ("hips", (0.1, -0.05, 0.0)),
    "leftLowerLeg": ("leftUpperLeg", (0.0, -0.4, 0.0)),
    "leftFoot": ("leftLowerLeg", (0.0, -0.4, 0.0)),
    "leftUpperArm": ("spine", (0.15, 0.3, 0.0)),
    "leftLowerArm": ("leftUpperArm", (0.25, 0.0, 0.0)),
    "leftHand": ("leftLowerArm", (0.25, 0.0, 0.0)),
}
"""The bones that a VRM has to have, of the middle and the left: the one above, metres from it."""
_GAZE, _EYES = "lookAt", (0.0, 0.06, 0.0)
"""The node that turns as the gaze does, and metres from the head bone to between the eyes."""
_BLINKS = {"blinkLeft": "eyeBlinkLeft", "blinkRight": "eyeBlinkRight"}


def write_vrma(path: Path, motion: Motion) -> None:
    """Write the motion as VRM's expressions `aa` to `oh`, `blinkLeft` and `blinkRight`, and the
    turns of head and gaze if it has them; the vowels of a frame sum to 1 at most."""
    _write(path, motion, to_vowels(motion.weights_for(ARKIT_NAMES)))


def write_vrma_of(path: Path, animation: CharacterAnimation) -> None:
    """The same with the vowels that close the lips of this character, if vowels move its mouth."""
    face = animation.character
    if face.system != "vowels":
        return write_vrma(path, animation.motion)
    shares = face.mixing[[SOURCES.index(vowel) for vowel in VOWELS]].astype(np.float64)
    return _write(path, animation.motion, animation.weights @ np.linalg.pinv(shares))


def _write(path: Path, motion: Motion, vowels: NDArray[np.floating]) -> None:
    bones = _both_sides()
    blinks = motion.weights_for(tuple(_BLINKS.values())).clip(0, 1)
    weights = dict(zip((*VOWELS, *_BLINKS), (*within_one(vowels).T, *blinks.T), strict=True))
    clip = Clip(GltfFile.of(_document(bones, tuple(weights))))
    clock = clip.add((np.arange(len(motion)) / motion.fps)[:, None], bounds=True)
    for node, values in enumerate(weights.values(), len(bones)):
        clip.move(node, "translation", clock, np.pad(values[:, None], ((0, 0), (0, 2))))
    if motion.head is not None:
        clip.move(list(bones).index("head"), "rotation", clock, quaternions(motion.head))
    looks = motion.weights_for(LOOKS)
    if looks.any():
        gaze = np.pad(eye_angles(looks).mean(axis=1), ((0, 0), (0, 1)))
        clip.move(len(bones) + len(weights), "rotation", clock, quaternions(gaze))
    path.write_bytes(clip.binary())


def _both_sides() -> dict[str, tuple[str, tuple[float, float, float]]]:
    """The bones; those of the right are as on the left."""
    bones = dict(_BONES)
    for name, (above, (x, y, z)) in _BONES.items():
        if name.startswith("left"):
            bones[name.replace("left", "right")] = above.replace("left", "right"), (-x, y, z)
    return bones


def _document(
    bones: dict[str, tuple[str, tuple[float, float, float]]], expressions: tuple[str, ...]
) -> dict[str, Any]:
    names = list(bones)
    nodes: list[dict[str, Any]] = []
    for name, (_, place) in bones.items():
        children = [names.index(other) for other, (above, _) in bones.items() if above == name]
        nodes.append({"name": name, "translation": list(place)})
        nodes[-1] |= {"children": children} if children else {}
    nodes += [{"name": name} for name in (*expressions, _GAZE)]
    extension = {
        "specVersion": "1.0",
        "humanoid": {"humanBones": {name: {"node": i} for i, name in enumerate(names)}},
        "expressions": {
            "preset": {name: {"node": i} for i, name in enumerate(expressions, len(names))}
        },
        "lookAt": {"node": len(nodes) - 1, "offsetFromHeadBone": list(_EYES)},
    }
    return {
        "asset": {"version": "2.0", "generator": "codetalker"},
        "extensionsUsed": ["VRMC_vrm_animation"],
        "extensions": {"VRMC_vrm_animation": extension},
        "scene": 0,
        "scenes": [{"nodes": [0, *range(len(names), len(nodes))]}],
        "nodes": nodes,
    }
