"""MeshTalk's second part: what was said and the codes so far -> the next code.

In the flow speech -> **features -> codes** -> motion -> mesh -> file. Richard et al., MeshTalk,
2021, section 3.2, as released: code by code within a frame, and frame by frame. In every layer a
head sees the heads before it, not itself; so a code reaches, in its own frame, only heads as many
further as there are layers, the first head's logits are the same always, and the last head's code
is seen by none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codetalker.nn.modules import Modules
from codetalker.paper.meshtalk_codec import LEAK, MeshTalkConfig

Choose = Callable[[Tensor], Tensor]
"""Logits (B, classes) -> chosen classes (B,)."""


class ContextLayer(nn.Module):
    """(B, T, heads, inputs) -> (B, T, heads, outputs), causal in heads and in frames.

    Args:
        audio: width of the speech's code, which all heads of a frame see; 0: they do not.
        dilation: the frames t - 1 and t - 1 - dilation are seen, by all heads; 0: none is.
    """

    def __init__(
        self, heads: int, inputs: int, outputs: int, audio: int = 0, dilation: int = 0
    ) -> None:
        super().__init__()
        self.heads, self.inputs, self.outputs, self.dilation = heads, inputs, outputs, dilation
        self.own = nn.Linear(heads * inputs, heads * outputs)
        self.audio = nn.Linear(audio, heads * outputs) if audio else None
        self.past = (
            nn.Conv1d(heads * inputs, heads * outputs, 2, dilation=dilation) if dilation else None
        )

    def forward(self, x: Tensor, audio: Tensor) -> Tensor:
        """`audio` (B, T, audio)."""
        earlier = torch.ones(self.heads, self.heads, device=x.device).tril(-1)
        mask = earlier.repeat_interleave(self.outputs, 0).repeat_interleave(self.inputs, 1)
        flat = x.flatten(2)
        y = F.linear(flat, self.own.weight * mask.to(x), self.own.bias)
        if self.audio is not None:
            y = y + self.audio(audio)
        if self.past is not None:
            y = y + self.past(F.pad(flat.mT[:, :, :-1], (self.dilation + 1, 0))).mT
        return y.unflatten(-1, (self.heads, self.outputs))

    def start(self, x: Tensor, audio: Tensor, frame: int) -> Tensor:
        """All of a frame's output (B, heads, outputs) that does not depend on its own input, where
        `x` (B, T, heads, inputs) holds the frames before."""
        y = self.own.bias.expand(len(x), -1)
        if self.audio is not None:
            y = y + self.audio(audio[:, frame])
        if self.past is not None:
            assert self.past.bias is not None
            y = y + self.past.bias
            for tap, back in enumerate((self.dilation + 1, 1)):
                if back <= frame:
                    y = y + F.linear(x[:, frame - back].flatten(1), self.past.weight[..., tap])
        return y.unflatten(-1, (self.heads, self.outputs))

    def head(self, x: Tensor, head: int) -> Tensor:
        """What the heads before give to a head: (B, heads, inputs) of its frame -> (B, outputs)."""
        rows = slice(head * self.outputs, (head + 1) * self.outputs)
        return F.linear(x[:, :head].flatten(1), self.own.weight[rows, : head * self.inputs])


class MeshTalkPrior(nn.Module):
    """Codes and speech -> logits of each code given those before it."""

    def __init__(self, config: MeshTalkConfig) -> None:
        super().__init__()
        heads, classes, width = config.heads, config.classes, config.context
        self.heads, self.classes = heads, classes
        self.layers = Modules[ContextLayer](
            [
                ContextLayer(heads, classes, width),
                *(
                    ContextLayer(heads, width, width, config.width, dilation)
                    for dilation in config.dilations
                ),
                ContextLayer(heads, width, classes),
            ]
        )

    def forward(self, one_hot: Tensor, audio: Tensor) -> Tensor:
        """(B, T, heads, classes), (B, T, width) -> logits (B, T, heads, classes)."""
        x = one_hot
        for number, layer in enumerate(self.layers):
            x = self._activated(layer(x, audio), number)
        return x

    def sample(self, audio: Tensor, choose: Choose) -> Iterator[Tensor]:
        """(B, T, width) -> the classes (B, heads) of one frame after another."""
        clips, frames, _ = audio.shape
        inputs = [audio.new_zeros(clips, frames, self.heads, la.inputs) for la in self.layers]
        for t in range(frames):
            begun = [layer.start(x, audio, t) for layer, x in zip(self.layers, inputs, strict=True)]
            for head in range(self.heads):
                chosen = choose(self._head(inputs, begun, t, head))
                inputs[0][:, t, head] = F.one_hot(chosen, self.classes).to(audio)
            yield inputs[0][:, t].argmax(-1)

    def _head(self, inputs: list[Tensor], begun: list[Tensor], t: int, head: int) -> Tensor:
        """The logits (B, classes) of a head, whose part of every layer's input it fills in."""
        *layers, last = self.layers
        for number, layer in enumerate(layers):
            y = begun[number][:, head] + layer.head(inputs[number][:, t], head)
            inputs[number + 1][:, t, head] = self._activated(y, number)
        return begun[-1][:, head] + last.head(inputs[-1][:, t], head)

    def _activated(self, x: Tensor, number: int) -> Tensor:
        """After all layers but the first and the last."""
        return F.leaky_relu(x, LEAK) if 0 < number < len(self.layers) - 1 else x
