"""Lids and gaze, measured: how far the lids are apart, and where the irises are between them.

In the flow film -> landmarks -> still head -> **weights** -> corpus.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from codetalker.arkit import ARKIT_NAMES
from codetalker.capture.landmarks import WITH_IRISES
from codetalker.capture.points import IRISES, LIDS
from codetalker.capture.still_head import smoothed
from codetalker.gaze import LOOKS, eye_weights

_OPEN_PERCENT = 80
"""Of a clip's frames: eyes that are further open are open."""
_SHUT_PERCENT, _SHUT = 0.5, (0.2, 0.4)
"""Of a speaker's: eyes that are less open are shut, within these shares of open ones."""
_SEEN = 0.5
"""Lids below which the iris is hidden."""
_GAZE_S = 0.04
"""Seconds over which the gaze is smoothed."""
_EYE_RADIUS_M = 0.0125
"""Of the iris about the eye's centre."""
_STILL = np.radians(2.0)
"""A gaze nearer to the middle than the irises' noise is in the middle."""

Array = NDArray[np.float64]


def eye_motion(clips: list[NDArray[np.float32]], rates: list[float]) -> list[NDArray[np.float32]]:
    """(T, 52) weights of eyeBlink and eyeLook of each clip of one speaker; the rest is 0.

    Both lids move as one, as they do but in a wink. Without irises the eyes look ahead.

    Args:
        clips: (T, P, 3) still points, metres.
        rates: frames per second of each.
    """
    ratios = [_aperture(clip) for clip in clips]
    ratios = [ratio / max(np.percentile(ratio, _OPEN_PERCENT), 1e-6) for ratio in ratios]
    shut = float(np.clip(np.percentile(np.concatenate(ratios), _SHUT_PERCENT), *_SHUT))
    lids = [np.clip((1 - ratio) / (1 - shut), 0, 1) for ratio in ratios]
    found = []
    for clip, lid, fps in zip(clips, lids, rates, strict=True):
        weights = np.zeros((len(clip), len(ARKIT_NAMES)), np.float32)
        for name in ("eyeBlinkLeft", "eyeBlinkRight"):
            weights[:, ARKIT_NAMES.index(name)] = lid
        if clip.shape[1] == WITH_IRISES:
            looks = eye_weights(_gaze(clip, lid < _SEEN, fps))
            for name in LOOKS:
                weights[:, ARKIT_NAMES.index(name)] = np.minimum(looks[name], 1)
        found.append(weights)
    return found


def _aperture(points: NDArray[np.floating]) -> Array:
    """(T,) height of the openings of the eyes over their width, mean of both."""
    ratios = []
    for (outer, inner), pairs in LIDS:
        width = np.linalg.norm(points[:, outer] - points[:, inner], axis=1)
        heights = [np.linalg.norm(points[:, up] - points[:, down], axis=1) for up, down in pairs]
        ratios.append(np.mean(heights, axis=0) / width)
    return np.mean(ratios, axis=0)


def _gaze(points: NDArray[np.floating], open_eyes: NDArray[np.bool_], fps: float) -> Array:
    """(T, 2) angles down and to the left, of both eyes, from where they mostly look."""
    if not open_eyes.any():
        return np.zeros((len(points), 2))
    aside = [
        points[:, iris, :2] - (points[:, outer, :2] + points[:, inner, :2]) / 2
        for iris, ((outer, inner), _) in zip(IRISES, LIDS, strict=True)
    ]
    offset = np.mean(aside, axis=0) * (1, -1)
    frames = np.flatnonzero(open_eyes)
    seen = [np.interp(np.arange(len(points)), frames, curve[frames]) for curve in offset.T]
    away = np.stack(seen, 1) - np.median(offset[frames], axis=0)
    angles = np.arcsin(np.clip(smoothed(away, _GAZE_S * fps) / _EYE_RADIUS_M, -0.9, 0.9))
    size = np.linalg.norm(angles, axis=1, keepdims=True)
    angles *= np.maximum(size - _STILL, 0) / np.maximum(size, 1e-9)
    return angles[:, ::-1]
