"""Biased causal attention and periodic positions, in closed form for any length.

Fan et al., FaceFormer, 2022, section 3.2, as used by CodeTalker, section 3.2; the slopes are those
of Press, Smith and Lewis, Train Short, Test Long (ALiBi), 2022.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def attention_slopes(heads: int) -> Tensor:
    """(heads,) ALiBi slopes: 2^(-8 k / heads) for k = 1 ... heads; `heads` a power of two."""
    if heads & (heads - 1):
        raise ValueError(f"heads must be a power of two, not {heads}")
    return torch.tensor([2.0 ** (-8.0 * (k + 1) / heads) for k in range(heads)])


def distance_bias(distance: Tensor, heads: int, period: int) -> Tensor:
    """Bias of a query towards the key that lies `distance` frames back: (...) -> (heads, ...).

    -slope * floor(distance / period); -inf towards the future (negative distance).
    """
    slopes = attention_slopes(heads).to(distance.device).view(-1, *[1] * distance.ndim)
    bias = -slopes * torch.div(distance, period, rounding_mode="floor")
    return bias.masked_fill(distance < 0, -torch.inf)


def biased_causal_mask(length: int, heads: int, period: int) -> Tensor:
    """(heads, length, length) additive mask: recent periods count more, the future not at all."""
    frames = torch.arange(length)
    return distance_bias(frames[:, None] - frames[None, :], heads, period)


def sinusoidal_encoding(length: int, width: int) -> Tensor:
    """(length, width) sinusoids, base 10000, sine in the even columns, cosine in the odd ones."""
    angles = torch.arange(length, dtype=torch.float32)[:, None] * torch.exp(
        torch.arange(0, width, 2, dtype=torch.float32) * (-math.log(10000.0) / width)
    )
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)[:, :width]


def periodic_encoding(length: int, width: int, period: int) -> Tensor:
    """(length, width): the first `period` rows of the sinusoids, repeated."""
    return sinusoidal_encoding(period, width)[torch.arange(length) % period]
