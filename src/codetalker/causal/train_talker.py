"""Train stage 2: the talker that queries the frozen codebook from speech.

In the flow speech -> **features -> codes** -> motion. The losses are the paper's (motion through
the straight-through quantiser, and regression of the true codes' rows) for the parts that follow
speech; for those that speech only hints at, the cross entropy of their codes, so that they can be
sampled. Where the phones of speech are known and its motion is not, the losses are what the phones
ask of the decoded motion. Past motion is the true one, disturbed; the model is selected by its
free-running error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from codetalker.causal.articulation import NOTHING, OPEN, TEETH, PhoneLoss
from codetalker.causal.codec import Codec
from codetalker.causal.features import FeatureSet
from codetalker.causal.generator import Generator, free_run
from codetalker.causal.losses import ArticulationLoss, GeometryLoss, GeometryWeights
from codetalker.causal.talker import TalkerConfig, TalkerNet
from codetalker.errors import DataError
from codetalker.evaluation.metrics import RigMetrics
from codetalker.rig import Rig
from codetalker.training import processes
from codetalker.training.loop import Losses, Plan, fit
from codetalker.training.run_record import run_record
from codetalker.training.trained import part_of, read_trained, undescribed
from codetalker.windows import SpeechWindows


@dataclass(frozen=True)
class TalkerRecipe:
    """How the talker is trained.

    Attributes:
        batch, frames: sequences per share of a step and their length; `phone_batch` of phone-timed
            speech beside them, if there is any.
        main_share: share of sequences of the speaker with most of the data; `clean_share` of the
            ones whose sound was not altered; `start_share` of those that begin where a stream does.
        regression: weight of the squared distance to the true codes' rows, beside mm^2 of motion.
        query: weight of the codes' cross entropy.
        noise: standard deviation of what is added to past weights; `forget` the share of
            sequences that get no past motion at all.
        neutral_share: share of sequences whose style is the neutral one, `blend_share` of those
            with a mixture of it and their own; `phone_neutral_share` of phone-timed speech that is
            spoken in the neutral style, the rest in any.
        closure, kept_shut, spread: weights of lips that fail to close in passing, of lips that do
            not stay shut, and of motion that is too small.
        taught: weight of a teacher's motion where no captured one is known, in the neutral style.
        shut, open, teeth, height, round, rest: weights of what phones ask for; see `PhoneLoss`.
        commitment: weight of the distance to the nearest codes where no true ones are known.
        averaging: share of the past in the running mean of the weights, which is what is kept.
    """

    batch: int = 20
    phone_batch: int = 10
    frames: int = 80
    main_share: float = 0.55
    clean_share: float = 0.9
    start_share: float = 0.2
    regression: float = 1.0
    query: float = 0.3
    noise: float = 0.02
    forget: float = 0.1
    neutral_share: float = 0.15
    blend_share: float = 0.1
    phone_neutral_share: float = 0.9
    closure: float = 0.5
    kept_shut: float = 0.2
    spread: float = 1.0
    taught: float = 1.0
    shut: float = 1.0
    open: float = 0.5
    teeth: float = 0.2
    height: float = 0.5
    round: float = 0.25
    rest: float = 1.0
    commitment: float = 0.5
    averaging: float = 0.985


TALKER_PLAN = Plan(
    steps=1600, learning_rate=1.5e-3, warmup=60, weight_decay=0.2, evaluate_every=200
)


@dataclass(frozen=True)
class Batch:
    """Sequences: features (B, hops, kept, D), motion and mask (B, lead + T, K), codes
    (B, lead + T, H), known (B, lead + T) false before the start of a recording, targets
    (B, lead + T, columns), style (B,). Those with phones, whose motion is not known, come last."""

    features: Tensor
    motion: Tensor
    mask: Tensor
    codes: Tensor
    known: Tensor
    targets: Tensor
    style: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same there."""
        return Batch(*(value.to(device) for value in vars(self).values()))

    def first(self, count: int) -> Batch:
        """So many of its sequences."""
        return Batch(*(value[:count] for value in vars(self).values()))


