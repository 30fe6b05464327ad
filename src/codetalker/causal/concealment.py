"""Concealment: what is heard in place of sound that was lost on its way.

In the flow **speech** -> features -> codes -> motion. Silence would shut the mouth in the middle of
a vowel. The last 20 ms, backwards and forwards and ever quieter, leave it 30 % nearer to where it
would have been when single packets of 20 ms are lost, and 15 % when it is ten in a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KEPT, FADE = 0.02, 0.1
"""Seconds that are kept, and in which they fade to silence."""


@dataclass
class Concealment:
    """The last sound of a stream, and how much has been lost since; all plain data.

    Attributes:
        last: (N,) float32, the last 20 ms at the stream's rate.
        lost: samples since then.
    """

    last: NDArray[np.float32]
    lost: int = 0

    @classmethod
    def start(cls, rate: int) -> Concealment:
        """Before the first sound: silence."""
        return cls(np.zeros(round(KEPT * rate), np.float32))

    def hear(self, samples: NDArray[np.float32]) -> None:
        """Keep the end of (N,) samples that have come."""
        if len(samples):
            self.last = np.concatenate([self.last, samples[-len(self.last) :]])[-len(self.last) :]
            self.lost = 0

    def fill(self, count: int) -> NDArray[np.float32]:
        """(count,) samples in place of those that have not."""
        samples = np.zeros(count, np.float32)
        length = len(self.last)
        fade = round(length * FADE / KEPT)
        place = np.arange(self.lost, min(self.lost + count, fade))
        there_and_back = np.concatenate([self.last[::-1], self.last])
        samples[: len(place)] = there_and_back[place % (2 * length)] * (1 - place / fade)
        self.lost += count
        return samples
