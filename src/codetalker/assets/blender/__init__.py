"""CodeTalker in Blender: a recording, or a motion file, becomes keys of a face's shapes.

Runs in Blender's Python, apart from the package: `codetalker` is a program to it. What it keys are
the shape keys with ARKit names of the selected meshes.
"""

from __future__ import annotations

import csv
import re
import shlex
import subprocess
import tempfile
from pathlib import Path

import bpy  # pyright: ignore[reportMissingImports]
import numpy as np

bl_info = {
    "name": "CodeTalker",
    "author": "CodeTalker",
    "version": (0, 1, 0),
    "blender": (3, 4, 0),
    "location": "3D View > Sidebar > CodeTalker",
    "description": "Speech to the keys of a face's shapes",
    "category": "Animation",
}
_LINEAR = 1


def read_motion(path):
    """A `.npz` or `.csv` file of the command -> names, (T, K) weights, frames per second."""
    if path.suffix.lower() == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return [str(name) for name in file["names"]], file["weights"], float(file["fps"])
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    clock = [[float(part) for part in row[0].split(":")] for row in rows]
    seconds = [h * 3600 + m * 60 + s + frames / 60 for h, m, s, frames in clock]
    fps = 1 / float(np.median(np.diff(seconds)))
    names = [name[0].lower() + name[1:] for name in header[2:]]
    return names, np.array([row[2:] for row in rows], float), fps


def plain(name):
    """`face.mouthSmile_L`, `MouthSmileLeft` -> `mouthsmileleft`."""
    name = re.sub(r"_L$", "Left", re.sub(r"_R$", "Right", name.rsplit(".", 1)[-1]))
    return re.sub(r"[^a-z]", "", name.lower())


def curves_of(shape_keys):
    """The curves of shape keys' action, in the Blenders that have slots and those before."""
    animation = shape_keys.animation_data
    slot = getattr(animation, "action_slot", None)
    if slot is None:
        return animation.action.fcurves
    strips = [strip for layer in animation.action.layers for strip in layer.strips]
    bags = [strip.channelbag(slot) for strip in strips]
    return [curve for bag in bags if bag for curve in bag.fcurves]


def key(target, names, weights, start):
    """Key the shapes of one object; returns how many of them there are."""
    shape_keys = target.data.shape_keys
    columns = {plain(name): i for i, name in enumerate(names)}
    found = {block: columns[plain(block.name)] for block in shape_keys.key_blocks[1:]
             if plain(block.name) in columns}  # fmt: skip
    if shape_keys.animation_data is not None:
        shape_keys.animation_data.action = None
    for block in found:
        block.slider_min = min(block.slider_min, 0.0)
        block.keyframe_insert("value", frame=start)
    paths = {block.path_from_id("value"): column for block, column in found.items()}
    frames = np.arange(start, start + len(weights))
    for curve in curves_of(shape_keys) if found else ():
        points = curve.keyframe_points
        points.add(len(frames) - len(points))
        values = weights[:, paths[curve.data_path]]
        points.foreach_set("co", np.stack([frames, values], axis=1).ravel())
        points.foreach_set("interpolation", [_LINEAR] * len(frames))
        curve.update()
    return len(found)


def apply(operator, context, path, sound=""):
    """Key the selected meshes with a motion file, and put its sound beside it."""
    names, weights, fps = read_motion(path)
    targets = [o for o in context.selected_objects if o.type == "MESH" and o.data.shape_keys]
    start, scene = operator.start, context.scene
    if not sum(key(target, names, weights, start) for target in targets):
        operator.report({"ERROR"}, "No selected mesh has shape keys with ARKit names (jawOpen ...)")
        return {"CANCELLED"}
    scene.render.fps = max(1, round(fps))
    scene.render.fps_base = scene.render.fps / fps
    scene.frame_start, scene.frame_end = start, start + len(weights) - 1
    if sound:
        editor = scene.sequence_editor or scene.sequence_editor_create()
        strips = editor.strips if hasattr(editor, "strips") else editor.sequences
        strips.new_sound(Path(sound).stem, sound, channel=1, frame_start=start)
        scene.sync_mode = "AUDIO_SYNC"
    operator.report({"INFO"}, f"{len(weights)} frames at {fps:g} per second")
    return {"FINISHED"}


class Preferences(bpy.types.AddonPreferences):
    bl_idname = __package__
    command: bpy.props.StringProperty(
        name="Command", default="codetalker", description="How codetalker is run in a terminal"
    )  # pyright: ignore

    def draw(self, context):
        self.layout.prop(self, "command")


class Speak(bpy.types.Operator):
    """Let the selected meshes speak a recording"""

    bl_idname = "codetalker.speak"
    bl_label = "Speak"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012
    filepath: bpy.props.StringProperty(subtype="FILE_PATH")  # pyright: ignore
    options: bpy.props.StringProperty(
        name="Options", description="More of codetalker animate, such as --mood happy"
    )  # pyright: ignore
    start: bpy.props.IntProperty(name="Start frame", default=1)  # pyright: ignore

    def execute(self, context):
        command = shlex.split(context.preferences.addons[__package__].preferences.command)
        sound = bpy.path.abspath(self.filepath)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "motion.npz")
            asked = ["animate", sound, "-o", str(path), *shlex.split(self.options)]
            try:
                done = subprocess.run([*command, *asked], capture_output=True, text=True)
            except OSError as error:
                self.report({"ERROR"}, f"{command[0]}: {error.strerror}; see the preferences")
                return {"CANCELLED"}
            if done.returncode:
                self.report({"ERROR"}, (done.stderr.strip() or "codetalker failed")[-500:])
                return {"CANCELLED"}
            return apply(self, context, path, sound)

    def invoke(self, context, event):
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}


class Import(bpy.types.Operator):
    """Key the selected meshes with a motion file, .npz or .csv"""

    bl_idname = "codetalker.import_motion"
    bl_label = "Import motion"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012
    filepath: bpy.props.StringProperty(subtype="FILE_PATH")  # pyright: ignore
    filter_glob: bpy.props.StringProperty(default="*.npz;*.csv", options={"HIDDEN"})  # pyright: ignore
    start: bpy.props.IntProperty(name="Start frame", default=1)  # pyright: ignore

    def execute(self, context):
        try:
            return apply(self, context, Path(bpy.path.abspath(self.filepath)))
        except (OSError, ValueError, KeyError) as error:
            self.report({"ERROR"}, f"{self.filepath} is no motion file of codetalker: {error}")
            return {"CANCELLED"}

    def invoke(self, context, event):
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}


class Panel(bpy.types.Panel):
    bl_idname = "CODETALKER_PT_panel"
    bl_label = bl_category = "CodeTalker"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"

    def draw(self, context):
        self.layout.operator(Speak.bl_idname, icon="SOUND")
        self.layout.operator(Import.bl_idname, icon="IMPORT")


_CLASSES = (Preferences, Speak, Import, Panel)


def register():
    for one in _CLASSES:
        bpy.utils.register_class(one)


def unregister():
    for one in reversed(_CLASSES):
        bpy.utils.unregister_class(one)
