"""Teeth: in f and v the lower lip is at the upper teeth, which no camera sees.

In the flow film -> landmarks -> still head -> **weights** -> corpus. Where the times of the phones
are given, the mouth goes as far towards a pose that touches as it takes, and comes back in time.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from codetalker.arkit import ARKIT_NAMES, MOUTH_CHANNELS
from codetalker.data.phones import LABIODENTAL, PhoneClip
from codetalker.evaluation.mouth import Mouth
from codetalker.evaluation.phones import AT_TEETH_MM
from codetalker.rig import bundled_head

_TOUCHING = {
    "jawOpen": 0.1,
    "mouthClose": 0.05,
    "mouthRollLower": 0.9,
    "mouthUpperUpLeft": 0.3,
    "mouthUpperUpRight": 0.3,
}
"""0.6 mm from the teeth, upper lip clear of them."""
_NEAR = 0.8 * AT_TEETH_MM
_STEPS = np.linspace(0, 1, 21)
_EASE_S = 0.08
"""Seconds to get there and back."""


def touch_teeth(
    weights: NDArray[np.float32], fps: float, phones: PhoneClip, start: float = 0.0
) -> NDArray[np.float32]:
    """(T, 52) weights whose lower lip is at the upper teeth in f and v.

    Args:
        weights: as they were fitted.
        fps: frames per second.
        phones: what is said, and when.
        start: seconds of the recording before the first frame.
    """
    times = start + np.arange(len(weights)) / fps
    letters = phones.letters()
    wanted = np.zeros(len(weights))
    for phone, begin, end in zip(letters.phones, letters.starts, letters.ends, strict=True):
        if phone in LABIODENTAL:
            held = end - (end - begin) / 4  # the last quarter is its release
            away = np.maximum(np.maximum(begin - times, times - held), 0)
            wanted = np.maximum(wanted, 1 - np.minimum(away / _EASE_S, 1))
    touched = weights.copy()
    frames = np.flatnonzero(wanted)
    if len(frames):
        mouth = np.array(MOUTH_CHANNELS)
        share = wanted[frames] * _needed(weights[frames])
        own = weights[np.ix_(frames, mouth)]
        moved = own + share[:, None] * (_pose()[mouth] - own)
        touched[np.ix_(frames, mouth)] = moved
    return touched


def _needed(weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N,) how far towards the pose the mouth of each frame must go until it touches."""
    mouth = np.isin(np.arange(len(ARKIT_NAMES)), MOUTH_CHANNELS)
    way = (_pose() - weights) * mouth
    tried = weights[:, None] + _STEPS[:, None] * way[:, None]
    flat = tried.reshape(-1, len(ARKIT_NAMES))
    distance = _mouth().lip_to_teeth_mm(flat).reshape(len(weights), -1)
    return _STEPS[np.where((distance <= _NEAR).any(1), (distance <= _NEAR).argmax(1), -1)]


@lru_cache(maxsize=1)
def _mouth() -> Mouth:
    return Mouth(bundled_head())


@lru_cache(maxsize=1)
def _pose() -> NDArray[np.float32]:
    return np.array([_TOUCHING.get(name, 0.0) for name in ARKIT_NAMES], np.float32)
