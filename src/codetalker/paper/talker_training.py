"""How a talker is trained from a prepared store, whichever system it is: clip by clip, watched by
what it does when it hears its own motion.

Makes the flow speech -> features -> motion learn. A step over several clips follows the mean of
their losses.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from codetalker.data.store import StoreClip
from codetalker.paper.clips import TrainingClips
from codetalker.paper.decoding import Predicting
from codetalker.paper.free_running import free_figures
from codetalker.paper.recipe import EpochSchedule, TalkerRecipe
from codetalker.training.loop import Figures, Losses

Model = TypeVar("Model", bound=Any)
Recipe = TypeVar("Recipe", bound=TalkerRecipe)


@dataclasses.dataclass(frozen=True)
class TalkerTraining(Generic[Model, Recipe]):
    """What `fit` needs to know of a talker; each system has its own `loss` and `predictor`.

    Attributes:
        model: with its `config` and its `normalize`.
        schedule: which clip a share of the run is.
    """

    model: Model
    clips: TrainingClips
    schedule: EpochSchedule
    recipe: Recipe

    def begin(self, run: Path, wav2vec2: str) -> None:
        """Give the model what it starts from, unless the run has begun.

        Args:
            wav2vec2: folder or name of the pretrained speech encoder.
        """

    def prepare(self) -> None:
        """Put the model into training mode, all but what is frozen."""
        self.model.train()

    def loss(self, clip: StoreClip) -> Losses:
        """Of one clip, by name; `loss` is minimised."""
        raise NotImplementedError

    def predictor(self) -> Predicting:
        """Of the model as it is."""
        raise NotImplementedError

    def losses(self, share: int) -> Losses:
        """Of one clip in training."""
        self.prepare()
        return self.loss(self.clips.train[self.schedule.clip_of(share)])

    @torch.no_grad()
    def evaluate(self) -> Figures:
        """Mean losses over the validation clips, and figures of some of them predicted freely."""
        self.model.eval()
        clips = self.clips.validation
        count = min(self.recipe.free_clips, len(clips))
        spread = [clips[round(place)] for place in np.linspace(0, len(clips) - 1, count)]
        return means(self.loss(clip) for clip in clips) | free_figures(
            self.predictor(),
            self.model.config.subjects,
            self.clips.store,
            spread,
            [self.samples(clip) for clip in spread],
        )

    def inputs(self, clip: StoreClip) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Samples (B, N) normalised, vertices (B, T, 3V), template (B, 3V) and styles (B, S): in
        the subject's own style, or in all styles where it is none, as published."""
        vertices, template = self.clips.faces(clip)
        subjects = self.model.config.subjects
        styles = torch.eye(len(subjects), device=vertices.device)
        if clip.subject in subjects:
            styles = styles[subjects.index(clip.subject)][None]
        count = len(styles)
        return (
            self.samples(clip).expand(count, -1),
            vertices.expand(count, -1, -1),
            template.expand(count, -1),
            styles,
        )

    def samples(self, clip: StoreClip) -> Tensor:
        """(N,) normalised."""
        return self.model.normalize(self.clips.samples(clip))


def means(losses: Iterable[Losses]) -> Figures:
    """Over the clips, each name with `val_` before it."""
    rows = list(losses)
    return {
        f"val_{name}": float(torch.stack([row[name] for row in rows]).mean()) for name in rows[0]
    }
