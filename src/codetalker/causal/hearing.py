"""How a bundle hears: its windows, its part of the speech encoder, its loudness.

In the flow **speech -> features** -> codes -> motion. Two sets, one code: `live` answers within
200 ms; `studio` is for files, where latency does not matter and look-ahead is worth as much as all
else together.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from codetalker.causal.loudness import Loudness
from codetalker.windows import SpeechWindows


@dataclass(frozen=True)
class Hearing:
    """Windows, how many of the encoder's layers run on them, and at which gain.

    Short windows are best heard after the second layer, long ones after the third.

    Attributes:
        windows, layers, loudness: what the bundle hears through.
    """

    windows: SpeechWindows
    layers: int
    loudness: Loudness = field(default_factory=Loudness)


HEARINGS = {
    "live": Hearing(SpeechWindows(), layers=2),
    "studio": Hearing(SpeechWindows(left=80, hop=40, look_ahead=40, unheard=30), layers=3),
}
"""Past, hop and look-ahead of 640, 80, 120 ms; and of 1.6, 0.8, 0.8 s."""
