"""Live Link Face over UDP: what Epic's app sends and Unreal's source receives on port 11111.

In the flow speech -> features -> codes -> motion -> **wire**. Big-endian: u8 version 6; device id
and subject, each an i32 length and its bytes; i32 frame, f32 subframe, i32 / i32 frame rate; u8 61
and as many f32: Apple's 52 weights in Apple's order, where the app's recordings swap jawLeft and
jawRight, mouthLeft and mouthRight; then yaw, pitch, roll of head, left and right eye, radians.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from uuid import NAMESPACE_URL, uuid5

import numpy as np
from numpy.typing import NDArray

from codetalker.live.frames import Frame

PORT = 11111
_VERSION, _VALUES = 6, 61
_TO_THE_RIGHT = -1.0
"""The app's axes are left-handed: + yaw and + roll are to the subject's right."""


class LiveLinkFace:
    """The packets of one subject.

    The frame rate is the motion's own, 25/1, and the frame number that of the sound's clock.

    Args:
        subject: its name in Unreal.
        fps: frames per second.
        device: 36 characters; the same for a subject wherever it is sent from by default.
    """

    opening = b""

    def __init__(self, subject: str, fps: float, device: str | None = None) -> None:
        device = device or str(uuid5(NAMESPACE_URL, f"codetalker:{subject}")).upper()
        texts = (text.encode() for text in (device, subject))
        self._head = struct.pack(">B", _VERSION) + b"".join(
            struct.pack(">i", len(text)) + text for text in texts
        )
        self._rate = Fraction(fps).limit_denominator(1001)

    def packets(self, frame: Frame) -> list[bytes]:
        """One datagram."""
        time = struct.pack(
            ">ifiiB", frame.number, 0.0, self._rate.numerator, self._rate.denominator, _VALUES
        )
        return [self._head + time + values(frame).astype(">f4").tobytes()]


def values(frame: Frame) -> NDArray[np.float64]:
    """(61,) weights in Apple's order; yaw, pitch, roll of head, left and right eye, radians."""
    pitch, yaw, roll = frame.head
    turns = [_TO_THE_RIGHT * yaw, pitch, _TO_THE_RIGHT * roll]
    for down, left in frame.eyes:
        turns += [_TO_THE_RIGHT * left, down, 0.0]
    return np.concatenate([frame.weights, turns])