class Sampler:
    """Draws sequences from feature sets, the same ones for the same (seed, share)."""

    def __init__(
        self,
        sets: Sequence[FeatureSet],
        codec: Codec,
        windows: SpeechWindows,
        recipe: TalkerRecipe,
        seed: int,
        phones: Sequence[FeatureSet] = (),
    ) -> None:
        self.phones = phones
        self.sets, self.windows, self.recipe, self.seed = sets, windows, recipe, seed
        self.lead = codec.config.reach
        self.hops = recipe.frames // windows.frames_per_hop
        if not all((np.diff(data.starts) >= self.hops).any() for data in (*sets, *phones)):
            raise DataError(
                f"no speaker's clips last {recipe.frames / windows.fps:g} s together, one sequence "
                "of training; add clips or lower --recipe.frames"
            )
        self.codes = [_stream_codes(s, codec, windows) for s in sets]
        styles = np.bincount(sets[0].styles, np.diff(sets[0].starts))
        self.main = int(styles.argmax())

    def __call__(self, share: int) -> Batch:
        random = np.random.default_rng((self.seed, share))
        rows = [self._row(random) for _ in range(self.recipe.batch)]
        if self.phones:
            rows += [self._phone_row(random) for _ in range(self.recipe.phone_batch)]
        return Batch(*(torch.from_numpy(np.stack(column)) for column in zip(*rows, strict=True)))

    def _row(self, random: np.random.Generator) -> tuple[NDArray, ...]:
        clean = len(self.sets) == 1 or random.random() < self.recipe.clean_share
        number = 0 if clean else int(random.integers(1, len(self.sets)))
        data, codes = self.sets[number], self.codes[number]
        wanted = (data.styles == self.main) == (random.random() < self.recipe.main_share)
        fits = self._room(data)
        room = fits * wanted
        # there may be one speaker only, or the others may say too little
        return self._cut(data, codes, room if room.any() else fits, random)

    def _phone_row(self, random: np.random.Generator) -> tuple[NDArray, ...]:
        data = self.phones[int(random.integers(len(self.phones)))]
        unknown = np.zeros((1, self.codes[0].shape[1]), np.int16)
        codes = np.broadcast_to(unknown, (len(data.weights), unknown.shape[1]))
        return self._cut(data, codes, self._room(data), random)

    def _room(self, data: FeatureSet) -> NDArray[np.int64]:
        """(S,) places in each stream at which a sequence can begin."""
        return np.maximum(np.diff(data.starts) - self.hops + 1, 0)

    def _cut(
        self,
        data: FeatureSet,
        codes: NDArray[np.int16],
        room: NDArray[np.int64],
        random: np.random.Generator,
    ) -> tuple[NDArray, ...]:
        """A sequence from anywhere in the streams, each drawn by its `room`."""
        per_hop, hops = self.windows.frames_per_hop, self.hops
        stream = int(random.choice(len(room), p=room / room.sum()))
        later = random.random() >= self.recipe.start_share
        first = int(data.starts[stream] + later * random.integers(room[stream]))
        begin = first * per_hop - self.lead
        frames = np.arange(begin, begin + self.lead + hops * per_hop)
        known = frames >= data.starts[stream] * per_hop
        inside = np.maximum(frames, 0)
        return (
            data.features[first : first + hops].astype(np.float32),
            data.weights[inside] * known[:, None],
            data.mask[inside].astype(np.float32) * known[:, None],
            codes[inside].astype(np.int64),
            known,
            data.targets[inside],
            data.styles[stream],
        )


