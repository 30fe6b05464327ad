"""Stage 1: the VQ autoencoder that learns the codebook of facial motion.

In the flow speech -> features -> **codes -> motion** -> mesh -> file. CodeTalker, section 3.1, as
released: convolution, InstanceNorm over the clip and a transformer that sees the whole clip, on
both sides of the quantiser. Motion is vertices minus template, (B, T, 3V).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codetalker.nn.attention import sinusoidal_encoding
from codetalker.nn.modules import Modules
from codetalker.nn.quantizer import Quantized, VectorQuantizer
from codetalker.paper.config import PaperCodecConfig

KERNEL = 5
"""Frames that the temporal convolutions span."""


class CodecOutput(NamedTuple):
    """`vertices` (B, T, 3V) reconstructed, `indices` (B, T', components) and the codebook loss."""

    vertices: Tensor
    indices: Tensor
    code_loss: Tensor


class PaperCodec(nn.Module):
    """Vertices -> codes -> vertices, clip by clip."""

    def __init__(self, config: PaperCodecConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.quantizer = VectorQuantizer(config.codes, config.code_width, config.commitment)
        self.decoder = Decoder(config)

    def encode(self, motion: Tensor) -> Tensor:
        """(B, T, 3V) -> (B, T', components, code_width), not yet quantised.

        T' is T / 2^halvings, rounded up: the last frame is repeated to fill the last code.
        """
        missing = -motion.shape[1] % 2**self.config.halvings
        motion = torch.cat([motion, motion[:, -1:].expand(-1, missing, -1)], 1)
        return self.encoder(motion).unflatten(-1, (self.config.components, -1))

    def quantize(self, features: Tensor) -> Quantized:
        """(..., components, code_width) -> the same quantised, indices (..., components).

        In the codebook's precision, which stays float32 where the model's is less.
        """
        return self.quantizer(features.to(self.quantizer.embedding.weight))

    def decode(self, codes: Tensor) -> Tensor:
        """(B, T', components, code_width) -> motion (B, T' 2^halvings, 3V)."""
        return self.decoder(codes.flatten(-2))

    def forward(self, vertices: Tensor, template: Tensor) -> CodecOutput:
        """Reconstruct (B, T, 3V) vertices; `template` (B, 3V)."""
        rest = template[:, None]
        quantized = self.quantize(self.encode(vertices - rest))
        motion = self.decode(quantized.values)[:, : vertices.shape[1]]
        return CodecOutput(motion + rest, quantized.indices, quantized.loss)


class Encoder(nn.Module):
    """Motion (B, T, 3V) -> (B, T', components * code_width)."""

    def __init__(self, config: PaperCodecConfig) -> None:
        super().__init__()
        width = config.width
        self.leak = config.leak
        self.input = nn.Linear(3 * config.vertices, width)
        self.blocks = Modules[TemporalBlock](
            TemporalBlock(width, config.leak, stride=2 if config.halvings and not i else 1)
            for i in range(max(1, config.halvings))
        )
        self.transformer = CodecTransformer(config)
        self.output = nn.Linear(width, config.frame_code_width) if config.code_projection else None

    def forward(self, motion: Tensor) -> Tensor:
        x = F.leaky_relu(self.input(motion), self.leak)
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i:
                x = F.max_pool1d(x.mT, 2).mT
        x = self.transformer(x)
        return x if self.output is None else self.output(x)


class Decoder(nn.Module):
    """Codes of each frame side by side (B, T', components * code_width) -> motion (B, T, 3V)."""

    def __init__(self, config: PaperCodecConfig) -> None:
        super().__init__()
        width = config.width
        self.input = nn.Linear(config.frame_code_width, width) if config.code_projection else None
        first = DoublingBlock if config.halvings else TemporalBlock
        self.blocks = Modules[TemporalBlock | DoublingBlock](
            first(width, config.leak) if not i else TemporalBlock(width, config.leak)
            for i in range(max(1, config.halvings))
        )
        self.transformer = CodecTransformer(config)
        self.output = nn.Linear(width, 3 * config.vertices, bias=config.output_bias)

    def forward(self, codes: Tensor) -> Tensor:
        return self.output(self.transformer(self.expand(codes)))

    def expand(self, codes: Tensor) -> Tensor:
        """The part before the transformer: (B, T', components * code_width) -> (B, T, width)."""
        x = codes.to(self.output.weight)
        x = x if self.input is None else self.input(x)
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i:
                x = x.repeat_interleave(2, 1)
        return x


class TemporalBlock(nn.Module):
    """Convolution with repeated edges, LeakyReLU, InstanceNorm; (B, T, C) -> (B, T', C)."""

    def __init__(self, width: int, leak: float, stride: int = 1) -> None:
        super().__init__()
        self.leak = leak
        self.convolution = nn.Conv1d(
            width, width, KERNEL, stride, padding=KERNEL // 2, padding_mode="replicate"
        )

    def forward(self, x: Tensor) -> Tensor:
        return instance_norm(F.leaky_relu(self.convolution(x.mT).mT, self.leak))


class DoublingBlock(nn.Module):
    """Transposed convolution that doubles the frames (zero padding), LeakyReLU, InstanceNorm."""

    def __init__(self, width: int, leak: float) -> None:
        super().__init__()
        self.leak = leak
        self.convolution = nn.ConvTranspose1d(
            width, width, KERNEL, stride=2, padding=KERNEL // 2, output_padding=1
        )

    def forward(self, x: Tensor) -> Tensor:
        return instance_norm(F.leaky_relu(self.convolution(x.mT).mT, self.leak))


def instance_norm(x: Tensor, eps: float = 1e-5) -> Tensor:
    """Normalise each channel of (B, T, C) over the frames of its clip, also in evaluation.

    One frame gives zeros: what the released code computes where it doubles a single frame.
    """
    variance, mean = torch.var_mean(x, 1, keepdim=True, correction=0)
    return (x - mean) * torch.rsqrt(variance + eps)


class CodecTransformer(nn.Module):
    """Linear map, positions, pre-norm layers that see the whole clip; (B, T, C) -> (B, T, C)."""

    def __init__(self, config: PaperCodecConfig) -> None:
        super().__init__()
        self.frame_positions = config.frame_positions
        self.input = nn.Linear(config.width, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = Modules[CodecLayer](CodecLayer(config) for _ in range(config.layers))

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        for layer in self.layers:
            x = layer(x)
        return x

    def embed(self, x: Tensor, which: Tensor | None = None) -> Tensor:
        """Linear map and positions, for (B, T, C); `which` (T,) numbers of the frames if not all.

        The released code indexes the positions by batch element, and trains with one clip per
        batch: every frame gets row 0 unless `frame_positions` is set.
        """
        rows = torch.zeros(1, dtype=torch.long)
        if self.frame_positions:
            rows = torch.arange(x.shape[1]) if which is None else which.cpu()
        positions = sinusoidal_encoding(int(rows.max()) + 1, x.shape[2])[rows]
        return self.dropout(self.input(x) + positions.to(x))


class CodecLayer(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)); the MLP has the tanh form of GELU."""

    def __init__(self, config: PaperCodecConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.attention_norm = nn.LayerNorm(width)
        self.attention_input = nn.Linear(width, 3 * width, bias=False)  # queries, keys, values
        self.attention_output = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp_input = nn.Linear(width, config.mlp_width)
        self.mlp_output = nn.Linear(config.mlp_width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.attend(x, *self.project(x))

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, C) -> queries, keys, values, each (B, heads, T, C / heads)."""
        split = self.attention_input(self.attention_norm(x)).unflatten(-1, (3, self.heads, -1))
        queries, keys, values = split.permute(2, 0, 3, 1, 4)
        return queries, keys, values

    def attend(self, x: Tensor, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """The layer's output for the frames of `x`, which attend to the keys of all frames.

        Logits are scaled by the full width and not by one head's, as published.
        """
        mixed = F.scaled_dot_product_attention(queries, keys, values, scale=x.shape[2] ** -0.5)
        x = x + self.attention_output(mixed.transpose(1, 2).flatten(2))
        return x + self._mlp(x)

    def last(self, x: Tensor, seen: Tensor) -> Tensor:
        """One frame's output: `x` (B, 1, C) its input, `seen` (B, T, C) the inputs of all frames.

        The other frames only lend keys and values, and even those need not be formed: each
        head's query is carried back to the layer's input, and its weighted sum of inputs forward.
        """
        width, heads = x.shape[2], self.heads
        normed = self.attention_norm(seen)
        to_query, to_key, to_value = self.attention_input.weight.view(3, heads, -1, width)
        query = torch.einsum("hdc,bc->bhd", to_query, self.attention_norm(x)[:, 0])
        probe = torch.einsum("bhd,hdc->bhc", query, to_key)
        weights = (probe @ normed.mT * width**-0.5).softmax(-1)  # (B, heads, T)
        mixed = torch.einsum("hdc,bhc->bhd", to_value, weights @ normed)
        x = x + self.attention_output(mixed.flatten(1))[:, None]
        return x + self._mlp(x)

    def _mlp(self, x: Tensor) -> Tensor:
        return self.mlp_output(F.gelu(self.mlp_input(self.mlp_norm(x)), approximate="tanh"))
