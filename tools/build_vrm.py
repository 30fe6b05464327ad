"""Real VRM files of a face, written by the VRM add-on of Blender: 0.x and 1.0.

    pip install bpy bpy-vrm-format
    python tools/build_vrm.py face.glb -o FOLDER      face_0.vrm, face_1.vrm

The face is any `.glb` with shapes called as VRoid's, of `build_characters.py` say. It gets VRM's
skeleton; its shapes lose their names, so that nothing but VRM's expressions says what they are.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import bpy

_VOWELS = {"A": ("a", "aa"), "I": ("i", "ih"), "U": ("u", "ou"), "E": ("e", "ee"), "O": ("o", "oh")}
"""VRoid's vowel -> what VRM 0.x and 1.0 call it."""
_BONES = {
    "hips": ("", (0.0, 0.0, -0.55)),
    "spine": ("hips", (0.0, 0.0, -0.45)),
    "chest": ("spine", (0.0, 0.0, -0.3)),
    "neck": ("chest", (0.0, 0.0, -0.05)),
    "head": ("neck", (0.0, 0.0, 0.0)),
    "jaw": ("head", (0.0, 0.0, 0.03)),
    "left_eye": ("head", (0.03, -0.05, 0.1)),
    "left_upper_leg": ("hips", (0.1, 0.0, -0.6)),
    "left_lower_leg": ("left_upper_leg", (0.1, 0.0, -1.0)),
    "left_foot": ("left_lower_leg", (0.1, 0.0, -1.4)),
    "left_upper_arm": ("chest", (0.15, 0.0, -0.1)),
    "left_lower_arm": ("left_upper_arm", (0.4, 0.0, -0.1)),
    "left_hand": ("left_lower_arm", (0.65, 0.0, -0.1)),
}
"""Bone -> the one above, metres from the foot of the face in Blender's axes; the right is like the
left."""


def opened(face: Path) -> list[bpy.types.Object]:
    """The meshes of a file with shapes, alone in a new scene."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.preferences.addon_enable(module="io_scene_vrm")
    bpy.ops.import_scene.gltf(filepath=str(face))
    meshes = [o for o in bpy.context.scene.objects if o.type == "MESH" and o.data.materials]
    if not any(mesh.data.shape_keys for mesh in meshes):
        sys.exit(f"{face} has no shapes")
    return meshes


def skeleton(meshes: list[bpy.types.Object]) -> bpy.types.Object:
    """VRM's bones beneath the face, whose head bone holds all of it."""
    foot = min((m.matrix_world @ v.co).z for m in meshes for v in m.data.vertices)
    armature = bpy.data.objects.new("Armature", bpy.data.armatures.new("Armature"))
    bpy.context.scene.collection.objects.link(armature)
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    bones = armature.data.edit_bones
    for name, (above, (x, y, z)) in _both_sides().items():
        bone = bones.new(name)
        bone.head = x, y, z + foot
        bone.tail = x, y, z + foot + 0.05
        bone.parent = bones[above] if above else None
    bpy.ops.object.mode_set(mode="OBJECT")
    for mesh in meshes:
        mesh.data.shade_smooth()  # else every triangle gets vertices of its own
        mesh.parent = armature
        held = mesh.vertex_groups.new(name="head")
        held.add(range(len(mesh.data.vertices)), 1.0, "REPLACE")
        mesh.modifiers.new("Armature", "ARMATURE").object = armature
    return armature


def _both_sides() -> dict[str, tuple[str, tuple[float, float, float]]]:
    bones = dict(_BONES)
    for name, (above, (x, y, z)) in _BONES.items():
        if name.startswith("left"):
            bones[name.replace("left", "right")] = above.replace("left", "right"), (-x, y, z)
    return bones


def unnamed(meshes: list[bpy.types.Object]) -> dict[str, list[tuple[str, str]]]:
    """Vowel -> (mesh, shape) of all that have it, under names that say nothing."""
    found: dict[str, list[tuple[str, str]]] = {}
    for mesh in meshes:
        blocks = mesh.data.shape_keys.key_blocks[1:] if mesh.data.shape_keys else ()
        for number, block in enumerate(blocks):
            vowel = block.name.removeprefix("Fcl_MTH_")
            block.name = f"shape {number}"
            if vowel in _VOWELS:
                found.setdefault(vowel, []).append((mesh.name, block.name))
    return found


def say_vrm0(vrm0, shapes: dict[str, list[tuple[str, str]]]) -> None:
    """Bones and expressions as VRM 0.x has them."""
    vrm0.meta.title = "test"
    vrm0.humanoid.human_bones.clear()
    for name in _both_sides():
        bone = vrm0.humanoid.human_bones.add()
        bone.bone = re.sub("_(.)", lambda found: found[1].upper(), name)
        bone.node.bone_name = name
    for vowel, bound in shapes.items():
        group = vrm0.blend_shape_master.blend_shape_groups.add()
        group.name, group.preset_name = vowel, _VOWELS[vowel][0]
        for mesh, shape in bound:
            bind = group.binds.add()
            bind.mesh.mesh_object_name, bind.index, bind.weight = mesh, shape, 1.0


def say_vrm1(vrm1, shapes: dict[str, list[tuple[str, str]]]) -> None:
    """Bones and expressions as VRM 1.0 has them."""
    vrm1.meta.vrm_name = "test"
    vrm1.meta.authors.add().value = "CodeTalker"
    for name in _both_sides():
        getattr(vrm1.humanoid.human_bones, name).node.bone_name = name
    for vowel, bound in shapes.items():
        expression = getattr(vrm1.expressions.preset, _VOWELS[vowel][1])
        for mesh, shape in bound:
            bind = expression.morph_target_binds.add()
            bind.node.mesh_object_name, bind.index, bind.weight = mesh, shape, 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("face", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for version, say in (("0", say_vrm0), ("1", say_vrm1)):
        meshes = opened(options.face)
        armature = skeleton(meshes)
        extension = armature.data.vrm_addon_extension
        extension.spec_version = f"{version}.0"
        say(getattr(extension, f"vrm{version}"), unnamed(meshes))
        path = options.output / f"{options.face.stem}_{version}.vrm"
        result = bpy.ops.export_scene.vrm(filepath=str(path), armature_object_name=armature.name)
        if result != {"FINISHED"}:
            sys.exit(f"{path} was not written: {result}")
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
