"""Motion: blendshape weights over time, at a frame rate.

In the flow speech -> features -> codes -> **motion** -> mesh -> file. Frame 0 is at audio sample 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from codetalker.audio import Waveform


@dataclass(frozen=True)
class Motion:
    """Blendshape weights per frame.

    Attributes:
        weights: (T, K) float32, usually in 0..1.
        names: K blendshape names, Apple's ARKit names in Apple's order for the bundled models.
        fps: frames per second.
        audio: the speech that the motion belongs to, for formats that carry sound; or None.
    """

    weights: NDArray[np.float32]
    names: tuple[str, ...]
    fps: float
    audio: Waveform | None = None
