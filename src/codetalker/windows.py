"""Speech windows: how a waveform is cut so that offline and live features are the same.

In the flow **speech -> features** -> codes -> motion. The speech encoder only ever sees one window:
some left context, the hop whose features it yields, and a look-ahead. Hop and look-ahead together
are the latency of a live stream; memory does not grow with the length of the audio.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codetalker.audio import SAMPLE_RATE

MEL_HOP = 160
"""Samples between log-mel frames (10 ms)."""
MEL_REACH = 200
"""Samples that a log-mel frame reaches to either side of its centre."""
FRAME = 320
"""Samples per speech feature frame (20 ms, 50 per second)."""


@dataclass(frozen=True)
class SpeechWindows:
    """The cut, in feature frames of 20 ms.

    Attributes:
        left: frames of context before the hop.
        hop: frames that one window yields.
        look_ahead: frames after the hop that the encoder may look at.
        past: frames before the hop whose features are kept beside the hop's and the look-ahead's.
        unheard: frames at the end of the look-ahead whose own features are not kept.
        fps: motion frames per second. The hop holds a whole number of them, and each of them a
            whole number of feature frames: 1, 2, 5, 10, 25 or 50.

    Raises:
        ValueError: it does not, or the numbers exclude each other.
    """

    left: int = 32
    hop: int = 4
    look_ahead: int = 6
    past: int = 4
    unheard: int = 0
    fps: int = 25

    def __post_init__(self) -> None:
        inside = 0 <= self.past <= self.left and 0 <= self.unheard <= self.look_ahead
        if not (inside and self.hop > 0 and self.fps > 0):
            raise ValueError(f"{self} is no window")
        if self.hop_samples * self.fps % SAMPLE_RATE:
            raise ValueError(f"{self}: the hop does not hold a whole number of motion frames")
        if self.hop % self.frames_per_hop:
            raise ValueError(f"{self}: a motion frame holds no whole number of feature frames")

    @property
    def frames(self) -> int:
        """Feature frames in a window."""
        return self.left + self.hop + self.look_ahead

    @property
    def kept(self) -> int:
        """Feature frames of a window that the talker gets."""
        return self.past + self.hop + self.look_ahead - self.unheard

    @property
    def samples(self) -> int:
        """Samples in a window: the first log-mel frame's reach comes before the left context."""
        return MEL_REACH + self.frames * FRAME

    @property
    def hop_samples(self) -> int:
        """Samples from one window to the next."""
        return self.hop * FRAME

    @property
    def frames_per_hop(self) -> int:
        """Motion frames that one window yields."""
        return self.hop_samples * self.fps // SAMPLE_RATE

    @property
    def latency(self) -> float:
        """Seconds of audio after the start of a motion frame before it can be known, at most."""
        return (self.hop + self.look_ahead) * FRAME / SAMPLE_RATE

    @property
    def lead(self) -> int:
        """Samples of silence before the audio in the first window."""
        return MEL_REACH + self.left * FRAME

    def count(self, samples: int) -> int:
        """Windows for that many samples: the last one holds the last motion frame."""
        frames = -(-samples * self.fps // SAMPLE_RATE)
        return -(-frames // self.frames_per_hop)

    def cut(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """All windows of a whole recording: (N,) -> (count, samples) float32, a view."""
        count = self.count(len(samples))
        after = (count - 1) * self.hop_samples + self.samples - self.lead - len(samples)
        padded = np.pad(samples, (self.lead, max(after, 0)))
        return np.lib.stride_tricks.sliding_window_view(padded, self.samples)[
            : count * self.hop_samples : self.hop_samples
        ]
