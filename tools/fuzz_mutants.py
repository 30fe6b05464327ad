"""Mutants of files for `fuzz.py`: bytes in general, and fields of the formats that are known."""

from __future__ import annotations

import io
import json
import random
import re
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx

NUMBERS = [
    "0",
    "-1",
    "1",
    "255",
    "65536",
    "2147483648",
    "99999999999",
    "1e30",
    "-1e400",
    "nan",
    "inf",
]
WORDS = [*NUMBERS, "", "\x00", "\x1b[31m", "\ud800", "../../x", "a" * 5000, "[bold]", "\u202e", "é"]
VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 10**30, 0.5, 1e308, float("nan"), float("inf"),
    "", "x", "\x1b[31m", "../..", [], {}, [[]], [1, 2], {"a": 1}, "1", [None], [1e30],
]  # fmt: skip
DTYPES = ["<f4", "<f8", ">f4", "<f2", "<i8", "|u1", "<u8", "|b1", "<U3", "|O", "<c8", "<M8[s]"]


def flipped(data: bytes, chance: random.Random) -> bytes:
    """Some bits turned."""
    content = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 8, 64])):
        if content:
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return bytes(content)


def cut(data: bytes, chance: random.Random) -> bytes:
    """The beginning."""
    return data[: chance.randrange(len(data) + 1)]


def spliced(data: bytes, chance: random.Random) -> bytes:
    """A piece left out, doubled, or put elsewhere."""
    start = chance.randrange(len(data) + 1)
    end = min(len(data), start + chance.choice([1, 4, 16, 100, 1000]))
    place = chance.randrange(len(data) + 1)
    rest = data[:start] + data[end:] if chance.random() < 0.5 else data
    return rest[:place] + data[start:end] * chance.choice([0, 1, 1, 2, 50]) + rest[place:]


def numbered(data: bytes, chance: random.Random) -> bytes:
    """An odd number over some bytes, as headers have them."""
    form = chance.choice(["<B", "<H", ">H", "<I", ">I", "<q", ">q", "<f", "<d"])
    size = struct.calcsize(form)
    if len(data) < size:
        return data
    value = chance.choice([0, 1, -1, 127, 32767, 2**31 - 1, 2**40, float("nan")])
    if form[1] in "fd":
        piece = struct.pack(form, value)
    else:
        whole = int(value) if value == value else 2**62
        piece = (whole % (1 << 8 * size)).to_bytes(size, "little" if form[0] == "<" else "big")
    early = min(len(data) - size, 200) if chance.random() < 0.5 else len(data) - size
    place = chance.randrange(early + 1)
    return data[:place] + piece + data[place + size :]


BYTES = [flipped, cut, spliced, numbered]


def text(data: bytes, chance: random.Random) -> bytes:
    """A word for another, a line more or less."""
    lines = data.split(b"\n")
    for _ in range(chance.choice([1, 1, 2, 5])):
        place = chance.randrange(min(len(lines), 30) if chance.random() < 0.7 else len(lines))
        match chance.randrange(4):
            case 0:
                lines[place:place] = [lines[chance.randrange(len(lines))]] * chance.choice(
                    [1, 1, 999]
                )
            case 1 if len(lines) > 1:
                del lines[place]
            case _:
                words = re.split(rb"([ /])", lines[place])
                odd = chance.choice(WORDS).encode("utf-8", "surrogatepass")
                words[chance.randrange(len(words))] = odd
                lines[place] = b"".join(words)
    return b"\n".join(lines)


def json_text(data: bytes, chance: random.Random) -> bytes:
    """A value for another, a name more or less."""
    try:
        content = json.loads(data)
    except ValueError:
        return flipped(data, chance)
    for _ in range(chance.choice([1, 1, 1, 3])):
        _edit(content, chance)
    written = json.dumps(content).encode()
    if chance.random() < 0.03:
        deep = b"[" * 100_000 if chance.random() < 0.5 else b"9" * 5000
        written = re.sub(rb"(?<=: )[\d.]+", lambda _: deep, written, count=1)
    return written


def _edit(content: Any, chance: random.Random) -> None:
    while True:
        keys = list(content) if isinstance(content, dict) else range(len(content))
        if not keys:
            return
        key = chance.choice(keys)
        if not isinstance(content[key], dict | list) or chance.random() < 0.25:
            break
        content = content[key]
    match chance.randrange(6):
        case 0:
            del content[key]
        case 1 if isinstance(content, dict):
            content[chance.choice(["more", "\x1b", "", "../x"])] = content[key]
        case 1:
            content.append(content[key])
        case _:
            content[key] = chance.choice(VALUES)


def npy(data: bytes, chance: random.Random) -> bytes:
    """Another header, or another array."""
    try:
        array = np.load(io.BytesIO(data))
    except Exception:
        return flipped(data, chance)
    if chance.random() < 0.5:
        return _npy_of(_array(array, chance))
    shape = list(array.shape)
    for place in range(len(shape)):
        if chance.random() < 0.5:
            shape[place] = chance.choice([0, 1, -1, 2**31, 2**62, 10**30, shape[place] + 1])
    described = repr(tuple(shape))
    if chance.random() < 0.3:
        described = chance.choice(
            ["()", "(0,)", "(1e3,)", "('a',)", "[1]", "(" * 300, "-" * 9000 + "1"]
        )
    kind = array.dtype.str if chance.random() < 0.5 else chance.choice(DTYPES)
    fortran = chance.choice([False, True, 1, "'x'"])
    header = f"{{'descr': '{kind}', 'fortran_order': {fortran}, 'shape': {described}, }}\n".encode()
    start = b"\x93NUMPY" + bytes([chance.choice([1, 1, 1, 2, 3, 9]), 0])
    return start + struct.pack("<H", len(header)) + header + array.tobytes()


