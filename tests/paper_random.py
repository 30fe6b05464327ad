"""Small models with random weights in which nothing is degenerate."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from codetalker.paper.config import PaperConfig, preset, tiny
from codetalker.paper.model import PaperModel

PRESET_NAMES = ("vocaset", "biwi")


def random_model(name: str = "vocaset", seed: int = 0, **options: bool) -> PaperModel:
    """The tiny twin of a preset, in evaluation; `options` are fields of the talker's config."""
    config = tiny(preset(name))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = PaperModel(replace(config, talker=replace(config.talker, **options)))
    return randomized(model, seed)


def randomized(model: PaperModel, seed: int = 0) -> PaperModel:
    """Draw what a fresh model has at zero or nearly so: codes, output features, biases."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.1, generator=generator)
        model.codec.quantizer.embedding.weight.normal_(std=0.7, generator=generator)
        width = model.config.talker.width
        model.talker.feature_map.weight.normal_(std=0.7 * width**-0.5, generator=generator)
    return model.eval()


def waveform(seconds: float, seed: int = 0, rate: int = 16_000) -> Tensor:
    """(N,) normalised noise with a slow envelope."""
    generator = torch.Generator().manual_seed(seed)
    samples = torch.randn(round(seconds * rate), generator=generator)
    time = torch.arange(len(samples)) / rate
    samples = samples * (1.1 + torch.sin(9 * time))
    return (samples - samples.mean()) / samples.std()


def one_style(config: PaperConfig, index: int = 1) -> Tensor:
    """(S,) weights of one subject's style."""
    return torch.eye(len(config.talker.subjects))[index]
