"""Sheet: a picture of every shape of a character, with its name, and of the face at rest.

In the flow ... -> mesh -> **picture**.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from codetalker.characters.character import Character
from codetalker.render.camera import Camera
from codetalker.render.colour import CLAY
from codetalker.render.lettering import lettered
from codetalker.render.renderer import Finish, Renderer

_COLUMNS = 8
_ROOM = 1.25
"""Picture height over that of what the shapes move."""
_MOVED = 0.02
"""Of the most that any shape moves anything: what counts as moved."""
_PAPER, _INK, _GREY = (255, 255, 255), (38, 54, 80), (170, 170, 170)
"""sRGB: a name that motion drives is in ink, another one in grey."""


def shape_sheet(character: Character, tile: int = 160) -> NDArray[np.uint8]:
    """(H, 8 * tile, 3) uint8 sRGB: the face at rest, then under each shape at weight 1."""
    renderer = face_renderer(character, tile)
    rig = character.rig
    rows = []
    poses = [("at rest", rig.template), *zip(rig.blendshape_names, rig.blendshapes, strict=True)]
    tiles = []
    for place, (name, moved) in enumerate(poses):
        picture = renderer.frame(rig.template + moved if place else moved)
        ink = _INK if not place or name in character.driven else _GREY
        tiles.append(np.concatenate([picture, lettered(name, tile, ink, _PAPER)]))
    blank = np.full_like(tiles[0], 255)
    tiles += [blank] * (-len(tiles) % _COLUMNS)
    for start in range(0, len(tiles), _COLUMNS):
        rows.append(np.concatenate(tiles[start : start + _COLUMNS], axis=1))
    return np.concatenate(rows)


def face_renderer(character: Character, size: int) -> Renderer:
    """A renderer of the part of the character that its shapes move, without its textures."""
    rig = character.rig
    reach = np.linalg.norm(rig.blendshapes, axis=2).max(axis=0)
    face = rig.template[reach > _MOVED * reach.max()]
    camera = Camera.around(face)
    camera = Camera(camera.target, camera.extent * _ROOM, camera.distance * _ROOM)
    colours = np.concatenate(
        [np.tile(_shown(part.colour), (len(part.vertices), 1)) for part in character.parts]
    )
    return Renderer(
        rig.template,
        rig.triangles,
        finish=Finish.clay(rig.triangles, colours),
        camera=camera,
        size=size,
        moving=reach > 0,
    )


def _shown(linear: tuple[float, float, float]) -> NDArray[np.float64]:
    """sRGB of a material; clay where its colour is white, and all in the texture."""
    return np.array(CLAY) if min(linear) > 0.99 else np.clip(linear, 0, 1) ** (1 / 2.2)
