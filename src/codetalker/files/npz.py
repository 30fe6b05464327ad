"""The motion file: `.npz` with `weights`, `names`, `fps`, `format_version` and, if the head moves,
`head`, no pickle; of vertex models with `vertices` and `template` for `weights` and `names`.

In the flow speech -> features -> codes -> motion -> mesh -> **file**.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from codetalker.arrays import Arrays, Field, open_npz
from codetalker.errors import MotionError
from codetalker.files.sampled import Sampled
from codetalker.reading import refusing

if TYPE_CHECKING:
    from codetalker.motion import Motion
    from codetalker.vertex_motion import VertexMotion

_FORMAT_VERSION = 1
FPS = Field(np.float64, "", "1", most=100_000)
_VERSION = {"format_version": Field(np.int64)}

WEIGHTS = {
    "weights": Field(np.float32, "frames names"),
    "names": Field(str, "names"),
    "head": Field(np.float32, "frames 3", optional=True),
    "fps": FPS,
}
VERTICES = {
    "template": Field(np.float32, "vertices 3"),
    "vertices": Field(np.float32, "frames vertices 3"),
    "triangles": Field(np.int32, "triangles 3", least=0, optional=True),
    "fps": FPS,
}


def write_weights(path: Path, motion: Motion) -> None:
    """Write weights float32 (T, K), names (K,), fps and format_version, and head float32 (T, 3) if
    the head moves; sound is not kept."""
    arrays: dict[str, Any] = {
        "weights": motion.weights,
        "names": np.array(motion.names),
        "fps": np.float64(motion.fps),
        "format_version": np.int32(_FORMAT_VERSION),
    }
    if motion.head is not None:
        arrays["head"] = motion.head
    np.savez_compressed(path, **arrays)


def write_vertices(path: Path, motion: VertexMotion) -> None:
    """Write vertices float32 (T, V, 3), template (V, 3), fps, format_version, and triangles (F, 3)
    if they are known; sound is not kept. Not compressed: float noise would hardly shrink."""
    arrays: dict[str, Any] = {
        "vertices": motion.vertices,
        "template": motion.template,
        "fps": np.float64(motion.fps),
        "format_version": np.int32(_FORMAT_VERSION),
    }
    if motion.triangles is not None:
        arrays["triangles"] = motion.triangles
    np.savez(path, **arrays)


def read_motion(path: str | os.PathLike[str], layout: Mapping[str, Field]) -> Arrays:
    """The arrays of a motion file, `WEIGHTS` or `VERTICES`, `fps` as a number.

    Raises:
        MotionError: there is no such file, it is none of this kind, or it is damaged.
    """
    path = Path(path)
    what, remedy = f"{path} is no readable motion file", "save one with its motion's save()"
    with refusing(MotionError, what, remedy), open_npz(path) as file:
        version = int(file.read(_VERSION)["format_version"])
        if version > _FORMAT_VERSION:
            raise MotionError(
                f"{path} has format version {version}; upgrade codetalker-face to read it"
            )
        return file.read(layout)


def read_weights(path: Path) -> Sampled:
    """The motion that `write_weights` has written; it carries no sound.

    Raises:
        MotionError: as `read_motion`.
    """
    arrays = read_motion(path, WEIGHTS)
    names, fps = tuple(arrays["names"]), arrays["fps"].item()
    return Sampled(arrays["weights"], names, fps, arrays.get("head"))
