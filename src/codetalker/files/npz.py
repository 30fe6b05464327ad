"""The motion file: `.npz` with `weights`, `names`, `fps`, `format_version` and, if the head moves,
`head`, no pickle; of vertex models with `vertices` and `template` for `weights` and `names`.

In the flow speech -> features -> codes -> motion -> mesh -> **file**.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.npyio import NpzFile

from codetalker.errors import MotionError

if TYPE_CHECKING:
    from codetalker.motion import Motion
    from codetalker.vertex_motion import VertexMotion

_FORMAT_VERSION = 1


@dataclass(frozen=True)
class Kind:
    """A kind of motion file: the arrays that it must have, and how large they may be together."""

    arrays: frozenset[str]
    max_bytes: int


WEIGHTS = Kind(frozenset({"weights", "names", "fps"}), 4 << 30)
"""Unpacked 60 hours at 100 fps, and no bomb."""
VERTICES = Kind(frozenset({"vertices", "template", "fps"}), 64 << 30)
"""Five hours of the largest published face."""


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


@contextmanager
def opened(path: str | os.PathLike[str], kind: Kind) -> Iterator[NpzFile]:
    """The arrays of a motion file, opened as data.

    Raises:
        MotionError: there is no such file, it is none of this kind, or what is done with the arrays
            shows that it is damaged.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > kind.max_bytes:
            raise MotionError(f"{path} unpacks to {size >> 30} GiB; split the motion")
        with np.load(path, allow_pickle=False) as arrays:
            missing = (kind.arrays | {"format_version"}) - set(arrays.files)
            if missing:
                raise MotionError(
                    f"{path} is no motion file of this kind: it lacks "
                    f"{', '.join(sorted(missing))}; save one with its motion's save()"
                )
            if int(arrays["format_version"]) > _FORMAT_VERSION:
                raise MotionError(
                    f"{path} has format version {int(arrays['format_version'])}; upgrade "
                    "codetalker-face to read it"
                )
            yield arrays
    except FileNotFoundError:
        raise MotionError(f"{path} does not exist; check the spelling of the path") from None
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise MotionError(f"{path} is no readable motion file ({error}); save it again") from None
