"""Train stage 1: the codec and its codebook.

In the flow speech -> features -> **codes <-> motion**. The autoencoder first runs without
quantising; then the codebook starts as k-means centres of what the encoder says, and is kept alive:
an entropy term spreads its use, and rows that fall out of use move to where features are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from codetalker.data.clip import Clip
from codetalker.errors import ModelError
from codetalker.model.codec import UPPER, Codec, CodecConfig
from codetalker.model.geometry import GeometryLoss
from codetalker.model.quantizer import perplexity
from codetalker.rig import Rig
from codetalker.training.augment import stretch
from codetalker.training.gestures import Gestures
from codetalker.training.loop import Losses, Plan, fit, trained_part
from codetalker.training.streams import at_rate

FPS = 25


@dataclass(frozen=True)
class CodecRecipe:
    """How the codec is trained.

    Attributes:
        batch, frames: sequences per step and their length.
        main_share: share of sequences from the speaker with the most clips.
        take_share: share of sequences from takes without sound, where there are any.
        gesture_share: share of sequences into which short postures of other motion are blended,
            and of those whose mouth is wider and narrower than recorded.
        continuous: share of the steps before the codebook is started.
        codebook: weight of the codebook loss, beside mm^2 of reconstruction.
        entropy: weight of the entropy of the codebook's use; it keeps rows alive.
        idle: a row used less than this share of an even use is moved.
        settled: share of the steps after which no row is moved any more.
    """

    batch: int = 16
    frames: int = 48
    main_share: float = 0.6
    take_share: float = 0.15
    gesture_share: float = 0.25
    continuous: float = 0.1
    codebook: float = 1.0
    entropy: float = 0.3
    idle: float = 0.03
    settled: float = 0.8


PLAN = Plan(steps=6000, learning_rate=1.5e-3, weight_decay=1e-4, evaluate_every=500)


class CodecTraining(nn.Module):
    """The codec, how often its codes were used lately, and the losses of a step."""

    def __init__(
        self,
        codec: Codec,
        rig: Rig,
        clips: list[Clip],
        recipe: CodecRecipe,
        plan: Plan,
        takes: Sequence[NDArray[np.float32]] = (),
    ) -> None:
        super().__init__()
        self.codec = codec
        self.recipe, self.plan = recipe, plan
        self.geometry = GeometryLoss(rig)
        self.register_buffer("usage", torch.ones(codec.config.codes))
        self.usage: Tensor
        self._speakers = _by_speaker([c for c in clips if c.split == "train"])
        self._takes = list(takes)
        self._gestures = Gestures(rig, self._takes)
        self._start = int(recipe.continuous * plan.steps)

    def losses(self, step: int) -> Losses:
        """Named losses on the batch of this step."""
        motion, mask = self.batch(step)
        features = self.codec.encode(motion)
        if step < self._start:
            return {"loss": self.geometry(self.codec.decode(features), motion, mask)}
        if step == self._start:
            self._start_codebook()
        quantized = self.codec.quantizer(features)
        reconstruction = self.geometry(self.codec.decode(quantized.values), motion, mask)
        spread = self._entropy(features)
        with torch.no_grad():
            used = torch.bincount(quantized.indices.flatten(), minlength=len(self.usage)).float()
            self.usage.mul_(0.99).add_(used / used.mean(), alpha=0.01)
        recipe = self.recipe
        loss = reconstruction + recipe.codebook * quantized.loss - recipe.entropy * spread
        return {
            "loss": loss,
            "reconstruction": reconstruction,
            "codebook": quantized.loss,
            "entropy": spread,
        }

    @torch.no_grad()
    def revive(self, step: int) -> None:
        """Move idle rows of the codebook to features of the batch."""
        if step % 50 or not self._start <= step < self.recipe.settled * self.plan.steps:
            return
        idle = self.usage < self.recipe.idle
        features = self.codec.encode(self.batch(step)[0]).flatten(0, 2)
        chosen = torch.randint(len(features), (int(idle.sum()),))
        self.codec.quantizer.embedding.weight[idle] = features[chosen]
        self.usage[idle] = 1.0

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Sequences (B, T, K) drawn from (seed, step), and a mask of the channels to compare."""
        random = np.random.default_rng((self.plan.seed, step))
        frames, count = self.recipe.frames, self.recipe.batch
        main, *others = self._speakers
        rows = []
        for _ in range(count):
            own = (
                main
                if random.random() < self.recipe.main_share or not others
                else others[random.integers(len(others))]
            )
            if self._takes and random.random() < self.recipe.take_share:
                own = self._takes
            row = _crop(own[random.integers(len(own))], frames, random)
            if random.random() < self.recipe.gesture_share:
                row = self._gestures.blend(row, random)
            if random.random() < self.recipe.gesture_share:
                row = self._gestures.widen(row, random)
            rows.append(row)
        motion = torch.from_numpy(np.stack(rows))
        mask = torch.ones_like(motion)
        upper = list(UPPER.channels)
        mask[..., upper] = (motion[..., upper].amax((1, 2), keepdim=True) > 0).float()
        return motion, mask

    @torch.no_grad()
    def _start_codebook(self, rounds: int = 15) -> None:
        """k-means over features of 40 batches."""
        steps = range(1_000_000, 1_000_040)
        features = torch.cat([self.codec.encode(self.batch(s)[0]).flatten(0, 2) for s in steps])
        rows = self.codec.quantizer.embedding.weight
        rows.copy_(features[torch.randperm(len(features))[: len(rows)]])
        for _ in range(rounds):
            chosen = features[torch.randperm(len(features))[:30_000]]
            nearest = self.codec.quantizer.nearest(chosen)
            size = torch.bincount(nearest, minlength=len(rows))[:, None]
            sums = torch.zeros_like(rows).index_add_(0, nearest, chosen)
            spare = chosen[torch.randint(len(chosen), (len(rows),))]
            rows.copy_(torch.where(size > 0, sums / size.clamp(min=1), spare))

    def _entropy(self, features: Tensor) -> Tensor:
        """Of the mean soft assignment of a batch: log(codes) when all are used alike."""
        distances = self.codec.quantizer.squared_distances(features).flatten(0, 2)
        share = (-distances).softmax(-1).mean(0)
        return -(share * (share + 1e-9).log()).sum()


