"""The add-on for Blender: it is installed from the zip, and a face speaks what the command says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from codetalker.arkit import ARKIT_NAMES
from codetalker.cli import main
from codetalker.motion import Motion

SPEAK = """
import json, sys
from pathlib import Path
import bpy
addon, sound, motion, csv = sys.argv[-4:]
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.preferences.addon_install(filepath=addon)
bpy.ops.preferences.addon_enable(module="codetalker_addon")
mesh = bpy.data.meshes.new("face")
mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
face = bpy.data.objects.new("face", mesh)
bpy.context.collection.objects.link(face)
face.select_set(True)
scene, told = bpy.context.scene, {}
try:
    bpy.ops.codetalker.import_motion(filepath=motion)
except RuntimeError as error:
    told["no shapes"] = str(error)
for name in ("Basis", "jawOpen", "face.mouthSmile_L", "other"):
    face.shape_key_add(name=name)

def keys():
    animation = face.data.shape_keys.animation_data
    strips = [strip for layer in animation.action.layers for strip in layer.strips]
    curves = [c for s in strips for c in s.channelbag(animation.action_slot).fcurves]
    return {c.data_path.split('"')[1]: [list(p.co) for p in c.keyframe_points] for c in curves}

for name, path in (("npz", motion), ("csv", csv)):
    bpy.ops.codetalker.import_motion(filepath=path, start=5)
    rate = scene.render.fps / scene.render.fps_base
    told[name] = keys(), rate, scene.frame_start, scene.frame_end
command = Path(sound).with_name("command.py")
preferences = bpy.context.preferences.addons["codetalker_addon"].preferences
preferences.command = f"'{sys.executable}' '{command}'"
bpy.ops.codetalker.speak(filepath=sound, options="--mood happy")
strips = getattr(scene.sequence_editor, "strips", None) or scene.sequence_editor.sequences
told["strips"] = [(s.name, s.frame_start, Path(s.sound.filepath).name) for s in strips]
told["spoken"] = keys(), scene.frame_start, scene.frame_end
for problem in (f"'{sys.executable}' -c 'import sys; sys.exit(str(7))'", "nowhere-to-be-found"):
    preferences.command = problem
    try:
        bpy.ops.codetalker.speak(filepath=sound)
    except RuntimeError as error:
        told[problem[-5:]] = str(error)
print("TOLD", json.dumps(told))
"""
COMMAND = """
import json, shutil, sys
from pathlib import Path
here = Path(__file__).parent
(here / "asked.json").write_text(json.dumps(sys.argv[1:]))
shutil.copyfile(here / "motion.npz", sys.argv[sys.argv.index("-o") + 1])
"""


@pytest.fixture
def motion() -> Motion:
    weights = np.random.default_rng(9).random((40, 52), np.float32)
    return Motion(weights, ARKIT_NAMES, 30000 / 1001)


def test_the_command_writes_a_zip_of_an_add_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["blender", "-o", str(tmp_path / "addon.zip")]) == 0
    with zipfile.ZipFile(tmp_path / "addon.zip") as archive:
        assert set(archive.namelist()) == {
            "codetalker_addon/__init__.py",
            "codetalker_addon/blender_manifest.toml",
        }
        compile(archive.read("codetalker_addon/__init__.py"), "addon", "exec")
    assert main(["blender", "-o", str(tmp_path / "addon.py")]) == 2
    assert "name one" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"addon.zip"}


@pytest.mark.skipif(find_spec("bpy") is None, reason="needs the package bpy")
def test_a_face_in_blender_speaks(motion: Motion, tmp_path: Path) -> None:
    assert main(["blender", "-o", str(tmp_path / "addon.zip")]) == 0
    motion.save(tmp_path / "motion.npz")
    motion.save(tmp_path / "motion.csv")
    (tmp_path / "command.py").write_text(COMMAND)
    (tmp_path / "speak.py").write_text(SPEAK)
    sound = Path(__file__).parents[1] / "examples" / "sense_and_sensibility.flac"
    (tmp_path / sound.name).write_bytes(sound.read_bytes())
    names = ["addon.zip", sound.name, "motion.npz", "motion.csv"]
    run = subprocess.run(
        [sys.executable, tmp_path / "speak.py", *(tmp_path / name for name in names)],
        env=os.environ | {"BLENDER_USER_RESOURCES": str(tmp_path / "user")},
        capture_output=True,
        text=True,
    )
    lines = [x for x in run.stdout.splitlines() if x.startswith("TOLD ")]
    assert lines, run.stderr
    told = json.loads(lines[0].removeprefix("TOLD "))
    jaw, smile = (motion.weights[:, ARKIT_NAMES.index(n)] for n in ("jawOpen", "mouthSmileLeft"))
    for name in ("npz", "csv"):
        keys, fps, first, last = told[name]
        assert set(keys) == {"jawOpen", "face.mouthSmile_L"}
        for values, shape in ((jaw, "jawOpen"), (smile, "face.mouthSmile_L")):
            expected = np.stack([np.arange(5, 45), values], axis=1)
            np.testing.assert_allclose(keys[shape], expected, atol=1e-5)
        assert fps == pytest.approx(motion.fps, abs=1e-3)
        assert (first, last) == (5, 44)
    keys, first, last = told["spoken"]
    np.testing.assert_allclose(np.array(keys["jawOpen"])[:, 1], jaw, atol=1e-6)
    assert (first, last) == (1, 40)
    assert told["strips"] == [[sound.stem, 1, sound.name]]
    asked = json.loads((tmp_path / "asked.json").read_text())
    assert asked[:3] == ["animate", str(tmp_path / sound.name), "-o"]
    assert asked[4:] == ["--mood", "happy"]
    assert "ARKit names" in told["no shapes"]
    assert "7" in told["(7))'"]
    assert "preferences" in told["found"]
