"""Does the mouth rest when nobody speaks? A probe with a true silence put between two sentences.

Recorded pauses do not answer it: people breathe, smile and open the mouth before they speak, and a
model that learned from them may do so too. Where the sound is nothing at all, the lips shall rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from codetalker.audio import SAMPLE_RATE, Waveform
from codetalker.data.clip import ANTICIPATE_S, SETTLE_S, Clip
from codetalker.evaluation.metrics import silence_motion_mm
from codetalker.motion import Motion
from codetalker.rig import bundled_head

SILENCE_S = 2.0
"""How long the silence lasts."""


class Speaker(Protocol):
    def animate(self, audio: Waveform, *, style: str | None = None) -> Motion: ...


def inserted_silence_mm(
    talker: Speaker, clips: Sequence[Clip], style: str | None = None, probes: int = 10
) -> float | None:
    """Mean distance of the lips from rest within silences put between pairs of clips, mm.

    None if fewer than two clips have word times.
    """
    spoken = [clip for clip in clips if clip.speech][: probes + 1]
    rig = bundled_head()
    distances = []
    for first, second in pairwise(spoken):
        sound, pause = with_silence(first, second)
        motion = talker.animate(sound, style=style)
        times = np.arange(len(motion.weights)) / motion.fps
        mask = (times >= pause[0] + SETTLE_S) & (times <= pause[1] - ANTICIPATE_S)
        weights = motion.weights_for(rig.blendshape_names)
        distances.append(silence_motion_mm(rig, weights, mask))
    return float(np.mean(distances)) if distances else None


def with_silence(first: Clip, second: Clip) -> tuple[Waveform, tuple[float, float]]:
    """The words of two clips with nothing in between, and when that begins and ends, seconds."""
    before, after = _words_of(first), _words_of(second)
    gap = np.zeros(round(SILENCE_S * SAMPLE_RATE), np.float32)
    start = len(before) / SAMPLE_RATE
    return Waveform(np.concatenate([before, gap, after])), (start, start + SILENCE_S)


def _words_of(clip: Clip) -> NDArray[np.float32]:
    """The clip's samples from its first word to its last."""
    assert clip.speech is not None
    start, end = (round(time * SAMPLE_RATE) for time in clip.speech)
    return clip.waveform().samples[start:end]
