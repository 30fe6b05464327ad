"""Keys and values that attention keeps of past frames, outside the model."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class KeyValueCache:
    """A ring: frame t lies in slot t modulo `capacity`; (B, heads, capacity, C / heads) each."""

    keys: Tensor
    values: Tensor

    @classmethod
    def empty(cls, clips: int, heads: int, capacity: int, like: Tensor) -> KeyValueCache:
        """For frames of the width, precision and device of `like` (..., C)."""
        shape = (2, clips, heads, capacity, like.shape[-1] // heads)
        return cls(*like.new_empty(shape))

    def put(self, keys: Tensor, values: Tensor, which: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Store some frames, new ones or again, and give all that is stored.

        Args:
            keys, values: (B, heads, T, C / heads).
            which: (T,) numbers of the frames.
            count: how many frames there are so far.
        """
        capacity = self.keys.shape[2]
        self.keys[:, :, which % capacity] = keys
        self.values[:, :, which % capacity] = values
        filled = min(count, capacity)
        return self.keys[:, :, :filled], self.values[:, :, :filled]

    def distances(self, frame: int) -> Tensor:
        """How many frames before `frame`, the newest, each filled slot's frame is: (filled,)."""
        capacity = self.keys.shape[2]
        slots = torch.arange(min(frame + 1, capacity), device=self.keys.device)
        return (frame - slots) % capacity
