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

    def put(self, keys: Tensor, values: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """Store frames from `first` on, (B, heads, T, C / heads), and give all that is stored.

        The frames are the newest ones; frames already there are replaced.
        """
        end = first + keys.shape[2]
        slots = torch.arange(first, end, device=keys.device) % self.keys.shape[2]
        self.keys[:, :, slots] = keys
        self.values[:, :, slots] = values
        filled = min(end, self.keys.shape[2])
        return self.keys[:, :, :filled], self.values[:, :, :filled]

    def distances(self, frame: int) -> Tensor:
        """How many frames before `frame`, the newest, each filled slot's frame is: (filled,)."""
        capacity = self.keys.shape[2]
        slots = torch.arange(min(frame + 1, capacity), device=self.keys.device)
        return (frame - slots) % capacity
