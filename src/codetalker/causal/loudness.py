"""Loudness: how much each speech window is amplified, so that motion does not depend on level.

In the flow **speech** -> features -> codes -> motion. The level is followed causally, window by
window, so that any chunking of a stream hears the same gains.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK = 320
"""Samples per block whose power is measured: 20 ms at 16 kHz."""
BLOCKS_PER_SECOND = 50
WHITENING = 0.95
"""Of the first difference that is measured: speech falls by 6 dB per octave, and hum and offset are
no loudness."""


@dataclass(frozen=True)
class Loudness:
    """A slow automatic gain.

    Attributes:
        target: dB of full scale that the level is brought to.
        floor: dB that a level below counts as: what is quieter stays quieter.
        attack: seconds in which the level follows a louder sound.
        release: dB per second at which it falls when the sound is quieter.
    """

    target: float = -28.0
    floor: float = -78.0
    attack: float = 0.2
    release: float = 2.0

    @property
    def is_sane(self) -> bool:
        """Whether these are levels and times of sound."""
        levels = -200 <= self.floor <= 0 and -200 <= self.target <= 0
        return levels and 0 < self.attack <= 60 and 0 <= self.release <= 1000

    def follow(self, level: NDArray[np.float64], samples: NDArray[np.float32]) -> float:
        """Hear the next (N,) samples, N whole blocks; return the gain after them.

        Args:
            level: (2,) short-term and held power, changed in place; zeros at the start.
        """
        blocks = samples.reshape(-1, BLOCK).astype(np.float64)
        powers = np.square(blocks[:, 1:] - WHITENING * blocks[:, :-1]).mean(1)
        share = 1 - np.exp(-1 / (self.attack * BLOCKS_PER_SECOND))
        fall = 10 ** (-self.release / 10 / BLOCKS_PER_SECOND)
        for power in powers:
            level[0] += share * (power - level[0])
            level[1] = max(level[0], level[1] * fall)
        return float(10 ** (self.target / 20) / np.sqrt(max(level[1], 10 ** (self.floor / 10))))

    def levelled(
        self,
        windows: Iterable[NDArray[np.float32]],
        lead: int,
        hop: int,
        level: NDArray[np.float64],
        begun: bool = False,
    ) -> Iterator[NDArray[np.float32]]:
        """The (samples,) windows of a recording or stream, each at its gain.

        A window's gain follows the sound up to its end: the first one of all, when nothing has
        `begun`, brings what comes after its `lead` samples, each other one its last `hop` samples.
        `level` is as in `follow`.
        """
        for window in windows:
            fresh = window[-hop:] if begun else window[lead:]
            begun = True
            yield window * np.float32(self.follow(level, fresh))
