"""Regressions of blendshape weights from speech: what a learned codebook is compared with.

In the flow speech -> features -> **motion**, with no codes between. Three kinds, on the features,
sequences and styles that the talker is trained on: a window of speech per frame, as VOCA (Cudeiro
et al., CVPR 2019); the talker's own transformer, as FaceFormer (Fan et al., CVPR 2022); and a
recurrent network that hears the whole recording in both directions. They minimise squared errors
of positions and velocities, as the first two did.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from codetalker.causal.losses import ArticulationLoss, GeometryLoss, GeometryWeights
from codetalker.causal.talker import SpeechAdapter, TalkerConfig, TalkerNet, TalkerState
from codetalker.causal.train_talker import Sampler, TalkerData, TalkerRecipe
from codetalker.evaluation.metrics import RigMetrics
from codetalker.rig import Rig
from codetalker.training.loop import Losses, Plan, fit
from codetalker.training.run_record import run_record
from codetalker.training.trained import part_of, read_trained, undescribed
from codetalker.windows import SpeechWindows

STAGE = "regression"


@dataclass(frozen=True)
class RegressionRecipe:
    """How a regression is trained, beside what it shares with the talker (`TalkerRecipe`).

    Attributes:
        articulated: weigh lips that shut and the spread of motion as the talker does; squared
            errors alone otherwise.
    """

    articulated: bool = False


class WindowRegression(nn.Module):
    """Each frame from its window of speech and a style; no frame knows of another."""

    def __init__(self, config: TalkerConfig, windows: SpeechWindows) -> None:
        super().__init__()
        self.adapter = SpeechAdapter(config, windows)
        self.style = nn.Embedding(config.styles, config.width)
        self.layers = nn.Sequential(
            nn.GELU(),
            nn.Linear(config.width, config.feedforward),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.feedforward, config.width),
            nn.GELU(),
            nn.Linear(config.width, config.channels),
        )

    def forward(self, features: Tensor, style: Tensor, past: Tensor) -> Tensor:
        """(B, hops, kept, D) features, (B, width) style -> (B, T, K) weights; `past` is unused."""
        return self.layers(self.adapter(features).flatten(1, 2) + style[:, None])

    def generate(self, features: Tensor, style: Tensor) -> Tensor:
        """The same without true motion."""
        return self(features, style, features)


class RecurrentRegression(nn.Module):
    """A bidirectional GRU: each frame from the whole recording, so not causal."""

    def __init__(self, config: TalkerConfig, windows: SpeechWindows) -> None:
        super().__init__()
        self.adapter = SpeechAdapter(config, windows)
        self.style = nn.Embedding(config.styles, config.width)
        self.layers = nn.GRU(
            config.width, config.width, 2, batch_first=True, bidirectional=True,
            dropout=config.dropout,
        )  # fmt: skip
        self.out = nn.Linear(2 * config.width, config.channels)

    def forward(self, features: Tensor, style: Tensor, past: Tensor) -> Tensor:
        """As that of `WindowRegression`."""
        heard, _ = self.layers(self.adapter(features).flatten(1, 2) + style[:, None])
        return self.out(heard)

    def generate(self, features: Tensor, style: Tensor) -> Tensor:
        """The same without true motion."""
        return self(features, style, features)


class TransformerRegression(nn.Module):
    """The talker with weights in place of codes: its one "code" is the frame."""

    def __init__(self, config: TalkerConfig, windows: SpeechWindows) -> None:
        super().__init__()
        self.talker = TalkerNet(replace(config, heads=1, code_width=config.channels), windows)
        nn.init.zeros_(self.talker.query.weight)  # as FaceFormer begins: at rest
        nn.init.zeros_(self.talker.query.bias)

    @property
    def style(self) -> nn.Embedding:
        return self.talker.style

    def forward(self, features: Tensor, style: Tensor, past: Tensor) -> Tensor:
        """As that of `WindowRegression`; `past` (B, T, K) is the motion of the frame before."""
        speech = self.talker.adapter(features).flatten(1, 2)
        return self.talker(speech, style[:, None], past)[:, :, 0]

    def generate(self, features: Tensor, style: Tensor) -> Tensor:
        """Frame by frame, from its own past motion."""
        speech = self.talker.adapter(features).flatten(1, 2)
        state, frames = self.talker.start(len(speech)), []
        for t in range(speech.shape[1]):
            made, cache = self.talker.step(speech[:, t], style, state)
            frames.append(made[:, 0].clamp(0, 1))
            state = TalkerState(cache, frames[-1], state.position + 1)
        return torch.stack(frames, 1)


Regression = WindowRegression | RecurrentRegression | TransformerRegression
KINDS: dict[str, Callable[[TalkerConfig, SpeechWindows], Regression]] = {
    "window": WindowRegression,
    "recurrent": RecurrentRegression,
    "transformer": TransformerRegression,
}


class RegressionTraining(nn.Module):
    """A regression and the losses of a step, on the sequences of the talker's sampler."""

    def __init__(
        self,
        net: Regression,
        rig: Rig,
        sample: Sampler,
        shared: TalkerRecipe,
        recipe: RegressionRecipe,
        fps: float,
    ) -> None:
        super().__init__()
        self.net = net
        self.geometry = GeometryLoss(rig, GeometryWeights())
        self.articulation = ArticulationLoss(rig, fps)
        self.sample, self.shared, self.recipe = sample, shared, recipe

    def losses(self, share: int) -> Losses:
        """Named losses on the batch of this share."""
        batch, shared, lead = self.sample(share), self.shared, self.sample.lead
        self.net.train()
        neutral = torch.rand(len(batch.style)) < shared.neutral_share
        style = self.net.style(batch.style.masked_fill(neutral, 0))
        past = batch.motion[:, lead - 1 : -1]
        past = (past + shared.noise * torch.randn_like(past)).clamp(0, 1)
        past = past * (torch.rand(len(past)) >= shared.forget)[:, None, None]
        motion, true, mask = (
            self.net(batch.features, style, past),
            batch.motion[:, lead:],
            batch.mask[:, lead:],
        )
        values = {"motion": self.geometry(motion, true, mask)}
        if self.recipe.articulated:
            known = mask.amax(-1)
            values["closure"] = shared.closure * self.articulation.closure(motion, true)
            values["shut"] = shared.kept_shut * self.articulation.shut(motion, true, known)
            values["spread"] = shared.spread * self.articulation.spread(motion, true)
        return {"loss": torch.stack(list(values.values())).sum(), **values}


