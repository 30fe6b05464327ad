"""Visemes: the 15 mouth poses of lip-sync avatars and VRM's five vowels, from blendshape weights.

In the flow speech -> features -> codes -> **motion** -> mesh -> file. A viseme is a pose of the
mouth (`_POSES`). How much of each a frame holds is learned where it shows: least squares on what
the bundled head's lips, chin, corners and lip gap do under weights and poses, shares from 0 that
sum to 1 at most. So an avatar that has visemes alone opens and closes its mouth as ours does.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from codetalker.arkit import ARKIT_NAMES
from codetalker.errors import MotionError
from codetalker.least_squares import least_squares
from codetalker.rig import bundled_head

_POSES: dict[str, dict[str, float]] = {
    "sil": {},
    "PP": {
        "jawOpen": 0.2,
        "mouthClose": 0.2,
        "mouthRollLower": 0.35,
        "mouthRollUpper": 0.35,
        "mouthPress": 0.4,
    },
    "FF": {"jawOpen": 0.1, "mouthClose": 0.05, "mouthRollLower": 0.6, "mouthUpperUp": 0.25},
    "TH": {"jawOpen": 0.2, "mouthLowerDown": 0.15, "mouthUpperUp": 0.1, "tongueOut": 0.4},
    "DD": {"jawOpen": 0.15, "mouthLowerDown": 0.25, "mouthUpperUp": 0.15, "mouthStretch": 0.1},
    "kk": {"jawOpen": 0.25, "mouthLowerDown": 0.15, "mouthUpperUp": 0.1},
    "CH": {
        "jawOpen": 0.1,
        "mouthFunnel": 0.6,
        "mouthPucker": 0.2,
        "mouthLowerDown": 0.15,
        "mouthUpperUp": 0.1,
    },
    "SS": {
        "jawOpen": 0.05,
        "mouthLowerDown": 0.35,
        "mouthUpperUp": 0.2,
        "mouthStretch": 0.3,
        "mouthSmile": 0.1,
    },
    "nn": {"jawOpen": 0.2, "mouthLowerDown": 0.25, "mouthUpperUp": 0.05},
    "RR": {"jawOpen": 0.15, "mouthFunnel": 0.3, "mouthPucker": 0.4},
    "aa": {"jawOpen": 0.7, "mouthLowerDown": 0.25, "mouthUpperUp": 0.15},
    "E": {
        "jawOpen": 0.35,
        "mouthLowerDown": 0.35,
        "mouthUpperUp": 0.25,
        "mouthStretch": 0.3,
        "mouthSmile": 0.15,
    },
    "ih": {
        "jawOpen": 0.2,
        "mouthLowerDown": 0.3,
        "mouthUpperUp": 0.2,
        "mouthStretch": 0.25,
        "mouthSmile": 0.4,
    },
    "oh": {"jawOpen": 0.5, "mouthFunnel": 0.5, "mouthPucker": 0.25},
    "ou": {"jawOpen": 0.2, "mouthFunnel": 0.3, "mouthPucker": 0.8},
}
"""Viseme -> shape -> weight; a shape that Apple has twice is meant on both sides."""

VISEMES = tuple(_POSES)
"""The Oculus names in their order: silence, the consonants of *p f th d k ch s n r*, the vowels."""
VOWELS = ("aa", "ih", "ou", "ee", "oh")
"""VRM 1.0's mouth expressions in the order of its specification (A I U E O in VRM 0.x)."""
_SPOKEN = VISEMES[1:]
_AS_VISEMES = ("aa", "ih", "ou", "E", "oh")

_CHIN, _CORNERS = slice(4, 13), (48, 54)  # iBUG-68
_CHIN_SHARE, _GAP_SHARE, _WIDTH_SHARE = 4.0, 3.0, 1.0
"""What a square millimetre of chin, lip gap and width weighs beside one of the whole mouth."""
_CALM = 0.005
"""Of the poses' mean square, against large shares that cancel each other."""
_ONE = 1 - 1e-6
"""So that a sum is not more than 1 in float32."""


def to_visemes(weights: ArrayLike) -> NDArray[np.float32]:
    """(T, 52) weights in Apple's order -> (T, 15) shares of `VISEMES`, 0..1, summing to 1.

    Silence takes what the other visemes leave. Eyes, brows and nose have no part in it.

    Raises:
        MotionError: the weights have another shape.
    """
    spoken = _shares(weights, _SPOKEN, _mouth_form())
    return np.column_stack([np.maximum(1 - spoken.sum(axis=1), 0), spoken])


