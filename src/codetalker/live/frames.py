"""Frame: one moment of a face, as every protocol takes it; and the two plain encodings.

In the flow speech -> features -> codes -> motion -> **wire**.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from codetalker.arkit import ARKIT_NAMES
from codetalker.gaze import LOOKS, eye_angles
from codetalker.motion import Motion


@dataclass(frozen=True, eq=False)
class Frame:
    """One moment of a face.

    Attributes:
        number: frames of the sound before it.
        time: seconds in the sound's clock.
        weights: (52,) float32 in Apple's order, 0 for what the model has not.
        head: (3,) pitch, yaw, roll in radians, as `codetalker.head_pose` has them.
        eyes: (2, 2) of the left and right eye, radians down and to the subject's left.
    """

    number: int
    time: float
    weights: NDArray[np.float32]
    head: NDArray[np.float32]
    eyes: NDArray[np.float64]


def frames_of(motion: Motion) -> Iterator[Frame]:
    """The frames of a piece of motion, each at its place in the sound."""
    first = round(motion.start * motion.fps)
    weights = motion.weights_for(ARKIT_NAMES)
    head = np.zeros((len(motion), 3), np.float32) if motion.head is None else motion.head
    eyes = eye_angles(motion.weights_for(LOOKS))
    for i, number in enumerate(range(first, first + len(motion))):
        yield Frame(number, number / motion.fps, weights[i], head[i], eyes[i])


@dataclass(frozen=True)
class Shapes:
    """Which shapes of a face are written.

    Attributes:
        names: K.
        of: (52,) weights in Apple's order -> (K,).
    """

    names: tuple[str, ...]
    of: Callable[[NDArray[np.float32]], NDArray[np.float32]] = lambda weights: weights


ARKIT = Shapes(ARKIT_NAMES)


class Encoding(Protocol):
    """How a protocol writes frames.

    Attributes:
        opening: bytes before the first frame; none for most.
    """

    opening: bytes

    def packets(self, frame: Frame) -> list[bytes]:
        """The datagrams, or the piece of a stream, of one frame."""
        ...


class JsonLines:
    """A line of JSON for each frame, after one that says what they hold.

    `{"names": [...], "fps": 25.0, "latency": 0.2}`, then
    `{"frame": 0, "time": 0.0, "weights": [...], "head": [pitch, yaw, roll]}` with the weights in
    the order of the names and angles in radians.
    """

    def __init__(self, fps: float, latency: float, shapes: Shapes = ARKIT) -> None:
        self.opening = _line({"names": shapes.names, "fps": fps, "latency": round(latency, 6)})
        self._shapes = shapes

    def packets(self, frame: Frame) -> list[bytes]:
        """One line."""
        values = {
            "frame": frame.number,
            "time": round(frame.time, 6),
            "weights": [round(weight, 5) for weight in self._shapes.of(frame.weights).tolist()],
            "head": [round(angle, 5) for angle in frame.head.tolist()],
        }
        return [_line(values)]


class Raw:
    """55 little-endian float32 for each frame: weights in Apple's order; pitch, yaw and roll.

    Args:
        shapes: that are written instead.
        stamped: whether the time comes first, a little-endian float64.
    """

    opening = b""

    def __init__(self, shapes: Shapes = ARKIT, stamped: bool = False) -> None:
        self._shapes, self._stamped = shapes, stamped

    def packets(self, frame: Frame) -> list[bytes]:
        """220 bytes; 228 with the time."""
        time = struct.pack("<d", frame.time) if self._stamped else b""
        values = np.concatenate([self._shapes.of(frame.weights), frame.head])
        return [time + values.astype("<f4").tobytes()]


def _line(values: dict[str, object]) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"
