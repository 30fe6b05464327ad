"""VertexMotion: a face whose every vertex moves, as the published models make it.

In the flow speech -> features -> codes -> **motion -> mesh -> file**. Frame 0 is at audio sample 0.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from codetalker import files
from codetalker.animation import Animation
from codetalker.curves import frame_count, resample_curves
from codetalker.errors import MotionError
from codetalker.files.mesh import Mesh, check_triangles
from codetalker.files.npz import VERTICES, read_motion
from codetalker.motion import check_fps
from codetalker.rig import Rig

if TYPE_CHECKING:
    from codetalker.audio import Waveform
    from codetalker.progress import Progress

SHAPES = 128
"""Shapes at most into which `as_shapes` takes a motion apart."""
TOLERANCE = 5e-4
"""Error of the shapes at any vertex in any frame, over the face's size, at which they suffice."""
_BASIS_FRAMES = 1000  # the shapes are found from that many frames at most, evenly spread


@dataclass(frozen=True, eq=False)
class VertexMotion:
    """Vertices per frame.

    Attributes:
        vertices: (T, V, 3) float32, in the template's unit.
        template: (V, 3) float32, the face at rest.
        triangles: (F, 3) int32, or None where only the vertices are known.
        fps: frames per second.
        audio: the speech that the motion belongs to, for formats that carry sound; or None.
        codes: (T, H) int64 rows of the model's codebook that the frames were decoded from; or None.

    Raises:
        MotionError: shapes and rate do not belong together, a vertex is not finite, or a triangle
            is of vertices that the face lacks.
    """

    vertices: NDArray[np.float32]
    template: NDArray[np.float32]
    fps: float
    triangles: NDArray[np.int32] | None = None
    audio: Waveform | None = None
    codes: NDArray[np.int64] | None = None

    FORMS: ClassVar[tuple[str, ...]] = ("vertices", "animation", "meshes")

    def __post_init__(self) -> None:
        vertices, template = self.vertices, self.template
        if template.ndim != 2 or template.shape[1] != 3 or vertices.shape[1:] != template.shape:
            raise MotionError(
                f"vertices of shape {vertices.shape} do not fit a template of shape "
                f"{template.shape}; pass (T, V, 3) and (V, 3)"
            )
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise MotionError(f"a motion of {self.fps} frames per second; pass a positive rate")
        if not (np.isfinite(vertices).all() and np.isfinite(template).all()):
            raise MotionError("the vertices hold NaN or infinite values; remove them first")
        if self.triangles is not None:
            check_triangles(self.triangles, len(template), MotionError)

    def __len__(self) -> int:
        """Frames."""
        return len(self.vertices)

    @property
    def duration(self) -> float:
        """Seconds that the frames cover, T / fps."""
        return len(self) / self.fps

    def resample(self, fps: float) -> VertexMotion:
        """The same motion at another rate: low-passed when slower, smooth in between when faster.

        Raises:
            OptionError: fps is not above 0 and at most 240.
        """
        check_fps(fps)
        if fps == self.fps or not len(self):
            return replace(self, fps=fps)
        count = frame_count(self.duration, fps)
        curves = resample_curves(self.vertices.reshape(len(self), -1), self.fps, fps, count)
        return replace(self, vertices=curves.reshape(count, -1, 3), fps=fps, codes=None)

    def as_shapes(self, limit: int = SHAPES, tolerance: float = TOLERANCE) -> Animation:
        """Take the motion apart into principal shapes with weights over time.

        As many shapes as keep every vertex of every frame within `tolerance` of the face's size
        (the diagonal of its bounding box), and at most `limit`.

        Raises:
            MotionError: the triangles are unknown.
        """
        if self.triangles is None:
            raise MotionError("the face has no triangles; give a template mesh that has some")
        offsets = (self.vertices - self.template).reshape(len(self), -1)
        basis = _principal_axes(offsets, limit)
        weights = offsets @ basis.T
        size = float(np.linalg.norm(np.ptp(self.template, axis=0)))
        count, rest = 0, offsets.copy()
        error = _largest_distance(rest)
        while count < len(basis) and (count == 0 or error > tolerance * size):
            rest -= weights[:, count, None] * basis[count]
            count += 1
            error = _largest_distance(rest)
        reach = np.abs(weights[:, :count]).max(axis=0, initial=0)
        reach[reach == 0] = 1
        rig = Rig(
            name=f"face ({count} shapes, error at most {error / size:.1e} of its size)",
            template=self.template,
            triangles=self.triangles,
            blendshape_names=tuple(f"shape_{i + 1:03d}" for i in range(count)),
            blendshapes=(basis[:count] * reach[:, None]).reshape(count, -1, 3),
            regions={},
            lip_gap=np.empty((2, 0), np.int32),
            landmarks=np.empty(0, np.int32),
        )
        return Animation(rig, weights[:, :count] / reach, self.fps, self.audio, error)

    def mesh(self, frame: int) -> Mesh:
        """The face in one frame."""
        return Mesh(self.vertices[frame], self.triangles)

    def form(self, name: str) -> VertexMotion | Animation:
        """One of `FORMS`, for the formats of `codetalker.files`."""
        return self.as_shapes() if name == "animation" else self

    def save(
        self, path: str | os.PathLike[str], /, progress: Progress | None = None, **options: Any
    ) -> Path:
        """Write in the format of the suffix, and say where; see `Motion.save`.

        `.npz` holds all arrays; `.glb` and `.mp4` the motion as `as_shapes` gives it; `.obj` and
        `.ply` are exact.

        Raises:
            OutputError: the suffix is unknown, or nothing can be written there.
            MotionError: the format needs triangles, and they are unknown.
            OptionError: the format has no such option.
        """
        return files.save(self, path, progress, **options)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> VertexMotion:
        """Read the `.npz` file that `save` writes; it carries no sound.

        Raises:
            MotionError: there is no such file, or it is none of these.
        """
        arrays = read_motion(path, VERTICES)
        return VertexMotion(
            vertices=arrays["vertices"],
            template=arrays["template"],
            fps=arrays["fps"].item(),
            triangles=arrays.get("triangles"),
        )


def _principal_axes(offsets: NDArray[np.float32], limit: int) -> NDArray[np.float32]:
    """(T, N) offsets -> (K, N) orthonormal axes, the most important first.

    They are not centred: 0 is the face at rest. A still face gives one axis, of zeros.
    """
    if not offsets.any():
        return np.zeros_like(offsets[:1])
    picked = offsets[:: -(-len(offsets) // _BASIS_FRAMES)].astype(np.float64)
    values, vectors = np.linalg.eigh(picked @ picked.T)
    keep = np.flatnonzero(values > 1e-10 * values[-1])[::-1][:limit]
    return (vectors[:, keep].T / np.sqrt(values[keep])[:, None] @ picked).astype(np.float32)


def _largest_distance(offsets: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.square(offsets.reshape(-1, 3)).sum(axis=1).max(initial=0)))