def to_vowels(weights: ArrayLike) -> NDArray[np.float32]:
    """(T, 52) weights in Apple's order -> (T, 5) shares of `VOWELS`, 0..1, summing to 1 at most.

    The jaw counts for nothing, since no vowel has closed lips over a low one: lips that are closed
    stay closed.

    Raises:
        MotionError: the weights have another shape.
    """
    return _shares(weights, _AS_VISEMES, _mouth_form(jaw=False))


def from_visemes(shares: ArrayLike) -> NDArray[np.float32]:
    """(T, 15) shares of `VISEMES` -> (T, 52) weights in Apple's order.

    Raises:
        MotionError: the shares have another shape.
    """
    return (_rows(shares, len(VISEMES)) @ _poses(VISEMES)).astype(np.float32)


def off_visemes(weights: ArrayLike) -> NDArray[np.float64]:
    """(T, 52) weights in Apple's order -> (T, 15) how far the mouth is from the pose of each of
    `VISEMES`, square millimetres.

    Raises:
        MotionError: the weights have another shape.
    """
    rows, poses, form = _rows(weights, len(ARKIT_NAMES)), _poses(VISEMES), _mouth_form()
    own = np.einsum("ti,ij,tj->t", rows, form, rows, optimize=True)
    theirs = np.einsum("ki,ij,kj->k", poses, form, poses, optimize=True)
    return np.maximum(own[:, None] + theirs - 2 * rows @ form @ poses.T, 0)


def _shares(
    weights: ArrayLike, names: tuple[str, ...], form: NDArray[np.float64]
) -> NDArray[np.float32]:
    """(T, len(names)) shares from 0, summing to 1 at most, of the poses closest to the frames."""
    poses = _poses(names)
    meant = _rows(weights, len(ARKIT_NAMES)) @ form @ poses.T
    curvature = poses @ form @ poses.T
    curvature += _CALM * np.trace(curvature) / len(names) * np.eye(len(names))
    shares = least_squares(curvature, meant, np.zeros_like(meant), within_one)
    return shares.astype(np.float32)


def within_one(shares: NDArray[np.floating]) -> NDArray[np.float64]:
    """The closest (T, M) shares from 0 that sum to 1 at most (Duchi et al. 2008)."""
    inside = np.maximum(shares, 0).astype(np.float64)
    full = inside.sum(axis=1) > _ONE
    falling = -np.sort(-shares[full], axis=1)
    excess = (np.cumsum(falling, axis=1) - _ONE) / np.arange(1, shares.shape[1] + 1)
    kept = np.maximum((falling > excess).sum(axis=1), 1)
    inside[full] = np.maximum(shares[full] - np.take_along_axis(excess, kept[:, None] - 1, 1), 0)
    return inside


@lru_cache
def _poses(names: tuple[str, ...]) -> NDArray[np.float64]:
    """(len(names), 52) weights of the poses."""
    poses = np.zeros((len(names), len(ARKIT_NAMES)))
    for pose, name in zip(poses, names, strict=True):
        for shape, weight in _POSES[name].items():
            sides = [s for s in (shape, f"{shape}Left", f"{shape}Right") if s in ARKIT_NAMES]
            pose[[ARKIT_NAMES.index(side) for side in sides]] = weight
    return poses


@lru_cache
def _mouth_form(jaw: bool = True) -> NDArray[np.float64]:
    """(52, 52) quadratic form of weights: how far they move the mouth, with or without the chin,
    square millimetres."""
    rig = bundled_head()
    shapes = rig.blendshapes.astype(np.float64) * 1000
    right, left = shapes[:, rig.landmarks[list(_CORNERS)]].swapaxes(0, 1)
    seen = [
        (1.0, shapes[:, rig.regions["mouth"]]),
        (_CHIN_SHARE * jaw, shapes[:, rig.landmarks[_CHIN]]),
        (_GAP_SHARE, rig.lip_gap_basis[:, :, None].astype(np.float64) * 1000),
        (_WIDTH_SHARE, (left - right)[:, None, :1]),
    ]
    parts = [
        (moved * np.sqrt(share / moved.shape[1])).reshape(len(shapes), -1) for share, moved in seen
    ]
    moved = np.concatenate(parts, axis=1)
    return moved @ moved.T


def _rows(values: ArrayLike, columns: int) -> NDArray[np.float64]:
    rows = np.asarray(values, np.float64)
    if rows.ndim != 2 or rows.shape[1] != columns:
        raise MotionError(f"values of shape {rows.shape}; pass (frames, {columns})")
    return rows
