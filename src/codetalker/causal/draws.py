"""Chance, frame by frame: what frame i draws depends on (seed, i) alone.

So any chunking of a stream, and one that is resumed elsewhere, draws alike (Salmon and others,
*Parallel Random Numbers: As Easy as 1, 2, 3*, 2011).
"""

from __future__ import annotations

import numpy as np

CODES, BLINKS, LIFE = range(3)
"""Who draws: words of the generator's counter that keep their draws apart."""


def draws(seed: int, frame: int, who: int) -> np.random.Generator:
    """The generator of one frame's draws."""
    counter = np.array([0, 0, who, frame], np.uint64)
    return np.random.Generator(np.random.Philox(key=seed, counter=counter))
