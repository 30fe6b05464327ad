"""Arrays of strangers: read as declared, or refused in one line that takes no memory."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from codetalker import arrays
from codetalker.arrays import Field, map_npy, open_npz, read_npy, read_npz
from codetalker.errors import MotionError
from codetalker.motion import Motion
from codetalker.reading import Malformed, refusing
from codetalker.vertex_motion import VertexMotion

ANY = Field(np.float64, "rows columns")


def npz(**members: bytes | np.ndarray) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in members.items():
            content = member if isinstance(member, bytes) else npy(member)
            archive.writestr(f"{name}.npy", content)
    return stream.getvalue()


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def header(text: str, version: int = 1) -> bytes:
    content = text.encode() + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(content)) + content


def claim(shape: str, descr: str = "<f8", fortran: object = False) -> str:
    return f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}"


@given(hnp.arrays(np.dtype("<f8"), hnp.array_shapes(min_dims=2, max_dims=2, max_side=5),
                  elements=st.floats(-1e6, 1e6)), st.sampled_from(["C", "F"]),
       st.sampled_from(["<f8", ">f8", "<f4", "<f2", "<i4", "|u1"]))  # fmt: skip
def test_whatever_numpy_writes_is_read(array: np.ndarray, order: str, kind: str) -> None:
    with np.errstate(all="ignore"):
        stored = np.array(array.clip(0, 200), kind, order=order)
    for found in (read_npy(npy(stored), ANY), read_npz(npz(a=stored), {"a": ANY})["a"]):
        assert found.dtype == np.float64
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(found, stored)


def test_axes_of_one_name_are_equally_long() -> None:
    layout = {"names": Field(str, "n"), "table": Field(np.int32, "n 3", "n 4"), "rate": Field("f8")}
    good = {"names": np.array(["a", "b"]), "table": np.ones((2, 4), int), "rate": np.float32(25)}
    found = read_npz(npz(**good), layout)
    assert (found["table"].dtype, found["rate"].item()) == (np.int32, 25.0)
    for change in ({"table": np.ones((3, 4), int)}, {"table": np.ones((2, 5), int)},
                   {"rate": np.ones(2)}):  # fmt: skip
        with pytest.raises(Malformed, match="shape"):
            read_npz(npz(**good | change), layout)


WRONG: dict[str, tuple[Field, np.ndarray, str]] = {
    "objects": (ANY, np.array([[{}]], object), "type object"),
    "complex": (ANY, np.ones((1, 1), complex), "neither numbers nor text"),
    "dates": (ANY, np.zeros((1, 1), "M8[s]"), "neither numbers nor text"),
    "records": (ANY, np.zeros((1, 1), [("a", "f4")]), "neither numbers nor text"),
    "text": (ANY, np.array([["1"]]), "is of type <U1, not float64"),
    "truth": (ANY, np.ones((1, 1), bool), "is of type bool"),
    "NaN": (ANY, np.full((1, 1), np.nan), "NaN or infinity"),
    "too large a float": (Field("f4", "n"), np.array([1e300]), "NaN or infinity"),
    "float": (Field("i4", "n"), np.array([1.0]), "is of type float64, not int32"),
    "too large": (Field("i4", "n"), np.array([1 << 31]), "too large"),
    "unsigned": (Field("i8", "n"), np.array([1 << 63], np.uint64), "too large"),
    "negative": (Field("i4", "n", least=0), np.array([0, -1]), "is -1 ... 0, not from 0"),
    "above": (Field("f8", most=240), np.array(241.0), "is 241.0, not to 240"),
    "escape": (Field(str, "n"), np.array(["a", "\x1b[31m"]), r"U\+001B"),
    "number as text": (Field(str, "n"), np.array([3]), "is of type int64, not str"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_not_as_declared_is_refused(case: str) -> None:
    field, array, message = WRONG[case]
    with pytest.raises(Malformed, match=message):
        read_npz(npz(a=array), {"a": field})


HEADERS = {
    "negative": claim("(-1, 3)"),
    "beyond memory": claim("(4611686018427387904, 3)"),
    "beyond numbers": claim("(10000000000000000000000000000, 0)"),
    "more than there is": claim("(2, 3)"),
    "less than there is": claim("(1, 2)"),
    "no numbers": claim("(1e3, 3)"),
    "truth": claim("(True, 3)"),
    "one number": claim("3"),
    "text": claim("'ab'"),
    "objects": claim("(1, 3)", "|O"),
    "empty text": claim("(1, 3)", "<U0"),
    "many records": claim("(1, 3)", "f4,f4,O"),
    "unknown type": claim("(1, 3)", "zz"),
    "another order": claim("(1, 3)", fortran="'yes'"),
    "code": claim("__import__('os').system('false')"),
    "deep": claim("(" * 900 + ")" * 900),
    "long to evaluate": claim("-" * 8000 + "1"),
    "long": claim("(1, 3)") + " " * 50_000,
    "no dictionary": "[1, 2]",
    "nothing": "",
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_header_that_lies_is_refused_in_one_line(case: str) -> None:
    data = header(HEADERS[case]) if len(HEADERS[case]) < 65_000 else b""
    content = data + np.ones((1, 3)).tobytes()
    for read in (lambda: read_npy(content, ANY), lambda: read_npz(npz(a=content), {"a": ANY})):
        with pytest.raises(MotionError) as caught, refusing(MotionError, "a.npz is none", "again"):
            read()
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 400
        assert "memory" not in str(caught.value)  # there is enough
        if case in ("more than there is", "less than there is"):
            assert " bytes, not " in str(caught.value)


def test_only_versions_that_are_known_are_read() -> None:
    body = np.ones((1, 3)).tobytes()
    assert read_npy(header(claim("(1, 3)")) + body, ANY).sum() == 3
    with pytest.raises(Malformed, match=r"version \(3, 0\)"):
        read_npy(header(claim("(1, 3)"), 3) + body, ANY)


def refused(data: bytes, message: str | None = None) -> None:
    with pytest.raises(MotionError, match=message) as caught, refusing(MotionError, "it", "again"):
        read_npz(data, {"a": ANY})
    assert "\n" not in str(caught.value)


def test_archives_of_other_kinds_are_refused() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.npy", npy(np.ones((1, 1))))
    refused(stream.getvalue(), "packed in another way")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.npy", npy(np.ones((1, 1))))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.npy", npy(np.zeros((1, 1))))
    refused(stream.getvalue(), "'a' occurs twice")
    locked = bytearray(npz(a=np.ones((1, 1))))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.index(mark) + place] |= 1
    refused(bytes(locked), "encrypted")
    refused(npz(b=np.ones(1)), "lacks a")
    refused(b"", "not a zip file")


def test_every_damage_to_an_archive_is_one_line(tmp_path: Path) -> None:
    """Bits turned and ends cut: of the directory, the headers and what is packed."""
    whole = npz(a=np.random.default_rng(0).random((30, 3)))
    for cut in range(0, len(whole), 7):
        refused(whole[:cut])
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        try:
            found = read_npz(bytes(damaged), {"a": ANY})
        except Exception:
            refused(bytes(damaged))
        else:  # a date, or the like
            assert found["a"].shape == (30, 3)


def bomb(path: Path, shape: tuple[int, ...], **others: np.ndarray) -> Path:
    """An archive whose `weights` are zeros of float32, written a piece at a time."""
    count = 4 * int(np.prod(shape))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in others.items():
            archive.writestr(f"{name}.npy", npy(array))
        with archive.open("weights.npy", "w", force_zip64=True) as stream:
            stream.write(header(claim(str(shape), "<f4")))
            for start in range(0, count, 1 << 24):
                stream.write(bytes(min(1 << 24, count - start)))
    return path


MEASURE = """
import sys, resource
from codetalker.errors import MotionError
from codetalker.motion import Motion
resource.setrlimit(resource.RLIMIT_AS, (3 << 29, 3 << 29))
try:
    Motion.load(sys.argv[1])
