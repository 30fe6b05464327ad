"""Train stage 1: the codec and its codebook.

In the flow speech -> features -> **codes <-> motion**. The autoencoder first runs without
quantising; then the codebook starts as k-means centres of what the encoder says, and is kept alive:
an entropy term spreads its use, and rows that fall out of use move to where features are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from codetalker.arkit import UPPER_FACE_CHANNELS
from codetalker.causal.augment import stretch
from codetalker.causal.codec import Codec, CodecConfig
from codetalker.causal.features import at_rate
from codetalker.causal.gestures import Gestures
from codetalker.causal.losses import GeometryLoss, GeometryWeights
from codetalker.data.clip import Clip
from codetalker.nn.quantizer import perplexity
from codetalker.rig import Rig
from codetalker.training import processes
from codetalker.training.loop import Losses, Plan, fit
from codetalker.training.run_record import run_record, tensors_digest, values_digest
from codetalker.training.trained import part_of, read_trained, undescribed


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


CODEC_PLAN = Plan(steps=6000, learning_rate=1.5e-3, weight_decay=1e-4, evaluate_every=500)


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
        self.geometry = GeometryLoss(rig, GeometryWeights())
        self.register_buffer("usage", torch.ones(codec.config.codes))
        self.usage: Tensor
        self.register_buffer("_used", torch.zeros(codec.config.codes), persistent=False)
        self._used: Tensor
        self._speakers = _by_speaker([c for c in clips if c.split == "train"], codec.config.fps)
        self._takes = list(takes)
        self._gestures = Gestures(rig, self._takes)
        self._start = int(recipe.continuous * plan.steps)

    def losses(self, share: int) -> Losses:
        """Named losses on the batch of this share."""
        motion, mask = self.batch(share)
        features = self.codec.encode(motion)
        if share < self._start * self.plan.shares:
            return {"loss": self.geometry(self.codec.decode(features), motion, mask)}
        quantized = self.codec.quantizer(features)
        reconstruction = self.geometry(self.codec.decode(quantized.values), motion, mask)
        spread = self._entropy(features)
        self._used += torch.bincount(quantized.indices.flatten(), minlength=len(self.usage))
        recipe = self.recipe
        loss = reconstruction + recipe.codebook * quantized.loss - recipe.entropy * spread
        return {
            "loss": loss,
            "reconstruction": reconstruction,
            "codebook": quantized.loss,
            "entropy": spread,
        }

    @torch.no_grad()
    def start(self, step: int) -> None:
        """Start the codebook when its step has come."""
        if step == self._start:
            self._start_codebook()
            processes.agree_on(self.codec.quantizer.embedding.weight)

    @torch.no_grad()
    def revive(self, step: int) -> None:
        """Count how the step used the codebook; move idle rows to features of a batch."""
        if step < self._start:
            return
        used = processes.sum_counts(self._used)
        self.usage.mul_(0.99).add_(used / used.mean(), alpha=0.01)
        self._used.zero_()
        if step % 50 or step >= self.recipe.settled * self.plan.steps:
            return
        idle = self.usage < self.recipe.idle
        features = self.codec.encode(self.batch(step * self.plan.shares)[0]).flatten(0, 2)
        chosen = torch.randint(len(features), (int(idle.sum()),))
        self.codec.quantizer.embedding.weight[idle] = features[chosen]
        self.usage[idle] = 1.0
        processes.agree_on(self.codec.quantizer.embedding.weight)

    def batch(self, share: int) -> tuple[Tensor, Tensor]:
        """Sequences (B, T, K) drawn from (seed, share), and a mask of the channels to compare."""
        random = np.random.default_rng((self.plan.seed, share))
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
        upper = list(UPPER_FACE_CHANNELS)
        mask[..., upper] = (motion[..., upper].amax((1, 2), keepdim=True) > 0).float()
        return motion.to(self.usage.device), mask.to(self.usage.device)

    @torch.no_grad()
    def _start_codebook(self, rounds: int = 15) -> None:
        """k-means over features of 40 batches."""
        shares = range(1_000_000, 1_000_040)
        features = torch.cat([self.codec.encode(self.batch(s)[0]).flatten(0, 2) for s in shares])
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
    *,
    config: CodecConfig,
    recipe: CodecRecipe,
    plan: Plan,
    device: torch.device,
    takes: Sequence[NDArray[np.float32]] = (),
    kept: Codec | None = None,
) -> None:
    """Train on the clips of split `train`, watch those of split `val`; resume what is there.

    Args:
        takes: (T, K) motions at 25 fps without sound: the codebook learns their postures too.
        kept: a codec of that configuration whose codebook and decoder stay as they are: its
            encoder alone is trained, anew.
    """
    plan = plan.among(processes.count())
    torch.manual_seed(plan.seed)
    codec = Codec(config)
    if kept is not None:
        recipe = replace(recipe, continuous=0.0)
        for part in ("decoders", "quantizer"):
            getattr(codec, part).load_state_dict(getattr(kept, part).state_dict())
            getattr(codec, part).requires_grad_(False)
    training = CodecTraining(codec, rig, clips, recipe, plan, takes).to(device)
    watched = [clip for clip in clips if clip.split == "val"]
    validation = [torch.from_numpy(at_rate(clip, config.fps)).to(device) for clip in watched]
    lips = torch.from_numpy(1e3 * rig.basis("lips").reshape(config.channels, -1)).to(device)

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

    used = (clip.digest(with_sound=False) for clip in clips if clip.split in ("train", "val"))
    data = {
        "clips": values_digest(used),
        "takes": tensors_digest({str(i): torch.from_numpy(take) for i, take in enumerate(takes)}),
    }
    if kept is not None:
        data["kept"] = tensors_digest(kept.decoders.state_dict())
    record = run_record("codec", model=config, recipe=recipe, data=data)
    still = [lambda step: None] * 2
    before, after = still if kept else (training.start, training.revive)
    fit(
        training, plan, training.losses, evaluate, folder,
        watch="lip_error_mm", config=record, before_step=before, after_step=after,
    )  # fmt: skip


def load_codec(path: Path) -> Codec:
    """A trained codec, frozen, of the sizes that its run has recorded.

    Args:
        path: the run's folder, for its best codec; or `best.pt` or `last.pt` in there.

    Raises:
        ModelError: there is none, it is damaged, or it is of another stage or family.
    """
    record, state = read_trained(path, "codec")
    try:
        codec = Codec(CodecConfig.of(record["model"]))
        codec.load_state_dict(part_of(state, "codec"))
    except (KeyError, TypeError, ValueError, RuntimeError):
        raise undescribed(path, "codec") from None
    return codec.eval().requires_grad_(False)


def _by_speaker(clips: list[Clip], fps: int) -> list[list[NDArray[np.float32]]]:
    """Motions of each speaker at `fps`, the speaker with the most clips first."""
    names = sorted({c.speaker for c in clips})
    groups = [[at_rate(c, fps) for c in clips if c.speaker == name] for name in names]
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
