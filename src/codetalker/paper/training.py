"""Training of the published model from a prepared store: stage 1, the codec; stage 2, the talker.

Makes all of the flow speech -> features -> codes -> motion learn. Clips come whole and one by one,
as published: InstanceNorm and attention see a clip's own frames and no padding. A step over several
clips follows the mean of their losses, each of which is the published mean over its own clip.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from codetalker.data.store import Store, StoreClip
from codetalker.nn.quantizer import perplexity
from codetalker.paper.clips import TrainingClips
from codetalker.paper.codec import PaperCodec
from codetalker.paper.config import PaperCodecConfig, PaperConfig
from codetalker.paper.free_running import free_warnings
from codetalker.paper.inference import Predictor
from codetalker.paper.model import CodecLoss, PaperModel, TalkerLoss, codec_loss, talker_loss
from codetalker.paper.recipe import EpochPlan, EpochSchedule, PaperCodecRecipe, PaperTalkerRecipe
from codetalker.paper.talker_training import TalkerTraining, means
from codetalker.training import processes
from codetalker.training.loop import LAST, Figures, Losses, fit
from codetalker.training.run_record import run_record

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
        return means(map(_named, losses)) | {
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
class PaperTalkerTraining(TalkerTraining[PaperModel, PaperTalkerRecipe]):
    """What `fit` needs to know of stage 2."""

    def prepare(self) -> None:
        self.model.prepare_talker_training()

    def loss(self, clip: StoreClip) -> Losses:
        """Teacher-forced."""
        samples, vertices, template, styles = self.inputs(clip)
        output = self.model.teacher_forced(samples, vertices, template, styles)
        return _named(talker_loss(output, self.recipe.motion, self.recipe.codes))

    def predictor(self) -> Predictor:
        return Predictor(self.model)


def _named(loss: CodecLoss | TalkerLoss) -> dict[str, Tensor]:
    """A loss's fields by name, the one that is minimised as `loss`."""
    values = loss._asdict()
    return {"loss": values.pop("total")} | values
