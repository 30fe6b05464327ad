"""wav2vec 2.0 from transformers, with the frame-rate change in its middle; the only place that
imports transformers.

In the flow **speech -> features** -> codes -> motion -> mesh -> file. Baevski et al., wav2vec 2.0,
2020; the change of rate between the convolutions and the transformer is FaceFormer's (2022).
"""

from __future__ import annotations

import dataclasses
import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codetalker.audio import SAMPLE_RATE
from codetalker.errors import MissingExtraError, ModelError
from codetalker.paper.config import SpeechConfig

if TYPE_CHECKING:
    from transformers import Wav2Vec2Model

PIECE = 1000
"""Features that the convolutions give at once: 20 s."""

MIN_MASKS = 2
"""Time masks per clip at least, in training (SpecAugment; transformers' default)."""


class SpeechEncoder(nn.Module):
    """Waveform -> contextual features, at 50 Hz or one per motion frame."""

    def __init__(self, config: SpeechConfig) -> None:
        super().__init__()
        self.config = config
        self.wav2vec2 = _wav2vec2(config)
        self.wav2vec2.freeze_feature_encoder()

    def normalize(self, samples: Tensor) -> Tensor:
        """(..., N) waveform -> zero mean and unit variance over the clip."""
        variance, mean = torch.var_mean(samples, -1, keepdim=True, correction=0)
        return (samples - mean) / torch.sqrt(variance + self.config.variance_epsilon)

    def convolve(self, samples: Tensor) -> Tensor:
        """(B, N) normalised waveform at 16 kHz -> (B, L, C) features at 50 Hz.

        Long clips are taken in pieces: the first layer alone gives 100 times the waveform.
        """
        if self.training or samples.shape[1] <= PIECE * self.config.hop:
            return self.wav2vec2.feature_extractor(samples).mT
        layers: Any = self.wav2vec2.feature_extractor.conv_layers
        first, *others = layers
        mean, scale = _channel_statistics(first, samples)
        features = []
        for start in range(0, self.config.features(samples.shape[1]), PIECE):
            begin = start * self.config.hop
            end = begin + (PIECE - 1) * self.config.hop + self.config.reach
            x = (first.conv(samples[:, None, begin:end]) - mean) * scale
            x = first.activation(_per_channel(first.layer_norm, x))
            for layer in others:
                x = layer(x)
            features.append(x.mT)
        return torch.cat(features, 1)

    def contextualize(self, features: Tensor) -> Tensor:
        """(B, L, C) features -> (B, L, H), each seeing the whole clip; masked in training."""
        projected, _ = self.wav2vec2.feature_projection(features)
        if self.training and self.config.mask_time_prob > 0:
            clips, frames, _ = projected.shape
            share, length = self.config.mask_time_prob, self.config.mask_time_length
            masked = time_masks(clips, frames, share, length).to(projected.device)
            filler = self.wav2vec2.masked_spec_embed.to(projected)
            projected = torch.where(masked[..., None], filler, projected)
        return self.wav2vec2.encoder(projected).last_hidden_state

    def load_pretrained(self, source: str | Path) -> None:
        """Start from pretrained wav2vec 2.0 weights: a local folder or a name on the hub.

        Raises:
            ModelError: the weights are of another size, or cannot be had.
        """
        from transformers import Wav2Vec2Model

        pretrained, _ = _pretrained(Wav2Vec2Model, source)
        _load(self.wav2vec2, pretrained.state_dict(), source)


