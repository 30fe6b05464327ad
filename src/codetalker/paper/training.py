"""Training of the published model from a prepared store: stage 1, the codec; stage 2, the talker.

Makes all of the flow speech -> features -> codes -> motion learn. Clips come whole and one by one,
as published: InstanceNorm and attention see a clip's own frames and no padding. A step over several
clips follows the mean of their losses, each of which is the published mean over its own clip.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codetalker.data.store import Store, StoreClip
from codetalker.errors import DataError
from codetalker.nn.quantizer import perplexity
from codetalker.paper.codec import PaperCodec
from codetalker.paper.config import PaperCodecConfig, PaperConfig
from codetalker.paper.free_running import free_figures, free_warnings
from codetalker.paper.model import CodecLoss, PaperModel, TalkerLoss, codec_loss, talker_loss
from codetalker.paper.recipe import EpochPlan, EpochSchedule, PaperCodecRecipe, PaperTalkerRecipe
from codetalker.training import processes
from codetalker.training.loop import LAST, Figures, Losses, fit
from codetalker.training.run_record import run_record, values_digest

DEAD = 0.05
"""A codebook whose perplexity is below this share of its rows is as good as dead."""


def train_paper_codec(
    store: Store,
    folder: Path,
    *,
    config: PaperCodecConfig,
    plan: EpochPlan,
    recipe: PaperCodecRecipe,
    device: torch.device,
) -> None:
    """Train stage 1 on the clips of split `train`, watch those of `val`; resume what is there.

    Raises:
        DataError: a split is empty, or the training goes astray.
        ModelError: the folder holds a run with other options.
    """
    clips = TrainingClips.of(store, device)
    torch.manual_seed(plan.seed)
    codec = PaperCodec(config).to(device)
    schedule = EpochSchedule(plan, len(clips.train), processes.count())
    training = PaperCodecTraining(codec, clips, schedule, recipe)
    record = run_record("codec", model=config, recipe=recipe, data=clips.record())
    fit(
        codec, schedule, training.losses, training.evaluate, folder,
        watch="val_loss", warn=training.warn, config=record,
    )  # fmt: skip


def train_paper_talker(
    store: Store,
    folder: Path,
    *,
    config: PaperConfig,
    codec: Mapping[str, Tensor],
    wav2vec2: str,
    plan: EpochPlan,
    recipe: PaperTalkerRecipe,
    device: torch.device,
) -> None:
    """Train stage 2 on the clips of split `train`, watch those of `val`; resume what is there.

    Args:
        codec: tensors of the trained stage 1, which stay as they are.
        wav2vec2: folder or name of the pretrained speech encoder to start from.

    Raises:
        DataError: a split is empty, or the training goes astray.
        ModelError: the folder holds a run with other options, or the speech encoder cannot be had.
    """
    clips = TrainingClips.of(store, device)
    torch.manual_seed(plan.seed)
    model = PaperModel(config)
    model.codec.load_state_dict(codec)
    if not (folder / LAST).exists():
        model.talker.speech.load_pretrained(wav2vec2)
    model.prepare_talker_training().to(device)
    schedule = EpochSchedule(plan, len(clips.train), processes.count())
    training = PaperTalkerTraining(model, clips, schedule, recipe)
    record = run_record("talker", model=config, recipe=recipe, data=clips.record(), codec=codec)
    fit(
        model, schedule, training.losses, training.evaluate, folder,
        watch="free_lve", warn=free_warnings, config=record,
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class TrainingClips:
    """The clips of a store that are trained on and those that are watched, as tensors."""

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


@dataclasses.dataclass(frozen=True)
class PaperCodecTraining:
    """What `fit` needs to know of stage 1."""

    codec: PaperCodec
    clips: TrainingClips
    schedule: EpochSchedule
    recipe: PaperCodecRecipe

    def losses(self, share: int) -> Losses:
        """Of one clip."""
        self.codec.train()
        loss, indices = self._loss(self.clips.train[self.schedule.clip_of(share)])
        return _named(loss) | {"perplexity": perplexity(indices, self.codec.config.codes)}

    @torch.no_grad()
    def evaluate(self) -> Figures:
        """Mean losses over the validation clips, and how their frames use the codebook."""
        self.codec.eval()
        losses, indices = zip(*map(self._loss, self.clips.validation), strict=True)
        used = torch.cat([i.flatten() for i in indices])
        return _means(losses) | {
            "codes_used": len(used.unique()),
            "code_perplexity": float(perplexity(used, self.codec.config.codes)),
        }

    def warn(self, figures: Figures) -> list[str]:
        """Whether the codebook is dying."""
        codes = self.codec.config.codes
        if figures["code_perplexity"] >= DEAD * codes:
            return []
        return [
            f"the codebook is nearly dead: {figures['codes_used']:.0f} of {codes} codes used, "
            f"perplexity {figures['code_perplexity']:.1f}; motion will be coarse: try another "
            "seed, or a lower learning rate"
        ]

    def _loss(self, clip: StoreClip) -> tuple[CodecLoss, Tensor]:
        """The loss and the codes."""
        vertices, template = self.clips.faces(clip)
        output = self.codec(vertices, template)
        return codec_loss(output, vertices, self.recipe.codebook), output.indices


@dataclasses.dataclass(frozen=True)
class PaperTalkerTraining:
    """What `fit` needs to know of stage 2."""

    model: PaperModel
    clips: TrainingClips
    schedule: EpochSchedule
    recipe: PaperTalkerRecipe

    def losses(self, share: int) -> Losses:
        """Of one clip, teacher-forced."""
        self.model.prepare_talker_training()
        return _named(self._loss(self.clips.train[self.schedule.clip_of(share)]))

    @torch.no_grad()
    def evaluate(self) -> Figures:
        """Mean losses over the validation clips, and figures of some of them predicted freely."""
        self.model.eval()
        clips = self.clips.validation
        count = min(self.recipe.free_clips, len(clips))
        spread = [clips[round(place)] for place in np.linspace(0, len(clips) - 1, count)]
        return _means([self._loss(clip) for clip in clips]) | free_figures(
            self.model, self.clips.store, spread, self._samples
        )

    def _loss(self, clip: StoreClip) -> TalkerLoss:
        """In the subject's own style, or over all styles where it is none, as published."""
        vertices, template = self.clips.faces(clip)
        subjects = self.model.config.talker.subjects
        styles = torch.eye(len(subjects), device=vertices.device)
        if clip.subject in subjects:
            styles = styles[subjects.index(clip.subject)][None]
        count = len(styles)
        output = self.model.teacher_forced(
            self._samples(clip).expand(count, -1),
            vertices.expand(count, -1, -1),
            template.expand(count, -1),
            styles,
        )
        return talker_loss(output, self.recipe.motion, self.recipe.codes)

    def _samples(self, clip: StoreClip) -> Tensor:
        """(N,) normalised."""
        return self.model.talker.speech.normalize(self.clips.samples(clip))


def _own(array: NDArray[np.float32], device: torch.device) -> Tensor:
    """A copy: the array is mapped and read-only."""
    return torch.tensor(array, device=device)


def _named(loss: CodecLoss | TalkerLoss) -> dict[str, Tensor]:
    """A loss's fields by name, the one that is minimised as `loss`."""
    values = loss._asdict()
    return {"loss": values.pop("total")} | values


def _means(losses: Any) -> Figures:
    """Over the clips, each name with `val_` before it."""
    rows = [_named(loss) for loss in losses]
    return {
        f"val_{name}": float(torch.stack([row[name] for row in rows]).mean()) for name in rows[0]
    }
