"""Animation: a face in motion, what pictures and mesh files are made of.

In the flow speech -> features -> codes -> motion -> **mesh** -> file. `Motion.on(rig)` makes one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from codetalker import files
from codetalker.files.mesh import Mesh
from codetalker.rig import Rig

if TYPE_CHECKING:
    from codetalker.audio import Waveform
    from codetalker.progress import Progress


@dataclass(frozen=True, eq=False)
class Animation:
    """A rig with weights over time; frame i is at i / fps seconds of the sound.

    Attributes:
        rig: the face.
        weights: (T, K) float32, a column for each of the rig's blendshapes.
        fps: frames per second.
        audio: the speech, for formats that carry sound; or None.
        error: how far a vertex is off at most, in the rig's unit, where rig and weights were made
            to follow vertices (`VertexMotion.as_shapes`); else 0.
        head: (T, 3) float32 pitch, yaw, roll in radians (`codetalker.head_pose`); None for a head
            that is still, as is that of a rig without a `neck`.
    """

    rig: Rig
    weights: NDArray[np.float32]
    fps: float
    audio: Waveform | None = None
    error: float = 0.0
    head: NDArray[np.float32] | None = None

    FORMS: ClassVar[tuple[str, ...]] = ("animation", "meshes")

    def __len__(self) -> int:
        """Frames."""
        return len(self.weights)

    @property
    def duration(self) -> float:
        """Seconds that the frames cover, T / fps."""
        return len(self) / self.fps

    def vertices(self, frames: slice = slice(None)) -> NDArray[np.float32]:
        """(N, V, 3) float32 positions in those frames, in the rig's unit (metres).

        That is 62 kB per frame of the bundled head: take long animations in slices.
        """
        posed = self.rig.vertices(self.weights[frames])
        return posed if self.head is None else self.rig.turned(posed, self.head[frames])

    def mesh(self, frame: int) -> Mesh:
        """The face in one frame."""
        return Mesh(self.vertices(slice(frame, frame + 1))[0], self.rig.triangles)

    def form(self, name: str) -> Animation:
        """One of `FORMS`, for the formats of `codetalker.files`."""
        return self

    def save(
        self, path: str | os.PathLike[str], /, progress: Progress | None = None, **options: Any
    ) -> Path:
        """Write a file in the format of the suffix; see `Motion.save`."""
        return files.save(self, path, progress, **options)
