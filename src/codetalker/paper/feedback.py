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

from codetalker.paper.cache import KeyValueCache
from codetalker.paper.codec import KERNEL, Decoder
from codetalker.paper.model import PaperModel

REACH = KERNEL // 2
"""Frames that a convolution sees on either side."""

YOUNG, GROWTH = 32, 8
"""What is kept of a clip is computed anew once it has grown by an eighth of its frames beyond 32:
in the first second, the motion that is fed back depends on every frame."""


@dataclass
class FeedbackState:
    """The decoder's view of the frames so far, in buffers of a fixed capacity.

    Attributes:
        inputs: (B, frames at most, C) codes as they enter the convolution.
        activations: (B, frames at most, C) its outputs, before InstanceNorm.
        sums: (2, B, C) float64, sum and sum of squares of the activations that are final.
        caches: keys and values of every layer but the last.
        seen: (B, frames seen at most, C), a ring like the caches: inputs of the last layer.
        frames: how many frames there are.
        refreshed: how many there were when all of them were last computed.
    """

    inputs: Tensor
    activations: Tensor
    sums: Tensor
    caches: list[KeyValueCache]
    seen: Tensor
    frames: int = 0
    refreshed: int = 0


class Feedback:
    """Codes of a frame -> motion embedding of that frame, as the talker's next token.

    Convolution and InstanceNorm cover all frames; the transformer does too as published, and can
    be limited. A frame's keys and values change little once it has neighbours: they may be kept
    until the clip has grown, and only the new frame is computed.

    Args:
        model: in evaluation mode; its weights must not change afterwards.
        keep: whether to do so; otherwise all frames are computed anew at every step.
        window: frames that the transformer sees; None for all.
    """

    def __init__(self, model: PaperModel, keep: bool = False, window: int | None = None) -> None:
        decoder, embed = model.codec.decoder, model.talker.motion_map
        self.decoder: Decoder = decoder
        self.keep = keep
        self.window = window
        block = decoder.blocks[0]
        self.leak = block.leak
        like = decoder.output.weight  # the convolution may be kept more precise, for its own use
        self.kernel = block.convolution.weight.permute(0, 2, 1).flatten(1).to(like)  # (C, KERNEL C)
        assert block.convolution.bias is not None
        self.kernel_bias = block.convolution.bias.to(like)
        self.weight = embed.weight @ decoder.output.weight  # (talker width, C)
        self.bias = embed.bias
        if decoder.output.bias is not None:
            self.bias = self.bias + embed.weight @ decoder.output.bias

    def start(self, clips: int, frames: int) -> FeedbackState:
        """The state before the first of at most `frames` frames."""
        *layers, _ = self.decoder.transformer.layers
        like = self.decoder.transformer.input.weight  # (C, C)
        channels = len(like)
        seen = frames if self.window is None else min(frames, self.window)
        return FeedbackState(
            inputs=like.new_empty(clips, frames, channels),
            activations=like.new_empty(clips, frames, channels),
            sums=like.new_zeros(2, clips, channels, dtype=torch.float64),
            caches=[KeyValueCache.empty(clips, layer.heads, seen, like) for layer in layers],
            seen=like.new_empty(clips, seen, channels),
        )

    def step(self, codes: Tensor, state: FeedbackState) -> Tensor:
        """Quantised codes of the next frame (B, components * code_width) -> token (B, width)."""
        self._convolve(codes, state)
        which = self._anew(state)
        frames, capacity = state.frames, state.seen.shape[1]
        *layers, last = self.decoder.transformer.layers
        x = self.decoder.transformer.embed(self._normalized(state, which), which)
        for layer, cache in zip(layers, state.caches, strict=True):
            queries, keys, values = layer.project(x)
            x = layer.attend(x, queries, *cache.put(keys, values, which, frames))
        state.seen[:, which % capacity] = x
        x = last.last(x[:, -1:], state.seen[:, : min(frames, capacity)])
        return F.linear(x[:, 0], self.weight, self.bias)

    def _anew(self, state: FeedbackState) -> Tensor:
        """Numbers of the frames to compute at this step, the newest one last."""
        end, capacity = state.frames, state.seen.shape[1]
        begin = max(0, end - capacity)
        kept = (min(state.refreshed, capacity) - YOUNG) // GROWTH if self.keep else 0
        if end - state.refreshed > max(0, kept):
            state.refreshed = end
        else:
            begin = end - 1
        return torch.arange(begin, end, device=state.seen.device)

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

    def _normalized(self, state: FeedbackState, which: Tensor) -> Tensor:
        """InstanceNorm over all frames so far, of the frames `which`: (B, T, C)."""
        frames = state.frames
        recent = state.activations[:, max(0, frames - REACH) : frames].double()
        mean, square = (state.sums + torch.stack([recent, recent.square()]).sum(2)) / frames
        scale = (square - mean.square()).clamp(min=0).add(1e-5).rsqrt()
        x = state.activations[:, which]
        return (x - mean[:, None].to(x)) * scale[:, None].to(x)
