"""Prediction: speech -> codes -> motion, frame by frame, without the published code's waste.

In the flow **speech -> features -> codes -> motion** -> mesh -> file. `exact` gives the published
output: keys and values of past frames are kept, speech is attended to once, and the feedback of
`codetalker.paper.feedback` replaces a full decode per frame. `fast` bounds how far attention
looks, so that time grows linearly with the length and a long clip is no dearer per second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from codetalker.paper.decoding import (
    CachedDecoder,
    Limits,
    Report,
    hear,
    in_windows,
    limits_of,
)
from codetalker.paper.feedback import Feedback
from codetalker.paper.model import PaperModel


class Prediction(NamedTuple):
    """Of one clip: `motion` (T, 3V), vertices minus template; `indices` (T, components) of its
    codes; `features` (T, components, code_width) before quantising."""

    motion: Tensor
    indices: Tensor
    features: Tensor


class Predictor:
    """Predicts with a model in evaluation mode, whose weights must not change afterwards."""

    def __init__(self, model: PaperModel, mode: str | Limits = "exact") -> None:
        self.limits = limits_of(mode)
        self.model = model
        with torch.inference_mode():
            self.feedback = Feedback(model, self.limits.keep, self.limits.attention)

    @torch.inference_mode()
    def predict(
        self,
        clips: Sequence[Tensor],
        style: Tensor,
        progress: Report | None = None,
        templates: Tensor | None = None,
        seed: int = 0,
    ) -> list[Prediction]:
        """Predict several clips at once, each as if it were alone.

        Args:
            clips: B normalised waveforms (N,) at 16 kHz, of any lengths that give a frame.
            style: (B, S) weights of the styles.
            progress: called with frames done and frames in all.
            templates, seed: taken for the sake of other systems; motion depends on neither.
        """
        talker = self.model.talker
        speech, lengths = hear(talker, clips, self.limits)
        features = self._generate(speech, talker.style(style.to(speech)), progress)
        return [self._decode(features[i, :length]) for i, length in enumerate(lengths)]

    def _generate(self, speech: Tensor, style: Tensor, progress: Report | None) -> Tensor:
        """Speech (B, T, features per frame, width) and style (B, width) -> features (B, T,
        components, code_width)."""
        talker, codec = self.model.talker, self.model.codec
        clips, frames = speech.shape[:2]
        decoder = CachedDecoder(talker, speech, self.limits.attention)
        state = self.feedback.start(clips, frames)
        token = talker.first_token(style)
        features = []
        for frame in range(frames):
            features.append(talker.to_features(decoder.step(token))[:, 0])
            if frame < frames - 1:
                codes = codec.quantize(features[-1]).values
                token = self.feedback.step(codes.flatten(1), state) + style
            if progress is not None:
                progress(frame + 1, frames)
        return torch.stack(features, 1)

    def _decode(self, features: Tensor) -> Prediction:
        decoder = self.model.codec.decoder
        quantized = self.model.codec.quantize(features[None])
        expanded = decoder.expand(quantized.values.flatten(-2))
        hidden = in_windows(
            decoder.transformer, expanded, self.limits.attention, self.limits.overlap
        )
        return Prediction(decoder.output(hidden)[0], quantized.indices[0], features)
