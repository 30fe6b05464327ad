"""iFacialMocap's text over UDP, which Blender's and other add-ons receive on port 49983.

In the flow speech -> features -> codes -> motion -> **wire**. `name-percent|` for each blendshape,
then `=head#`, `rightEye#`, `leftEye#` with angles in degrees. Its axes are ARKit's, which are ours:
in the example of its specification the eyes look down and to the subject's left where the angles
are positive.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from codetalker.arkit import ARKIT_NAMES
from codetalker.live.frames import Frame

PORT = 49983
_WHOLE = ("jawLeft", "jawRight", "mouthLeft", "mouthRight")
NAMES = tuple(
    name if name in _WHOLE else re.sub("(Left|Right)$", lambda side: f"_{side[0][0]}", name)
    for name in ARKIT_NAMES
)
"""Of the blendshapes: `mouthSmile_L` for mouthSmileLeft."""


class IFacialMocap:
    """The packets of a face; the head turns where it is."""

    opening = b""

    def packets(self, frame: Frame) -> list[bytes]:
        """One datagram."""
        percent = np.rint(100 * frame.weights).astype(int)
        shapes = "".join(f"{name}-{value}|" for name, value in zip(NAMES, percent, strict=True))
        left, right = ((down, aside, 0.0) for down, aside in frame.eyes)
        head = f"{_degrees(frame.head)},0,0,0"
        return [
            f"{shapes}=head#{head}|rightEye#{_degrees(right)}|leftEye#{_degrees(left)}|".encode()
        ]


def _degrees(angles: NDArray[np.floating] | tuple[float, ...]) -> str:
    return ",".join(f"{angle:.4f}" for angle in np.degrees(angles))
