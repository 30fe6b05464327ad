"""Character: a user's own GLB or VRM as a face that motion can move.

In the flow speech -> features -> codes -> motion -> **mesh** -> file. `motion.on(character)` gives
a `CharacterAnimation`, whose `.glb` is the user's file with the motion in it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from codetalker.arkit import ARKIT_NAMES, MOUTH
from codetalker.characters.animation import CharacterAnimation
from codetalker.characters.bones import JAW, JAW_TURN, LEFT_EYE, RIGHT_EYE, find_bones
from codetalker.characters.contact import Lips, find_lips
from codetalker.characters.expressions import meant_by_vrm
from codetalker.characters.geometry import front_of, rig_of
from codetalker.characters.gltf_file import GltfFile
from codetalker.characters.looks import surface_of
from codetalker.characters.names import (
    SOURCES,
    VISEME_SOURCES,
    Shares,
    drives,
    read_map,
    system,
)
from codetalker.characters.scene import Part, parts, target_names, turned
from codetalker.errors import RigError
from codetalker.gaze import LOOKS
from codetalker.head_pose import matrices
from codetalker.reading import refusing
from codetalker.rig import Rig
from codetalker.visemes import VOWELS, to_visemes, to_vowels

if TYPE_CHECKING:
    from codetalker.motion import Motion

_SHOWN_NAMES = 4
JAW_SHAPE = "bone: jaw"
"""A jaw bone that opens the mouth, as one of the shapes: 1 turns it by `JAW_TURN`."""
_SILENCE = "viseme_sil"
_LEFT_ALONE = ("mouthLeft", "mouthRight", "jawLeft", "jawRight", "cheekPuff", "tongueOut", _SILENCE)
MOUTH_SOURCES = np.array(
    [name not in _LEFT_ALONE and (name in MOUTH or name not in ARKIT_NAMES) for name in SOURCES]
)
"""(sources,) those that contact may move."""


@dataclass(frozen=True, eq=False)
class Character:
    """A face of somebody else's making.

    Attributes:
        path: where it was read from.
        file: its content.
        mesh_shapes: mesh -> the names of its morph targets, of meshes that have any.
        driven: shape -> what drives it (`codetalker.characters.names`).
        bones: `head`, `leftEye`, `rightEye` -> node, as far as it has them; `jaw` if it is driven.
        parts: its meshes at rest.
    """

    path: Path
    file: GltfFile
    mesh_shapes: dict[int, tuple[str, ...]]
    driven: dict[str, Shares]
    bones: dict[str, int]
    parts: list[Part]

    MOVES: ClassVar[type[CharacterAnimation]] = CharacterAnimation

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], names: str | os.PathLike[str] | None = None
    ) -> Character:
        """Read a `.glb` or `.vrm`, as data.

        Args:
            path: the file.
            names: a map of names, `.toml`, for shapes whose names say nothing.

        Raises:
            RigError: it is no such file, is damaged, or nothing in it opens the mouth.
            OptionError: the map is none.
        """
        path = Path(path)
        own = {} if names is None else read_map(Path(names))
        what = f"{path} cannot be used as a character"
        with refusing(RigError, what, "export it anew as a .glb"):
            file = GltfFile.open(path)
            targets = {i: target_names(mesh, i) for i, mesh in enumerate(file.gltf.meshes)}
            shown = parts(file)
            shapes = {part.mesh: targets[part.mesh] for part in shown if targets[part.mesh]}
            bones = find_bones(file)
            jaw = [(JAW_SHAPE,)] if JAW in bones else []
            if not shapes and not jaw:
                raise RigError(f"{path} has no morph targets; export its shape keys with it")
            known, meant = [*shapes.values(), *jaw], meant_by_vrm(file, shapes)
            driven = drives(known, own, meant)
            if jaw and system(driven) is None:
                driven = drives(known, {JAW_SHAPE: {"jawOpen": 1.0}, **own}, meant)
            _check_speaks(path, shapes, driven)
            if JAW_SHAPE not in driven:
                bones.pop(JAW, None)
            return cls(path, file, shapes, driven, bones, shown)

    @cached_property
    def shapes(self) -> tuple[str, ...]:
        """K names of shapes, each once, however many meshes have it; a driven jaw bone is last."""
        named = dict.fromkeys(name for names in self.mesh_shapes.values() for name in names)
        return (*named, JAW_SHAPE) if JAW in self.bones else tuple(named)

    @property
    def system(self) -> str:
        """What its mouth is moved by: shapes, visemes or vowels."""
        return system(self.driven) or "shapes"

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """Apple's shapes, as far as they or what stands for them would move it, that it lacks."""
        served = {source for shares in self.driven.values() for source in shares}
        if self.system == "vowels":
            return tuple(vowel for vowel in VOWELS if vowel not in served)
        if self.system == "visemes":
            return tuple(viseme for viseme in VISEME_SOURCES[1:] if viseme not in served)
        looks = LOOKS if {LEFT_EYE, RIGHT_EYE} <= self.bones.keys() else ()
        return tuple(name for name in ARKIT_NAMES if name not in served and name not in looks)

    @property
    def lack(self) -> str:
        """A line on what it lacks; empty if it lacks nothing."""
        if not self.missing:
            return ""
        kind = {"shapes": "of Apple's shapes"}.get(self.system, f"of the {self.system}")
        shown = ", ".join(self.missing[:_SHOWN_NAMES])
        more = ", ..." if len(self.missing) > _SHOWN_NAMES else ""
        return f"{self.path} lacks {len(self.missing)} {kind}: {shown}{more}"

    @cached_property
    def mixing(self) -> NDArray[np.float32]:
        """(sources, K): the share of each of `SOURCES` in each shape."""
        shares = np.zeros((len(SOURCES), len(self.shapes)), np.float32)
        for column, shape in enumerate(self.shapes):
            for source, share in self.driven.get(shape, {}).items():
                shares[SOURCES.index(source), column] = share
        return shares

    def by_name(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """(T, 52) of Apple's weights -> (T, K) of its own shapes, as the names have it."""
        visemes = to_visemes(weights) if self.system == "visemes" else np.zeros((len(weights), 15))
        vowels = to_vowels(weights) if self.system == "vowels" else np.zeros((len(weights), 5))
        sources = np.concatenate([weights, visemes, vowels], axis=1, dtype=np.float32)
        return sources @ self.mixing

    @cached_property
    def lips(self) -> Lips | None:
        """Where its lips meet; None if its shapes do not show it."""
        movable = np.asarray(self.mixing[MOUTH_SOURCES].any(axis=0))
        return find_lips(self._geometry, self.by_name, movable, shared=self.system != "shapes")

    def weights(self, motion: Motion, contact: bool = True) -> NDArray[np.float32]:
        """(T, K) weights of its shapes; with `contact`, so that its lips do as the bundled head's.

        Raises:
            RigError: the motion has none of Apple's names.
        """
        if not set(motion.names) & set(ARKIT_NAMES):
            raise RigError("the motion has none of Apple's names, which characters are moved by")
        meant = motion.weights_for(ARKIT_NAMES)
        weights = self.by_name(meant)
        if contact and self.lips:
            weights = self.lips.closed(meant, weights)
            silent = self.mixing[SOURCES.index(_SILENCE)] > 0
            rest = 1 - weights[:, self.lips.movable].sum(axis=1)
            weights[:, silent] = rest.clip(0)[:, None]
        return weights

    def animated(self, motion: Motion) -> CharacterAnimation:
        """The motion on this face; what `motion.on(character)` calls."""
        return CharacterAnimation(self, motion, self.weights(motion))

    @cached_property
    def front(self) -> NDArray[np.float64]:
        """(3, 3) the axes of its file -> those of a face that looks along +z."""
        return front_of(self.file.gltf, self.parts, self.mesh_shapes, self.driven)

    @cached_property
    def rig(self) -> Rig:
        """All its meshes at rest, with their materials, and its shapes, looking along +z."""
        return replace(self._geometry, surface=surface_of(self.file, self.parts))

    @cached_property
    def _geometry(self) -> Rig:
        posed = {}
        if JAW in self.bones:
            turn = self.front.T @ matrices(np.array([[JAW_TURN, 0, 0]]))[0] @ self.front
            posed[JAW_SHAPE] = turned(self.file, self.bones[JAW], turn)
        return rig_of(
            self.path.stem,
            self.parts,
            self.mesh_shapes,
            self.shapes,
            self.front,
            posed,
            self.file.gltf.asset.copyright,
        )


def _check_speaks(
    path: Path, shapes: Mapping[int, tuple[str, ...]], driven: Mapping[str, Shares]
) -> None:
    if system(driven) is not None:
        return
    names = list(dict.fromkeys(name for found in shapes.values() for name in found))
    shown = ", ".join(names[:_SHOWN_NAMES]) + (" ..." if len(names) > _SHOWN_NAMES else "")
    known = f", {len(driven)} of them known" if driven else ""
    raise RigError(
        f"none of the {len(names)} shapes of {path} is known to open the mouth ({shown}{known}); "
        "say what drives them in a map: --names map.toml"
    )
