"""Vector quantiser: continuous features -> rows of a learned codebook.

In the flow speech -> features -> **codes** -> motion. Shared by the bundled and the published
models. Paper section 3.1, after van den Oord, Vinyals and Kavukcuoglu, Neural Discrete
Representation Learning, 2017.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Quantized(NamedTuple):
    """What quantising gives: `values` (..., D) with straight-through gradients, `indices` (...)
    int64, and the codebook loss (scalar)."""

    values: Tensor
    indices: Tensor
    loss: Tensor


class VectorQuantizer(nn.Module):
    """Codebook of `size` rows of width `dim`; `commitment` weighs the encoder's loss."""

    def __init__(self, size: int, dim: int, commitment: float = 0.25) -> None:
        super().__init__()
        self.commitment = commitment
        self.embedding = nn.Embedding(size, dim)
        nn.init.uniform_(self.embedding.weight, -1.0 / size, 1.0 / size)

    def squared_distances(self, features: Tensor) -> Tensor:
        """(..., D) -> (..., size): |z|^2 + |e|^2 - 2 z.e, in this order of operations."""
        codes = self.embedding.weight
        return (
            features.square().sum(-1, keepdim=True)
            + codes.square().sum(-1)
            - 2 * features @ codes.T
        )

    def nearest(self, features: Tensor) -> Tensor:
        """(..., D) -> (...) int64, the closest row; the lowest index where rows tie."""
        return self.squared_distances(features).argmin(-1)

    def forward(self, features: Tensor) -> Quantized:
        """Quantise (..., D) features."""
        indices = self.nearest(features)
        codes = self.embedding(indices)
        loss = self.commitment * F.mse_loss(codes.detach(), features) + F.mse_loss(
            codes, features.detach()
        )
        values = features + (codes - features).detach()
        return Quantized(values, indices, loss)


def perplexity(indices: Tensor, size: int) -> Tensor:
    """exp(entropy) of how often each of `size` codes occurs in `indices`; `size` at best."""
    share = torch.bincount(indices.flatten(), minlength=size).float() / indices.numel()
    return torch.exp(-(share * torch.log(share + 1e-10)).sum())
