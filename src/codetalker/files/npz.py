"""The motion file: `.npz` with `weights`, `names`, `fps` and `format_version`, no pickle.

In the flow speech -> features -> codes -> motion -> mesh -> **file**.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile

from codetalker.errors import MotionError
from codetalker.motion import Motion

FORMAT_VERSION = 1
_MAX_BYTES = 4 << 30  # of unpacked arrays: 60 hours at 100 fps, and no bomb


def write_npz(path: Path, motion: Motion) -> None:
    """Write weights float32 (T, K), names (K,), fps and format_version; sound is not kept."""
    np.savez_compressed(
        path,
        weights=motion.weights,
        names=np.array(motion.names),
        fps=np.float64(motion.fps),
        format_version=np.int32(FORMAT_VERSION),
    )


def read_npz(path: str | os.PathLike[str]) -> Motion:
    """Read a motion file as data; see `Motion.load`."""
    with motion_arrays(path, {"weights", "names", "fps"}, FORMAT_VERSION, _MAX_BYTES) as arrays:
        names = tuple(str(name) for name in arrays["names"])
        return Motion(arrays["weights"].astype(np.float32), names, float(arrays["fps"]))


@contextmanager
def motion_arrays(
    path: str | os.PathLike[str], wanted: set[str], version: int, max_bytes: int
) -> Iterator[NpzFile]:
    """The arrays of any motion file, opened as data.

    Args:
        wanted: names that it must have, beside `format_version`.
        version: the newest that can be read.
        max_bytes: of unpacked arrays.

    Raises:
        MotionError: there is no such file, it is none of these, or what is done with the arrays
            shows that it is damaged.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > max_bytes:
            raise MotionError(f"{path} unpacks to {size >> 30} GiB; split the motion")
        with np.load(path, allow_pickle=False) as arrays:
            missing = (wanted | {"format_version"}) - set(arrays.files)
            if missing:
                raise MotionError(
                    f"{path} is no motion file of this kind: it lacks "
                    f"{', '.join(sorted(missing))}; save one with its motion's save()"
                )
            if int(arrays["format_version"]) > version:
                raise MotionError(
                    f"{path} has format version {int(arrays['format_version'])}; upgrade "
                    "codetalker-face to read it"
                )
            yield arrays
    except FileNotFoundError:
        raise MotionError(f"{path} does not exist; check the spelling of the path") from None
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise MotionError(f"{path} is no readable motion file ({error}); save it again") from None
