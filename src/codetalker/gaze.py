"""Gaze: how eyes are turned, as angles and as ARKit's eyeLook weights.

In the flow speech -> features -> codes -> **motion** -> mesh -> file. Angles are down and to the
subject's left, radians, as pitch and yaw of `codetalker.head_pose`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EYE_TURN, EYE_TURN_UP = np.radians(35.0), np.radians(25.0)
"""Of an eyeLook weight of 1: ARKit's weights against its eye angles, in 6.5 minutes of takes."""
SIDES = ("Left", "Right")
LOOKS = tuple(f"eyeLook{way}{side}" for side in SIDES for way in ("Down", "Up", "Out", "In"))
"""The blendshapes that turn the eyes."""


def eye_weights(eyes: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """The eyeLook weights (...) of both eyes turned (..., 2) down and to the subject's left,
    radians."""
    down, left = np.moveaxis(eyes, -1, 0)
    weights = {}
    for side, outward in zip(SIDES, (left, -left), strict=True):
        weights[f"eyeLookDown{side}"] = np.maximum(down, 0) / EYE_TURN
        weights[f"eyeLookUp{side}"] = np.maximum(-down, 0) / EYE_TURN_UP
        weights[f"eyeLookOut{side}"] = np.maximum(outward, 0) / EYE_TURN
        weights[f"eyeLookIn{side}"] = np.maximum(-outward, 0) / EYE_TURN
    return weights


def eye_angles(looks: NDArray[np.floating]) -> NDArray[np.float64]:
    """(T, 8) weights of `LOOKS` -> (T, 2, 2) angles: left and right eye, down and to the left."""
    down, up, out, inward = np.moveaxis(looks.reshape(-1, 2, 4).astype(np.float64), 2, 0)
    outward = (out - inward) * (1, -1)
    return np.stack([down * EYE_TURN - up * EYE_TURN_UP, outward * EYE_TURN], axis=2)
