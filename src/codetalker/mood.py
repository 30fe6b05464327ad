"""Moods: an expression laid over a motion. Procedural: nothing here is learned.

In the flow speech -> features -> codes -> **motion**. Every frame gets the same posture on top of
what it has, so that a stream may be given a mood chunk by chunk. The mouth's part of each posture
closes the lips rather than opening them: a closed mouth stays closed. Which muscles make which
expression follows Ekman and Friesen, Facial Action Coding System, 1978; how much, our eyes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from codetalker.errors import OptionError, did_you_mean
from codetalker.motion import Motion

MOODS: dict[str, dict[str, float]] = {
    "neutral": {},
    "happy": {
        "mouthSmileLeft": 0.45,
        "mouthSmileRight": 0.45,
        "cheekSquintLeft": 0.4,
        "cheekSquintRight": 0.4,
        "eyeSquintLeft": 0.2,
        "eyeSquintRight": 0.2,
        "browOuterUpLeft": 0.1,
        "browOuterUpRight": 0.1,
    },
    "sad": {
        "browInnerUp": 0.6,
        "mouthFrownLeft": 0.35,
        "mouthFrownRight": 0.35,
        "mouthShrugLower": 0.1,
        "eyeSquintLeft": 0.15,
        "eyeSquintRight": 0.15,
    },
    "angry": {
        "browDownLeft": 0.9,
        "browDownRight": 0.9,
        "eyeSquintLeft": 0.3,
        "eyeSquintRight": 0.3,
        "noseSneerLeft": 0.15,
        "noseSneerRight": 0.15,
        "mouthFrownLeft": 0.15,
        "mouthFrownRight": 0.15,
        "mouthPressLeft": 0.15,
        "mouthPressRight": 0.15,
    },
    "surprised": {
        "browInnerUp": 0.8,
        "browOuterUpLeft": 0.8,
        "browOuterUpRight": 0.8,
        "eyeWideLeft": 0.7,
        "eyeWideRight": 0.7,
    },
}
"""Mood -> blendshape -> weight at intensity 1."""
_WIDE = {"eyeWideLeft": "eyeBlinkLeft", "eyeWideRight": "eyeBlinkRight"}
"""Lids are raised only as far as they are not lowered: a blink closes them."""
MOST = 1.5
"""The highest intensity: beyond it no face looks well."""


def with_mood(motion: Motion, mood: str, intensity: float = 1.0) -> Motion:
    """The motion in a mood; blendshapes that it lacks are left out.

    Args:
        mood: one of `MOODS`.
        intensity: scale of the expression, 0 to 1.5.

    Raises:
        OptionError: there is no such mood, or the intensity is out of range.
    """
    _check(mood, intensity)
    weights = motion.weights.copy()
    column = {name: i for i, name in enumerate(motion.names)}
    for name, weight in MOODS[mood].items():
        if name not in column:
            continue
        room = 1.0 - weights[:, column[_WIDE[name]]] if _WIDE.get(name) in column else 1.0
        weights[:, column[name]] += np.float32(intensity * weight) * room
    return replace(motion, weights=np.minimum(weights, np.maximum(motion.weights, 1)))


def parse_mood(text: str) -> tuple[str, float]:
    """`happy` or `happy:0.5` as mood and intensity.

    Raises:
        OptionError: there is no such mood, or the intensity is no number within its range.
    """
    mood, colon, number = text.partition(":")
    try:
        intensity = float(number) if colon else 1.0
    except ValueError:
        raise OptionError(
            f"the intensity {number!r} in mood {text!r} is no number; write happy:0.5"
        ) from None
    _check(mood, intensity)
    return mood, intensity


def _check(mood: str, intensity: float) -> None:
    if mood not in MOODS:
        raise OptionError(f"there is no mood {mood!r}; {did_you_mean(mood, MOODS)}")
    if not 0 <= intensity <= MOST:
        raise OptionError(f"the intensity of a mood is {intensity}; choose from 0 to {MOST:g}")
