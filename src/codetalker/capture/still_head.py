"""A still head: landmarks in the rig's axes and scale, with the head's own movement taken out.

In the flow film -> landmarks -> **still head** -> weights -> corpus. Each frame is laid on the mean
face of the speaker by a similarity of the points that move with the skull alone; the mean face on
the bundled head, whose eyes are as far apart. Perspective is weak: near enough at an arm's length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codetalker.capture.points import EYES, FAR, RIGID, face_points, iod
from codetalker.head_pose import angles_of, matrices

_TURN_S, _SCALE_S, _SHIFT_S = 0.08, 0.12, 0.032
"""Seconds over which the head's turn, size and place are smoothed (a Gaussian's sigma)."""
_FAR_SHARE = 0.3
"""What a point beside the face counts: its depth is guessed, and a turned head hides it."""
_ROUNDS, _ENOUGH = 4, 3000
"""Of laying frames on their mean; and frames for it."""
_DISTANCE_M = 1.0
"""From the camera, taken for granted: only its changes show."""

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Still:
    """A part of a take whose head is held still.

    Attributes:
        points: (T, P, 3) float32 metres in the rig's axes.
        pose: (T, 6) pitch, yaw, roll (`codetalker.head_pose`), and where the head is in metres:
            to the right and up from the middle of the picture, and nearer than mostly.
    """

    points: NDArray[np.float32]
    pose: Array


def mean_face(parts: Sequence[NDArray[np.float32]]) -> Array:
    """(P, 3) metres: the mean of a speaker's frames laid upon each other, on the bundled head.

    Args:
        parts: (T, P, 3) pixels each, as `Landmarks` has them.
    """
    step = max(1, sum(map(len, parts)) // _ENOUGH)
    frames = np.concatenate([_upright(part[::step]) for part in parts])
    rest = mean = face_points().rest
    for _ in range(_ROUNDS):
        scale, turn, shift = similarity(frames, mean)
        mean = ((frames - shift[:, None]) @ turn / scale[:, None, None]).mean(0)
        scale, turn, shift = similarity(mean[None], rest)
        mean = (mean - shift) @ turn[0] / scale
    right, left = mean[list(EYES)]
    middle = rest[list(RIGID)].mean(0)
    return (mean - middle) * (iod() / np.linalg.norm(left - right)) + middle


def hold_still(part: NDArray[np.float32], mean: Array, fps: float, size: tuple[int, int]) -> Still:
    """The frames of a part, laid on the mean face by a movement of the head that is smooth.

    Args:
        part: (T, P, 3) pixels, as `Landmarks` has them.
        mean: of `mean_face`.
        fps: frames per second.
        size: width and height of the picture.
    """
    frames = _upright(part) - (size[0] / 2, -size[1] / 2, 0.0)
    scale, turn, shift = similarity(frames, mean)
    usual = float(np.median(scale))
    centre = mean[list(RIGID)].mean(0)
    places = shift + scale[:, None] * (turn @ centre)
    angles = smoothed(angles_of(turn), _TURN_S * fps)
    turn = matrices(angles).astype(np.float64)
    scale = np.exp(smoothed(np.log(scale)[:, None], _SCALE_S * fps))
    shift = smoothed(places, _SHIFT_S * fps) - scale * (turn @ centre)
    points = (frames - shift[:, None]) @ turn / scale[:, :, None]
    place = np.hstack([shift[:, :2] / scale, _DISTANCE_M * (1 - usual / scale)])
    return Still(points.astype(np.float32), np.hstack([angles, place]))


def _upright(part: NDArray[np.float32]) -> Array:
    """The same with the rig's axes: up, and towards the camera."""
    return part.astype(np.float64) * (1.0, -1.0, -1.0)


def similarity(frames: Array, reference: Array) -> tuple[Array, Array, Array]:
    """Scale (T,), turn (T, 3, 3) and shift (T, 3) with frame = scale turn reference + shift.

    Weighted least squares (Umeyama 1991) of the `RIGID` of (T, P, 3) frames and (P, 3) points.
    """
    frames, reference = frames[:, list(RIGID)], reference[list(RIGID)]
    share = np.where(np.isin(RIGID, FAR), _FAR_SHARE, 1.0)
    share /= share.sum()
    centre, centres = share @ reference, np.einsum("p,tpi->ti", share, frames)
    own, theirs = reference - centre, frames - centres[:, None]
    u, strength, v = np.linalg.svd(np.einsum("p,tpi,pj->tij", share, theirs, own))
    sign = np.ones_like(strength)
    sign[:, 2] = np.sign(np.linalg.det(u @ v))
    turn = u * sign[:, None] @ v
    scale = (strength * sign).sum(1) / (share @ own**2).sum()
    return scale, turn, centres - scale[:, None] * (turn @ centre)


def smoothed(curves: Array, sigma: float) -> Array:
    """(T, K) curves through a Gaussian of `sigma` frames that ends where they do."""
    reach = int(4 * sigma + 0.5)
    if not reach:
        return curves
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    held = np.pad(curves, ((reach, reach), (0, 0)), "symmetric" if len(curves) > reach else "edge")
    return np.stack([np.convolve(curve, kernel, "valid") for curve in held.T], 1)
