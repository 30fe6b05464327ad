"""Stage 2: the autoregressive decoder that queries the codebook from speech.

In the flow **speech -> features -> codes** -> motion -> mesh -> file. CodeTalker, section 3.2, as
released: past motion and style as tokens, periodic positions, biased causal self-attention, and
cross-attention in which a frame reads its own speech features only.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codetalker.nn.attention import distance_bias, periodic_encoding
from codetalker.nn.modules import Modules
from codetalker.paper.config import PaperCodecConfig, PaperTalkerConfig, SpeechConfig
from codetalker.paper.speech import SpeechEncoder, to_frames


class SpeechDecoder(nn.Module):
    """Speech, style and past motion -> hidden states, frame by frame: FaceFormer's decoder, which
    CodeTalker's is too."""

    def __init__(self, config: PaperTalkerConfig, speech: SpeechConfig, vertices: int) -> None:
        super().__init__()
        self.config = config
        self.speech = SpeechEncoder(speech)
        self.speech_map = nn.Linear(speech.hidden_size, config.width)
        self.styles = self.style_table(config)
        self.motion_map = nn.Linear(3 * vertices, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = Modules[DecoderLayer](DecoderLayer(config) for _ in range(config.layers))

    def style_table(self, config: PaperTalkerConfig) -> nn.Embedding | nn.Linear:
        """The module that keeps the subjects' styles, as each system initialises it."""
        return nn.Embedding(len(config.subjects), config.width)

    def hear(self, samples: Tensor, frames: int | None = None) -> Tensor:
        """(B, N) normalised waveforms -> (B, T, features per frame, width) for T motion frames.

        T is `frames` where speech is stretched to fit the motion, at most `frames` where it is
        not, and as many as the speech gives where `frames` is None.
        """
        hidden = self.understand(self.align(self.speech.convolve(samples), frames))
        return hidden.unflatten(1, (-1, self.config.features_per_frame))

    def align(self, features: Tensor, frames: int | None = None) -> Tensor:
        """(B, L, C) features at 50 Hz -> (B, T x features per frame, C)."""
        available = self.config.frames(features.shape[1])
        if self.config.stretch_speech:
            return to_frames(features, available if frames is None else frames)
        frames = available if frames is None else min(available, frames)
        return features[:, : frames * self.config.features_per_frame]

    def understand(self, features: Tensor) -> Tensor:
        """Aligned features (B, L, C) -> what the frames attend to, (B, L, width)."""
        return self.speech_map(self.speech.contextualize(features))

    def style(self, weights: Tensor) -> Tensor:
        """(B, S) weights of the subjects' styles -> (B, width)."""
        return weights @ self.styles.weight

    def first_token(self, style: Tensor) -> Tensor:
        """What prediction starts from, (B, width): the style, and the bias of the motion embedding
        if so configured."""
        return style + self.motion_map.bias if self.config.first_token_bias else style

    def forced(self, motion: Tensor, style: Tensor, speech: Tensor) -> Tensor:
        """Teacher-forced: past motion (B, T, 3V), whose frame t is the true frame t - 1 and frame 0
        zero, style (B, width) and speech (B, T, features per frame, width) -> (B, T, width)."""
        return self.decode(self.motion_map(motion) + style[:, None], speech)

    def decode(self, tokens: Tensor, speech: Tensor) -> Tensor:
        """All tokens (B, T, width) at once, without positions -> (B, T, width)."""
        _, frames, width = tokens.shape
        x = self.dropout(tokens + periodic_encoding(frames, width, self.config.period).to(tokens))
        steps = torch.arange(frames, device=x.device)
        bias = self.bias(steps[:, None] - steps).to(x)
        for layer in self.layers:
            queries, keys, values = layer.self_attention.project(x)
            context = layer.cross_attention.prepare(speech)
            x = layer(x, (queries, keys, values), bias, context)
        return x

    def bias(self, distance: Tensor) -> Tensor:
        """Attention bias towards keys `distance` frames back: (...) -> (heads, ...)."""
        return distance_bias(distance, self.config.heads, self.config.period)


class PaperTalkerNet(SpeechDecoder):
    """Hidden states -> features to be quantised."""

    def __init__(
        self, config: PaperTalkerConfig, speech: SpeechConfig, codec: PaperCodecConfig
    ) -> None:
        super().__init__(config, speech, codec.vertices)
        self.components = codec.components
        self.feature_map = nn.Linear(config.width, codec.frame_code_width, bias=False)
        nn.init.zeros_(self.feature_map.weight)

    def features(self, motion: Tensor, style: Tensor, speech: Tensor) -> Tensor:
        """As `forced`, -> features (B, T, components, code_width)."""
        return self.to_features(self.forced(motion, style, speech))

    def to_features(self, hidden: Tensor) -> Tensor:
        """(B, T, width) -> (B, T, components, code_width)."""
        return self.feature_map(hidden).unflatten(-1, (self.components, -1))


class DecoderLayer(nn.Module):
    """Post-norm transformer decoder layer with ReLU: self-attention, cross-attention, MLP."""

    def __init__(self, config: PaperTalkerConfig) -> None:
        super().__init__()
        self.self_attention = SelfAttention(config)
        self.cross_attention = CrossAttention(config)
        self.mlp_input = nn.Linear(config.width, config.mlp_width)
        self.mlp_output = nn.Linear(config.mlp_width, config.width)
        self.norms = Modules[nn.LayerNorm](nn.LayerNorm(config.width) for _ in range(3))
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x: Tensor, projected: tuple[Tensor, Tensor, Tensor], bias: Tensor, context: Context
    ) -> Tensor:
        """`x` (B, T, C); `projected` its queries with the keys and values of all frames that it may
        see (from a cache or not), `bias` (heads, T, frames seen), `context` of the same T frames.
        """
        after_self, after_cross, after_mlp = self.norms
        x = after_self(x + self.dropout(self.self_attention(*projected, bias)))
        x = after_cross(x + self.dropout(self.cross_attention(x, context)))
        mlp = self.mlp_output(self.dropout(F.relu(self.mlp_input(x))))
        return after_mlp(x + self.dropout(mlp))


