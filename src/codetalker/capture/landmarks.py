"""Landmarks: the points of a face that a tracker saw in every frame of a film.

In the flow **film -> landmarks** -> still head -> weights -> corpus. Points are MediaPipe's: 468 of
the face and, from trackers that see them, 10 of the irises. What comes after knows no tracker.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codetalker.arrays import Field, read_npz
from codetalker.capture.points import EYES, POINTS
from codetalker.curves import between, usual_rate
from codetalker.disk import replacing
from codetalker.errors import DataError
from codetalker.reading import Malformed, refusing

WITH_IRISES = 478
BRIDGED_S = 0.2
"""Seconds without a face that are filled from both sides."""
_LAYOUT = {
    "times": Field(np.float64, "frames"),
    "points": Field(np.float32, "frames points 3", finite=False),
    "size": Field(np.int64, "2", least=1),
    "rivals": Field(np.float32, "frames", least=0, optional=True),
}


@dataclass(frozen=True, eq=False)
class Landmarks:
    """The points of one face.

    Attributes:
        times: (T,) seconds of the sound, rising.
        points: (T, P, 3) float32 pixels: to the right, down, and away from the camera; NaN in a
            frame without a face. P is 468, or 478 with irises.
        rivals: (T,) size of the largest other face in the picture, as a share of this one's.
        size: width and height of the picture.
    """

    times: NDArray[np.float64]
    points: NDArray[np.float32]
    rivals: NDArray[np.float32]
    size: tuple[int, int]

    @property
    def seen(self) -> NDArray[np.bool_]:
        """(T,) whether there is a face."""
        return np.asarray(np.isfinite(self.points).all((1, 2)))

    @property
    def fps(self) -> float:
        """Frames per second."""
        return usual_rate(self.times)

    @property
    def eyes_px(self) -> float:
        """Distance of the eyes' outer corners in the picture, mostly; 0 if no face is seen."""
        right, left = (self.points[self.seen][:, eye, :2] for eye in EYES)
        return float(np.median(np.linalg.norm(left - right, axis=1))) if len(left) else 0.0

    def parts(self, fps: float, shortest: float) -> list[tuple[float, NDArray[np.float32]]]:
        """Where the face is seen: start in seconds and (T, P, 3) points at `fps`.

        Time stamps may be uneven; frames lie at whole multiples of 1 / fps. What is missing for
        `BRIDGED_S` is filled, longer losses divide, and parts shorter than `shortest` are dropped.
        """
        seen = np.flatnonzero(self.seen)
        if len(seen) < 2:
            return []
        times = self.times[seen]
        breaks = np.flatnonzero(np.diff(times) > BRIDGED_S + 1.5 / fps) + 1
        found = []
        for part in np.split(np.arange(len(seen)), breaks):
            first = int(np.ceil(times[part[0]] * fps - 0.5))
            last = int(np.floor(times[part[-1]] * fps + 0.5))
            if part[0] > 0 or part[-1] < len(seen) - 1:
                first, last = first + 1, last - 1  # beside a loss, the tracker guesses
            if (last + 1 - first) / fps < shortest:
                continue
            moments = np.arange(max(first, 0), last + 1) / fps
            points = between(moments, times[part], self.points[seen[part]])
            found.append((float(moments[0]), points))
        return found

    def save(self, path: Path) -> None:
        """Write the arrays as `.npz`; the file appears whole or not at all."""
        with replacing(path) as temporary:
            np.savez_compressed(
                temporary,
                times=self.times,
                points=self.points,
                size=np.array(self.size),
                rivals=self.rivals,
            )

    @staticmethod
    def load(path: Path) -> Landmarks:
        """Read what `save` writes, or another tracker does.

        Raises:
            DataError: there is no such file, or it holds something else.
        """
        with refusing(
            DataError, f"{path} holds no landmarks", "see docs/capture.md for its arrays"
        ):
            arrays = read_npz(path, _LAYOUT)
            times, points = arrays["times"], arrays["points"]
            if points.shape[1] not in (POINTS, WITH_IRISES):
                raise Malformed(f"{points.shape[1]} points are not MediaPipe's 468 or 478")
            if not (np.diff(times) > 0).all():
                raise Malformed("its times do not rise")
            width, height = arrays["size"].tolist()
            alone = np.zeros(len(times), np.float32)
            return Landmarks(times, points, arrays.get("rivals", alone), (width, height))
