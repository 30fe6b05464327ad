"""The motion file: `.npz` with `weights`, `names`, `fps` and `format_version`, no pickle.

In the flow speech -> features -> codes -> motion -> mesh -> **file**.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np

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
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > _MAX_BYTES:
            raise MotionError(f"{path} unpacks to {size >> 30} GiB; split the motion")
        with np.load(path, allow_pickle=False) as arrays:
            missing = {"weights", "names", "fps", "format_version"} - set(arrays.files)
            if missing:
                raise MotionError(
                    f"{path} is no motion file: it lacks {', '.join(sorted(missing))}; "
                    "save one with Motion.save"
                )
            version = int(arrays["format_version"])
            if version > FORMAT_VERSION:
                raise MotionError(
                    f"{path} has format version {version}; upgrade codetalker-face to read it"
                )
            names = tuple(str(name) for name in arrays["names"])
            return Motion(arrays["weights"].astype(np.float32), names, float(arrays["fps"]))
    except FileNotFoundError:
        raise MotionError(f"{path} does not exist; check the spelling of the path") from None
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise MotionError(f"{path} is no readable motion file ({error}); save it again") from None
