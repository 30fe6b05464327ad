"""The published training recipes: optimisers, schedules and weights of the losses.

Xing et al., CodeTalker, 2023, as released: AdamW at 1e-4 for stage 1, Adam at 1e-4 for stage 2,
whole sequences one by one in random order.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from codetalker.errors import OptionError


@dataclass(frozen=True)
class EpochPlan:
    """How long and how fast to train, in passes over the clips.

    Attributes:
        epochs: passes in all; more of them later let a finished run go on.
        learning_rate: at first.
        weight_decay: of AdamW, on all parameters; with 0 it is Adam.
        halve_every: epochs after which the learning rate is halved, again and again; None: never.
        batch: clips per step in each process. The step follows the mean of the clips' losses.
        clip: largest norm of the gradient; None leaves it as it is.
        seed: of everything random.
        evaluate_every: epochs between evaluations; checkpoints come with every epoch.
    """

    epochs: int
    learning_rate: float = 1e-4
    weight_decay: float = 0.0
    halve_every: int | None = None
    batch: int = 1
    clip: float | None = None
    seed: int = 0
    evaluate_every: int = 10

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "evaluate_every", "halve_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise OptionError(f"plan: {name} is {value}; choose 1 or more")
        for name in ("learning_rate", "clip"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise OptionError(f"plan: {name} is {value}; choose a number above 0")


@dataclass(frozen=True)
class EpochSchedule:
    """An `EpochPlan` over a number of clips, as `training.loop.fit` takes it.

    Share i of the run is one clip: clip i of the epochs' shuffled orders, one after another. A
    batch may reach into the next epoch; the last one may reach beyond the end.

    Attributes:
        plan: in epochs.
        clips: how many there are.
        processes: how many train together.
    """

    plan: EpochPlan
    clips: int
    processes: int = 1

    @property
    def shares(self) -> int:
        """Clips per step."""
        return self.plan.batch * self.processes

    @property
    def steps(self) -> int:
        return math.ceil(self.plan.epochs * self.clips / self.shares)

    @property
    def clip(self) -> float:
        return math.inf if self.plan.clip is None else self.plan.clip

    @property
    def seed(self) -> int:
        return self.plan.seed

    @property
    def evaluate_every(self) -> int:
        return max(1, round(self.plan.evaluate_every * self.clips / self.shares))

    @property
    def save_every(self) -> int:
        return max(1, round(self.clips / self.shares))

    def rate(self, step: int) -> float:
        """Learning rate at a step, the same throughout an epoch."""
        every = self.plan.halve_every
        halvings = 0 if every is None else step * self.shares // self.clips // every
        return self.plan.learning_rate * 0.5**halvings

    def optimiser(self, model: nn.Module) -> torch.optim.Optimizer:
        """AdamW on what is not frozen; without weight decay this is Adam to the last bit."""
        trained = [p for p in model.parameters() if p.requires_grad]
        return torch.optim.AdamW(
            trained, self.plan.learning_rate, weight_decay=self.plan.weight_decay
        )

    def record(self) -> dict[str, Any]:
        """All but the number of epochs, on which no step depends; batches of all processes."""
        values = asdict(self.plan) | {"batch": self.shares, "clips": self.clips}
        del values["epochs"], values["evaluate_every"]
        return values

    def clip_of(self, share: int) -> int:
        """Which clip a share of the run is."""
        epoch, place = divmod(share, self.clips)
        return int(np.random.default_rng((self.seed, epoch)).permutation(self.clips)[place])


@dataclass(frozen=True)
class PaperCodecRecipe:
    """Stage 1.

    Attributes:
        codebook: weight of the codebook loss beside the mean absolute error of the vertices.
    """

    codebook: float = 1.0


@dataclass(frozen=True)
class TalkerRecipe:
    """What is common to all talkers.

    Attributes:
        free_clips: validation clips that are predicted freely, without true past motion, at each
            evaluation; by their error the best model is chosen.
    """

    free_clips: int = 8

    def __post_init__(self) -> None:
        if self.free_clips < 1:
            raise OptionError(f"recipe: free_clips is {self.free_clips}; choose 1 or more")


@dataclass(frozen=True)
class PaperTalkerRecipe(TalkerRecipe):
    """Stage 2.

    Attributes:
        motion: weight of the mean squared error of the vertices.
        codes: weight of the mean squared distance to the quantised truth.
    """

    motion: float = 1.0
    codes: float = 1.0


CODEC_PLANS = {
    "vocaset": EpochPlan(epochs=200, weight_decay=0.01, halve_every=20),
    "biwi": EpochPlan(epochs=200, weight_decay=0.01),
}
TALKER_PLANS = {"vocaset": EpochPlan(epochs=100), "biwi": EpochPlan(epochs=100)}
"""The published plans of the two stages by preset."""
