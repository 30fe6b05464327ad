"""FBX: Blender writes it, where there is one; what it wrote, Blender reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from codetalker.cli import main
from codetalker.errors import OutputError
from codetalker.files import needs
from codetalker.motion import Motion
from codetalker.rig import bundled_head
from glb_reader import Glb

EXAMPLE = Path(__file__).parents[1] / "examples" / "sense_and_sensibility.flac"
COPY = """#!/bin/sh
echo "$@" > {folder}/said
while [ $# -gt 4 ]; do shift; done
cp "$1" "$2"
"""
FAIL = """#!/bin/sh
echo first
echo "Error: no exporter" >&2
exit 1
"""
READ = """
import json, sys
import bpy
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.context.scene.render.fps = 30
bpy.ops.import_scene.fbx(filepath=sys.argv[-1])
keys = bpy.data.objects["head"].data.shape_keys
action = keys.animation_data.action
strips = [strip for layer in action.layers for strip in layer.strips]
curves = [c for strip in strips for bag in strip.channelbags for c in bag.fcurves]
named = {c.data_path.split('"')[1]: [list(p.co) for p in c.keyframe_points] for c in curves}
print("READ", json.dumps(named))
"""


@pytest.fixture
def motion() -> Motion:
    names = bundled_head().blendshape_names
    weights = np.random.default_rng(8).random((9, len(names)), np.float32)
    return Motion(weights, names, 30000 / 1001)


def stand_in(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "bin" / "blender"
    program.parent.mkdir()
    program.write_text(script.format(folder=folder))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)


def test_without_blender_one_line_says_so_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(needs, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["animate", str(EXAMPLE), "-o", str(tmp_path / "a.fbx")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: FBX is written by Blender, which is not here; install it")
    assert not list(tmp_path.iterdir())


def test_blender_is_given_the_glb_its_rate_and_its_length(
    motion: Motion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, COPY, monkeypatch)
    written = motion.save(tmp_path / "a.fbx")
    assert Glb(written).mesh("head")["extras"]["targetNames"] == list(motion.names)
    said = (tmp_path / "said").read_text().split()
    assert said[:3] == ["--background", "--factory-startup", "--python"]
    assert said[4] == "--"
    assert (float(said[-2]), int(said[-1])) == (motion.fps, 9)
    assert not Path(said[-3]).exists()  # what lay between is gone


def test_what_blender_complains_of_is_said_and_nothing_is_left(
    motion: Motion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, FAIL, monkeypatch)
    with pytest.raises(OutputError, match="no exporter"):
        motion.save(tmp_path / "a.fbx")
    with pytest.raises(OutputError, match="no frames"):
        motion[:0].save(tmp_path / "b.fbx")
    assert {path.name for path in tmp_path.iterdir()} == {"bin"}


@pytest.mark.skipif(find_spec("bpy") is None, reason="needs the package bpy")
def test_blender_reads_a_key_of_every_shape_in_every_frame(motion: Motion, tmp_path: Path) -> None:
    path = motion.save(tmp_path / "a.fbx")
    (tmp_path / "read.py").write_text(READ)
    run = subprocess.run(
        [sys.executable, str(tmp_path / "read.py"), str(path)], capture_output=True, text=True
    )
    (line,) = (x for x in run.stdout.splitlines() if x.startswith("READ "))
    curves = json.loads(line.removeprefix("READ "))
    assert set(curves) == set(motion.names)
    for name, keys in curves.items():
        frames, values = np.array(keys).T
        seconds = (frames - 1) / 30  # Blender counts from 1
        np.testing.assert_allclose(seconds, np.arange(9) / motion.fps, atol=1e-5)
        np.testing.assert_allclose(values, motion.weights[:, motion.names.index(name)], atol=1e-4)
