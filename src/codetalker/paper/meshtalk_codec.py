"""MeshTalk's first part: speech and motion -> categorical latents -> motion.

In the flow **speech -> features -> codes -> motion** -> mesh -> file. Richard et al., MeshTalk: 3D
Face Animation from Speech using Cross-Modality Disentanglement, ICCV 2021, as released: a frame has
as many one-hot codes as there are heads; a U-Net over the vertices of the face at rest makes motion
of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codetalker.audio import SAMPLE_RATE
from codetalker.errors import OptionError
from codetalker.nn.modules import Modules
from codetalker.paper.config import PRESETS, need_sizes
from codetalker.paper.speech import mel_filters

LEAK = 0.2
"""Slope of every LeakyReLU for negative values."""
HEARD, FFT, WINDOW, HOP, BANDS = SAMPLE_RATE, 2048, 800, 160, 80
"""Samples that a frame hears, the frame in their middle; its spectrogram; mel bands."""
KERNEL, DILATIONS = 5, (2, 4, 6, 2, 4, 6)
"""The convolutions over a spectrogram of 101 columns, of which they leave one."""
LOUDNESS = 0.01
"""Mean magnitude that all speech is brought to."""
QUIET, STILL = 1e-10, 1e-2
"""The least mel energy; and the least spread of a coordinate, over the mean of all."""
PIECE = 32
"""Frames whose sound is heard at once."""
ANY = "any"
"""The one style: the model knows no speakers."""


@dataclass(frozen=True)
class MeshTalkConfig:
    """MeshTalk as a whole.

    Attributes:
        name: of the preset that it started from; a label, nothing depends on it.
        vertices: vertices of the mesh, V.
        fps: frames per second of the motion.
        heads, classes: a frame's codes, and how many there are to choose from for each.
        width: of both modalities' codes, of the recurrent layers and of the U-Net's middle.
        expression_width: of the expression encoder's first layer.
        fusion_width: of the layers between both modalities and the codes.
        unet: widths of the U-Net's layers between the vertices and its middle.
        context: channels of a head in the prior.
        dilations: of the prior's layers, frames.
        unit_mm: millimetres per unit of the vertices; None where the data have no such scale.
    """

    name: str
    vertices: int
    fps: float
    heads: int = 16
    classes: int = 128
    width: int = 128
    expression_width: int = 256
    fusion_width: int = 256
    unet: tuple[int, ...] = (512, 256)
    context: int = 64
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    unit_mm: float | None = None

    subjects = (ANY,)
    default_subject = ANY

    def __post_init__(self) -> None:
        need_sizes("meshtalk", self)
        if not 0 < self.fps <= 1000:
            raise OptionError(f"meshtalk: fps {self.fps} is none")

    @property
    def facts(self) -> dict[str, str]:
        """What there is to say of the model beyond its styles and its rate."""
        return {
            "system": "MeshTalk",
            "preset": self.name,
            "vertices": f"{self.vertices}",
            "codes per frame": f"{self.heads} of {self.classes} classes",
        }

    def frames(self, samples: int) -> int:
        """How many frames so many samples at 16 kHz give."""
        return int(samples * self.fps / SAMPLE_RATE)

    def for_data(
        self, vertices: int, unit_mm: float | None, fps: float, subjects: tuple[str, ...]
    ) -> Self:
        """The same for other data."""
        return replace(self, vertices=vertices, unit_mm=unit_mm, fps=fps)


MESHTALK_PRESETS = {
    name: MeshTalkConfig(name, like.vertices, like.fps, unit_mm=like.unit_mm)
    for name, like in PRESETS.items()
}
"""The published sizes, for the data that the other systems are trained on."""


class Codes(NamedTuple):
    """What both modalities are encoded to, each (B, T, width)."""

    expression: Tensor
    audio: Tensor


class MeshTalkCodec(nn.Module):
    """Sound and vertices -> logits of the codes -> vertices."""

    def __init__(self, config: MeshTalkConfig) -> None:
        super().__init__()
        self.config = config
        self.mean = nn.Buffer(torch.zeros(3 * config.vertices))
        self.spread = nn.Buffer(torch.ones(3 * config.vertices))
        self.audio = AudioEncoder(config.width)
        self.expression = ExpressionEncoder(config)
        width, codes = config.fusion_width, config.heads * config.classes
        self.fusion = nn.Sequential(
            nn.Linear(2 * config.width, width),
            nn.LeakyReLU(LEAK),
            nn.Linear(width, width),
            nn.LeakyReLU(LEAK),
            nn.Linear(width, codes),
        )
        self.decoder = VertexUnet(config)

    def encode(self, sound: Tensor, vertices: Tensor) -> Codes:
        """Windows of sound (B, T, HEARD) and vertices (B, T, 3V)."""
        return Codes(self.expression(self._inward(vertices)), self.audio(sound))

    def fuse(self, codes: Codes) -> Tensor:
        """Logits (B, T, heads, classes)."""
        both = self.fusion(torch.cat([codes.expression, codes.audio], -1))
        return both.unflatten(-1, (self.config.heads, -1))

    def decode(self, one_hot: Tensor, template: Tensor) -> Tensor:
        """Codes (B, T, heads, classes) and faces at rest (B, 3V) -> vertices (B, T, 3V)."""
        made = self.decoder(self._inward(template)[:, None], one_hot.flatten(-2))
        return made * self.spread + self.mean

    def quantize(self, logits: Tensor) -> Tensor:
        """One-hot (B, T, heads, classes): drawn in training, differentiably, else the likeliest."""
        if self.training:
            return F.gumbel_softmax(logits, hard=True)
        return F.one_hot(logits.argmax(-1), logits.shape[-1]).to(logits)

    def measure(self, mean: Tensor, spread: Tensor) -> None:
        """Take mean and standard deviation (3V,) of the vertices of the training clips; those that
        hardly differ are taken to differ a little."""
        self.mean.copy_(mean)
        self.spread.copy_(spread.clamp(min=float(STILL * spread.mean().clamp(min=1e-12))))

    def _inward(self, vertices: Tensor) -> Tensor:
        return (vertices - self.mean) / self.spread


class AudioEncoder(nn.Module):
    """A second of sound around each frame -> its code."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.input = nn.Conv1d(BANDS, width, KERNEL)
        self.convolutions = Modules[nn.Conv1d](
            nn.Conv1d(width, width, KERNEL, dilation=dilation) for dilation in DILATIONS
        )
        self.dropout = nn.Dropout(0.2)
        self.output = nn.Linear(width, width)
        for convolution in (self.input, *self.convolutions):
            nn.init.xavier_uniform_(convolution.weight)
            assert convolution.bias is not None
            nn.init.constant_(convolution.bias, 0.01)

    def forward(self, sound: Tensor) -> Tensor:
        """(B, T, HEARD) -> (B, T, width)."""
        x = self.log_mel(sound.flatten(0, 1)).to(self.output.weight)
        x = F.leaky_relu(self.input(x), LEAK)
        for convolution in self.convolutions:
            new = self.dropout(F.leaky_relu(convolution(x), LEAK))
            edge = (x.shape[2] - new.shape[2]) // 2
            x = (x[:, :, edge:-edge] + new) / 2
        return self.output(x.mean(-1)).unflatten(0, sound.shape[:2])

    def log_mel(self, sound: Tensor) -> Tensor:
        """(N, HEARD) -> (N, BANDS, 101), always in float32."""
        window = torch.hann_window(WINDOW, device=sound.device)
        spectrum = torch.stft(
            sound.float(), FFT, HOP, WINDOW, window, center=True, return_complex=True
        )
        filters = mel_filters(FFT // 2 + 1, BANDS).to(sound.device)
        return (filters.T @ spectrum.abs().square()).clamp(min=QUIET).log()


class ExpressionEncoder(nn.Module):
    """Normalised vertices (B, T, 3V) -> (B, T, width), each frame knowing those before it."""

    def __init__(self, config: MeshTalkConfig) -> None:
        super().__init__()
        width = config.width
        self.input = nn.Linear(3 * config.vertices, config.expression_width)
        self.hidden = nn.Linear(config.expression_width, width)
        self.recurrent = nn.LSTM(width, width, batch_first=True)
        self.output = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        for layer in (self.input, self.hidden):
            x = F.leaky_relu(layer(x), LEAK)
        return self.output(self.recurrent(x)[0])


class VertexUnet(nn.Module):
    """The face at rest down to a small middle, the codes in, and back up with what was on the way;
    all in normalised vertices."""

    def __init__(self, config: MeshTalkConfig) -> None:
        super().__init__()
        widths = (3 * config.vertices, *config.unet, config.width)
        pairs = list(pairwise(widths))
        self.down = Modules[nn.Linear](nn.Linear(a, b) for a, b in pairs)
        self.fusion = nn.Linear(config.heads * config.classes + config.width, config.width)
        self.recurrent = nn.LSTM(config.width, config.width, num_layers=2, batch_first=True)
        self.up = Modules[nn.Linear](nn.Linear(b, a) for a, b in reversed(pairs))
        self.bias = nn.Parameter(torch.zeros(widths[0]))

    def forward(self, rest: Tensor, codes: Tensor) -> Tensor:
        """(B, 1, 3V) and (B, T, heads * classes) -> (B, T, 3V)."""
        passed = []
        for layer in self.down:
            passed.append(rest)
            rest = F.leaky_relu(layer(rest), LEAK)
        middle = torch.cat([rest.expand(-1, codes.shape[1], -1), codes], -1)
        x, _ = self.recurrent(F.leaky_relu(self.fusion(middle), LEAK))
        for layer, skip in zip(self.up, reversed(passed), strict=True):
            x = skip + F.leaky_relu(layer(x), LEAK)
        return x + self.bias


def level(samples: Tensor) -> Tensor:
    """(..., N) waveform -> of the loudness that the model knows; silence stays silent."""
    return LOUDNESS * samples / samples.abs().mean(-1, keepdim=True).clamp(min=1e-8)


def sound_around(samples: Tensor, fps: float, begin: int, end: int) -> Tensor:
    """(B, N) levelled waveforms -> (B, T, HEARD): a second around each of the frames begin to end,
    with silence outside the clip. A frame lies in the middle of its time."""
    centres = ((torch.arange(begin, end).double() + 0.5) * SAMPLE_RATE / fps).round().long()
    padded = F.pad(samples, (HEARD // 2, HEARD // 2))
    index = centres[:, None] + torch.arange(HEARD)
    return padded[:, index.clamp(max=padded.shape[1] - 1).to(samples.device)]
