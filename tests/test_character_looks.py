"""Pictures of a character have the colours of its textures."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from character_data import HEAD, ShapedMesh, character
from codetalker import Character
from codetalker.motion import Motion
from codetalker.reading import Malformed
from codetalker.render.camera import Camera
from codetalker.render.image import decode_picture, decode_png, encode_jpeg, encode_png
from codetalker.render.renderer import Renderer
from test_character_files import edited

JAW = {"jawOpen": np.array([[0, -0.1, 0]] * 3)}
FACE = ShapedMesh("Face", np.eye(3), np.array([[0, 1, 2]]), JAW, (0.5, 0.25, 0.1))


def test_our_own_head_looks_as_it_does_when_it_comes_back_as_a_character(tmp_path: Path) -> None:
    """Its skin is a JPEG, its lashes a PNG that lets through."""
    motion = Motion(np.zeros((2, 52), np.float32), HEAD.blendshape_names, 25.0)
    rig = Character.load(motion.save(tmp_path / "head.glb")).rig
    camera = Camera.around(HEAD.template)
    assert rig.surface is not None
    own, back = (
        Renderer.of(r, 200, camera=camera).frame(r.template).astype(int) for r in (HEAD, rig)
    )
    face = np.s_[50:150, 60:140]
    assert np.abs(own - back)[face].mean() < 2  # of 255: half the texture's size
    assert decode_png(rig.surface.texture).shape == (1024, 512, 4)  # two for all materials
    assert [m.name for m in rig.surface.materials if m.blended] == ["lashes"]


def test_a_factor_dims_the_texture_and_coordinates_repeat(tmp_path: Path) -> None:
    """Red over blue, taken a whole texture further down: the corners are in the upper half."""
    picture = np.zeros((2, 1, 3), np.uint8)
    picture[0, 0, 0], picture[1, 0, 2] = 255, 255
    rig = textured(tmp_path, encode_png(picture), uv=(0.5, 7.25))
    assert rig.surface is not None
    texture = decode_png(rig.surface.texture)
    x, y = (rig.surface.uv[0] * texture.shape[1::-1]).astype(int)
    red, green, blue, alpha = (int(value) for value in texture[y, x])
    assert red == pytest.approx(255 * 0.7354, abs=1)  # sRGB of 0.5
    assert (green, blue, alpha) == (0, 0, 255)


@pytest.mark.parametrize(
    "data",
    [b"\x89PNG\r\n\x1a\n cut", b"RIFF....WEBP", encode_png(np.zeros((64, 64, 3), np.uint8))[:80]],
)
def test_a_picture_that_cannot_be_shown_leaves_the_plain_colour(
    data: bytes, tmp_path: Path
) -> None:
    with pytest.raises(Malformed):
        decode_picture(data, 64)
    rig = textured(tmp_path, data, uv=(0.5, 0.5))
    assert rig.surface is not None
    (material,) = rig.surface.materials
    assert material.colour == pytest.approx(np.array((0.5, 0.25, 0.1)) ** (1 / 2.2), abs=0.01)


def test_pictures_are_made_smaller_and_immense_ones_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    grey = np.full((60, 30, 3), 90, np.uint8)
    small = decode_picture(encode_jpeg(grey), 20)
    assert small.shape == (20, 10, 4)
    assert np.abs(small[..., :3].astype(int) - 90).max() <= 4
    monkeypatch.setattr("codetalker.render.image._MOST_PIXELS", 1000)
    with pytest.raises(Malformed, match="immense"):
        decode_picture(encode_png(grey), 20)


def textured(folder: Path, data: bytes, uv: tuple[float, float]):
    """The rig of a triangle all of whose corners are at `uv` of that picture."""

    def change(document) -> None:
        view = document["bufferViews"][document["images"][0]["bufferView"]]
        start = document["buffers"][0]["byteLength"]
        view |= {"byteOffset": start, "byteLength": len(data)}
        corners = document["meshes"][0]["primitives"][0]["attributes"]["TEXCOORD_0"]
        place = start + len(data) + -len(data) % 4
        document["bufferViews"].append({"buffer": 0, "byteOffset": place, "byteLength": 24})
        document["accessors"][corners]["bufferView"] = len(document["bufferViews"]) - 1
        document["buffers"][0]["byteLength"] = place + 24

    content = edited(character([FACE]), change)
    more = data + bytes(-len(data) % 4) + struct.pack("<6f", *uv * 3)
    length = struct.unpack_from("<I", content, 12)[0]
    size = struct.unpack_from("<I", content, 20 + length)[0]
    content = bytearray(content + more)
    struct.pack_into("<I", content, 20 + length, size + len(more))
    struct.pack_into("<I", content, 8, len(content))
    (folder / "a.glb").write_bytes(content)
    return Character.load(folder / "a.glb").rig
