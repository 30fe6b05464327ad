"""What frame-by-frame prediction is made of, whoever the talker: past keys and values are kept,
speech is attended to once, and `fast` bounds how far attention looks.

In the flow **speech -> features** -> codes -> motion -> mesh -> file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from codetalker.errors import OptionError, did_you_mean
from codetalker.nn.attention import periodic_encoding
from codetalker.paper.cache import KeyValueCache
from codetalker.paper.talker import SpeechDecoder

Report = Callable[[int, int], None]
"""Called with frames done and frames in all."""


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


def limits_of(mode: str | Limits) -> Limits:
    """Those of a mode; OptionError names the nearest one if there is none of that name."""
    if isinstance(mode, Limits):
        return mode
    if mode not in MODES:
        raise OptionError(f"no mode {mode!r}; {did_you_mean(mode, MODES)}")
    return MODES[mode]


class Predicted(NamedTuple):
    """Of one clip: `motion` (T, 3V), vertices minus template; `indices` (T, components) of its
    codes, if it has any."""

    motion: Tensor
    indices: Tensor | None = None


class Spoken(Protocol):
    """What a prediction of any system has; see `Predicted`."""

    @property
    def motion(self) -> Tensor: ...
    @property
    def indices(self) -> Tensor | None: ...


class Predicting(Protocol):
    """What every system's predictor can do."""

    def predict(
        self,
        clips: Sequence[Tensor],
        style: Tensor,
        progress: Report | None = None,
        templates: Tensor | None = None,
        seed: int = 0,
    ) -> Sequence[Spoken]:
        """Predict several clips at once, each as if it were alone.

        Args:
            clips: B waveforms (N,) at 16 kHz as the model's `normalize` gives them, of any lengths
                that give a frame.
            style: (B, S) weights of the styles.
            progress: called with frames done and frames in all.
            templates: (B, 3V) the faces that speak, for systems whose motion depends on them.
            seed: of what is drawn at random.
        """
        raise NotImplementedError


def hear(
    talker: SpeechDecoder, clips: Sequence[Tensor], limits: Limits
) -> tuple[Tensor, list[int]]:
    """What the frames of B clips attend to, (B, T, features per frame, width), padded with zeros;
    and the frames of each. Frames beyond the end of a shorter clip do no harm: no earlier frame
    sees them.

    Args:
        clips: normalised waveforms (N,) at 16 kHz, of any lengths that give a frame.
    """
    like = talker.speech_map.weight
    heard = [_hear(talker, samples[None].to(like), limits) for samples in clips]
    lengths = [speech.shape[1] for speech in heard]
    padded = [F.pad(h, (0, 0, 0, 0, 0, max(lengths) - h.shape[1])) for h in heard]
    return torch.cat(padded), lengths


def _hear(talker: SpeechDecoder, samples: Tensor, limits: Limits) -> Tensor:
    features = talker.align(talker.speech.convolve(samples))
    per_frame, window = talker.config.features_per_frame, limits.attention
    hidden = in_windows(
        talker.understand,
        features,
        None if window is None else window * per_frame,
        limits.overlap * per_frame,
    )
    return hidden.unflatten(1, (-1, per_frame))


class CachedDecoder:
    """A decoder one token at a time, with the past in `KeyValueCache`s."""

    def __init__(self, talker: SpeechDecoder, speech: Tensor, window: int | None) -> None:
        self.talker = talker
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