def train_regression(
    kind: str,
    data: TalkerData,
    sampler: Sampler,
    rig: Rig,
    folder: Path,
    *,
    config: TalkerConfig,
    shared: TalkerRecipe,
    recipe: RegressionRecipe,
    plan: Plan,
) -> None:
    """Train one of `KINDS`; resume what is there. The best by the clips to watch is kept.

    Args:
        sampler: draws the sequences, the same that a talker is trained on.
        config: sizes, as a talker's.
        shared: how sequences, styles and past motion are drawn; the talker's losses.
    """
    torch.manual_seed(plan.seed)
    net = KINDS[kind](config, data.windows)
    training = RegressionTraining(net, rig, sampler, shared, recipe, data.windows.fps)
    watched, fps = data.validation, data.windows.fps

    @torch.inference_mode()
    def evaluate() -> dict[str, float]:
        net.eval()
        motion = net.generate(watched.features, net.style(watched.style)).clamp(0, 1).numpy()
        metrics = RigMetrics(rig)
        for i, (made, true) in enumerate(zip(motion, watched.motion.numpy(), strict=True)):
            metrics.add(str(i), made[: len(true)], true, fps)
        return {"lve_mm2": metrics.result()["lve_mm2"]}

    record = run_record(
        STAGE, model=config, recipe=shared,
        data={**data.source, **asdict(recipe), "kind": kind, "windows": asdict(data.windows)},
    )  # fmt: skip
    fit(training, plan, training.losses, evaluate, folder, watch="lve_mm2", config=record)


def load_regression(path: Path) -> Regression:
    """A trained regression of a run.

    Raises:
        ModelError: there is none, it is damaged, or it is of another stage.
    """
    record, state = read_trained(path, STAGE)
    try:
        windows = SpeechWindows(**record["data"]["windows"])
        net = KINDS[record["data"]["kind"]](TalkerConfig.of(record["model"]), windows)
        net.load_state_dict(part_of(state, "net"))
    except (KeyError, TypeError, ValueError, RuntimeError):
        raise undescribed(path, STAGE) from None
    return net.eval()
