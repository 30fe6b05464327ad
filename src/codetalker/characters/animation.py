"""A motion on a character: its shapes' weights over time, and what files are made of.

In the flow speech -> features -> codes -> motion -> **mesh** -> file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from codetalker import files
from codetalker.animation import Animation
from codetalker.gaze import LOOKS, eye_angles

if TYPE_CHECKING:
    from codetalker.audio import Waveform
    from codetalker.characters.character import Character
    from codetalker.motion import Motion
    from codetalker.progress import Progress


@dataclass(frozen=True, eq=False)
class CharacterAnimation:
    """A motion on a character.

    Attributes:
        character: the face.
        motion: in Apple's names, for formats that take it so; with the sound and the head's turn.
        weights: (T, K) float32, a column for each of the character's `shapes`.
    """

    character: Character
    motion: Motion
    weights: NDArray[np.float32]

    FORMS: ClassVar[tuple[str, ...]] = ("character", "weights", "animation", "meshes")

    def __len__(self) -> int:
        """Frames."""
        return len(self.weights)

    @property
    def fps(self) -> float:
        """Frames per second."""
        return self.motion.fps

    @property
    def audio(self) -> Waveform | None:
        """The speech, or None."""
        return self.motion.audio

    @property
    def duration(self) -> float:
        """Seconds that the frames cover."""
        return self.motion.duration

    @cached_property
    def eyes(self) -> NDArray[np.float64] | None:
        """(T, 2, 2) angles of the left and the right eye, down and to the left; None if no shape
        or bone of the character is to turn for them."""
        looks = self.motion.weights_for(LOOKS)
        shaped = {source for shares in self.character.driven.values() for source in shares}
        return None if shaped & set(LOOKS) or not looks.any() else eye_angles(looks)

    def form(self, name: str) -> Any:
        """One of `FORMS`, for the formats of `codetalker.files`."""
        forms = {"character": lambda: self, "weights": lambda: self.motion}
        return forms.get(name, self._animation)()

    def _animation(self) -> Animation:
        return Animation(self.character.rig, self.weights, self.fps, self.audio)

    def save(
        self, path: str | os.PathLike[str], /, progress: Progress | None = None, **options: Any
    ) -> Path:
        """Write a file in the format of the suffix; see `Motion.save`. A `.glb` or `.vrm` is the
        character's own file with the motion in it."""
        return files.save(self, path, progress, **options)
