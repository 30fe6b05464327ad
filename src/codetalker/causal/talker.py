"""Stage 2, the talker: queries the codec's codebook from speech, style and its own past motion.

In the flow speech -> **features -> codes** -> motion. Paper section 3.2: a causal transformer with
biased attention and periodic positions regresses one feature per code; the nearest codebook rows
are the codes, and the frozen decoder turns them into motion. Frame i attends to speech frame i
alone, and attention to a single key is a linear map: `TalkerLayer.speech`. Attention reaches
`window` frames back, so that memory is constant for any length.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codetalker.arkit import UPPER_FACE_CHANNELS
from codetalker.nn.attention import distance_bias, periodic_encoding
from codetalker.windows import SpeechWindows


@dataclass(frozen=True)
class TalkerSizes:
    """Sizes of the talker that are free to choose.

    Attributes:
        bottleneck: what is kept of the speech encoder's features.
        width, layers, attention_heads, feedforward: of the transformer.
        window: frames that attention reaches back, the present one included.
        dropout: of the transformer.
        speech_dropout: share of the bottleneck's channels that training drops, a window at a time,
            and `speech_noise` what it adds to each normalised feature (standard deviation): a
            corpus of few voices is learned by heart otherwise.
    """

    bottleneck: int = 64
    width: int = 192
    layers: int = 2
    attention_heads: int = 4
    feedforward: int = 768
    window: int = 25
    dropout: float = 0.3
    speech_dropout: float = 0.25
    speech_noise: float = 0.4


@dataclass(frozen=True, kw_only=True)
class TalkerConfig(TalkerSizes):
    """Sizes of the talker, and what data and codec determine.

    Attributes:
        styles: number of speaking styles.
        heads: codes per frame and `code_width` their width, as the codec has them.
        channels: blendshapes.
        features: width of the speech encoder's features.
        period: of positions and attention bias, frames (paper: the frame rate).
        remembered: blendshapes of the last frame that the talker gets. By default those of eyes
            and brows, whose codes are sampled: of the mouth, a corpus of a few hundred sentences
            would teach its rhythm.
    """

    styles: int
    heads: int
    code_width: int
    channels: int = 52
    features: int = 384
    period: int = 25
    remembered: tuple[int, ...] = UPPER_FACE_CHANNELS

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> TalkerConfig:
        """From plain values, as the record of a run has them.

        Raises:
            KeyError, TypeError: a name is missing or unknown.
        """
        return cls(**{**values, "remembered": tuple(values["remembered"])})


class TalkerState(NamedTuple):
    """What one frame hands to the next.

    Attributes:
        cache: (layers, 2, B, heads, window - 1, width / heads) keys and values of past frames.
        motion: (B, K) blendshape weights of the last frame.
        position: (1,) int64, frames so far.
    """

    cache: Tensor
    motion: Tensor
    position: Tensor


class SpeechAdapter(nn.Module):
    """(..., kept, features) of one window -> (..., frames_per_hop, width), one per motion frame.

    Each frame sees `past` feature frames before its own and the heard part of the look-ahead after
    them.
    """

    def __init__(self, config: TalkerConfig, windows: SpeechWindows) -> None:
        super().__init__()
        per_frame = windows.hop // windows.frames_per_hop
        self.norm = nn.LayerNorm(config.features)
        self.reduce = nn.Linear(config.features, config.bottleneck)
        self.noise, self.dropout = config.speech_noise, nn.Dropout1d(config.speech_dropout)
        taps = windows.past + per_frame + windows.look_ahead - windows.unheard
        self.gather = nn.Conv1d(config.bottleneck, config.width, taps, stride=per_frame)

    def forward(self, features: Tensor) -> Tensor:
        x = self.norm(features)
        if self.training:
            x = x + self.noise * torch.randn_like(x)
        x = F.gelu(self.reduce(x)).flatten(0, -3).transpose(1, 2)
        frames = self.gather(self.dropout(x)).transpose(1, 2)
        return frames.unflatten(0, features.shape[:-2])


class TalkerLayer(nn.Module):
    """Pre-norm decoder layer: causal self-attention, the frame's own speech, feed-forward."""

    def __init__(self, config: TalkerConfig) -> None:
        super().__init__()
        self.heads = config.attention_heads
        self.norm1 = nn.LayerNorm(config.width)
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)
        self.speech = nn.Linear(config.width, config.width)
        self.norm2 = nn.LayerNorm(config.width)
        self.expand = nn.Linear(config.width, config.feedforward)
        self.contract = nn.Linear(config.feedforward, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, width) -> queries, keys, values (B, heads, T, width / heads)."""
        q, k, v = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in self.qkv(self.norm1(x)).chunk(3, -1)
        )
        return q * q.shape[-1] ** -0.5, k, v

    def forward(self, x: Tensor, attended: Tensor, speech: Tensor) -> Tensor:
        """Add to (B, T, width) what was attended to, (B, heads, T, width / heads), and the rest."""
        x = x + self.dropout(self.out(attended.transpose(1, 2).flatten(2))) + self.speech(speech)
        hidden = self.dropout(F.gelu(self.expand(self.norm2(x))))
        return x + self.dropout(self.contract(hidden))


class TalkerNet(nn.Module):
    """Speech, style and past motion -> features (B, T, H, D) to look up in the codebook."""

    def __init__(self, config: TalkerConfig, windows: SpeechWindows) -> None:
        super().__init__()
        self.config = config
        self.adapter = SpeechAdapter(config, windows)
        self.style = nn.Embedding(config.styles, config.width)
        self.past = nn.Linear(config.channels, config.width)
        self.layers = nn.ModuleList(TalkerLayer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.query = nn.Linear(config.width, config.heads * config.code_width)
        positions = periodic_encoding(config.period, config.width, config.period)
        self.register_buffer("positions", positions, persistent=False)
        distances = torch.arange(config.window)
        bias = distance_bias(distances, config.attention_heads, config.period)
        self.register_buffer("bias", bias, persistent=False)
        remembered = torch.zeros(config.channels)
        remembered[list(config.remembered)] = 1
        self.register_buffer("remembered", remembered, persistent=False)
        self.positions: Tensor
        self.bias: Tensor
        self.remembered: Tensor

    def forward(self, speech: Tensor, style: Tensor, past: Tensor, phase: int = 0) -> Tensor:
        """All frames at once, from the motion before each.

        Args:
            speech: (B, T, width) from the adapter.
            style: (B, 1 or T, width) style embeddings.
            past: (B, T, K) motion of the frame before each.
            phase: position of the first frame within the period.
        """
        length = speech.shape[1]
        frames = torch.arange(length, device=speech.device)
        x = self._embed(speech, style, past, frames + phase)
        distance = frames[:, None] - frames
        reachable = (distance >= 0) & (distance < self.config.window)
        bias = self.bias[:, distance.clamp(0, self.config.window - 1)]
        bias = bias.masked_fill(~reachable, -torch.inf)
        for layer in cast(Iterable[TalkerLayer], self.layers):
            q, k, v = layer.project(x)
            x = layer(x, F.scaled_dot_product_attention(q, k, v, bias, scale=1.0), speech)
        return self._features(x)

    def step(self, speech: Tensor, style: Tensor, state: TalkerState) -> tuple[Tensor, Tensor]:
        """One frame: (B, width) speech and style -> (B, H, D) features and the next cache."""
        x = self._embed(speech[:, None], style[:, None], state.motion[:, None], state.position)
        distance = torch.arange(self.config.window - 1, -1, -1, device=x.device)
        bias = self.bias.flip(1).masked_fill(distance > state.position, -torch.inf)[:, None]
        caches = []
        for layer, cache in zip(cast(Iterable[TalkerLayer], self.layers), state.cache, strict=True):
            q, k, v = layer.project(x)
            keys, values = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
            weights = (q @ keys.transpose(2, 3) + bias).softmax(-1)
            x = layer(x, weights @ values, speech[:, None])
            caches.append(torch.stack([keys[:, :, 1:], values[:, :, 1:]]))
        return self._features(x)[:, 0], torch.stack(caches)

    def start(self, batch: int = 1) -> TalkerState:
        """The state before the first frame: a neutral face and nothing to attend to."""
        c = self.config
        shape = (c.layers, 2, batch, c.attention_heads, c.window - 1, c.width // c.attention_heads)
        device = self.positions.device
        return TalkerState(
            torch.zeros(shape, device=device),
            torch.zeros(batch, c.channels, device=device),
            torch.zeros(1, dtype=torch.int64, device=device),
        )

    def _embed(self, speech: Tensor, style: Tensor, past: Tensor, position: Tensor) -> Tensor:
        periodic = self.positions[position % self.config.period]
        return speech + style + self.past(past * self.remembered) + periodic

    def _features(self, x: Tensor) -> Tensor:
        return self.query(self.norm(x)).unflatten(-1, (self.config.heads, -1))
