"""One frame of the bundled model: talker, code query and decoder with all state explicit.

In the flow speech -> **features -> codes -> motion**. This is what is exported for run time and
what validation runs, so that both run the same arithmetic.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from codetalker.causal.codec import Codec
from codetalker.causal.talker import TalkerNet, TalkerState


class State(NamedTuple):
    """All that a frame leaves to the next: see `TalkerState`; `context` (B, reach - 1, H, D) holds
    the codebook rows of the last frames for the decoder."""

    cache: Tensor
    context: Tensor
    motion: Tensor
    position: Tensor


class Generator(nn.Module):
    """Talker and codec, a frame at a time."""

    def __init__(self, talker: TalkerNet, codec: Codec) -> None:
        super().__init__()
        self.talker = talker
        self.codec = codec

    def start(self, batch: int = 1) -> State:
        """The state before the first frame."""
        state = self.talker.start(batch)
        return State(state.cache, self.codec.context(batch), state.motion, state.position)

    def forward(
        self,
        speech: Tensor,
        style: Tensor,
        noise: Tensor,
        cache: Tensor,
        context: Tensor,
        motion: Tensor,
        position: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One frame.

        Args:
            speech: (B, width) from the adapter.
            style: (B, width).
            noise: (B, H, codes) added to the negative squared distances: zeros query the nearest
                code, Gumbel noise samples.
            cache, context, motion, position: the `State`.

        Returns:
            motion (B, K) clipped to 0..1, codes (B, H), and the next cache and context.
        """
        features, cache = self.talker.step(speech, style, TalkerState(cache, motion, position))
        codes = (noise - self.codec.quantizer.squared_distances(features)).argmax(-1)
        rows = self.codec.quantizer.embedding(codes)[:, None]
        motion = self.codec.decode(rows, context)[:, 0].clamp(0, 1)
        return motion, codes, cache, torch.cat([context[:, 1:], rows], 1)


def gumbel(uniform: Tensor) -> Tensor:
    """Standard Gumbel noise from uniform numbers in (0, 1): argmax(logits + noise) samples."""
    return -torch.log(-torch.log(uniform))


@torch.inference_mode()
def free_run(
    generator: Generator, speech: Tensor, style: Tensor, temperature: Tensor, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Generate from (B, T, width) speech and (B, width) style with own past: motion and codes.

    `temperature` (H,): 0 queries the nearest code, 1 samples.
    """
    state = generator.start(len(speech))
    random = torch.Generator().manual_seed(seed)
    shape = (len(speech), generator.codec.config.heads, generator.codec.config.codes)
    motions, codes = [], []
    for t in range(speech.shape[1]):
        uniform = torch.rand(shape, generator=random).clamp(1e-7, 1 - 1e-7).to(speech.device)
        noise = gumbel(uniform) * temperature[:, None]
        motion, code, cache, context = generator(speech[:, t], style, noise, *state)
        state = State(cache, context, motion, state.position + 1)
        motions.append(motion)
        codes.append(code)
    return torch.stack(motions, 1), torch.stack(codes, 1)