class SelfAttention(nn.Module):
    """Biased causal attention to past tokens."""

    def __init__(self, config: PaperTalkerConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.dropout = config.dropout
        self.input = nn.Linear(config.width, 3 * config.width)
        self.output = nn.Linear(config.width, config.width)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, C) -> queries, keys, values, each (B, heads, T, C / heads)."""
        split = self.input(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return split[0], split[1], split[2]

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
        mixed = F.scaled_dot_product_attention(
            queries, keys, values, attn_mask=bias[None], dropout_p=self.dropout * self.training
        )
        return self.output(mixed.transpose(1, 2).flatten(2))


class Context(NamedTuple):
    """What cross-attention reads: keys and values, (B, T, features per frame, heads, C / heads).

    With one feature per frame attention has no choice to make: `keys` is None and `values`
    (B, T, C) is the finished output.
    """

    keys: Tensor | None
    values: Tensor

    def frame(self, index: int) -> Context:
        """The context of one frame."""
        at = slice(index, index + 1)
        return Context(None if self.keys is None else self.keys[:, at], self.values[:, at])


class CrossAttention(nn.Module):
    """Each frame attends to its own speech features and to no others."""

    def __init__(self, config: PaperTalkerConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.input = nn.Linear(config.width, 3 * config.width)
        self.output = nn.Linear(config.width, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def prepare(self, speech: Tensor) -> Context:
        """Everything that does not depend on the motion; `speech` (B, T, features per frame, C)."""
        if speech.shape[2] == 1:
            values = self._project(2, speech)
            kept = self.dropout(values.new_ones(*values.shape[:-1], 1))  # the attention's weight
            return Context(None, self.output((kept * values).flatten(2)))
        return Context(self._project(1, speech), self._project(2, speech))

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        if context.keys is None:
            return context.values
        queries = self._project(0, x[:, :, None])
        logits = (queries * context.keys).sum(-1, keepdim=True) * context.keys.shape[-1] ** -0.5
        weights = self.dropout(logits.softmax(2))
        return self.output((weights * context.values).sum(2).flatten(2))

    def _project(self, part: int, x: Tensor) -> Tensor:
        """(..., C) -> (..., heads, C / heads) queries (part 0), keys (1) or values (2)."""
        weight, bias = self.input.weight.chunk(3)[part], self.input.bias.chunk(3)[part]
        return F.linear(x, weight, bias).unflatten(-1, (self.heads, -1))