def train_codec(
    clips: list[Clip],
    rig: Rig,
    folder: Path,
    config: CodecConfig = CodecConfig(),
    recipe: CodecRecipe = CodecRecipe(),
    plan: Plan = PLAN,
    takes: Sequence[NDArray[np.float32]] = (),
) -> None:
    """Train on the clips of split `train`, watch those of split `val`; resume what is there.

    `takes` are (T, K) motions at 25 fps without sound: the codebook learns their postures too.
    """
    torch.manual_seed(plan.seed)
    training = CodecTraining(Codec(config), rig, clips, recipe, plan, takes)
    validation = [torch.from_numpy(at_rate(c, FPS)) for c in clips if c.split == "val"]
    lips = torch.from_numpy(1e3 * rig.basis("lips").reshape(config.channels, -1))

    @torch.no_grad()
    def evaluate() -> dict[str, float]:
        errors, codes = [], []
        for motion in validation:
            decoded, quantized = training.codec(motion[None])
            offset = ((decoded[0].clamp(0, 1) - motion) @ lips).unflatten(-1, (-1, 3)).norm(dim=-1)
            errors.append(offset)
            codes.append(quantized.indices.flatten())
        distance, used = torch.cat(errors), torch.cat(codes)
        return {
            "lip_error_mm": float(distance.mean()),
            "lve_mm2": float((distance.amax(1) ** 2).mean()),
            "code_perplexity": float(perplexity(used, config.codes)),
            "codes_used": float(len(used.unique())),
        }

    fit(
        training, plan, training.losses, evaluate, folder,
        watch="lip_error_mm", after_step=training.revive,
    )  # fmt: skip


def load_codec(path: Path, config: CodecConfig = CodecConfig()) -> Codec:
    """The trained codec of a `best.pt`, frozen.

    Raises:
        ModelError: the file is missing, damaged, or not of a codec of these sizes.
    """
    state = trained_part(path, "codec")
    codec = Codec(config)
    try:
        codec.load_state_dict(state)
    except RuntimeError:
        raise ModelError(
            f"{path} is not of a codec with these sizes; name the folder of a codec's run"
        ) from None
    return codec.eval().requires_grad_(False)


def _by_speaker(clips: list[Clip]) -> list[list[NDArray[np.float32]]]:
    """Motions of each speaker at 25 fps, the speaker with the most clips first."""
    names = sorted({c.speaker for c in clips})
    groups = [[at_rate(c, FPS) for c in clips if c.speaker == name] for name in names]
    return sorted(groups, key=len, reverse=True)


def _crop(
    motion: NDArray[np.float32], frames: int, random: np.random.Generator
) -> NDArray[np.float32]:
    """(frames, K) from anywhere in the motion, at 0.85 to 1.2 of its speed and 0.7 to 1.2 of its
    size."""
    speed = float(np.exp(random.uniform(-0.16, 0.18)))
    need = min(len(motion), int(np.ceil(frames * speed)) + 1)
    first = random.integers(len(motion) - need + 1)
    crop = stretch(motion[first : first + need], speed)[:frames]
    crop = np.pad(crop, ((0, frames - len(crop)), (0, 0)), mode="edge")
    return np.clip(crop * random.uniform(0.7, 1.2), 0, 1).astype(np.float32)
