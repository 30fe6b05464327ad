"""The published prediction loop, naive on purpose: what exact and fast inference are held against.

Everything is computed again for every frame, with torch's own transformer decoder, whole masks
and the official tensor names, so that it shares nothing with our decoder but the weights.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from codetalker.nn.attention import biased_causal_mask, periodic_encoding
from codetalker.paper.model import PaperModel
from codetalker.paper.official import export_official


class NaivePrediction(NamedTuple):
    """`motion` (T, 3V), `indices` (T, components), `features` (T, components, code_width)."""

    motion: Tensor
    indices: Tensor
    features: Tensor


class NaiveLoop:
    """Predicts with `model`'s weights, one clip at a time."""

    def __init__(self, model: PaperModel, frames: int = 600) -> None:
        self.model = model.eval()
        config = model.config.talker
        layer = nn.TransformerDecoderLayer(
            config.width, config.heads, config.mlp_width, batch_first=True
        )
        self.decoder = nn.TransformerDecoder(layer, config.layers).eval()
        _, official = export_official(model.config, model.state_dict())
        prefix = "transformer_decoder."
        self.decoder.load_state_dict(
            {k.removeprefix(prefix): v for k, v in official.items() if k.startswith(prefix)}
        )
        self.mask = biased_causal_mask(frames, config.heads, config.period)
        self.positions = periodic_encoding(frames, config.width, config.period)

    @torch.no_grad()
    def predict(self, samples: Tensor, style: Tensor) -> NaivePrediction:
        """`samples` (N,) normalised waveform, `style` (S,) weights."""
        talker, codec = self.model.talker, self.model.codec
        speech = talker.hear(samples[None]).flatten(1, 2)
        per_frame = talker.config.features_per_frame
        frames = speech.shape[1] // per_frame
        style_token = talker.style(style[None])[:, None]
        tokens, features = style_token, torch.empty(0)
        for i in range(frames):
            features = self._features(tokens, speech, per_frame)
            codes = codec.quantize(features).values
            if i == 0:
                codes = codes.repeat(1, 2, 1, 1)
            motion = codec.decode(codes)[:, i : i + 1]
            if i < frames - 1:
                tokens = torch.cat([tokens, talker.motion_map(motion) + style_token], 1)
        quantized = codec.quantize(features)
        motion = codec.decode(quantized.values)
        return NaivePrediction(motion[0], quantized.indices[0], features[0])

    def _features(self, tokens: Tensor, speech: Tensor, per_frame: int) -> Tensor:
        count = tokens.shape[1]
        own = torch.arange(speech.shape[1]) // per_frame
        blocked = torch.arange(count)[:, None] != own[None]
        hidden = self.decoder(
            tokens + self.positions[:count],
            speech,
            tgt_mask=self.mask[:, :count, :count],
            memory_mask=blocked,
        )
        return self.model.talker.to_features(hidden)
