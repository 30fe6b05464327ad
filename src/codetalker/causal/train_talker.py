"""Train stage 2: the talker that queries the frozen codebook from speech.

In the flow speech -> **features -> codes** -> motion. The losses are the paper's (motion through
the straight-through quantiser, and regression of the true codes' rows) for the parts that follow
speech; for those that speech only hints at, the cross entropy of their codes, so that they can be
sampled. Past motion is the true one at first and more and more the talker's own; the model is
selected by its free-running error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from codetalker.causal.codec import MOUTH, TEMPERATURES, Codec
from codetalker.causal.features import FeatureSet
from codetalker.causal.generator import Generator, free_run
from codetalker.causal.losses import ArticulationLoss, GeometryLoss, GeometryWeights
from codetalker.causal.talker import Talker, TalkerConfig
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
        batch, frames: sequences per step and their length.
        main_share: share of sequences of the speaker with most of the data; `clean_share` of the
            ones whose sound was not altered.
        regression: weight of the squared distance to the true codes' rows, beside mm^2 of motion.
        query: weight of the codes' cross entropy.
        own_past: share of sequences whose past is the talker's own, once half the steps are done.
        noise: standard deviation of what is added to past weights; `forget` the share of
            sequences that get no past motion at all.
        closure, spread: weights of lips that fail to close, and of motion that is too small.
    """

    batch: int = 16
    frames: int = 72
    main_share: float = 0.6
    clean_share: float = 0.25
    regression: float = 1.0
    query: float = 0.3
    own_past: float = 0.8
    noise: float = 0.02
    forget: float = 0.1
    closure: float = 0.2
    spread: float = 1.0


PLAN = Plan(steps=3000, learning_rate=1.5e-3, warmup=200, weight_decay=0.05, evaluate_every=200)