except MotionError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    """1 GiB of zeros in a megabyte or a few, in a process that may have 1.5 GiB in all."""
    names, rate = np.array([f"n{i}" for i in range(64)]), np.float64(25)
    path = tmp_path / "bomb.npz"
    bomb(path, (1 << 22, 64), names=names, fps=rate, format_version=np.int32(1))
    assert path.stat().st_size < 8 << 20
    command = [sys.executable, "-c", MEASURE, str(path)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "weights unpacks to 1024 MiB, which is too much" in said.stdout, said.stderr
    assert said.stdout.count("\n") == 1


def test_what_may_be_unpacked_is_the_limit_or_the_files_own_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(arrays, "_PIECE", 64)
    small = npz(a=np.zeros((64, 2)))  # 1024 bytes
    with open_npz(small, 1024) as file:
        assert file.read({"a": ANY})["a"].shape == (64, 2)
    with open_npz(small, 1023) as file, pytest.raises(Malformed, match="too much"):
        file.read({"a": ANY})
    noise = npz(a=np.random.default_rng(0).random((64, 2)))
    assert len(noise) > 1024
    with open_npz(noise, 10) as file:
        assert file.read({"a": ANY})["a"].shape == (64, 2)
    pair = npz(a=np.zeros((64, 2)), b=np.zeros((64, 2)))
    with open_npz(pair, 2047) as file, pytest.raises(Malformed, match="b unpacks"):
        file.read({"a": ANY, "b": ANY})
    narrow = npz(a=np.zeros((128, 2), np.float16))  # as float64 it takes four times as much
    with open_npz(narrow, 2047) as file, pytest.raises(Malformed, match="too much"):
        file.read({"a": ANY})


def test_an_array_is_mapped_as_far_as_the_file_goes(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    for array in (np.arange(12.0).reshape(3, 4), np.asfortranarray(np.eye(3)), np.empty((0, 3))):
        np.save(path, array)
        np.testing.assert_array_equal(map_npy(path), array)
    np.save(path, np.eye(3))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Malformed, match="has 71 bytes, not 72"):
        map_npy(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
@pytest.mark.parametrize("load", [Motion.load, VertexMotion.load])
def test_pipes_and_folders_are_not_opened(load: Callable[[Path], object], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    (tmp_path / "folder.npz").mkdir()
    for name in ("pipe.npz", "folder.npz"):
        with pytest.raises(MotionError, match=r"no regular file|Is a directory"):
            load(tmp_path / name)


TRIANGLES = {
    "out of range": np.array([[0, 1, 3]]),
    "negative": np.array([[0, 1, -1]]),
    "float": np.array([[0.0, 1.0, 2.0]]),
    "flat": np.array([0, 1, 2]),
    "immense": np.array([[0, 1, 1 << 40]]),
}


@pytest.mark.parametrize("case", TRIANGLES)
def test_triangles_of_a_motion_are_of_its_vertices(case: str, tmp_path: Path) -> None:
    arrays = {
        "vertices": np.zeros((2, 3, 3), np.float32),
        "template": np.zeros((3, 3), np.float32),
        "fps": np.float64(25),
        "format_version": np.int32(1),
    }
    np.savez(tmp_path / "a.npz", **arrays, triangles=np.array([[0, 1, 2]]))
    triangles = VertexMotion.load(tmp_path / "a.npz").triangles
    assert triangles is not None and triangles.tolist() == [[0, 1, 2]]
    np.savez(tmp_path / "a.npz", **arrays, triangles=TRIANGLES[case])
    with pytest.raises(MotionError, match="triangles") as caught:
        VertexMotion.load(tmp_path / "a.npz")
    assert "\n" not in str(caught.value)
    if case in ("out of range", "negative"):
        with pytest.raises(MotionError, match="of a face that has 3"):
            VertexMotion(arrays["vertices"], arrays["template"], 25.0, TRIANGLES[case])
