"""The clips that a system is trained on, and those that are watched, as tensors."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codetalker.data.store import Store, StoreClip
from codetalker.errors import DataError
from codetalker.training.run_record import values_digest


@dataclasses.dataclass(frozen=True)
class TrainingClips:
    """Those of the splits `train` and `val` of a store."""

    store: Store
    train: list[StoreClip]
    validation: list[StoreClip]
    device: torch.device

    @classmethod
    def of(cls, store: Store, device: torch.device) -> TrainingClips:
        """All of them; DataError if there are none of either."""
        lacking = sorted({"train", "val"} - {clip.split for clip in store.clips})
        if lacking:
            raise DataError(
                f"{store.folder} has no clips of split {' and '.join(lacking)}; training needs "
                "train and val: prepare your own data with --val SUBJECT"
            )
        return cls(store, store.select("train"), store.select("val"), device)

    def record(self) -> dict[str, Any]:
        """By which the data of a run are recognised."""
        rows = ((clip.name, clip.frames, clip.samples) for clip in self.train)
        return {"dataset": self.store.dataset, "clips": values_digest(rows)}

    def faces(self, clip: StoreClip) -> tuple[Tensor, Tensor]:
        """Vertices (1, T, 3V) and template (1, 3V)."""
        vertices = _own(self.store.vertices(clip), self.device)
        template = _own(self.store.template(clip.subject), self.device)
        return vertices.flatten(1)[None], template.flatten()[None]

    def samples(self, clip: StoreClip) -> Tensor:
        """(N,) the sound at 16 kHz."""
        return _own(self.store.waveform(clip).samples, self.device)


def _own(array: NDArray[np.float32], device: torch.device) -> Tensor:
    """A copy: the array is mapped and read-only."""
    return torch.tensor(array, device=device)
