"""How much of the codebook a model uses: a dead codebook speaks in few words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class CodeUsage:
    """Counts codes, streamed; indices of any shape."""

    def __init__(self) -> None:
        self._counts = np.zeros(0, np.int64)

    def add(self, indices: NDArray[np.integer]) -> None:
        """Count (...) code indices from 0."""
        counts = np.bincount(indices.ravel(), minlength=len(self._counts))
        counts[: len(self._counts)] += self._counts
        self._counts = counts

    @property
    def used(self) -> int:
        """Codes that occur at all."""
        return int((self._counts > 0).sum())

    @property
    def perplexity(self) -> float | None:
        """exp(entropy) of the codes' shares: 1 for a single code, the codebook's size at best."""
        total = self._counts.sum()
        if not total:
            return None
        share = self._counts[self._counts > 0] / total
        return float(np.exp(-(share * np.log(share)).sum()))
