"""MeshTalk as a whole, and how it speaks: codes drawn from the prior, motion made of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codetalker.paper.decoding import Limits, Predicted, Report, limits_of
from codetalker.paper.meshtalk_codec import (
    PIECE,
    MeshTalkCodec,
    MeshTalkConfig,
    level,
    sound_around,
)
from codetalker.paper.meshtalk_prior import MeshTalkPrior


class MeshTalk(nn.Module):
    """`codec` and `prior`."""

    def __init__(self, config: MeshTalkConfig) -> None:
        super().__init__()
        self.config = config
        self.codec = MeshTalkCodec(config)
        self.prior = MeshTalkPrior(config)

    def normalize(self, samples: Tensor) -> Tensor:
        """(..., N) waveform at 16 kHz -> as the model hears it."""
        return level(samples)


class MeshTalkPredictor:
    """Predicts with a model in evaluation mode. Time grows linearly with the length in any mode."""

    def __init__(self, model: MeshTalk, mode: str | Limits = "exact") -> None:
        limits_of(mode)
        self.model = model

    @torch.inference_mode()
    def predict(
        self,
        clips: Sequence[Tensor],
        style: Tensor,
        progress: Report | None = None,
        templates: Tensor | None = None,
        seed: int = 0,
    ) -> list[Predicted]:
        """As `codetalker.paper.decoding.Predicting`; the codes are drawn, as published, and the
        mean face speaks where no other is given."""
        codec = self.model.codec
        rest = codec.mean.expand(len(clips), -1) if templates is None else templates
        rest = rest.to(codec.mean)
        counts = [self.model.config.frames(len(samples)) for samples in clips]
        result = []
        for i, samples in enumerate(clips):
            generator = torch.Generator().manual_seed(seed)
            audio, codes = self._hear(samples[None], counts[i]), []
            for classes in self.model.prior.sample(audio, lambda x, g=generator: _draw(x, g)):
                codes.append(classes)
                if progress is not None:
                    progress(sum(counts[:i]) + len(codes), sum(counts))
            indices = torch.stack(codes, 1)  # (1, T, heads)
            one_hot = F.one_hot(indices, self.model.config.classes).to(rest)
            vertices = codec.decode(one_hot, rest[i : i + 1])
            result.append(Predicted(vertices[0] - rest[i], indices[0]))
        return result

    def _hear(self, samples: Tensor, frames: int) -> Tensor:
        """(1, N) levelled -> the audio code of every frame, (1, T, width)."""
        fps = self.model.config.fps
        samples = samples.to(self.model.codec.mean.device)
        codes = [
            self.model.codec.audio(sound_around(samples, fps, begin, min(begin + PIECE, frames)))
            for begin in range(0, frames, PIECE)
        ]
        return torch.cat(codes, 1)


def _draw(logits: Tensor, generator: torch.Generator) -> Tensor:
    """One class by its probability, on any device the same: (B, classes) -> (B,)."""
    shares = logits.float().softmax(-1).cpu()
    return shares.multinomial(1, generator=generator)[:, 0].to(logits.device)
