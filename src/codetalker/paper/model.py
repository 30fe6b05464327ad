"""The published model as a whole, as it is trained: codec and talker, teacher forcing, losses.

In the flow **speech -> features -> codes -> motion** -> mesh -> file.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codetalker.nn.quantizer import Quantized
from codetalker.paper.codec import CodecOutput, PaperCodec
from codetalker.paper.config import PaperConfig
from codetalker.paper.talker import PaperTalkerNet


class CodecLoss(NamedTuple):
    """Stage 1: `total` = `reconstruction` (L1) + the codebook loss."""

    total: Tensor
    reconstruction: Tensor
    codebook: Tensor


class TalkerLoss(NamedTuple):
    """Stage 2: `total` = `motion` (vertices) + `codes` (features against quantised truth)."""

    total: Tensor
    motion: Tensor
    codes: Tensor


class TeacherForced(NamedTuple):
    """What stage 2 gives for true past motion.

    Attributes:
        features: (B, T, components, code_width) predicted, before quantising.
        quantized: the same, quantised.
        vertices: (B, T, 3V) decoded.
        true_vertices: (B, T, 3V), cut to the T frames that the speech covers.
        true_codes: quantised encoding of the true motion, and its indices.
    """

    features: Tensor
    quantized: Quantized
    vertices: Tensor
    true_vertices: Tensor
    true_codes: Quantized


class PaperModel(nn.Module):
    """`codec` (stage 1) and `talker` (stage 2)."""

    def __init__(self, config: PaperConfig) -> None:
        super().__init__()
        self.config = config
        self.codec = PaperCodec(config.codec)
        self.talker = PaperTalkerNet(config.talker, config.speech, config.codec)

    def normalize(self, samples: Tensor) -> Tensor:
        """(..., N) waveform at 16 kHz -> as the model hears it."""
        return self.talker.speech.normalize(samples)

    def teacher_forced(
        self, samples: Tensor, vertices: Tensor, template: Tensor, style: Tensor
    ) -> TeacherForced:
        """Predict every frame from the true frames before it.

        Args:
            samples: (B, N) normalised waveforms at 16 kHz.
            vertices: (B, T, 3V) truth; cut to the speech's frames where speech is not stretched.
            template: (B, 3V).
            style: (B, S) weights of the styles.
        """
        speech = self.talker.hear(samples, vertices.shape[1])
        vertices = vertices[:, : speech.shape[1]]
        motion = vertices - template[:, None]
        with torch.no_grad():
            true_codes = self.codec.quantize(self.codec.encode(motion))
        past = F.pad(motion[:, :-1], (0, 0, 1, 0))
        features = self.talker.features(past, self.talker.style(style), speech)
        quantized = self.codec.quantize(features)
        decoded = self.codec.decode(quantized.values) + template[:, None]
        return TeacherForced(features, quantized, decoded, vertices, true_codes)

    def prepare_talker_training(self) -> Self:
        """Training mode for stage 2: the codec frozen and in evaluation, the talker in training."""
        self.train()
        self.codec.requires_grad_(False).eval()
        return self


def codec_loss(output: CodecOutput, vertices: Tensor, codebook_weight: float = 1.0) -> CodecLoss:
    """The published stage-1 loss for `vertices` (B, T, 3V) and their reconstruction."""
    reconstruction = F.l1_loss(output.vertices, vertices)
    total = reconstruction + codebook_weight * output.code_loss
    return CodecLoss(total, reconstruction, output.code_loss)


def talker_loss(
    output: TeacherForced, motion_weight: float = 1.0, code_weight: float = 1.0
) -> TalkerLoss:
    """The published stage-2 loss: two regressions, no cross entropy."""
    motion = F.mse_loss(output.vertices, output.true_vertices)
    codes = F.mse_loss(output.features, output.true_codes.values)
    return TalkerLoss(motion_weight * motion + code_weight * codes, motion, codes)
