"""Chance, frame by frame: what frame i draws depends on (seed, i) alone.

So any chunking of a stream, and one that is resumed elsewhere, draws alike (Salmon and others,
*Parallel Random Numbers: As Easy as 1, 2, 3*, 2011). Whoever draws takes uniform numbers, which a
port to another language has as well.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CODES, BLINKS, LIFE = range(3)
"""Who draws: words of the generator's counter that keep their draws apart."""


def draws(seed: int, frame: int, who: int) -> np.random.Generator:
    """The generator of one frame's draws."""
    counter = np.array([0, 0, who, frame], np.uint64)
    return np.random.Generator(np.random.Philox(key=seed, counter=counter))


def uniform(seed: int, frame: int, who: int, count: int) -> NDArray[np.float64]:
    """(count,) numbers from 0 up to 1 of one frame."""
    return draws(seed, frame, who).random(count)


def normal(uniform: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) standard normal numbers of (2 N,) uniform ones (Box and Muller 1958)."""
    radius, angle = uniform.reshape(2, -1)
    return np.sqrt(-2 * np.log1p(-radius)) * np.cos(2 * np.pi * angle)
