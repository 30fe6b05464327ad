"""Reads pickles of data sets as data: numpy arrays and builtin containers, and nothing that runs.

VOCASET and BIWI publish templates, sound and indices as pickles. A pickle is a program, so only the
handful of names that arrays and containers need are admitted, each replaced by a function of ours
that can build nothing else; anything else is refused before it is called.
"""

from __future__ import annotations

import collections
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from codetalker.errors import DataError

_MAX_BYTES = 8 << 30
"""Refuse larger files: VOCASET's sound, the largest, has less than a tenth of it."""

_ARRAY_CLASS = "numpy.ndarray"


def _empty_array(kind: object, shape: object, code: object) -> np.ndarray:
    """numpy's `_reconstruct`: an empty array, whose content follows as state."""
    if kind != _ARRAY_CLASS:
        raise pickle.UnpicklingError("an array of an unknown class")
    return np.empty(0, np.int8)


def _scalar(dtype: np.dtype, data: bytes) -> np.generic:
    if dtype.hasobject:
        raise pickle.UnpicklingError("a numpy scalar that is an object")
    return np.frombuffer(data, dtype, 1)[0]


def _from_buffer(data: bytes, dtype: np.dtype, shape: tuple[int, ...], order: str) -> np.ndarray:
    return np.frombuffer(data, dtype).reshape(shape, order="F" if order == "F" else "C")


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """How protocol 2 writes bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in {encoding}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """How protocols below 3 write an empty byte string."""
    return b""


_NUMPY: dict[str, Any] = {
    "multiarray._reconstruct": _empty_array,
    "multiarray.scalar": _scalar,
    "numeric._frombuffer": _from_buffer,
}
_ADMITTED: dict[str, Any] = {
    "numpy.ndarray": _ARRAY_CLASS,
    "numpy.dtype": np.dtype,
    **{f"{core}.{name}": f for core in ("numpy.core", "numpy._core") for name, f in _NUMPY.items()},
    "_codecs.encode": _encode,
    "collections.OrderedDict": collections.OrderedDict,
    "__builtin__.bytes": _no_bytes,
    **{
        f"{module}.{kind.__name__}": kind
        for module in ("builtins", "__builtin__")
        for kind in (set, frozenset, list, dict, tuple, complex)
    },
}


class _DataUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        name = f"{module_name}.{global_name}"
        if name not in _ADMITTED:
            raise pickle.UnpicklingError(f"it refers to {name}, which is not data")
        return _ADMITTED[name]

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to an object outside the file")


def load_data_pickle(path: Path) -> Any:
    """Read a pickle of numpy arrays and builtin containers, from Python 2 or 3.

    Raises:
        DataError: the file is missing, too large, damaged, or holds anything else.
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist")
    if path.stat().st_size > _MAX_BYTES:
        raise DataError(f"{path} is larger than {_MAX_BYTES >> 30} GB; it cannot be a data set's")
    try:
        with path.open("rb") as stream:
            return _DataUnpickler(stream, encoding="latin1").load()
    except (KeyboardInterrupt, SystemExit):
        raise
    except Exception as error:  # a hostile or damaged pickle can fail in any way
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path} was not loaded: it is no pickle of arrays ({reason})") from error


def load_templates(path: Path) -> dict[str, np.ndarray]:
    """Read `templates.pkl`: subject -> (V, 3) float32 neutral face, of (V, 3) or (3V,) numbers.

    Raises:
        DataError: the file is no such mapping.
    """
    stored = load_data_pickle(path)
    if not isinstance(stored, dict) or not stored:
        raise DataError(f"{path} does not map each subject to the (V, 3) vertices of its face")
    templates = {str(name): _template(face, f"{path}, {name!r}") for name, face in stored.items()}
    if len({len(t) for t in templates.values()}) > 1:
        raise DataError(f"{path} holds templates of different vertex counts")
    return templates


def _template(face: Any, name: str) -> np.ndarray:
    try:
        array = np.asarray(face)
    except ValueError as error:  # rows of different lengths
        raise DataError(f"{name}: the neutral face is no array; store it as (V, 3)") from error
    if array.dtype.kind not in "fiu":
        raise DataError(f"{name}: the neutral face holds {array.dtype}, not numbers")
    if (
        not array.size
        or array.size % 3
        or array.shape
        not in (
            (array.size,),
            (1, array.size),
            (array.size // 3, 3),
        )
    ):
        raise DataError(f"{name}: the neutral face has shape {array.shape}, not (V, 3)")
    points = array.reshape(-1, 3).astype(np.float32)
    if not np.isfinite(points).all():
        raise DataError(f"{name}: the neutral face holds NaN or infinite coordinates")
    return points
