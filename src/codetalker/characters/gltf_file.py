"""A `.glb` of somebody else: the container and what its JSON says, checked, before any array.

In the flow speech -> ... -> motion -> **mesh** -> file. The text of each member of the JSON is kept
as it is written, so that what is not touched goes out again as it came in. Names are glTF's, and
section numbers those of the Khronos glTF 2.0 specification.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codetalker.reading import Malformed, parse_json, read_regular
from codetalker.typed import build

MAX_BYTES = 1 << 29
"""Of a file: a character with textures has 5 to 100 MB."""
MAX_JSON_BYTES = 32 << 20
MAX_NODES = 20_000
_COMPRESSED = ("KHR_draco_mesh_compression", "EXT_meshopt_compression", "KHR_meshopt_compression")


@dataclass(frozen=True)
class Accessor:
    """5.1."""

    componentType: int
    count: int
    type: str
    bufferView: int | None = None
    byteOffset: int = 0
    normalized: bool = False
    sparse: Sparse | None = None


@dataclass(frozen=True)
class Sparse:
    """5.2."""

    count: int
    indices: SparsePart
    values: SparsePart


@dataclass(frozen=True)
class SparsePart:
    """5.3 and 5.4."""

    bufferView: int
    byteOffset: int = 0
    componentType: int = 5126


@dataclass(frozen=True)
class BufferView:
    """5.11."""

    buffer: int
    byteLength: int
    byteOffset: int = 0
    byteStride: int | None = None


@dataclass(frozen=True)
class Sourced:
    """A buffer (5.10) or an image (5.18), as far as it matters where it comes from."""

    uri: str | None = None
    byteLength: int = 0
    bufferView: int | None = None


@dataclass(frozen=True)
class Primitive:
    """5.24."""

    attributes: dict[str, int]
    indices: int | None = None
    material: int | None = None
    mode: int = 4
    targets: tuple[dict[str, int], ...] = ()
    extras: Any = None


@dataclass(frozen=True)
class Mesh:
    """5.23."""

    primitives: tuple[Primitive, ...]
    name: str = ""
    extras: Any = None


@dataclass(frozen=True)
class Node:
    """5.25."""

    name: str = ""
    mesh: int | None = None
    skin: int | None = None
    children: tuple[int, ...] = ()
    matrix: tuple[float, ...] | None = None
    translation: tuple[float, float, float] = (0.0, 0.0, 0.0)
    rotation: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Skin:
    """5.28."""

    joints: tuple[int, ...]
    inverseBindMatrices: int | None = None


@dataclass(frozen=True)
class Texture:
    """5.29."""

    source: int | None = None


@dataclass(frozen=True)
class TextureInfo:
    """5.30."""

    index: int
    texCoord: int = 0
    extensions: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Pbr:
    """5.22."""

    baseColorFactor: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    baseColorTexture: TextureInfo | None = None
    roughnessFactor: float = 1.0


@dataclass(frozen=True)
class Material:
    """5.19."""

    name: str = ""
    pbrMetallicRoughness: Pbr = field(default_factory=Pbr)
    alphaMode: str = "OPAQUE"
    alphaCutoff: float = 0.5


@dataclass(frozen=True)
class Asset:
    """5.9."""

    version: str
    copyright: str = ""


@dataclass(frozen=True)
class Target:
    """Of an animation's channel (5.8)."""

    path: str
    node: int | None = None


@dataclass(frozen=True)
class Channel:
    """5.7."""

    sampler: int
    target: Target


@dataclass(frozen=True)
class Sampler:
    """Of an animation (5.6)."""

    input: int
    output: int
    interpolation: str = "LINEAR"


@dataclass(frozen=True)
class Animation:
    """5.5."""

    name: str = ""
    channels: tuple[Channel, ...] = ()
    samplers: tuple[Sampler, ...] = ()


@dataclass(frozen=True)
class Gltf:
    """5.17, as far as a face needs it."""

    asset: Asset
    accessors: tuple[Accessor, ...] = ()
    bufferViews: tuple[BufferView, ...] = ()
    buffers: tuple[Sourced, ...] = ()
    images: tuple[Sourced, ...] = ()
    materials: tuple[Material, ...] = ()
    meshes: tuple[Mesh, ...] = ()
    nodes: tuple[Node, ...] = ()
    skins: tuple[Skin, ...] = ()
    textures: tuple[Texture, ...] = ()
    animations: tuple[Animation, ...] = ()
    extensions: dict[str, Any] = field(default_factory=dict)
    extensionsUsed: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class GltfFile:
    """A `.glb` file.

    Attributes:
        gltf: what its JSON says.
        members: the text of each member of the JSON, as it is written.
        parents: the parent of each node, None for a root.
        binary: the content of its buffer 0, without the padding after it.
        more: chunks after that, as they are.
    """

    gltf: Gltf
    members: dict[str, str]
    parents: tuple[int | None, ...]
    binary: memoryview
    more: bytes = b""

    @classmethod
    def of(cls, document: dict[str, Any]) -> GltfFile:
        """A file without any arrays, of plain values as JSON has them."""
        gltf = build(Gltf, document, "its glTF", strict=False, inner=False)
        members = {name: json.dumps(value) for name, value in document.items()}
        return cls(gltf, members, _parents(gltf), memoryview(b""))

    @classmethod
    def open(cls, path: Path) -> GltfFile:
        """Read a file.

        Raises:
            Malformed, OSError, ValueError: it is no `.glb`, damaged, too large, compressed, or in
                need of other files; `codetalker.reading.refusing` makes one line of it.
        """
        text, binary, more = _chunks(read_regular(path, MAX_BYTES))
        values = parse_json(text)
        gltf = build(Gltf, values, "its glTF", strict=False, inner=False)
        _check_whole(gltf, binary)
        length = gltf.buffers[0].byteLength if gltf.buffers else 0
        members = _members(text.decode("utf-8-sig"))
        return cls(gltf, members, _parents(gltf), binary[:length], more)


