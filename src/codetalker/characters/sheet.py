"""Sheet: a picture of every shape of a character, with its name, and of the face at rest.

In the flow ... -> mesh -> **picture**.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from codetalker.characters.character import Character
from codetalker.render.lettering import lettered
from codetalker.render.renderer import Renderer

_COLUMNS = 8
_PAPER, _INK, _GREY = (255, 255, 255), (38, 54, 80), (170, 170, 170)
"""sRGB: a name that motion drives is in ink, another one in grey."""


def shape_sheet(character: Character, tile: int = 160) -> NDArray[np.uint8]:
    """(H, 8 * tile, 3) uint8 sRGB: the face at rest, then under each shape at weight 1."""
    renderer = Renderer.of(character.rig, tile)
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
