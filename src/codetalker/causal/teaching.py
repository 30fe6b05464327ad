"""Teaching: the mouth's motion in speech that no camera saw, from talkers that exist.

In the flow speech -> features -> codes -> **motion**, before training. What a talker learns from a
small corpus of real motion depends on chance; the mean of several depends less on it, and a talker
that is taught it on hours of free speech need not forget it to learn its corpus well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codetalker.arkit import ARKIT_NAMES, MOUTH_CHANNELS
from codetalker.audio import Waveform
from codetalker.causal.features import Stream
from codetalker.causal.runtime import CausalTalker
from codetalker.errors import ModelError
from codetalker.styles import Style, shares_of
from codetalker.talker import load


@dataclass(frozen=True)
class Teacher:
    """A talker, and the style in which it speaks: the mean of several speakers' styles shuts lips
    more surely than a style that is nobody's."""

    talker: CausalTalker
    style: Style | None = None

    @property
    def digest(self) -> str:
        """Of what it teaches."""
        return f"{self.talker.bundle.digest} {self.style or ''}".strip()

    def motion(self, samples: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
        """(frames, 52) weights for (N,) samples of 16 kHz."""
        motion = self.talker.animate(Waveform(samples), style=self.style, blinks=False)
        weights = motion.weights_for(ARKIT_NAMES)[:frames]
        return np.pad(weights, ((0, frames - len(weights)), (0, 0)), mode="edge")


def load_teacher(model: Path, fps: float, style: str | None = None) -> Teacher:
    """One for talkers of `fps` frames per second: a bundle, or a bundled model's name.

    Raises:
        ModelError: there is none, or it is of another family or frame rate.
        StyleError: it has no such style.
    """
    talker = load(model)
    if not isinstance(talker, CausalTalker):
        raise ModelError(f"{model} is no bundle and cannot teach; name the bundle of a run")
    if talker.fps != fps:
        raise ModelError(f"{model} gives {talker.fps:g} frames per second; name one of {fps:g}")
    if style is not None:
        shares_of(style, talker.styles)
    return Teacher(talker, style)


def taught(streams: Iterable[Stream], teachers: Sequence[Teacher]) -> Iterator[Stream]:
    """The streams with the teachers' mean motion of the mouth."""
    for stream in streams:
        weights = np.zeros_like(stream.weights)
        mask = np.zeros_like(stream.mask)
        for teacher in teachers:
            weights += teacher.motion(stream.samples, len(weights)) / len(teachers)
        mask[:, list(MOUTH_CHANNELS)] = True
        yield replace(stream, weights=weights * mask, mask=mask)
