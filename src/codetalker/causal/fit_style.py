"""A speaking style for a new speaker: the embedding alone, fitted to clips of theirs.

In the flow speech -> features -> **codes -> motion**. The model stays as it is; what is learned is
one row beside its styles, by the losses of stage 2 that need no codes of the true motion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from codetalker.causal.from_onnx import generator_of
from codetalker.causal.generator import Generator
from codetalker.causal.losses import ArticulationLoss, GeometryLoss, GeometryWeights
from codetalker.causal.runtime import CausalTalker
from codetalker.data.clip import Clip
from codetalker.errors import DataError
from codetalker.rig import Rig


@dataclass(frozen=True)
class StyleRecipe:
    """How a style is fitted.

    Attributes:
        steps, learning_rate: of Adam.
        batch, frames: sequences of a step and their length.
        closure, kept_shut, spread: weights beside mm^2 of motion, as in `TalkerRecipe`.
        softness: squared distance over which codes are mixed.
        keep: weight of the squared distance to the style it begins with.
        seed: of the sequences.
    """

    steps: int = 300
    learning_rate: float = 0.03
    batch: int = 16
    frames: int = 60
    closure: float = 0.2
    kept_shut: float = 0.1
    spread: float = 1.0
    softness: float = 1.0
    keep: float = 0.005
    seed: int = 0


@dataclass(frozen=True)
class Heard:
    """A clip as the talker hears it: speech (T, width), motion (T, K)."""

    speech: NDArray[np.float32]
    motion: NDArray[np.float32]


def hear(talker: CausalTalker, clip: Clip) -> Heard:
    """Speech and motion of a clip, at the model's frame rate."""
    from codetalker.motion import Motion
    from codetalker.rig import bundled_head

    windows, loudness = talker.bundle.windows, talker.bundle.loudness
    cuts = list(windows.cut(clip.waveform().samples))
    if loudness:
        cuts = loudness.levelled(cuts, windows.lead, windows.hop_samples, np.zeros(2))
    speech = np.concatenate([talker.hear(cut) for cut in cuts])
    motion = Motion(clip.weights, bundled_head().blendshape_names, clip.fps).resample(windows.fps)
    count = min(len(speech), len(motion))
    return Heard(speech[:count], motion.weights_for(talker.bundle.blendshapes)[:count])


def fit_style(
    talker: CausalTalker,
    clips: Sequence[Heard],
    rig: Rig,
    recipe: StyleRecipe,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> NDArray[np.float32]:
    """(width,) the embedding, from the nearest of the model's styles or their mean.

    Raises:
        DataError: no clip is as long as a sequence.
        ModelError: the bundle keeps no names of its weights.
    """
    generator = generator_of(talker.bundle)
    lead = generator.codec.config.reach
    long = [clip for clip in clips if len(clip.speech) >= lead + recipe.frames]
    if not long:
        raise DataError(
            f"no clip is {(lead + recipe.frames) / talker.fps:.1f} s long; add longer ones"
        )
    loss = _Loss(talker, generator, rig, recipe)
    batches = _batches(long, lead + recipe.frames, recipe)
    known = torch.from_numpy(np.stack(list(talker.bundle.styles.values())))
    known = torch.cat([known, known.mean(0, keepdim=True)])
    tried = next(batches)
    with torch.no_grad():
        first = known[int(np.argmin([float(loss(style, *tried)) for style in known]))]
    style = nn.Parameter(first.clone())
    optimiser = torch.optim.Adam([style], recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, recipe.steps)
    for step, batch in zip(range(recipe.steps), batches, strict=False):
        optimiser.zero_grad()
        (loss(style, *batch) + recipe.keep * (style - first).square().sum()).backward()
        optimiser.step()
        schedule.step()
        progress(step + 1, recipe.steps)
    return style.detach().numpy().astype(np.float32)


class _Loss:
    """What is wrong with motion in a style, in mm^2.

    Codes are mixed by their nearness instead of taken: the gradient then says which style would
    have taken others.
    """

    def __init__(
        self, talker: CausalTalker, generator: Generator, rig: Rig, recipe: StyleRecipe
    ) -> None:
        self._generator, self._recipe = generator, recipe
        self._geometry = GeometryLoss(rig, GeometryWeights())
        self._articulation = ArticulationLoss(rig, talker.fps)
        self._mouth = torch.zeros(len(rig.blendshape_names))
        self._mouth[torch.from_numpy(talker.bundle.articulation)] = 1

    def __call__(self, style: Tensor, speech: Tensor, motion: Tensor) -> Tensor:
        """Scalar, of (width,) style and (B, T, width) speech with (B, T, K) motion."""
        codec, talker, recipe = self._generator.codec, self._generator.talker, self._recipe
        past = nn.functional.pad(motion, (0, 0, 1, 0))[:, :-1]
        features = talker(speech, style.expand(len(speech), 1, -1), past)
        nearness = -codec.quantizer.squared_distances(features) / recipe.softness
        rows = nearness.softmax(-1) @ codec.quantizer.embedding.weight
        lead = codec.config.reach  # frames whose past the decoder does not know
        made, true = codec.decode(rows)[:, lead:], motion[:, lead:]
        seen = torch.ones(true.shape[:2])
        return (
            self._geometry(made, true, self._mouth.expand_as(true))
            + recipe.closure * self._articulation.closure(made, true)
            + recipe.kept_shut * self._articulation.shut(made, true, seen)
            + recipe.spread * self._articulation.spread(made, true)
        )


def _batches(
    clips: Sequence[Heard], frames: int, recipe: StyleRecipe
) -> Iterator[tuple[Tensor, Tensor]]:
    """(B, frames, width) speech and (B, frames, K) motion, drawn anew without end."""
    random = np.random.default_rng(recipe.seed)
    room = np.array([len(clip.speech) - frames + 1 for clip in clips])
    while True:
        chosen = random.choice(len(clips), recipe.batch, p=room / room.sum())
        cuts = [(clips[i], int(random.integers(room[i]))) for i in chosen]
        speech = np.stack([clip.speech[at : at + frames] for clip, at in cuts])
        motion = np.stack([clip.motion[at : at + frames] for clip, at in cuts])
        yield torch.from_numpy(speech), torch.from_numpy(motion)
