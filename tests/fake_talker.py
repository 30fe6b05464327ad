"""A talker without a model: through the door of the real ones it does what a test tells it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codetalker.audio import Waveform, as_waveform
from codetalker.curves import frame_count
from codetalker.errors import StyleError, did_you_mean
from codetalker.files import formats_of
from codetalker.motion import Motion
from codetalker.rig import bundled_head

FPS = 25.0
NAMES = bundled_head().blendshape_names
JAW = NAMES.index("jawOpen")

Say = Callable[[Waveform, str], NDArray[np.floating]]


def half_open(audio: Waveform, style: str) -> NDArray[np.floating]:
    """(T, 52) weights of a jaw that hangs down."""
    weights = np.zeros((frame_count(audio.duration, FPS), len(NAMES)))
    weights[:, JAW] = 0.5
    return weights


class FakeTalker:
    """Gives the (T, 52) weights that `say` makes of the sound and the style, times the strength.

    `calls` records what was asked for.
    """

    fps, motion_type, formats = FPS, Motion, formats_of(Motion)
    options: tuple[str, ...] = ()
    facts: dict[str, str] = {}  # noqa: RUF012

    def __init__(self, say: Say = half_open, styles: Sequence[str] = ("neutral", "s1")) -> None:
        self.say, self.styles = say, tuple(styles)
        self.calls: list[dict[str, Any]] = []

    def animate(
        self,
        audio: Any,
        *,
        rate: float | None = None,
        style: str | None = None,
        strength: float = 1.0,
        fps: float | None = None,
        seed: int = 0,
        progress: Callable[[float, float], None] | None = None,
    ) -> Motion:
        self.calls.append({"style": style, "strength": strength, "fps": fps, "seed": seed})
        if style is not None and style not in self.styles:
            raise StyleError(f"there is no style {style!r}; {did_you_mean(style, self.styles)}")
        waveform = as_waveform(audio, rate)
        if progress:
            progress(waveform.duration, waveform.duration)
        weights = strength * self.say(waveform, style or self.styles[0])
        motion = Motion(weights, NAMES, FPS, waveform, np.array([[1, 2], [1, 2]]))
        return motion.resample(fps) if fps else motion
