"""VOCA's training: position and velocity of the vertices, from shapes that the data have.

Published steps see 64 pairs of consecutive frames from anywhere; here a step sees whole clips, one
after another, as all systems do.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from codetalker.data.store import StoreClip
from codetalker.paper.clips import TrainingClips
from codetalker.paper.recipe import EpochPlan, TalkerRecipe
from codetalker.paper.talker_training import TalkerTraining
from codetalker.paper.voca import Voca, VocaPredictor
from codetalker.training.loop import LAST, Losses

VOCA_PLANS = {name: EpochPlan(epochs=100) for name in ("vocaset", "biwi")}
"""The published plan: Adam at 1e-4."""

BASIS_FRAMES = 500
"""Frames at most, evenly spread over the clips, of which the first shapes are components."""


@dataclass(frozen=True)
class VocaRecipe(TalkerRecipe):
    """How VOCA is trained.

    Attributes:
        velocity: weight of the error of the velocities beside that of the positions.
    """

    velocity: float = 10.0


class VocaTraining(TalkerTraining[Voca, VocaRecipe]):
    """Squared distances of the vertices and of their steps from frame to frame."""

    def begin(self, run: Path, wav2vec2: str) -> None:
        if not (run / LAST).exists():
            self.model.recognizer.load_pretrained(wav2vec2)
            shapes = principal_shapes(self.clips, self.model.config.expressions)
            with torch.no_grad():
                self.model.shapes.weight.zero_()
                self.model.shapes.weight[:, : shapes.shape[1]] = shapes

    def loss(self, clip: StoreClip) -> Losses:
        samples, vertices, template, styles = self.inputs(clip)
        motion = vertices - template[:, None]
        letters = self.model.recognize(samples[:1])
        windows = self.model.windows(letters, motion.shape[1]).expand(len(styles), -1, -1, -1)
        predicted = self.model(windows, styles)
        position = _square_distance(predicted - motion)
        velocity = _square_distance((predicted - motion).diff(dim=1))
        total = position + self.recipe.velocity * velocity
        return {"loss": total, "position": position, "velocity": velocity}

    def predictor(self) -> VocaPredictor:
        return VocaPredictor(self.model)


def _square_distance(offsets: Tensor) -> Tensor:
    """Of (B, T, 3V) offsets, the mean over frames and vertices; 0 if there are none."""
    return 3 * offsets.square().sum() / max(1, offsets.numel())


def principal_shapes(clips: TrainingClips, count: int) -> Tensor:
    """(3V, count or fewer) unit principal components of the motion in the training clips."""
    frames = sum(clip.frames for clip in clips.train)
    step = -(-frames // BASIS_FRAMES)
    rows = []
    for clip in clips.train:
        vertices, template = clips.faces(clip)
        rows.append((vertices[0] - template)[::step])
    motion = torch.cat(rows)
    motion = motion - motion.mean(0)
    gram = motion.double() @ motion.double().T  # smaller than a covariance: frames, not vertices
    strengths, axes = torch.linalg.eigh(gram)
    largest = strengths.flip(0)[:count]
    kept = largest > 1e-10 * largest[0].clamp(min=1e-30)
    axes = axes.flip(1)[:, :count][:, kept]
    return (motion.T.double() @ axes / largest[kept].sqrt()).to(motion)