def _chunks(content: bytes) -> tuple[bytes, memoryview, bytes]:
    """The JSON, the binary chunk (empty if there is none), and what follows (4.4)."""
    if len(content) < 20 or content[:4] != b"glTF":
        raise Malformed("it does not start as a binary glTF does; convert .gltf to .glb first")
    _, version, length = struct.unpack_from("<4sII", content)
    if version != 2:
        raise Malformed(f"it is of glTF version {version}, not 2")
    if length != len(content):
        raise Malformed(f"it says that it has {length} bytes, and has {len(content)}")
    chunks, place = [], 12
    while place < length:
        if place + 8 > length:
            raise Malformed("it ends within a chunk")
        size, kind = struct.unpack_from("<I4s", content, place)
        if place + 8 + size > length:
            raise Malformed("it ends within a chunk")
        chunks.append((kind, place, place + 8 + size))
        place += 8 + size
    if not chunks or chunks[0][0] != b"JSON":
        raise Malformed("its first chunk is not JSON")
    if chunks[0][2] - chunks[0][1] > MAX_JSON_BYTES:
        raise Malformed(f"its JSON is larger than {MAX_JSON_BYTES >> 20} MiB")
    text = content[chunks[0][1] + 8 : chunks[0][2]]
    has_binary = len(chunks) > 1 and chunks[1][0] == b"BIN\0"
    binary = memoryview(content)[chunks[1][1] + 8 : chunks[1][2]] if has_binary else memoryview(b"")
    rest = chunks[2 if has_binary else 1 :]
    return text, binary, content[rest[0][1] :] if rest else b""


def _check_whole(gltf: Gltf, binary: memoryview) -> None:
    """That everything is in the file, plain."""
    if gltf.asset.version.partition(".")[0] != "2":
        raise Malformed(f"it is of glTF version {gltf.asset.version}, not 2")
    packed = [name for name in _COMPRESSED if name in gltf.extensionsUsed]
    if packed:
        raise Malformed(
            f"its meshes are compressed by {packed[0]}: unpack them with "
            "`gltf-transform cp packed.glb plain.glb` first"
        )
    for kind, sources in (("buffer", gltf.buffers), ("image", gltf.images)):
        for source in sources:
            if source.uri is not None and (kind == "buffer" or not source.uri.startswith("data:")):
                shown = source.uri if len(source.uri) <= 60 else f"{source.uri[:60]} ..."
                raise Malformed(
                    f"it needs the {kind} {shown!r}: pack all into one file with "
                    "`gltf-transform cp parts.gltf whole.glb` first"
                )
    if len(gltf.buffers) > 1:
        raise Malformed("it has more than one buffer")
    if gltf.buffers and not 0 < gltf.buffers[0].byteLength <= len(binary):
        raise Malformed("its buffer is longer than the file")


def _parents(gltf: Gltf) -> tuple[int | None, ...]:
    """Of each node; that they form trees (3.5.2)."""
    if len(gltf.nodes) > MAX_NODES:
        raise Malformed(f"it has {len(gltf.nodes)} nodes, which is beyond reason")
    parents: list[int | None] = [None] * len(gltf.nodes)
    for index, node in enumerate(gltf.nodes):
        for child in node.children:
            at(gltf.nodes, child, "node")
            if parents[child] is not None:
                raise Malformed(f"node {child} is the child of two nodes")
            parents[child] = index
    roots = [index for index, parent in enumerate(parents) if parent is None]
    reached = 0
    while roots:
        reached += 1
        roots.extend(gltf.nodes[roots.pop()].children)
    if reached != len(gltf.nodes):
        raise Malformed("its nodes are children of themselves, in a circle")
    return tuple(parents)


def at(items: tuple[Any, ...], index: int, what: str) -> Any:
    """The item that a glTF index names.

    Raises:
        Malformed: there is none.
    """
    if not 0 <= index < len(items):
        raise Malformed(f"it refers to {what} {index} of {len(items)}")
    return items[index]


def _members(text: str) -> dict[str, str]:
    """The text of each member of a JSON object that parses."""
    decoder = json.JSONDecoder()
    members, place = {}, text.index("{") + 1
    while text[place := _past_space(text, place)] != "}":
        place += text[place] == ","
        name, place = decoder.raw_decode(text, _past_space(text, place))
        start = _past_space(text, _past_space(text, place) + 1)
        place = decoder.raw_decode(text, start)[1]
        members[name] = text[start:place]
    return members


def _past_space(text: str, place: int) -> int:
    while text[place] in " \t\r\n":
        place += 1
    return place
