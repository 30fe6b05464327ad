"""Agreement: how often two raters say the same, and Krippendorff's alpha of it: 1 where all do."""

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
    alike, values = _alike(counts)
    total = values.sum()
    by_chance = (values * (values - 1)).sum()
    if total < 2 or by_chance == total * (total - 1):
        return None
    return float(((total - 1) * alike - by_chance) / (total * (total - 1) - by_chance))


def agreement(counts: NDArray[np.integer]) -> float | None:
    """The share of two raters' values of a unit that are the same, units weighted by their raters.

    Args:
        counts: as in `krippendorff_alpha`.

    Returns:
        None where nothing was valued twice.
    """
    alike, values = _alike(counts)
    return float(alike / values.sum()) if len(values) and values.sum() else None


def _alike(counts: NDArray[np.integer]) -> tuple[float, NDArray[np.float64]]:
    """Of units that were valued twice or more: the diagonal of the matrix of coincidences, summed,
    and (C,) how often each value was given."""
    valued = counts[counts.sum(axis=1) > 1].astype(np.float64)
    raters = valued.sum(axis=1, keepdims=True)
    return float((valued * (valued - 1) / (raters - 1)).sum()), valued.sum(axis=0)
