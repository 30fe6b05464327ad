"""VOCA: a window of what a recogniser heard, and who speaks -> one frame's motion.

In the flow **speech -> features -> motion** -> mesh -> file. Cudeiro et al., Capture, Learning, and
Synthesis of 3D Speaking Styles, CVPR 2019, as released. Frames know nothing of each other. The
recogniser is wav2vec 2.0's where it was DeepSpeech: both give logits of letters, 50 a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codetalker.audio import SAMPLE_RATE
from codetalker.errors import OptionError
from codetalker.nn.modules import Modules
from codetalker.paper.config import PRESETS, SPEECH_RATE, SpeechConfig, need_sizes
from codetalker.paper.decoding import Limits, Predicted, Report, in_windows, limits_of
from codetalker.paper.speech import LetterRecognizer

PIECE = 500
"""Frames that are predicted at once."""


@dataclass(frozen=True)
class VocaConfig:
    """VOCA as a whole.

    Attributes:
        name: of the preset that it started from; a label, nothing depends on it.
        vertices: vertices of the mesh, V.
        fps: frames per second of the motion; the published model has 60.
        subjects: speaking styles, in the order of the one-hot vector.
        default_subject: the style where the user names none.
        letters: logits that the recogniser gives, DeepSpeech 29.
        window: features that a frame sees, half of them past; 2 to the power of the convolutions.
        feature_rate: Hz, of the features in a window.
        filters: channels of the convolutions over a window.
        hidden: width of the layer after them.
        expressions: shapes of which motion is made.
        unit_mm: millimetres per unit of the vertices; None where the data have no such scale.
    """

    name: str
    vertices: int
    fps: float
    subjects: tuple[str, ...]
    default_subject: str
    speech: SpeechConfig = field(default_factory=SpeechConfig)
    letters: int = 32
    window: int = 16
    feature_rate: float = 60.0
    filters: tuple[int, ...] = (32, 32, 64, 64)
    hidden: int = 128
    expressions: int = 50
    unit_mm: float | None = None

    def __post_init__(self) -> None:
        need_sizes("voca", self)
        if not 0 < self.fps <= 1000 or not 0 < self.feature_rate <= 1000:
            raise OptionError(f"voca: fps {self.fps} or feature_rate {self.feature_rate} is none")
        if self.window != 2 ** len(self.filters):
            raise OptionError(f"voca: {len(self.filters)} filters need a window of 2 to that power")
        if self.default_subject not in self.subjects:
            raise OptionError(f"voca: default_subject {self.default_subject!r} is no subject")

    @property
    def facts(self) -> dict[str, str]:
        """What there is to say of the model beyond its styles and its rate."""
        return {"system": "VOCA", "preset": self.name, "vertices": f"{self.vertices}"}

    def frames(self, samples: int) -> int:
        """How many frames so many samples at 16 kHz give."""
        heard = self.speech.features(samples) > 0
        return round(samples * self.fps / SAMPLE_RATE) if heard else 0

    def for_data(
        self, vertices: int, unit_mm: float | None, fps: float, subjects: tuple[str, ...]
    ) -> Self:
        """The same for other data."""
        default = self.default_subject if self.default_subject in subjects else subjects[0]
        return replace(
            self, vertices=vertices, unit_mm=unit_mm, fps=fps, subjects=subjects,
            default_subject=default,
        )  # fmt: skip


VOCA_PRESETS = {
    name: VocaConfig(
        name, like.vertices, like.fps, like.subjects, like.default_subject, unit_mm=like.unit_mm
    )
    for name, like in PRESETS.items()
}
"""The published sizes, for the data that the other systems are trained on."""


class Voca(nn.Module):
    """The model as a whole."""

    def __init__(self, config: VocaConfig) -> None:
        super().__init__()
        self.config = config
        styles = len(config.subjects)
        self.recognizer = LetterRecognizer(config.speech, config.letters)
        self.norm = nn.BatchNorm1d(config.letters, momentum=0.1)
        widths = (config.letters + styles, *config.filters)
        self.convolutions = Modules[nn.Conv1d](
            nn.Conv1d(a, b, 3, stride=2) for a, b in pairwise(widths)
        )
        self.hidden = nn.Linear(config.filters[-1] + styles, config.hidden)
        self.expression = nn.Linear(config.hidden, config.expressions)
        self.shapes = nn.Linear(config.expressions, 3 * config.vertices)
        self._initialize()

    def _initialize(self) -> None:
        """As published, but for the shapes, which training takes from its data."""
        for convolution in self.convolutions:
            nn.init.trunc_normal_(convolution.weight, std=0.02, a=-0.04, b=0.04)
            assert convolution.bias is not None
            nn.init.trunc_normal_(convolution.bias, std=0.02, a=-0.04, b=0.04)
        for linear in (self.hidden, self.expression, self.shapes):
            nn.init.trunc_normal_(linear.weight, std=0.1, a=-0.2, b=0.2)
            nn.init.zeros_(linear.bias)

    def normalize(self, samples: Tensor) -> Tensor:
        """(..., N) waveform at 16 kHz -> as the model hears it."""
        return self.recognizer.normalize(samples)

    @torch.no_grad()
    def recognize(self, samples: Tensor, limits: Limits | None = None) -> Tensor:
        """(B, N) normalised waveforms -> (B, L, letters) at 50 Hz, which no gradient reaches."""
        features, limits = self.recognizer.convolve(samples), limits or limits_of("exact")
        return in_windows(self.recognizer.recognize, features, limits.attention, limits.overlap)

    def windows(
        self, letters: Tensor, frames: int, begin: int = 0, end: int | None = None
    ) -> Tensor:
        """What each frame sees: (B, L, C) at 50 Hz -> (B, T, window, C) at `feature_rate`.

        Features are interpolated linearly; before the first frame and after the last there is
        zero, as published.

        Args:
            frames: how many the clip has.
            begin, end: only those of its frames.
        """
        which = torch.arange(begin, frames if end is None else end, device=letters.device)
        rate = self.config.feature_rate
        places = torch.arange(self.config.window, device=letters.device) - self.config.window // 2
        times = which.double()[:, None] / self.config.fps + places.double() / rate
        index = (times * SPEECH_RATE).clamp(0, letters.shape[1] - 1)
        before = index.floor().long()
        after = (before + 1).clamp(max=letters.shape[1] - 1)
        share = (index - before)[..., None].to(letters)
        seen = letters[:, before] * (1 - share) + letters[:, after] * share
        heard = (times > -1e-9) & (times < frames / self.config.fps - 1e-9)
        return seen * heard[..., None]

    def forward(self, windows: Tensor, style: Tensor) -> Tensor:
        """(B, T, window, letters) and (B, S) weights of the styles -> motion (B, T, 3V)."""
        clips, frames = windows.shape[:2]
        style = style[:, None].expand(-1, frames, -1).flatten(0, 1)
        x = self.norm(windows.flatten(0, 1).mT)  # (B T, letters, window)
        x = torch.cat([x, style[..., None].expand(-1, -1, x.shape[2])], 1)
        for convolution in self.convolutions:
            x = F.relu(convolution(F.pad(x, (0, 1))))
        x = torch.tanh(self.hidden(torch.cat([x[..., 0], style], 1)))
        return self.shapes(self.expression(x)).unflatten(0, (clips, frames))


class VocaPredictor:
    """Predicts with a model in evaluation mode."""

    def __init__(self, model: Voca, mode: str | Limits = "exact") -> None:
        self.model = model
        self.limits = limits_of(mode)

    @torch.inference_mode()
    def predict(
        self,
        clips: Sequence[Tensor],
        style: Tensor,
        progress: Report | None = None,
        templates: Tensor | None = None,
        seed: int = 0,
    ) -> list[Predicted]:
        """As `codetalker.paper.decoding.Predicting`; faces and seed do not matter."""
        model, result = self.model, []
        like = model.shapes.weight
        counts = [model.config.frames(len(samples)) for samples in clips]
        for i, samples in enumerate(clips):
            letters = model.recognize(samples[None].to(like), self.limits)
            pieces = []
            for begin in range(0, counts[i], PIECE):
                end = min(begin + PIECE, counts[i])
                seen = model.windows(letters, counts[i], begin, end)
                pieces.append(model(seen, style[i : i + 1].to(like))[0])
                if progress is not None:
                    progress(sum(counts[:i]) + end, sum(counts))
            result.append(Predicted(torch.cat(pieces)))
        return result
