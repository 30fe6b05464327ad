"""Waveform: any audio or video file, array or stream of chunks as 16 kHz mono float32.

In the flow **speech** -> features -> codes -> motion -> mesh -> file.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
"""Hz; what every speech encoder here takes."""


@dataclass(frozen=True)
class Waveform:
    """Mono sound: `samples` (N,) float32 in -1..1, at `rate` Hz."""

    samples: NDArray[np.float32]
    rate: int = SAMPLE_RATE

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.rate
