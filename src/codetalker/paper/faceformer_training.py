"""FaceFormer's training as released: whole clips one by one, on the model's own past frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch.nn.functional as F

from codetalker.data.store import StoreClip
from codetalker.paper.faceformer import FaceFormer, FaceFormerPredictor
from codetalker.paper.recipe import EpochPlan, TalkerRecipe
from codetalker.paper.talker_training import TalkerTraining
from codetalker.training.loop import LAST, Losses

FACEFORMER_PLANS = {name: EpochPlan(epochs=100) for name in ("vocaset", "biwi")}
"""The published plans by preset: Adam at 1e-4."""


@dataclass(frozen=True)
class FaceFormerRecipe(TalkerRecipe):
    """How FaceFormer is trained.

    Attributes:
        teacher_forcing: whether past frames are the true ones; as published they are the model's
            own in training, and the true ones in the loss of validation.
    """

    teacher_forcing: bool = False


class FaceFormerTraining(TalkerTraining[FaceFormer, FaceFormerRecipe]):
    """Mean squared error of the vertices."""

    def begin(self, run: Path, wav2vec2: str) -> None:
        if not (run / LAST).exists():
            self.model.talker.speech.load_pretrained(wav2vec2)

    def loss(self, clip: StoreClip) -> Losses:
        samples, vertices, template, styles = self.inputs(clip)
        motion = vertices - template[:, None]
        forced = self.recipe.teacher_forcing or not self.model.training
        predicted = self.model(samples, motion, styles, forced)
        return {"loss": F.mse_loss(predicted, motion[:, : predicted.shape[1]])}

    def predictor(self) -> FaceFormerPredictor:
        return FaceFormerPredictor(self.model)
