"""The weights animation of a `.glb`: ours, and any face's whose shapes have Apple's names.

In the flow speech -> features -> codes -> **motion** -> mesh -> file. Names are glTF's; section
numbers are those of the Khronos glTF 2.0 specification.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codetalker.arkit import ARKIT_NAMES
from codetalker.characters.accessors import Accessors
from codetalker.characters.gltf_file import Animation, GltfFile, Sampler, at
from codetalker.characters.names import shares_of
from codetalker.characters.scene import target_names
from codetalker.curves import between
from codetalker.errors import MotionError
from codetalker.files.sampled import Sampled, sampled
from codetalker.reading import Malformed, refusing

_TANGENTS = 3
"""Values of a key of a cubic spline: the second is the weight itself (appendix C)."""


def read_glb(path: Path) -> Sampled:
    """The first animation that moves shapes with Apple's names, however they are spelt.

    Raises:
        MotionError: there is no such file, or no such animation in it.
    """
    remedy = "export the face with its weights animation, its shapes named as Apple's"
    with refusing(MotionError, f"{path} holds no motion of a face", remedy):
        file = GltfFile.open(path)
        reader = Accessors(file)
        for animation in file.gltf.animations:
            curves = _curves(file, reader, animation)
            if curves:
                return _joined(curves)
        raise Malformed("no animation in it moves shapes with Apple's names")


Curve = tuple[NDArray[np.float64], NDArray[np.float32]]


def _curves(file: GltfFile, reader: Accessors, animation: Animation) -> dict[str, Curve]:
    """Apple's name -> times and weights; of a shape that several meshes have, the first."""
    curves: dict[str, Curve] = {}
    for channel in animation.channels:
        if channel.target.path != "weights" or channel.target.node is None:
            continue
        node = at(file.gltf.nodes, channel.target.node, "node")
        index = -1 if node.mesh is None else node.mesh
        names = target_names(at(file.gltf.meshes, index, "mesh"), index)
        sampler = at(animation.samplers, channel.sampler, "sampler")
        times, weights = _keys(reader, sampler, len(names))
        for name, column in zip(names, weights.T, strict=True):
            shares = shares_of(name)
            if len(shares) == 1 and (apple := next(iter(shares))) in ARKIT_NAMES:
                curves.setdefault(apple, (times, column))
    return curves


def _keys(
    reader: Accessors, sampler: Sampler, count: int
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """(T,) seconds and (T, count) weights of a sampler (5.9)."""
    times = reader.floats(sampler.input, 1)[:, 0].astype(np.float64)
    values = reader.floats(sampler.output, 1)[:, 0]
    spline = sampler.interpolation == "CUBICSPLINE"
    if len(values) != len(times) * count * (_TANGENTS if spline else 1):
        raise Malformed("an animation has another number of weights than its times and shapes")
    if not len(times) or (np.diff(times) <= 0).any():
        raise Malformed("the times of an animation do not rise")
    values = values.reshape(len(times), -1, count)
    return times, values[:, 1 if spline else 0]


def _joined(curves: dict[str, Curve]) -> Sampled:
    """All at the times of the curve that has the most keys."""
    times = max((curve[0] for curve in curves.values()), key=len)
    values = np.stack([between(times, *curve) for curve in curves.values()], 1)
    return sampled(times, [*curves], values)