class TalkerTraining(nn.Module):
    """The talker and the losses of a step; the codec stays frozen."""

    def __init__(
        self,
        talker: TalkerNet,
        codec: Codec,
        rig: Rig,
        sample: Sampler,
        recipe: TalkerRecipe,
    ) -> None:
        super().__init__()
        self.talker = talker
        self.averaged = AveragedModel(talker, avg_fn=_running_mean(recipe.averaging))
        self.averaged.requires_grad_(False)
        self._frozen = (codec,)  # in a tuple: not part of the checkpoint
        self.geometry = GeometryLoss(rig, GeometryWeights())
        self.articulation = ArticulationLoss(rig, codec.config.fps)
        self.phones = PhoneLoss(rig, codec.config.fps)
        self.sample, self.recipe = sample, recipe
        speech_driven = torch.zeros(len(rig.blendshape_names))
        speech_driven[list(codec.config.articulation)] = 1.0
        self.register_buffer("mouth", speech_driven, persistent=False)
        self.mouth: Tensor

    def losses(self, share: int) -> Losses:
        """Named losses on the batch of this share."""
        batch, recipe = self.sample(share).to(self.mouth.device), self.recipe
        codec, lead, count = self._frozen[0], self.sample.lead, recipe.batch
        self.talker.train()
        speech = self.talker.adapter(batch.features).flatten(1, 2)
        style, neutral = self._styles(batch.style)
        rows = codec.quantizer.embedding(batch.codes) * batch.known[..., None, None]
        target, context = rows[:, lead:], rows[:, 1:lead]
        phase = share % self.talker.config.period
        features = self.talker(speech, style, self._past(batch.motion[:, lead - 1 : -1]), phase)
        quantized = codec.quantizer(features)
        motion = codec.decode(quantized.values, context)
        asked = self._asked(batch, neutral)
        compared = self._compared(batch, neutral, asked)
        values = self._corpus_losses(
            features[:count], motion[:count], target[:count], batch.first(count), compared[:count]
        )
        values |= self.phones(motion, asked)
        if len(motion) > count:
            values["taught"] = self._taught_loss(motion[count:], batch, compared[count:])
            queried = codec.config.queried
            nearest = codec.quantizer.embedding(quantized.indices[count:, :, :queried])
            values["commitment"] = F.mse_loss(features[count:, :, :queried], nearest)
        weights = {"motion": 1.0, **asdict(recipe)}
        loss = sum((weights[name] * value for name, value in values.items()), motion.new_zeros(()))
        return {"loss": loss, **values}

    def _asked(self, batch: Batch, neutral: Tensor) -> Tensor:
        """(B, T, columns) what phones ask of each frame.

        Of a corpus it is what its camera did not see, the lip at the teeth, and in the neutral
        style only: a speaker's own is as it was captured.
        """
        lead, count = self.sample.lead, self.recipe.batch
        targets = batch.targets[:, lead:].clone()
        teeth = targets[:count, :, TEETH].masked_fill(~neutral[:count, None], NOTHING)
        targets[:count] = NOTHING
        targets[:count, :, TEETH] = teeth
        targets[count:, :lead][self._later(batch)] = NOTHING
        return targets

    def _compared(self, batch: Batch, neutral: Tensor, asked: Tensor) -> Tensor:
        """(B, T, K) where motion is compared: a corpus's where it is known, a teacher's mouth in
        the neutral style; but not the mouth where phones ask for something else, the lip at the
        teeth or lips that are not shut."""
        lead, count = self.sample.lead, self.recipe.batch
        mask = batch.mask[:, lead:].clone()
        shut = batch.motion[:, lead:] @ self.phones.gap < self.phones.OPENED
        elsewhere = (asked[..., TEETH] > 0) | shut & (asked[..., OPEN] > 0)
        beside = F.max_pool1d(elsewhere.float(), 3, 1, 1)[..., None]
        mask *= 1 - beside * self.mouth
        mask[count:] *= neutral[count:, None, None]
        mask[count:, :lead][self._later(batch)] = 0
        return mask

    def _later(self, batch: Batch) -> Tensor:
        """Which sequences with phones do not begin their recording: what the decoder heard before
        their first frames is not known."""
        return batch.known[self.recipe.batch :, self.sample.lead - 1]

    def _taught_loss(self, motion: Tensor, batch: Batch, compared: Tensor) -> Tensor:
        """Distance from a teacher's motion, and from how far it moves, in the sequences that have
        one throughout: without, only pauses are known."""
        lead, settled = self.sample.lead, slice(self.sample.lead, None)
        spoken = slice(self.recipe.batch, None)
        mask = compared * self.mouth
        known = batch.mask[spoken, 2 * lead :] * self.mouth
        taught = (known.amax(-1).amin(-1) > 0) & (mask.amax((1, 2)) > 0)
        if not taught.any():
            return motion.new_zeros(())
        true = batch.motion[spoken, lead:]
        motion, true, mask = motion[taught], true[taught], mask[taught]
        spread = self.articulation.spread(motion[:, settled], true[:, settled])
        return self.geometry(motion, true, mask) + spread

    def _corpus_losses(
        self, features: Tensor, motion: Tensor, target: Tensor, batch: Batch, mask: Tensor
    ) -> dict[str, Tensor]:
        """Losses of the sequences whose motion is known, where the mask is."""
        codec, lead = self._frozen[0], self.sample.lead
        queried = codec.config.queried
        true = batch.motion[:, lead:]
        entropy = F.cross_entropy(
            -codec.quantizer.squared_distances(features).flatten(0, 2),
            batch.codes[:, lead:].flatten(),
            reduction="none",
        ).view(features.shape[:3])
        seen = mask[..., self.mouth == 0].amax(-1)
        return {
            "motion": self.geometry(motion, true, mask * self.mouth),
            "regression": F.mse_loss(features[:, :, :queried], target[:, :, :queried]),
            "query": (entropy[..., queried:].sum(-1) * seen).sum() / seen.sum().clamp(min=1),
            "closure": self.articulation.closure(motion, true),
            "kept_shut": self.articulation.shut(
                motion, true, mask[..., codec.config.articulation[0]]
            ),
            "spread": self.articulation.spread(motion, true),
        }

    def _styles(self, own: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, width) embeddings: one's own, the neutral one, or a mixture of both; and (B,)
        whether it is the neutral one.

        Phones are spoken in any style: in a single one, nothing would tell its motion's size.
        """
        recipe, phones = self.recipe, len(own) - self.recipe.batch
        own = own.clone()
        own[recipe.batch :] = torch.randint(self.talker.config.styles, (phones,))
        shares = [recipe.neutral_share] * recipe.batch + [recipe.phone_neutral_share] * phones
        drawn = torch.rand(len(own))
        mixed = torch.rand(len(own)) * (drawn < recipe.blend_share)
        part = torch.where(drawn > 1 - torch.tensor(shares), 1.0, mixed)[:, None].to(own.device)
        style = (1 - part) * self.talker.style(own) + part * self.talker.style.weight[0]
        return style[:, None], part[:, 0] == 1

    def _past(self, true: Tensor) -> Tensor:
        """(B, T, K) motion before each frame, noisy or none; phones borrow it of the others."""
        recipe, count = self.recipe, self.recipe.batch
        borrowed = torch.randint(count, (len(true) - count,)).to(true.device)
        past = torch.cat([true[:count], true[borrowed]])
        past = (past + recipe.noise * torch.randn_like(past)).clamp(0, 1)
        kept = (torch.rand(len(true)) >= recipe.forget).to(true.device)
        return past * kept[:, None, None]


@dataclass(frozen=True)
class Validation:
    """Clips of equal length to watch: features (N, hops, kept, D), motion (N, T, K), style (N,)."""

    features: Tensor
    motion: Tensor
    style: Tensor
    silence: list[NDArray[np.bool_] | None]


@dataclass(frozen=True)
class TalkerData:
    """What stage 2 learns from.

    Attributes:
        sets: passes over the clips; the first is clean, the others augmented.
        phones: those over phone-timed speech, whose motion is not known.
        validation: clips to watch.
        windows: through which the features of both were heard.
        source: plain values that say what the features were made of.
    """

    sets: Sequence[FeatureSet]
    phones: Sequence[FeatureSet]
    validation: Validation
    windows: SpeechWindows
    source: Mapping[str, Any]


def free_running_figures(
    talker: TalkerNet, codec: Codec, rig: Rig, validation: Validation, fps: float
) -> dict[str, float]:
    """The metrics of free-running generation, the upper face sampled."""
    talker.eval()
    device = talker.positions.device
    with torch.inference_mode():
        speech = talker.adapter(validation.features.to(device)).flatten(1, 2)
        style = talker.style(validation.style.to(device))
    temperature = torch.tensor(codec.config.temperatures, device=device)
    motion, _ = free_run(Generator(talker, codec), speech, style, temperature)
    metrics = RigMetrics(rig)
    frames = validation.motion.shape[1]
    for i in range(len(motion)):
        metrics.add(
            str(i),
            motion[i, :frames].cpu().numpy(),
            validation.motion[i].numpy(),
            fps,
            validation.silence[i],
        )
    result = metrics.result()
    ratios = result.pop("motion_std_ratio")
    figures = {k: float(v) for k, v in result.items() if isinstance(v, int | float)}
    return figures | {f"std_{k}": float(v) for k, v in ratios.items()}


def train_talker(
    data: TalkerData,
    codec: Codec,
    rig: Rig,
    folder: Path,
    *,
    config: TalkerConfig,
    recipe: TalkerRecipe,
    plan: Plan,
    device: torch.device,
    start: TalkerNet | None = None,
) -> None:
    """Train on features and the motion that belongs to them; resume what is there.

    `start` is a talker of that configuration whose weights are the first ones.
    """
    plan = plan.among(processes.count())
    torch.manual_seed(plan.seed)
    talker, codec = TalkerNet(config, data.windows), codec.to(device)
    if start is not None:
        talker.load_state_dict(start.state_dict())
    sampler = Sampler(data.sets, codec, data.windows, recipe, plan.seed, data.phones)
    training = TalkerTraining(talker, codec, rig, sampler, recipe).to(device)

    def evaluate() -> dict[str, float]:
        kept = cast(TalkerNet, training.averaged.module)
        return free_running_figures(kept, codec, rig, data.validation, data.windows.fps)

    record = run_record(
        "talker", model=config, recipe=recipe, codec=codec.state_dict(),
        data={**data.source, "windows": asdict(data.windows)},
    )  # fmt: skip
    fit(
        training, plan, training.losses, evaluate, folder, watch="lve_mm2",
        after_step=lambda step: training.averaged.update_parameters(talker), config=record,
    )  # fmt: skip


def load_talker(path: Path) -> tuple[TalkerNet, SpeechWindows]:
    """A trained talker and the windows that it hears through, as its run has recorded them.

    Args:
        path: the run's folder, for its best talker; or `best.pt` or `last.pt` in there.

    Raises:
        ModelError: there is none, it is damaged, or it is of another stage or family.
    """
    record, state = read_trained(path, "talker")
    try:
        windows = SpeechWindows(**record["data"]["windows"])
        talker = TalkerNet(TalkerConfig.of(record["model"]), windows)
        talker.load_state_dict(part_of(state, "averaged.module"))
    except (KeyError, TypeError, ValueError, RuntimeError):
        raise undescribed(path, "talker") from None
    return talker.eval(), windows


def _running_mean(past: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """Exponential, with a share of the past that rises to `past` over the first steps: the mean of
    a short training is not what it began with."""

    def averaged(mean: Tensor, value: Tensor, count: Tensor | int) -> Tensor:
        return torch.lerp(value, mean, min(past, (int(count) + 1) / (int(count) + 10)))

    return averaged


@torch.inference_mode()
def _stream_codes(data: FeatureSet, codec: Codec, windows: SpeechWindows) -> NDArray[np.int16]:
    """(T, H) codes of all motion, each stream encoded from its own start."""
    bounds = data.starts * windows.frames_per_hop
    parts = []
    for a, b in pairwise(bounds):
        motion = torch.from_numpy(data.weights[a:b].copy()).to(codec.order.device)
        parts.append(codec.quantizer.nearest(codec.encode(motion[None]))[0].short().cpu())
    return torch.cat(parts).numpy()
