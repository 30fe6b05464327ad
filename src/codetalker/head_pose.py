"""Head pose: how the head is turned, as angles, matrices and quaternions.

In the flow speech -> features -> codes -> **motion -> mesh** -> file. Angles are (T, 3) pitch, yaw,
roll in radians, in the rig's axes (+x the subject's left, +y up, +z out of the face): + pitch is
nose down, + yaw nose to the subject's left, + roll the subject's left ear up. The turn is
R = Rz(roll) Ry(yaw) Rx(pitch).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def quaternions(angles: NDArray[np.floating]) -> NDArray[np.float32]:
    """(T, 3) angles -> (T, 4) unit quaternions x, y, z, w, w >= 0 for turns below 180 degrees."""
    (sx, sy, sz), (cx, cy, cz) = np.sin(angles.T / 2), np.cos(angles.T / 2)
    x = sx * cy * cz - cx * sy * sz
    y = cx * sy * cz + sx * cy * sz
    z = cx * cy * sz - sx * sy * cz
    w = cx * cy * cz + sx * sy * sz
    return np.stack([x, y, z, w], axis=1).astype(np.float32)


def matrices(angles: NDArray[np.floating]) -> NDArray[np.float32]:
    """(T, 3) angles -> (T, 3, 3) rotation matrices."""
    (sx, sy, sz), (cx, cy, cz) = np.sin(angles.T), np.cos(angles.T)
    rows = [
        [cy * cz, sx * sy * cz - cx * sz, cx * sy * cz + sx * sz],
        [cy * sz, sx * sy * sz + cx * cz, cx * sy * sz - sx * cz],
        [-sy, sx * cy, cx * cy],
    ]
    return np.moveaxis(np.array(rows), 2, 0).astype(np.float32)


def angles_of(turns: NDArray[np.floating]) -> NDArray[np.float64]:
    """(T, 3, 3) rotation matrices -> (T, 3) angles, the inverse of `matrices` for yaws below a
    quarter of a circle."""
    pitch = np.arctan2(turns[:, 2, 1], turns[:, 2, 2])
    yaw = -np.arcsin(np.clip(turns[:, 2, 0], -1, 1))
    roll = np.arctan2(turns[:, 1, 0], turns[:, 0, 0])
    return np.stack([pitch, yaw, roll], 1).astype(np.float64)
