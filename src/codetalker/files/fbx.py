"""FBX: the GLB file, converted by Blender where it is installed.

In the flow speech -> features -> codes -> motion -> mesh -> **file**. FBX has no public
specification, so Blender's exporter writes it, in a process of its own.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from codetalker.errors import OutputError
from codetalker.files.glb import write_glb
from codetalker.files.needs import blender

if TYPE_CHECKING:
    from codetalker.animation import Animation

_CONVERT = """
import sys

import bpy

source, target, fps, frames = sys.argv[-4:]
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
scene.render.fps = max(1, round(float(fps)))
scene.frame_start, scene.frame_end = 0, int(frames) - 1
bpy.ops.import_scene.gltf(filepath=source)
for action in bpy.data.actions:
    strips = [strip for layer in getattr(action, "layers", ()) for strip in layer.strips]
    bags = [bag for strip in strips for bag in strip.channelbags] or [action]
    for key in (key for bag in bags for curve in bag.fcurves for key in curve.keyframe_points):
        key.co[0] = round(key.co[0] * float(fps) / scene.render.fps)  # it knows whole rates alone
        key.interpolation = "LINEAR"
scene.render.fps_base = scene.render.fps / float(fps)
bpy.ops.export_scene.fbx(
    filepath=target,
    object_types={"ARMATURE", "MESH"},
    use_mesh_modifiers=False,
    add_leaf_bones=False,
    path_mode="COPY",
    embed_textures=True,
    bake_anim=True,
    bake_anim_use_nla_strips=False,
    bake_anim_use_all_actions=False,
    bake_anim_simplify_factor=0.0,
)
"""
_LONGEST = 3600
"""Seconds."""


def write_fbx(path: Path, animation: Animation) -> None:
    """Write the head with its blendshapes, keyed in every frame, its materials and texture.

    Raises:
        OutputError: the motion has no frames, or Blender is not installed or does not write the
            file.
    """
    if not len(animation):
        raise OutputError(f"{path}: the motion has no frames to play; give it longer audio")
    run = blender()
    with TemporaryDirectory() as folder:
        script, source, target = (Path(folder, name) for name in ("convert.py", "a.glb", "a.fbx"))
        script.write_text(_CONVERT, "utf-8")
        write_glb(source, animation)
        given = ["--", str(source), str(target), repr(animation.fps), str(len(animation))]
        done = subprocess.run(
            [*run, str(script), *given], capture_output=True, text=True, timeout=_LONGEST
        )
        if not target.is_file():
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
            raise OutputError(f"{path}: Blender wrote no FBX ({' '.join(said)}); try .glb")
        shutil.copyfile(target, path)
