"""Prediction: speech -> codes -> motion, frame by frame, without the published code's waste.

In the flow **speech -> features -> codes -> motion** -> mesh -> file. `exact` gives the published
output: keys and values of past frames are kept, speech is attended to once, and the feedback of
`codetalker.paper.feedback` replaces a full decode per frame. `fast` bounds how far attention
looks, so that time grows linearly with the length and a long clip is no dearer per second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from codetalker.errors import OptionError, did_you_mean
from codetalker.nn.attention import periodic_encoding
from codetalker.paper.cache import KeyValueCache
from codetalker.paper.feedback import Feedback
from codetalker.paper.model import PaperModel


@dataclass(frozen=True)
class Limits:
    """What is computed of past frames; all as published, unless limited.

    Attributes:
        keep: whether the codec's decoder, when it feeds motion back, keeps what it computed of
            older frames until the clip has grown by an eighth.
        attention: frames that attention sees, None for all: of the talker's decoder and of the
            feedback; and the length of the windows in which speech is encoded and codes decoded.
        overlap: frames over which consecutive windows are blended.
    """

    keep: bool = False
    attention: int | None = None
    overlap: int = 120


MODES = {"exact": Limits(), "fast": Limits(keep=True, attention=600)}
"""`fast` attends to the 600 frames that the published code is limited to."""


class Prediction(NamedTuple):
    """Of one clip: `motion` (T, 3V), vertices minus template; `indices` (T, components) of its
    codes; `features` (T, components, code_width) before quantising."""

    motion: Tensor
    indices: Tensor
    features: Tensor


class Predictor:
    """Predicts with a model in evaluation mode, whose weights must not change afterwards."""

    def __init__(self, model: PaperModel, mode: str | Limits = "exact") -> None:
        if isinstance(mode, str) and mode not in MODES:
            raise OptionError(f"no mode {mode!r}; {did_you_mean(mode, MODES)}")
        self.limits = MODES[mode] if isinstance(mode, str) else mode
        self.model = model
        with torch.inference_mode():
            self.feedback = Feedback(model, self.limits.keep, self.limits.attention)

    @torch.inference_mode()
    def predict(
        self,
        clips: Sequence[Tensor],
        style: Tensor,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Prediction]:
        """Predict several clips at once, each as if it were alone.

        Args:
            clips: B normalised waveforms (N,) at 16 kHz, of any lengths that give a frame.
            style: (B, S) weights of the styles.
            progress: called with frames done and frames in all.
        """
        like = self.model.talker.styles.weight
        heard = [self._hear(samples[None].to(like)) for samples in clips]
        lengths = [speech.shape[1] for speech in heard]
        frames = max(lengths)
        padded = [F.pad(h, (0, 0, 0, 0, 0, frames - h.shape[1])) for h in heard]
        features = self._generate(
            torch.cat(padded), self.model.talker.style(style.to(like)), progress
        )
        return [self._decode(features[i, :length]) for i, length in enumerate(lengths)]

    def _generate(
        self, speech: Tensor, style: Tensor, progress: Callable[[int, int], None] | None
    ) -> Tensor:
        """(B, T, features per frame, width), (B, width) -> features (B, T, components, code_width).

        Frames beyond the end of a shorter clip do no harm: no earlier frame sees them.
        """
        talker, codec = self.model.talker, self.model.codec
        clips, frames = speech.shape[:2]
        decoder = CachedDecoder(self.model, speech, self.limits.attention)
        state = self.feedback.start(clips, frames)
        token = style + talker.motion_map.bias if talker.config.first_token_bias else style
        features = []
        for frame in range(frames):
            features.append(talker.to_features(decoder.step(token))[:, 0])
            if frame < frames - 1:
                codes = codec.quantize(features[-1]).values
                token = self.feedback.step(codes.flatten(1), state) + style
            if progress is not None:
                progress(frame + 1, frames)
        return torch.stack(features, 1)

    def _hear(self, samples: Tensor) -> Tensor:
        talker = self.model.talker
        features = talker.align(talker.speech.convolve(samples))
        per_frame = talker.config.features_per_frame
        window = self.limits.attention
        hidden = in_windows(
            talker.understand,
            features,
            None if window is None else window * per_frame,
            self.limits.overlap * per_frame,
        )
        return hidden.unflatten(1, (-1, per_frame))

    def _decode(self, features: Tensor) -> Prediction:
        decoder = self.model.codec.decoder
        quantized = self.model.codec.quantize(features[None])
        expanded = decoder.expand(quantized.values.flatten(-2))
        hidden = in_windows(
            decoder.transformer, expanded, self.limits.attention, self.limits.overlap
        )
        return Prediction(decoder.output(hidden)[0], quantized.indices[0], features)


class CachedDecoder:
    """The talker's decoder one token at a time, with the past in `KeyValueCache`s."""

    def __init__(self, model: PaperModel, speech: Tensor, window: int | None) -> None:
        self.talker = model.talker
        config = self.talker.config
        clips, frames = speech.shape[:2]
        capacity = frames if window is None else min(frames, window)
        self.caches = [
            KeyValueCache.empty(clips, config.heads, capacity, speech) for _ in self.talker.layers
        ]
        self.contexts = [layer.cross_attention.prepare(speech) for layer in self.talker.layers]
        self.positions = periodic_encoding(config.period, config.width, config.period).to(speech)
        self.frame = 0

    def step(self, token: Tensor) -> Tensor:
        """The next token (B, width), without its position -> hidden state (B, 1, width)."""
        x = (token + self.positions[self.frame % len(self.positions)])[:, None]
        which = torch.tensor([self.frame], device=x.device)
        distance = self.caches[0].distances(self.frame)
        bias = self.talker.bias(distance)[:, None].to(x)
        for layer, cache, context in zip(
            self.talker.layers, self.caches, self.contexts, strict=True
        ):
            queries, keys, values = layer.self_attention.project(x)
            seen = cache.put(keys, values, which, self.frame + 1)
            x = layer(x, (queries, *seen), bias, context.frame(self.frame))
        self.frame += 1
        return x


def in_windows(
    function: Callable[[Tensor], Tensor], x: Tensor, window: int | None, overlap: int
) -> Tensor:
    """Apply `function`, (B, T, C) -> (B, T, D), to overlapping windows and blend them linearly.

    At once where `window` is None or the clip is no longer than it.
    """
    frames = x.shape[1]
    if window is None or frames <= window:
        return function(x)
    pieces: list[Tensor] = []
    for start in range(0, frames - overlap, window - overlap):
        piece = function(x[:, start : start + window])
        if pieces:
            rise = torch.linspace(0, 1, overlap + 2, device=x.device)[1:-1, None].to(x)
            tail = pieces[-1][:, -overlap:]
            blend = tail + (piece[:, :overlap] - tail) * rise
            pieces[-1] = pieces[-1][:, :-overlap]
            piece = torch.cat([blend, piece[:, overlap:]], 1)
        pieces.append(piece)
    return torch.cat(pieces, 1)
