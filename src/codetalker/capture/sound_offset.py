"""Is the sound where the lips are? Found by a talker that knows when lips move for a sound.

A film's sound may have been put beside it by hand, or come late by a wireless microphone. The
bundled model says what lips do for the sound; how far its lip gap must be moved to lie best on the
one that was seen is how late the sound is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from codetalker.audio import Waveform
from codetalker.curves import between
from codetalker.evaluation.lipgap import gap_basis, lagged_correlations
from codetalker.motion import Motion
from codetalker.rig import bundled_head

_HZ = 100.0
"""Of the curves that are compared: offsets are whole hundredths of a second."""
_SURE, _GAIN, _OFF = 0.5, 0.1, 0.03
"""Sound is off where lips and sound correlate so well, so much better than where they are, and so
many seconds away: of 155 clips of the corpus that the model learned from, none is."""
_LEAST_SECONDS = 2.0


class Speaker(Protocol):
    def animate(self, audio: Waveform) -> Motion: ...


@dataclass(frozen=True)
class Offset:
    """How late the sound is.

    Attributes:
        seconds: positive for sound that comes after the lips.
        correlation: of what the sound asks for with what was seen, there.
        as_it_is: the same without any shift.
    """

    seconds: float
    correlation: float
    as_it_is: float

    @property
    def off(self) -> bool:
        """Whether the sound surely lies beside its lips."""
        clear = self.correlation >= max(_SURE, self.as_it_is + _GAIN)
        return clear and abs(self.seconds) > _OFF


def sound_offset(talker: Speaker, sound: Waveform, motion: Motion) -> Offset | None:
    """How late the sound of a motion is, up to 0.4 s either way; None if too little of it moves."""
    seconds = min(sound.duration, motion.duration)
    if seconds < _LEAST_SECONDS:
        return None
    heard = talker.animate(sound)
    moments = np.arange(int(seconds * _HZ)) / _HZ
    asked, seen = _gap(heard, moments), _gap(motion, moments)
    values = lagged_correlations(asked, seen, _HZ)
    if not values.any():
        return None
    best = int(values.argmax())
    middle = len(values) // 2
    return Offset((best - middle) / _HZ, float(values[best]), float(values[middle]))


def _gap(motion: Motion, moments: NDArray[np.float64]) -> NDArray[np.float32]:
    """Millimetres of the lip gap at moments."""
    rig = bundled_head()
    gap = motion.weights_for(rig.blendshape_names) @ gap_basis(rig) * 1000
    return between(moments, np.arange(len(gap)) / motion.fps, gap)
