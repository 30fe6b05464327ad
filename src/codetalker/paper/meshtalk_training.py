"""MeshTalk's training as released: first the codes, by reconstruction and by crossing modalities
between clips; then the prior over them.

Makes all of the flow speech -> features -> codes -> motion learn, from segments of clips.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from codetalker.data.store import Store, StoreClip
from codetalker.paper.clips import TrainingClips
from codetalker.paper.meshtalk import MeshTalk, MeshTalkPredictor
from codetalker.paper.meshtalk_codec import Codes, MeshTalkCodec, level, sound_around
from codetalker.paper.recipe import EpochPlan, EpochSchedule, TalkerRecipe
from codetalker.paper.talker_training import TalkerTraining, means
from codetalker.training import processes
from codetalker.training.loop import BEST, LAST, Figures, Losses, fit, load_checkpoint
from codetalker.training.run_record import run_record

LATENT = "latent"
"""The codes' own run, in that of the talker."""
UNIT_MM = 190.0
"""Scale of the losses, which are in mm^2, where the data have no unit: BIWI's, about."""

MESHTALK_PLANS = {
    "vocaset": EpochPlan(epochs=382, batch=8),
    "biwi": EpochPlan(epochs=625, batch=8),
}
"""15,000 steps of 8 segments over 314 and 192 clips."""


@dataclass(frozen=True)
class MeshTalkRecipe(TalkerRecipe):
    """How MeshTalk is trained.

    Attributes:
        latent: the plan of the codes: 50,000 steps of 8 segments, two in each share of a step,
            over VOCASET's 314 clips.
        latent_frames, prior_frames: of a segment, for the codes and for the prior.
        crossing: weight of the crossed reconstructions.
    """

    latent: EpochPlan = field(default_factory=lambda: EpochPlan(epochs=637, batch=4))
    latent_frames: int = 32
    prior_frames: int = 64
    crossing: float = 1.0


@dataclass(frozen=True)
class Segments:
    """Clips as MeshTalk sees them: windows of sound and vertices, whole or a random segment."""

    clips: TrainingClips
    fps: float

    def cut(self, clip: StoreClip, frames: int | None) -> tuple[Tensor, Tensor, Tensor]:
        """Sound (1, T, HEARD), vertices (1, T, 3V) and template (1, 3V)."""
        vertices, template = self.clips.faces(clip)
        count = vertices.shape[1] if frames is None else min(frames, vertices.shape[1])
        begin = int(torch.randint(vertices.shape[1] - count + 1, ()))
        samples = level(self.clips.samples(clip))[None]
        sound = sound_around(samples, self.fps, begin, begin + count)
        return sound, vertices[:, begin : begin + count], template

    def pair(self, clips: tuple[StoreClip, StoreClip], frames: int) -> tuple[Tensor, ...]:
        """Two segments of equal length as a batch."""
        shortest = min(frames, *(clip.frames for clip in clips))
        both = [self.cut(clip, shortest) for clip in clips]
        return tuple(torch.cat(parts) for parts in zip(*both, strict=True))


