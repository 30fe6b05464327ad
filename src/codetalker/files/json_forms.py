"""JSON, in the form that the reader expects: TalkingHead's, Azure's or Rhubarb's.

In the flow speech -> features -> codes -> motion -> mesh -> **file**.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from codetalker.arkit import ARKIT_NAMES, UPPER_FACE
from codetalker.errors import OptionError, did_you_mean
from codetalker.files.cues import mouth_cues
from codetalker.visemes import VISEMES, to_visemes

if TYPE_CHECKING:
    from codetalker.motion import Motion

JsonForm = Literal["talkinghead", "visemes", "azure", "rhubarb"]

_READY_PLAYER_ME = {"ih": "I", "oh": "O", "ou": "U"}
"""Its names of three of the visemes, which TalkingHead has too."""
_AZURE_FPS = 60
_AZURE_ANGLES = 3  # headRoll, leftEyeRoll, rightEyeRoll follow the 52


def write_json(path: Path, motion: Motion, *, form: JsonForm = "talkinghead") -> None:
    """Write a motion in one of four forms.

    Args:
        path: the file.
        motion: ARKit weights.
        form: `talkinghead`, `visemes` (the same with `viseme_aa` ... for the mouth), `azure` (a
            `visemeReceived` event's animation, at 60 frames per second) or `rhubarb` (mouth cues).

    Raises:
        OptionError: there is no such form.
    """
    if form not in get_args(JsonForm):
        raise OptionError(f"no JSON form {form!r}; {did_you_mean(form, get_args(JsonForm))}")
    forms = {
        "talkinghead": lambda: _talking_head(motion.names, motion.weights, motion.fps),
        "visemes": lambda: _talking_head(*_as_visemes(motion), motion.fps),
        "azure": lambda: _azure(motion),
        "rhubarb": lambda: _rhubarb(motion),
    }
    content = json.dumps(forms[form](), separators=(",", ":"), ensure_ascii=False)
    path.write_text(content + "\n", "utf-8")


def _talking_head(
    names: tuple[str, ...], weights: NDArray[np.float32], fps: float
) -> dict[str, Any]:
    """The `anim` of the object that TalkingHead's `speakAudio` takes: `dt` is the milliseconds in
    which each value of `vs` is reached. A shape that never moves is left to the avatar."""
    return {
        "name": "speech",
        "dt": [0, *[round(1000 / fps, 4)] * (len(weights) - 1)][: len(weights)],
        "vs": {
            name: _rounded(curve)
            for name, curve in zip(names, weights.T, strict=True)
            if curve.any()
        },
    }


def _as_visemes(motion: Motion) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Visemes for the mouth, Apple's shapes for the rest of the face."""
    visemes = tuple(f"viseme_{_READY_PLAYER_ME.get(name, name)}" for name in VISEMES)
    shares = to_visemes(motion.weights_for(ARKIT_NAMES))
    return visemes + UPPER_FACE, np.hstack([shares, motion.weights_for(UPPER_FACE)])


def _azure(motion: Motion) -> dict[str, Any]:
    """Rows of the 52 in Apple's order and three angles, which are 0: their signs and units are not
    documented."""
    weights = motion.resample(_AZURE_FPS).weights_for(ARKIT_NAMES)
    return {
        "FrameIndex": 0,
        "BlendShapes": [_rounded(row) + [0.0] * _AZURE_ANGLES for row in weights],
    }


def _rhubarb(motion: Motion) -> dict[str, Any]:
    source = motion.audio.source if motion.audio else None
    return {
        "metadata": {
            "soundFile": source.path.name if source else "",
            "duration": round(motion.duration, 3),
        },
        "mouthCues": [
            {
                "start": round(cue.start / motion.fps, 3),
                "end": round(cue.end / motion.fps, 3),
                "value": cue.mouth,
            }
            for cue in mouth_cues(motion)
        ],
    }


def _rounded(values: NDArray[np.float32]) -> list[float]:
    """To four places: a hundredth of what is seen."""
    return values.astype(np.float64).round(4).tolist()
