"""A VRM animation says in VRM's own words what the motion does."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np

from character_data import Bone, ShapedMesh, character, face_file, speech
from codetalker import Character
from codetalker.gaze import EYE_TURN, LOOKS
from codetalker.head_pose import matrices, quaternions
from codetalker.motion import Motion
from codetalker.visemes import VOWELS, to_vowels
from glb_reader import Glb

REQUIRED = {
    "hips", "spine", "head", "leftUpperLeg", "leftLowerLeg", "leftFoot", "rightUpperLeg",
    "rightLowerLeg", "rightFoot", "leftUpperArm", "leftLowerArm", "leftHand", "rightUpperArm",
    "rightLowerArm", "rightHand",
}  # fmt: skip


def test_expressions_are_nodes_that_move_along_x_and_gaze_is_one_that_turns(tmp_path: Path) -> None:
    motion = speech(head=True)
    file = Glb(motion.save(tmp_path / "a.vrma"))
    said = file.json["extensions"]["VRMC_vrm_animation"]
    assert said["specVersion"] == "1.0"
    assert set(said["humanoid"]["humanBones"]) == REQUIRED
    (clip,) = file.json["animations"]
    moved = {
        (c["target"]["node"], c["target"]["path"]): file.array(
            clip["samplers"][c["sampler"]]["output"]
        )
        for c in clip["channels"]
    }
    preset = {name: said["expressions"]["preset"][name]["node"] for name in VOWELS}
    vowels = np.stack([moved[node, "translation"] for node in preset.values()], axis=1)
    np.testing.assert_allclose(vowels[..., 0], to_vowels(motion.weights), atol=1e-6)
    assert not vowels[..., 1:].any()
    assert vowels[..., 0].sum(1).max() <= 1
    blink = said["expressions"]["preset"]["blinkLeft"]["node"]
    np.testing.assert_allclose(
        moved[blink, "translation"][:, 0], motion.weights_for(("eyeBlinkLeft",))[:, 0]
    )
    gaze = moved[said["lookAt"]["node"], "rotation"]
    out = motion.weights_for(("eyeLookOutLeft", "eyeLookInRight")).mean(1) * EYE_TURN
    np.testing.assert_allclose(2 * np.arcsin(gaze[:, 1]), out, atol=1e-6)  # to the left, about +y
    assert not gaze[:, [0, 2]].any()
    head = said["humanoid"]["humanBones"]["head"]["node"]
    assert motion.head is not None
    np.testing.assert_allclose(moved[head, "rotation"], quaternions(motion.head), atol=1e-6)


def test_the_skeleton_is_a_t_pose_whose_sides_mirror(tmp_path: Path) -> None:
    nodes = Glb(speech().save(tmp_path / "a.vrma")).json["nodes"]
    place: dict[str, np.ndarray] = {}

    def stand(index: int, above: np.ndarray) -> None:
        node = nodes[index]
        place[node["name"]] = above + node["translation"]
        for child in node.get("children", ()):
            stand(child, place[node["name"]])

    stand(0, np.zeros(3))
    assert set(place) == REQUIRED
    for name, at in place.items():
        if name.startswith("left"):
            np.testing.assert_allclose(place[name.replace("left", "right")], at * (-1, 1, 1))
            assert at[0] > 0
    assert place["head"][1] > place["hips"][1] > place["leftFoot"][1] > 0
    assert place["leftHand"][1] == place["leftUpperArm"][1]


def test_a_still_head_and_gaze_have_no_track(tmp_path: Path) -> None:
    motion = speech()
    weights = motion.weights.copy()
    weights[:, [name in LOOKS for name in motion.names]] = 0
    still = Motion(weights, motion.names, motion.fps)
    (clip,) = Glb(still.save(tmp_path / "a.vrma")).json["animations"]
    assert {c["target"]["path"] for c in clip["channels"]} == {"translation"}


def test_for_one_avatar_the_vowels_are_those_that_close_its_lips(tmp_path: Path) -> None:
    face, motion = Character.load(face_file(tmp_path, "vroid.glb")), speech()
    file = Glb(motion.on(face).save(tmp_path / "a.vrma"))
    said = file.json["extensions"]["VRMC_vrm_animation"]["expressions"]["preset"]
    (clip,) = file.json["animations"]
    for vowel in VOWELS:
        node = said[vowel]["node"]
        (sampler,) = (c["sampler"] for c in clip["channels"] if c["target"]["node"] == node)
        (shape,) = (name for name, shares in face.driven.items() if vowel in shares)
        written = file.array(clip["samplers"][sampler]["output"])[:, 0]
        expected = face.weights(motion)[:, face.shapes.index(shape)]
        np.testing.assert_allclose(written, expected, atol=1e-6)
    assert np.abs(face.weights(motion) - face.weights(motion, contact=False)).max() > 0.02


def test_the_head_of_a_vrm_turns_as_it_faces(tmp_path: Path) -> None:
    """VRM 0.x looks along -z, VRM 1.0 along +z."""
    jaw = {"jawOpen": np.array([[0, -1.0, 0]] * 3)}
    mesh = ShapedMesh("Face", np.eye(3), np.array([[0, 1, 2]]), jaw)
    bones = (Bone("a", -1, (0, 0, 0)), Bone("b", 0, (0, 1, 0)))
    for extension, turned in (
        ({"VRM": {"humanoid": {"humanBones": [{"bone": "head", "node": 2}]}}}, (-1, 1, -1)),
        ({"VRMC_vrm": {"humanoid": {"humanBones": {"head": {"node": 2}}}}}, (1, 1, 1)),
    ):
        path = tmp_path / "a.vrm"
        path.write_bytes(character([mesh], bones, extensions=extension))
        motion = speech(head=True)
        out = motion.on(Character.load(path)).save(tmp_path / "b.vrm")
        content = out.read_bytes()
        document = json.loads(content[20 : 20 + struct.unpack_from("<I", content, 12)[0]])
        clip = document["animations"][-1]
        (channel,) = [c for c in clip["channels"] if c["target"]["path"] == "rotation"]
        assert channel["target"]["node"] == 2
        turns = Glb(out).array(clip["samplers"][channel["sampler"]]["output"])
        assert motion.head is not None
        axes = np.diag(turned)
        for turn, wanted in zip(turns, matrices(motion.head), strict=True):
            x, y, z, w = turn
            cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
            np.testing.assert_allclose(
                np.eye(3) + 2 * w * cross + 2 * cross @ cross, axes @ wanted @ axes, atol=1e-5
            )
