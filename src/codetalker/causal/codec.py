"""Stage 1, the codec: a codebook of facial motion, learned by reconstructing real motion.

In the flow speech -> features -> **codes -> motion**. Paper section 3.1, with two changes that make
streaming exact: convolutions are causal, and nothing is normalised over time. The face is coded in
parts that move independently of each other, so that a blink costs the mouth no codes; all parts
query one codebook.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codetalker.arkit import MOUTH, UPPER_FACE, channels
from codetalker.nn.quantizer import Quantized, VectorQuantizer


@dataclass(frozen=True)
class Part:
    """Blendshapes that are coded together.

    Attributes:
        name: of the part.
        blendshapes: Apple's names of them.
        heads: codes per frame.
        temperature: at which its codes are sampled; 0 takes the nearest ones: the part follows the
            speech.
    """

    name: str
    blendshapes: tuple[str, ...]
    heads: int
    temperature: float

    @property
    def channels(self) -> tuple[int, ...]:
        """Their places in Apple's order."""
        return channels(self.blendshapes)


@dataclass(frozen=True)
class CodecConfig:
    """Sizes of the codec.

    Attributes:
        parts: of the face; those that follow the speech come first.
        codes: rows of the codebook, and `code_width` their width.
        width: channels of the convolutions.
        taps, blocks: of the convolutions; they set the decoder's reach into the past.
        fps: frames per second of the motion.
    """

    parts: tuple[Part, ...] = (
        Part("mouth", MOUTH, heads=8, temperature=0.0),
        Part("upper face", UPPER_FACE, heads=2, temperature=1.0),
    )
    codes: int = 256
    code_width: int = 16
    width: int = 128
    blocks: int = 2
    taps: int = 3
    fps: int = 25

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> CodecConfig:
        """From plain values, as the record of a run has them.

        Raises:
            KeyError, TypeError: a name is missing or unknown.
        """
        parts = (Part(**{**p, "blendshapes": tuple(p["blendshapes"])}) for p in values["parts"])
        return cls(**{**values, "parts": tuple(parts)})

    @property
    def temperatures(self) -> tuple[float, ...]:
        """Of each of the codes of a frame."""
        return tuple(part.temperature for part in self.parts for _ in range(part.heads))

    @property
    def articulation(self) -> tuple[int, ...]:
        """Channels of the parts that follow the speech."""
        return tuple(
            sorted(c for part in self.parts if not part.temperature for c in part.channels)
        )

    @property
    def queried(self) -> int:
        """Codes per frame of those parts; they come first."""
        return sum(part.heads for part in self.parts if not part.temperature)

    @property
    def heads(self) -> int:
        """Codes per frame."""
        return sum(part.heads for part in self.parts)

    @property
    def channels(self) -> int:
        """Blendshapes."""
        return sum(len(part.blendshapes) for part in self.parts)

    @property
    def reach(self) -> int:
        """Frames that one decoded frame depends on, itself included."""
        return 1 + 2 * self.blocks * (self.taps - 1)


class Block(nn.Module):
    """Residual pair of convolutions (B, C, T) -> (B, C, T - trim): the frames that see only real
    input."""

    def __init__(self, width: int, taps: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(width, width, taps)
        self.second = nn.Conv1d(width, width, taps)
        self.trim = 2 * (taps - 1)

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, self.trim :] + self.second(F.gelu(self.first(F.gelu(x))))


def convolutions(inputs: int, outputs: int, config: CodecConfig) -> nn.Sequential:
    """(B, inputs, T + reach - 1) -> (B, outputs, T), each from the `reach` frames up to it."""
    return nn.Sequential(
        nn.Conv1d(inputs, config.width, 1),
        *(Block(config.width, config.taps) for _ in range(config.blocks)),
        nn.GELU(),
        nn.Conv1d(config.width, outputs, 1),
    )


class Codec(nn.Module):
    """Motion (B, T, K) blendshape weights <-> features (B, T, H, D) <-> codes (B, T, H)."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        self.quantizer = VectorQuantizer(config.codes, config.code_width)
        nn.init.normal_(self.quantizer.embedding.weight)
        widths = [part.heads * config.code_width for part in config.parts]
        sizes = [len(part.channels) for part in config.parts]
        self.encoders = nn.ModuleList(map(convolutions, sizes, widths, [config] * len(sizes)))
        self.decoders = nn.ModuleList(map(convolutions, widths, sizes, [config] * len(sizes)))
        order = torch.tensor([c for part in config.parts for c in part.channels])
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("rank", order.argsort(), persistent=False)
        self.order: Tensor
        self.rank: Tensor

    def encode(self, motion: Tensor) -> Tensor:
        """(B, T, K) weights -> (B, T, H, D) features of unit mean square, before quantising."""
        sizes = [len(part.channels) for part in self.config.parts]
        padded = F.pad(motion[..., self.order].transpose(1, 2), (self.config.reach - 1, 0))
        parts = padded.split(sizes, 1)
        features = torch.cat([net(x) for net, x in zip(self.encoders, parts, strict=True)], 1)
        features = features.transpose(1, 2).unflatten(2, (self.config.heads, -1))
        return F.normalize(features, dim=-1) * self.config.code_width**0.5

    def decode(self, features: Tensor, context: Tensor | None = None) -> Tensor:
        """(B, T, H, D) codebook rows -> (B, T, K) weights, not yet clipped to 0..1.

        `context` (B, reach - 1, H, D) holds the rows before the first frame: zeros by default, as
        at the start of a recording.
        """
        if context is None:
            context = self.context(len(features))
        heads = [part.heads for part in self.config.parts]
        parts = torch.cat([context, features], 1).split(heads, 2)
        motion = [
            net(x.flatten(2).transpose(1, 2)) for net, x in zip(self.decoders, parts, strict=True)
        ]
        return torch.cat(motion, 1).transpose(1, 2)[..., self.rank]

    def context(self, batch: int = 1) -> Tensor:
        """(B, reach - 1, H, D) zeros: the rows before a recording."""
        shape = (batch, self.config.reach - 1, self.config.heads, self.config.code_width)
        return torch.zeros(shape, device=self.order.device)

    def forward(self, motion: Tensor) -> tuple[Tensor, Quantized]:
        """Reconstruct (B, T, K) weights; also what was quantised on the way."""
        quantized = self.quantizer(self.encode(motion))
        return self.decode(quantized.values), quantized
