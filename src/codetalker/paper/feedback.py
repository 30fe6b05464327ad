"""The motion that the talker is told it has just made, from the codes so far.

In the flow speech -> features -> **codes -> motion** (and back to the talker) -> mesh -> file.
The published loop decodes all codes so far after every frame, because the codec's decoder looks
at the whole clip, and embeds the last frame of the result. Here that is one number-for-number
equal pass without vertices: the decoder's last linear map and the talker's motion embedding are
one small matrix, only the frames that changed are convolved, and the last layer computes the last
frame alone.
"""

from __future__ import annotations

from dataclasses import dataclass
import torch
import torch.nn.functional as F
from torch import Tensor

from codetalker.paper.codec import KERNEL, Decoder
from codetalker.paper.model import PaperModel

REACH = KERNEL // 2
"""Frames that a convolution sees on either side."""


@dataclass
class FeedbackState:
    """The decoder's view of the frames so far, in buffers of a fixed capacity.

    Attributes:
        inputs: (B, capacity, C) codes as they enter the convolution.
        activations: (B, capacity, C) its outputs, before InstanceNorm.
        sums: (2, B, C) float64, sum and sum of squares of the activations that are final.
        frames: how many frames there are.
    """

    inputs: Tensor
    activations: Tensor
    sums: Tensor
    frames: int = 0


class Feedback:
    """Codes of a frame -> motion embedding of that frame, as the talker's next token.

    Args:
        model: in evaluation mode; its weights must not change afterwards.
        window: frames that the decoder's transformer looks back, or None for all (as published).
            Convolution and InstanceNorm cover all frames in either case.
    """

    def __init__(self, model: PaperModel, window: int | None = None) -> None:
        decoder, embed = model.codec.decoder, model.talker.motion_map
        self.decoder: Decoder = decoder
        self.window = window
        block = decoder.blocks[0]
        self.leak = block.leak
        self.kernel = block.convolution.weight.permute(0, 2, 1).flatten(1)  # (C, KERNEL C)
        self.kernel_bias = block.convolution.bias
        self.weight = embed.weight @ decoder.output.weight  # (talker width, C)
        self.bias = embed.bias
        if decoder.output.bias is not None:
            self.bias = self.bias + embed.weight @ decoder.output.bias

    def start(self, clips: int, capacity: int) -> FeedbackState:
        """The state before the first frame, for at most `capacity` frames."""
        like = self.kernel_bias
        buffers = like.new_zeros(2, clips, capacity, len(like))
        sums = like.new_zeros(2, clips, len(like), dtype=torch.float64)
        return FeedbackState(buffers[0], buffers[1], sums)

    def step(self, codes: Tensor, state: FeedbackState) -> Tensor:
        """Quantised codes of the next frame (B, components * code_width) -> token (B, width)."""
        self._convolve(codes, state)
        first = 0 if self.window is None else max(0, state.frames - self.window)
        x = self._normalized(state, first)
        transformer = self.decoder.transformer
        x = transformer.embed(x, first)
        *layers, last = transformer.layers
        for layer in layers:
            x = layer(x)
        return F.linear(last.last(x)[:, 0], self.weight, self.bias)

    def _convolve(self, codes: Tensor, state: FeedbackState) -> None:
        """Add a frame: it changes the convolution's last outputs, whose right edge was padding."""
        new = state.frames
        project, codes = self.decoder.input, codes.to(state.inputs)
        state.inputs[:, new] = codes if project is None else project(codes)
        reach = torch.arange(new - 2 * REACH, new + REACH + 1, device=codes.device).clamp(0, new)
        windows = state.inputs[:, reach].unfold(1, KERNEL, 1)  # (B, REACH + 1, C, KERNEL)
        outputs = F.linear(windows.mT.flatten(2), self.kernel, self.kernel_bias)
        first = max(0, new - REACH)
        state.activations[:, first : new + 1] = F.leaky_relu(
            outputs[:, first - new - 1 :], self.leak
        )
        settled = new - REACH
        if settled >= 0:
            final = state.activations[:, settled].double()
            state.sums += torch.stack([final, final.square()])
        state.frames = new + 1

    def _normalized(self, state: FeedbackState, first: int) -> Tensor:
        """InstanceNorm over all frames so far, of the frames from `first` on: (B, T, C)."""
        frames = state.frames
        recent = state.activations[:, max(0, frames - REACH) : frames].double()
        mean, square = (
            state.sums + torch.stack([recent, recent.square()]).sum(2)
        ) / frames
        scale = (square - mean.square()).clamp(min=0).add(1e-5).rsqrt()
        x = state.activations[:, first:frames]
        return (x - mean[:, None].to(x)) * scale[:, None].to(x)
