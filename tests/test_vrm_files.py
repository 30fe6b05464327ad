"""VRM files that Blender's VRM add-on wrote (`tools/build_vrm.py`) are read and speak."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from character_data import face_file, speech
from codetalker import Character
from codetalker.cli import main
from codetalker.visemes import VOWELS
from glb_reader import Glb

FOLDER = Path(__file__).parent / "vrm"
TOOL = Path(__file__).parents[1] / "tools" / "build_vrm.py"
MADE = ("drawn_0.vrm", "drawn_1.vrm")
SAID = {"drawn_0.vrm": "VRM", "drawn_1.vrm": "VRMC_vrm"}


def places(points: np.ndarray) -> np.ndarray:
    """Sorted, each once, in tenths of a millimetre: whatever vertices a writer joined or split."""
    return np.unique(np.round(points * 1e4).astype(int), axis=0)


@pytest.mark.parametrize("name", MADE)
def test_its_expressions_say_what_its_shapes_are(name: str) -> None:
    face = Character.load(FOLDER / name)
    assert SAID[name] in face.file.gltf.extensions
    assert face.driven == {f"shape {i}": {vowel: 1.0} for i, vowel in enumerate(VOWELS)}
    assert not face.missing
    nodes = face.file.gltf.nodes
    assert {bone: nodes[node].name for bone, node in face.bones.items()} == {
        "head": "head",
        "leftEye": "left_eye",
        "rightEye": "right_eye",
    }


@pytest.mark.parametrize("name", MADE)
def test_it_stands_as_the_face_that_it_was_made_of(name: str, tmp_path: Path) -> None:
    """VRM 0.x looks along -z; the add-on turned it."""
    face, drawn = Character.load(FOLDER / name), Character.load(face_file(tmp_path, "drawn.glb"))
    np.testing.assert_array_equal(places(face.rig.template), places(drawn.rig.template))
    for shape, other in zip(face.rig.blendshapes, drawn.rig.blendshapes, strict=True):
        posed = places(face.rig.template + shape), places(drawn.rig.template + other)
        assert abs(len(posed[0]) - len(posed[1])) <= 2  # a rounding apart
        np.testing.assert_allclose(posed[0].mean(0), posed[1].mean(0), atol=2)


@pytest.mark.parametrize("name", MADE)
def test_it_speaks(name: str, tmp_path: Path) -> None:
    face, motion = Character.load(FOLDER / name), speech(head=True)
    assert face.lips is not None
    moved = motion.on(face)
    assert moved.weights.max() > 0.2
    assert moved.weights.sum(axis=1).max() <= 1
    file = Glb(moved.save(tmp_path / name))
    (clip,) = file.json["animations"]
    nodes = file.json["nodes"]
    moves = {(nodes[c["target"]["node"]]["name"], c["target"]["path"]) for c in clip["channels"]}
    assert moves == {
        ("Face", "weights"),
        ("Teeth", "weights"),
        ("head", "rotation"),
        ("left_eye", "rotation"),
        ("right_eye", "rotation"),
    }


@pytest.mark.skipif(
    find_spec("bpy") is None or find_spec("io_scene_vrm") is None,
    reason="needs the packages bpy and bpy-vrm-format",
)
def test_the_add_on_still_writes_them_so(tmp_path: Path) -> None:
    face_file(tmp_path, "drawn.glb")
    command = [sys.executable, str(TOOL), str(tmp_path / "drawn.glb"), "-o", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    for name in MADE:
        assert main(["character", str(tmp_path / name)]) == 0
        new, kept = Character.load(tmp_path / name), Character.load(FOLDER / name)
        assert new.driven == kept.driven
        np.testing.assert_array_equal(places(new.rig.template), places(kept.rig.template))