@dataclass(frozen=True)
class LatentTraining:
    """What `fit` needs to know of the codes.

    Attributes:
        mouth, upper: (V,) weights of the vertices in the crossed reconstructions: sound must tell
            how the mouth moves, motion how the upper face does.
    """

    codec: MeshTalkCodec
    segments: Segments
    schedule: EpochSchedule
    recipe: MeshTalkRecipe
    mouth: Tensor
    upper: Tensor

    def losses(self, share: int) -> Losses:
        """Of segments of two clips, each the other's partner."""
        self.codec.train()
        clips = self.segments.clips.train
        first, second = (clips[self.schedule.clip_of(share + i)] for i in range(2))
        sound, vertices, template = self.segments.pair((first, second), self.recipe.latent_frames)
        codes = self.codec.encode(sound, vertices)
        reconstruction = self._error(codes, vertices, template)
        other = Codes(*(code.flip(0) for code in codes))
        crossing = self._error(
            Codes(other.expression, codes.audio), vertices, template, self.mouth
        ) + self._error(Codes(codes.expression, other.audio), vertices, template, self.upper)
        total = reconstruction + self.recipe.crossing * crossing
        return {"loss": total, "reconstruction": reconstruction, "crossing": crossing}

    @torch.no_grad()
    def evaluate(self) -> Figures:
        """Mean error of the validation clips, reconstructed."""
        self.codec.eval()
        return means(map(self._reconstruction, self.segments.clips.validation))

    def _reconstruction(self, clip: StoreClip) -> Losses:
        sound, vertices, template = self.segments.cut(clip, None)
        codes = self.codec.encode(sound, vertices)
        return {"loss": self._error(codes, vertices, template)}

    def _error(
        self, codes: Codes, vertices: Tensor, template: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        """Mean squared error of the coordinates in mm^2, weighted by vertex."""
        made = self.codec.decode(self.codec.quantize(self.codec.fuse(codes)), template)
        squares = ((made - vertices) * (self.codec.config.unit_mm or UNIT_MM)).square()
        if weights is None:
            return squares.mean()
        by_vertex = squares.unflatten(-1, (-1, 3)).mean((0, 1, 3))
        return (by_vertex * weights).sum() / weights.sum()


class MeshTalkTraining(TalkerTraining[MeshTalk, MeshTalkRecipe]):
    """Cross entropy of the prior, on codes that are trained before and stay as they are."""

    def begin(self, run: Path, wav2vec2: str) -> None:
        codec = self.model.codec
        if not (run / LAST).exists():
            self._train_codec(run / LATENT)
        codec.requires_grad_(False)

    def _train_codec(self, run: Path) -> None:
        codec, clips = self.model.codec, self.clips
        codec.measure(*vertex_statistics(clips))
        mouth, upper = (mask.to(clips.device) for mask in regions(clips.store))
        schedule = EpochSchedule(self.recipe.latent, len(clips.train), processes.count())
        segments = Segments(clips, self.model.config.fps)
        latent = LatentTraining(codec, segments, schedule, self.recipe, mouth, upper)
        record = run_record(
            "codec", model=self.model.config, recipe=self.recipe, data=clips.record()
        )
        del record["recipe"]["latent"]  # of which the schedule says what may not change
        fit(
            codec, schedule, latent.losses, latent.evaluate, run,
            watch="val_loss", config={"system": "meshtalk"} | record,
        )  # fmt: skip
        with processes.first_one_first():
            codec.load_state_dict(load_checkpoint(run / BEST))

    def prepare(self) -> None:
        self.model.train()
        self.model.codec.eval()

    def loss(self, clip: StoreClip) -> Losses:
        """Of a segment in training, else of the whole clip."""
        codec = self.model.codec
        frames = self.recipe.prior_frames if self.model.training else None
        sound, vertices, _ = Segments(self.clips, self.model.config.fps).cut(clip, frames)
        with torch.no_grad():
            codes = codec.encode(sound, vertices)
            one_hot = codec.quantize(codec.fuse(codes))
        logits = self.model.prior(one_hot, codes.audio)
        return {"loss": F.cross_entropy(logits.flatten(0, 2), one_hot.argmax(-1).flatten())}

    def predictor(self) -> MeshTalkPredictor:
        return MeshTalkPredictor(self.model)


def vertex_statistics(clips: TrainingClips) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (3V,) of the vertices in all frames of the training clips."""
    count, total, square = 0, 0.0, 0.0
    for clip in clips.train:
        vertices = clips.faces(clip)[0][0].double()
        count += len(vertices)
        total, square = total + vertices.sum(0), square + vertices.square().sum(0)
    mean: Any = total / count
    return mean.float(), (square / count - mean.square()).clamp(min=0).sqrt().float()


def regions(store: Store) -> tuple[Tensor, Tensor]:
    """Weights (V,) of the mouth's and of the upper face's vertices: 1 in the store's region files;
    without them, in the lower and in the upper half of the face, whose second coordinate is up."""
    if all((store.folder / name).is_file() for name in ("lve.txt", "fdd.txt")):
        masks = [torch.zeros(store.vertices_per_face) for _ in range(2)]
        for mask, indices in zip(masks, store.regions(), strict=True):
            mask[torch.from_numpy(indices)] = 1
        return masks[0], masks[1]
    height = np.mean([store.template(subject)[:, 1] for subject in store.subjects], 0)
    upper = torch.from_numpy(height > np.median(height)).float()
    return 1 - upper, upper