class LetterRecognizer(SpeechEncoder):
    """Waveform -> logits of letters at 50 Hz: wav2vec 2.0 as CTC trained it, which stays frozen."""

    def __init__(self, config: SpeechConfig, letters: int) -> None:
        super().__init__(config)
        self.letters = nn.Linear(config.hidden_size, letters)
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Always in evaluation."""
        return super().train(False)

    def recognize(self, features: Tensor) -> Tensor:
        """(B, L, C) features -> (B, L, letters), each seeing the whole clip."""
        return self.letters(self.contextualize(features))

    def load_pretrained(self, source: str | Path) -> None:
        """As of `SpeechEncoder`, with the letters.

        Raises:
            ModelError: the weights are of another size, have no letters, or cannot be had.
        """
        from transformers import Wav2Vec2ForCTC

        pretrained, missing = _pretrained(Wav2Vec2ForCTC, source)
        if missing & {"lm_head.weight", "lm_head.bias"}:
            raise ModelError(
                f"{source} is a wav2vec 2.0 that knows no letters; give one that was trained to "
                "recognise them, such as facebook/wav2vec2-base-960h"
            )
        _load(self.wav2vec2, pretrained.wav2vec2.state_dict(), source)
        _load(self.letters, pretrained.lm_head.state_dict(), source)


def _pretrained(kind: Any, source: str | Path) -> tuple[Any, set[str]]:
    """A model of transformers' class `kind`, and the names of what its weights lack."""
    from transformers.utils import logging

    if not sys.stderr.isatty():
        logging.disable_progress_bar()
    try:
        model, report = kind.from_pretrained(str(source), output_loading_info=True)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"no wav2vec 2.0 at {source}: give a folder with config.json and weights, or "
            "a name on the hub such as facebook/wav2vec2-base-960h"
        ) from error
    return model, set(report["missing_keys"])


def _load(module: nn.Module, state: dict[str, Tensor], source: str | Path) -> None:
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(f"{source} is a wav2vec 2.0 of another size than the model's") from error


def _channel_statistics(first: Any, samples: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and 1 / deviation, (B, C, 1) each, of what the first convolution gives over a clip.

    Its GroupNorm has a group for each channel: it normalises over the whole clip.
    """
    kernel, stride = first.conv.kernel_size[0], first.conv.stride[0]
    outputs = (samples.shape[1] - kernel) // stride + 1
    step = PIECE * 64
    total = square = torch.zeros(())
    for start in range(0, outputs, step):
        end = (min(start + step, outputs) - 1) * stride + kernel
        y = first.conv(samples[:, None, start * stride : end]).double()
        total, square = total + y.sum(-1, True), square + y.square().sum(-1, True)
    mean = total / outputs
    scale = (square / outputs - mean.square() + first.layer_norm.eps).rsqrt()
    return mean.to(samples), scale.to(samples)


def _per_channel(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    """The learned scale and offset of a GroupNorm, for (B, C, T) that is normalised already."""
    return x * norm.weight[:, None] + norm.bias[:, None]


def to_frames(features: Tensor, frames: int) -> Tensor:
    """(B, L, C) -> (B, frames, C), linear in between, first on first and last on last."""
    return F.interpolate(features.mT, size=frames, mode="linear", align_corners=True).mT


def time_masks(clips: int, frames: int, share: float, length: int) -> Tensor:
    """(clips, frames) bool: random spans of `length` frames that cover about `share` of a clip.

    SpecAugment as wav2vec 2.0 uses it: at least two spans, which may overlap; none in clips too
    short for them.
    """
    masks = torch.zeros(clips, frames, dtype=torch.bool)
    starts = frames - length + 1
    if starts < 1:
        return masks
    for mask in masks:
        count = max(int(share * frames / length + torch.rand(()).item()), MIN_MASKS)
        for start in torch.randperm(starts)[: min(count, frames // length)].tolist():
            mask[start : start + length] = True
    return masks


@lru_cache
def mel_filters(bins: int, bands: int) -> Tensor:
    """(bins, bands) triangles over 0 to 8 kHz, evenly spaced on HTK's mel scale, of height 1."""
    try:
        from transformers.audio_utils import mel_filter_bank
    except ImportError as error:
        raise MissingExtraError("transformers", "paper") from error
    nyquist = SAMPLE_RATE // 2
    filters = mel_filter_bank(bins, bands, 0, nyquist, SAMPLE_RATE, norm=None, mel_scale="htk")
    return torch.tensor(filters, dtype=torch.float32)


def _wav2vec2(config: SpeechConfig) -> Wav2Vec2Model:
    try:
        from transformers import Wav2Vec2Config, Wav2Vec2Model
    except ImportError as error:
        raise MissingExtraError("transformers", "paper") from error
    values = dataclasses.asdict(config)
    values.pop("variance_epsilon")
    dropout = values.pop("dropout")
    theirs = Wav2Vec2Config(
        **values,
        hidden_dropout=dropout,
        attention_dropout=dropout,
        activation_dropout=dropout,
        feat_proj_dropout=dropout,
        attn_implementation="eager",  # pyright: ignore[reportCallIssue]
    )
    return Wav2Vec2Model(theirs)