@dataclass(frozen=True)
class Batch:
    """Sequences: features (B, hops, kept, D), motion and mask (B, lead + T, K), codes
    (B, lead + T, H), known (B, lead + T) false before the start of a recording, style (B,)."""

    features: Tensor
    motion: Tensor
    mask: Tensor
    codes: Tensor
    known: Tensor
    style: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same there."""
        return Batch(*(value.to(device) for value in vars(self).values()))


class Sampler:
    """Draws sequences from feature sets, the same ones for the same (seed, share)."""

    def __init__(
        self,
        sets: Sequence[FeatureSet],
        codec: Codec,
        windows: SpeechWindows,
        recipe: TalkerRecipe,
        seed: int,
    ) -> None:
        self.sets, self.windows, self.recipe, self.seed = sets, windows, recipe, seed
        self.lead = codec.config.reach
        self.hops = recipe.frames // windows.frames_per_hop
        if not all((np.diff(data.starts) >= self.hops).any() for data in sets):
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
        return Batch(*(torch.from_numpy(np.stack(column)) for column in zip(*rows, strict=True)))

    def _row(self, random: np.random.Generator) -> tuple[NDArray, ...]:
        clean = len(self.sets) == 1 or random.random() < self.recipe.clean_share
        number = 0 if clean else int(random.integers(1, len(self.sets)))
        data, codes = self.sets[number], self.codes[number]
        per_hop, hops = self.windows.frames_per_hop, self.hops
        wanted = (data.styles == self.main) == (random.random() < self.recipe.main_share)
        fits = np.maximum(np.diff(data.starts) - hops + 1, 0)
        room = fits * wanted
        if not room.any():  # there is one speaker only, or the others say too little
            room = fits
        stream = int(random.choice(len(room), p=room / room.sum()))
        first = int(data.starts[stream] + random.integers(room[stream]))
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
            data.styles[stream],
        )


class TalkerTraining(nn.Module):
    """The talker and the losses of a step; the codec stays frozen."""

    def __init__(
        self,
        talker: Talker,
        codec: Codec,
        rig: Rig,
        sample: Sampler,
        recipe: TalkerRecipe,
        plan: Plan,
    ) -> None:
        super().__init__()
        self.talker = talker
        self._frozen = (codec,)  # in a tuple: not part of the checkpoint
        self.geometry = GeometryLoss(rig, GeometryWeights())
        self.articulation = ArticulationLoss(rig)
        self.sample, self.recipe, self.plan = sample, recipe, plan
        speech_driven = torch.zeros(len(rig.blendshape_names))
        speech_driven[list(MOUTH.channels)] = 1.0
        self.register_buffer("mouth", speech_driven, persistent=False)
        self.mouth: Tensor

    def losses(self, share: int) -> Losses:
        """Named losses on the batch of this share."""
        batch = self.sample(share).to(self.mouth.device)
        codec, lead = self._frozen[0], self.sample.lead
        mouth_heads = codec.config.parts[0].heads
        self.talker.train()
        speech = self.talker.adapter(batch.features).flatten(1, 2)
        style = self.talker.style(batch.style)[:, None]
        before = batch.motion[:, lead - 1 : -1]
        rows = codec.quantizer.embedding(batch.codes) * batch.known[..., None, None]
        target, context = rows[:, lead:], rows[:, 1:lead]
        past = self._past(share // self.plan.shares, speech, style, before, context)
        phase = share % self.talker.config.period
        features = self.talker(speech, style, past, phase)
        values = codec.quantizer(features).values
        motion = codec.decode(values, context)
        mask = batch.mask[:, lead:]
        mouth = self.geometry(motion, batch.motion[:, lead:], mask * self.mouth)
        regression = F.mse_loss(features[:, :, :mouth_heads], target[:, :, :mouth_heads])
        logits = -codec.quantizer.squared_distances(features)
        entropy = F.cross_entropy(
            logits.flatten(0, 2), batch.codes[:, lead:].flatten(), reduction="none"
        ).view(logits.shape[:3])
        seen = mask[..., self.mouth == 0].amax(-1)
        query = (entropy[..., mouth_heads:].sum(-1) * seen).sum() / seen.sum().clamp(min=1)
        true = batch.motion[:, lead:]
        closure = self.articulation.closure(motion, true)
        spread = self.articulation.spread(motion, true)
        recipe = self.recipe
        loss = (
            mouth
            + recipe.regression * regression
            + recipe.query * query
            + recipe.closure * closure
            + recipe.spread * spread
        )
        return {
            "loss": loss,
            "motion": mouth,
            "regression": regression,
            "query": query,
            "closure": closure,
            "spread": spread,
        }

    @torch.no_grad()
    def _past(
        self, step: int, speech: Tensor, style: Tensor, true: Tensor, context: Tensor
    ) -> Tensor:
        """(B, T, K) motion before each frame: true or the talker's own, noisy or none."""
        codec, recipe = self._frozen[0], self.recipe
        count = len(true)
        share = recipe.own_past * min(1.0, 2 * step / self.plan.steps)
        own = (torch.rand(count) < share).to(true.device)
        past = true
        if own.any():
            features = self.talker(speech[own], style[own], self._disturbed(true[own]))
            motion = codec.decode(codec.quantizer(features).values, context[own]).clamp(0, 1)
            motion = torch.cat([true[own, :1], motion[:, :-1]], 1)
            past = true.clone()
            past[own] = torch.where(self.mouth == 1, motion, true[own])
        past = self._disturbed(past)
        kept = (torch.rand(count) >= recipe.forget).to(true.device)
        return past * kept[:, None, None]

    def _disturbed(self, past: Tensor) -> Tensor:
        return (past + self.recipe.noise * torch.randn_like(past)).clamp(0, 1)


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
        validation: clips to watch.
        windows: through which the features of both were heard.
        source: plain values that say what the features were made of.
    """

    sets: Sequence[FeatureSet]
    validation: Validation
    windows: SpeechWindows
    source: Mapping[str, Any]


def free_running_figures(
    talker: Talker, codec: Codec, rig: Rig, validation: Validation, fps: float
) -> dict[str, float]:
    """The metrics of free-running generation, the upper face sampled."""
    talker.eval()
    device = talker.positions.device
    with torch.inference_mode():
        speech = talker.adapter(validation.features.to(device)).flatten(1, 2)
        style = talker.style(validation.style.to(device))
    heads = torch.tensor([part.heads for part in codec.config.parts])
    temperature = torch.tensor(TEMPERATURES).repeat_interleave(heads).to(device)
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
) -> None:
    """Train on features and the motion that belongs to them; resume what is there."""
    plan = plan.among(processes.count())
    torch.manual_seed(plan.seed)
    talker, codec = Talker(config, data.windows), codec.to(device)
    sampler = Sampler(data.sets, codec, data.windows, recipe, plan.seed)
    training = TalkerTraining(talker, codec, rig, sampler, recipe, plan).to(device)

    def evaluate() -> dict[str, float]:
        return free_running_figures(talker, codec, rig, data.validation, data.windows.fps)

    record = run_record(
        "talker", model=config, recipe=recipe, codec=codec.state_dict(),
        data={**data.source, "windows": asdict(data.windows)},
    )  # fmt: skip
    fit(training, plan, training.losses, evaluate, folder, watch="lve_mm2", config=record)


def load_talker(path: Path) -> tuple[Talker, SpeechWindows]:
    """A trained talker and the windows that it hears through, as its run has recorded them.

    Args:
        path: the run's folder, for its best talker; or `best.pt` or `last.pt` in there.

    Raises:
        ModelError: there is none, it is damaged, or it is of another stage or family.
    """
    record, state = read_trained(path, "talker")
    try:
        windows = SpeechWindows(**record["data"]["windows"])
        talker = Talker(TalkerConfig(**record["model"]), windows)
        talker.load_state_dict(part_of(state, "talker"))
    except (KeyError, TypeError, ValueError, RuntimeError):
        raise undescribed(path, "talker") from None
    return talker.eval(), windows


@torch.inference_mode()
def _stream_codes(data: FeatureSet, codec: Codec, windows: SpeechWindows) -> NDArray[np.int16]:
    """(T, H) codes of all motion, each stream encoded from its own start."""
    bounds = data.starts * windows.frames_per_hop
    parts = []
    for a, b in pairwise(bounds):
        motion = torch.from_numpy(data.weights[a:b].copy()).to(codec.order.device)
        parts.append(codec.quantizer.nearest(codec.encode(motion[None]))[0])
    return torch.cat(parts).short().cpu().numpy()
