"""Camera: where a picture is taken from; metres -> samples of the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_HEAD_ROOM = 1.12
"""Picture height over the height of what `Camera.around` shows."""

_PORTRAIT_YAW = 0.13
"""Radians: turned a little, a face shows its depth and still looks at the viewer."""


@dataclass(frozen=True)
class Camera:
    """A camera that looks along -z, turned about the vertical axis through its target.

    Attributes:
        target: (x, y, z) metres, shown in the middle of the picture.
        extent: metres that the picture's height spans at the target.
        distance: metres from the target.
        yaw: radians; positive shows more of the subject's left side.
        fades: the picture fades out at the bottom, where the mesh is cut off.
    """

    target: tuple[float, float, float]
    extent: float
    distance: float = 0.9
    yaw: float = 0.0
    fades: bool = False

    @classmethod
    def around(cls, vertices: NDArray[np.float32]) -> Camera:
        """A camera that shows a whole mesh, (V, 3) metres (or any unit) in a square picture."""
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        extent = float(max(high[:2] - low[:2])) * _HEAD_ROOM
        x, y, z = (float(c) for c in (low + high) / 2)
        return cls((x, y, z), extent, distance=3.1 * extent)

    @classmethod
    def portrait(cls, vertices: NDArray[np.float32], landmarks: NDArray[np.int32]) -> Camera:
        """A portrait from iBUG-68 landmarks: the whole head, cut off at the neck."""
        top, chin = float(vertices[:, 1].max()), float(vertices[landmarks[8], 1])
        height = top - chin
        depth = float(vertices[landmarks[27:36], 2].mean())
        extent = 1.23 * height
        target = (0.0, top + 0.10 * height - extent / 2, depth / 2)
        return cls(target, extent, 3.1 * extent, yaw=_PORTRAIT_YAW, fades=True)

    def project(self, vertices: NDArray[np.float32], size: int) -> NDArray[np.float32]:
        """(V, 3) metres -> (V, 3) float32: x right and y down in samples of a size x size picture,
        and depth (smaller is nearer), in perspective."""
        seen = self.turn(vertices - np.array(self.target, np.float32))
        nearness = self.distance / (self.distance - seen[:, 2])
        scale, middle = nearness * (size / self.extent), size / 2
        x, y = middle + seen[:, 0] * scale, middle - seen[:, 1] * scale
        seen = np.stack([x, y, -nearness], axis=1)
        return seen.astype(np.float32, copy=False)

    def turn(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """(V, 3) directions of the rig -> of the camera: x right, y up, z towards the camera."""
        c, s = np.float32(np.cos(self.yaw)), np.float32(np.sin(self.yaw))
        x, y, z = vectors[:, 0], vectors[:, 1], vectors[:, 2]
        turned = np.stack([c * x - s * z, y, s * x + c * z], axis=1)
        return turned.astype(np.float32, copy=False)
