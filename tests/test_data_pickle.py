"""Pickles are read as data: arrays of every vintage load, whatever could run does not."""

from __future__ import annotations

import collections
import io
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from codetalker.data.safe_pickle import load_data_pickle, load_templates
from codetalker.errors import DataError

CONTENT = {
    "floats": np.arange(12, dtype=np.float32).reshape(4, 3),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big endian": np.arange(3, dtype=">i2"),
    "empty": np.zeros((0, 3)),
    "scalar": np.float64(2.5),
    "nested": {"list": [1, 2.0, None, True], "tuple": (b"bytes", "text"), "set": {1, 2}},
    "ordered": collections.OrderedDict(a=1),
}


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_containers_load_as_pickle_itself_loads_them(
    tmp_path: Path, protocol: int
) -> None:
    data = pickle.dumps(CONTENT, protocol)
    loaded, trusted = load_data_pickle(write(tmp_path / "data.pkl", data)), pickle.loads(data)
    assert loaded.keys() == CONTENT.keys()
    for name, value in trusted.items():
        if isinstance(value, np.ndarray):
            assert loaded[name].dtype == value.dtype
            np.testing.assert_array_equal(loaded[name], value)
        else:
            assert loaded[name] == value


def test_python_2_pickles_load(tmp_path: Path) -> None:
    """The opcodes of Python 2's protocol 2: numpy.core.multiarray, byte strings as latin1."""
    array = np.arange(6, dtype="<i2")
    parts = [
        b"\x80\x02}U\x05audiocnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b",
        b"\x87R(K\x01K\x06\x85cnumpy\ndtype\nU\x02i2K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xff",
        b"J\xff\xff\xff\xffK\x00tb\x89U" + struct.pack("B", array.nbytes) + array.tobytes(),
        b"tbs.",
    ]
    loaded = load_data_pickle(write(tmp_path / "data.pkl", b"".join(parts)))
    np.testing.assert_array_equal(loaded["audio"], array)


class Attack:
    """A pickle that would call `function(*arguments)`."""

    def __init__(self, function, *arguments) -> None:
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def ran(path: str) -> None:
    """What an attack would do."""
    Path(path).touch()


@pytest.mark.parametrize(
    "attack",
    [
        Attack(ran, "RAN"),
        Attack(os.system, "touch RAN"),
        Attack(eval, "open('RAN', 'w')"),
        Attack(np.load, "RAN"),
        Attack(np.ndarray, (10**13,)),
        Attack(np.frombuffer, b"abc"),
        Attack(getattr, "text", "format"),
        [np.array([Attack(ran, "RAN")], object)],
    ],
    ids=["function", "system", "eval", "numpy", "huge array", "buffer", "getattr", "inside array"],
)
def test_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: object) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "data.pkl", pickle.dumps(attack))
    with pytest.raises(DataError, match=r"data\.pkl was not loaded") as caught:
        load_data_pickle(path)
    assert "\n" not in str(caught.value)
    assert not Path("RAN").exists()


def test_damaged_and_missing_files_are_named(tmp_path: Path) -> None:
    whole = pickle.dumps(CONTENT)
    for end in (0, 1, len(whole) // 2, len(whole) - 1):
        with pytest.raises(DataError, match=r"cut\.pkl"):
            load_data_pickle(write(tmp_path / "cut.pkl", whole[:end]))
    with pytest.raises(DataError, match="does not exist"):
        load_data_pickle(tmp_path / "none.pkl")
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(3))
    with pytest.raises(DataError, match=r"not\.pkl"):
        load_data_pickle(write(tmp_path / "not.pkl", buffer.getvalue()))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "does not map each subject"),
        ([1, 2], "does not map each subject"),
        ({"F1": "text"}, "'F1': the neutral face holds <U4, not numbers"),
        ({"F1": np.zeros(4)}, r"'F1': the neutral face has shape \(4,\), not \(V, 3\)"),
        ({"F1": np.zeros((3, 4))}, r"'F1': the neutral face has shape \(3, 4\)"),
        ({"F1": np.zeros((2, 2, 3))}, "has shape"),
        ({"F1": np.zeros(0)}, "has shape"),
        ({"F1": [[1, 2, 3], [4]]}, "'F1': the neutral face is no array"),
        ({"F1": np.full((4, 3), np.inf)}, "'F1': the neutral face holds NaN or infinite"),
        ({"F1": np.zeros((4, 3)), "F2": np.zeros((5, 3))}, "different vertex counts"),
    ],
)
def test_templates_must_be_faces(tmp_path: Path, content: object, message: str) -> None:
    path = write(tmp_path / "templates.pkl", pickle.dumps(content))
    with pytest.raises(DataError, match=message):
        load_templates(path)
