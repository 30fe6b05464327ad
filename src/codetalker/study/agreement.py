"""Agreement: Krippendorff's alpha of nominal values, 1 where raters agree, 0 where they guess."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def krippendorff_alpha(counts: NDArray[np.integer]) -> float | None:
    """Alpha (Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011, section C and D).

    Args:
        counts: (N, C) how many raters gave each value to each unit; units that fewer than two have
            valued are passed over.

    Returns:
        None where all values are the same, or nothing was valued twice.
    """
    valued = counts[counts.sum(axis=1) > 1].astype(np.float64)
    raters = valued.sum(axis=1, keepdims=True)
    alike = (valued * (valued - 1) / (raters - 1)).sum()
    total = valued.sum()
    values = valued.sum(axis=0)
    by_chance = (values * (values - 1)).sum()
    if total < 2 or by_chance == total * (total - 1):
        return None
    return float(((total - 1) * alike - by_chance) / (total * (total - 1) - by_chance))
