"""FaceFormer: speech and past motion -> the next frame's motion, by regression, without a codebook.

In the flow **speech -> features -> motion** -> mesh -> file. Fan et al., FaceFormer: Speech-Driven
3D Facial Animation with Transformers, CVPR 2022, as released. CodeTalker's decoder is this one,
deeper and wider; a linear layer makes motion where CodeTalker's makes queries of its codebook.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codetalker.paper.config import (
    PRESETS,
    PaperTalkerConfig,
    SpeechConfig,
    SpokenConfig,
    need_sizes,
)
from codetalker.paper.decoding import CachedDecoder, Limits, Predicted, Report, hear, limits_of
from codetalker.paper.talker import SpeechDecoder


@dataclass(frozen=True)
class FaceFormerConfig(SpokenConfig):
    """FaceFormer as a whole.

    Attributes:
        name: of the preset that it started from; a label, nothing depends on it.
        vertices: vertices of the mesh, V.
        unit_mm: millimetres per unit of the vertices; None where the data have no such scale.
    """

    name: str
    vertices: int
    talker: PaperTalkerConfig
    speech: SpeechConfig = field(default_factory=SpeechConfig)
    unit_mm: float | None = None

    def __post_init__(self) -> None:
        need_sizes("faceformer", self)

    @property
    def facts(self) -> dict[str, str]:
        """What there is to say of the model beyond its styles and its rate."""
        return {"system": "FaceFormer", "preset": self.name, "vertices": f"{self.vertices}"}

    def for_data(
        self, vertices: int, unit_mm: float | None, fps: float, subjects: tuple[str, ...]
    ) -> Self:
        """The same for data of one's own."""
        return replace(
            self, vertices=vertices, unit_mm=unit_mm, talker=self.talker.for_data(fps, subjects)
        )


def _preset(name: str, width: int, default_subject: str) -> FaceFormerConfig:
    """CodeTalker's data and periods; one layer of another width."""
    like = PRESETS[name]
    talker = replace(
        like.talker, width=width, mlp_width=2 * width, layers=1, default_subject=default_subject
    )
    return FaceFormerConfig(name, like.vertices, talker, like.speech, like.unit_mm)


FACEFORMER_PRESETS = {
    "vocaset": _preset("vocaset", 64, "FaceTalk_170728_03272_TA"),
    "biwi": _preset("biwi", 128, "M3"),
}
"""The released models."""


class FaceFormer(nn.Module):
    """The model as a whole."""

    def __init__(self, config: FaceFormerConfig) -> None:
        super().__init__()
        self.config = config
        self.talker = FaceFormerNet(config.talker, config.speech, config.vertices)

    def normalize(self, samples: Tensor) -> Tensor:
        """(..., N) waveform at 16 kHz -> as the model hears it."""
        return self.talker.speech.normalize(samples)

    def forward(
        self, samples: Tensor, motion: Tensor, style: Tensor, teacher_forcing: bool
    ) -> Tensor:
        """Predict motion (B, T, 3V), vertices minus template.

        Args:
            samples: (B, N) normalised waveforms at 16 kHz.
            motion: (B, T, 3V) truth; only as many frames are predicted as the speech covers.
            style: (B, S) weights of the styles.
            teacher_forcing: whether past frames are the true ones or the model's own.
        """
        speech, style = self.talker.hear(samples, motion.shape[1]), self.talker.style(style)
        if not teacher_forcing:
            return self.talker.motion_head(self._free(style, speech))
        past = F.pad(motion[:, : speech.shape[1] - 1], (0, 0, 1, 0))
        return self.talker.motion_head(self.talker.forced(past, style, speech))

    def _free(self, style: Tensor, speech: Tensor) -> Tensor:
        """Hidden states (B, T, width) on the model's own past frames, differentiable throughout.

        As published, all frames so far are decoded again for the next one, and so under another
        dropout; the last pass gives the result.
        """
        hidden, tokens = style[:, None], self.talker.first_token(style)[:, None]
        for frames in range(1, speech.shape[1] + 1):
            if frames > 1:
                fed = self.talker.motion_map(self.talker.motion_head(hidden[:, -1:]))
                tokens = torch.cat([tokens, fed + style[:, None]], 1)
            hidden = self.talker.decode(tokens, speech[:, :frames])
        return hidden


class FaceFormerNet(SpeechDecoder):
    """Hidden states -> motion."""

    def __init__(self, config: PaperTalkerConfig, speech: SpeechConfig, vertices: int) -> None:
        super().__init__(config, speech, vertices)
        self.motion_head = nn.Linear(config.width, 3 * vertices)
        nn.init.zeros_(self.motion_head.weight)
        nn.init.zeros_(self.motion_head.bias)

    def style_table(self, config: PaperTalkerConfig) -> nn.Linear:
        return nn.Linear(len(config.subjects), config.width, bias=False)

    def style(self, weights: Tensor) -> Tensor:
        """(B, S) weights of the subjects' styles -> (B, width)."""
        return self.styles(weights)


class FaceFormerPredictor:
    """Predicts with a model in evaluation mode: the published output, each frame computed once."""

    def __init__(self, model: FaceFormer, mode: str | Limits = "exact") -> None:
        self.talker = model.talker
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
        talker = self.talker
        speech, lengths = hear(talker, clips, self.limits)
        style = talker.style(style.to(speech))
        decoder = CachedDecoder(talker, speech, self.limits.attention)
        token, motion = talker.first_token(style), []
        for frame in range(max(lengths)):
            motion.append(talker.motion_head(decoder.step(token)[:, 0]))
            token = talker.motion_map(motion[-1]) + style
            if progress is not None:
                progress(frame + 1, max(lengths))
        whole = torch.stack(motion, 1)
        return [Predicted(whole[i, :length]) for i, length in enumerate(lengths)]