def glb(data: bytes, chance: random.Random) -> bytes:
    """Other JSON in it, or other numbers in its arrays."""
    length = struct.unpack_from("<I", data, 12)[0]
    text, rest = data[20 : 20 + length], data[20 + length :]
    if chance.random() < 0.2:
        rest = rest[:8] + chance.choice(BYTES)(rest[8:], chance)
    else:
        text = json_text(text, chance)
    text += b" " * (-len(text) % 4)
    head = struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text) + len(rest), len(text), b"JSON")
    return head + text + rest


def _npy_of(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def _array(array: np.ndarray, chance: random.Random) -> np.ndarray:
    """Another shape, type, or value."""
    with np.errstate(all="ignore"):
        match chance.randrange(6):
            case 0:
                return array.reshape(-1) if array.ndim != 1 else array[None]
            case 1:
                return array[: len(array) // 2] if array.ndim else np.stack([array] * 3)
            case 2 if array.dtype.kind in "fiu":
                return array.astype(chance.choice(["f2", ">f8", "i1", "u8", "c8", "U9", "O", "?"]))
            case 3:
                return np.array(chance.choice(VALUES[:-2]), object)
            case 4 if array.dtype.kind == "U":
                odd = [word for word in WORDS if "\ud800" not in word]
                return np.resize(np.array(odd), array.shape)
            case _ if array.size and array.dtype.kind in "fiu":
                array = array.copy()
                odd = chance.choice([-1, 0, 1e9, -1e9, 1e30, np.nan, np.inf])
                whole = int(np.clip(np.nan_to_num(odd), -(2**31), 2**31 - 1))
                array.reshape(-1)[chance.randrange(array.size)] = (
                    odd if array.dtype.kind == "f" else whole
                )
        return array


def npz(data: bytes, chance: random.Random) -> bytes:
    """Members that differ, are missing, doubled, packed otherwise, or lie."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    name = chance.choice(list(members))
    packing = chance.choice([0, 8, 8, 8, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", packing) as archive:
        for other, content in members.items():
            if other == name:
                match chance.randrange(12):
                    case 0:
                        continue
                    case 1:
                        archive.writestr(other, content)
                    case 2:
                        content = chance.choice(BYTES)(content, chance)
                    case 3:
                        content = _bomb(content)
                    case _:
                        content = npy(content, chance)
            archive.writestr(other, content)
    written = stream.getvalue()
    if chance.random() < 0.2:  # in the directory at the end
        place = written.rfind(b"PK\x01\x02")
        place += chance.choice([8, 10, 16, 20, 24, 28, 30, 42])
        return written[:place] + chance.randbytes(2) + written[place + 2 :]
    return written


def _bomb(content: bytes) -> bytes:
    """40 million zeros, or a header that claims more than there is."""
    start = content.find(b"'shape': ")
    claimed = re.sub(rb"'shape': \([^)]*\)", b"'shape': (40000000,)", content[:200])
    return claimed + bytes(40_000_000) if start > 0 else content


def graph(data: bytes, chance: random.Random) -> bytes:
    """A graph with other nodes, constants or ports."""
    model = onnx.load_model_from_string(data)
    node = chance.choice(model.graph.node)
    match chance.randrange(7):
        case 0:
            node.op_type = chance.choice(
                ["Loop", "If", "Expand", "Tile", "Range", "Identity", "Scan"]
            )
        case 1:
            node.domain = chance.choice(["com.microsoft", "custom", "ai.onnx.ml"])
        case 2 if model.graph.initializer:
            tensor = chance.choice(model.graph.initializer)
            tensor.raw_data = chance.choice(BYTES)(tensor.raw_data, chance)
        case 3 if model.graph.initializer:
            tensor = chance.choice(model.graph.initializer)
            tensor.data_location = 1
            entry = tensor.external_data.add()
            entry.key, entry.value = "location", "/etc/hostname"
        case 4:
            port = chance.choice([*model.graph.input, *model.graph.output])
            port.type.tensor_type.elem_type = chance.choice([1, 6, 7, 9, 10, 11])
        case 5:
            constants = [n for n in model.graph.node if n.op_type == "Constant"]
            tensor = chance.choice(constants).attribute[0].t
            tensor.raw_data = numbered(tensor.raw_data, chance)
        case _:
            del model.graph.node[chance.randrange(len(model.graph.node))]
    return model.SerializeToString()


KNOWN: dict[str, list[Callable[[bytes, random.Random], bytes]]] = {
    ".glb": [glb],
    ".json": [json_text],
    ".npz": [npz],
    ".npy": [npy],
    ".ply": [text],
    ".obj": [text],
    ".onnx": [graph],
}


def mutant(name: str, data: bytes, chance: random.Random) -> bytes:
    """A file that is wrong somewhere."""
    known = KNOWN.get(name[name.rfind(".") :], [numbered])
    try:
        return chance.choice(known if chance.random() < 0.7 else BYTES)(data, chance)
    except (ValueError, OverflowError, RecursionError, TypeError, UnicodeError):
        return flipped(data, chance)
