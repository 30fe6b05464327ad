"""The first layers of Whisper's encoder, with the log-mel front end: waveform windows -> features.

In the flow **speech -> features** -> codes -> motion. Radford et al., Robust Speech Recognition via
Large-Scale Weak Supervision, 2022. Hidden states after the third of four layers carry more of the
phones than those after the last. The log-mel reference is fixed where Whisper takes the maximum of
the recording, so that a window's features depend on that window alone.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codetalker.audio import SAMPLE_RATE
from codetalker.errors import ModelError
from codetalker.nn.attention import sinusoidal_encoding
from codetalker.windows import MEL_HOP, MEL_REACH

SPAN = 2 * MEL_REACH
"""Samples of a log-mel frame."""
LOG_MEL_REFERENCE = 1.5
"""log10 of the mel power that stands for the recording's maximum, as speech usually has it."""


@dataclass(frozen=True)
class WhisperConfig:
    """Width, heads and mel bands of the encoder (tiny.en), and how many of its layers to run."""

    width: int = 384
    heads: int = 6
    layers: int = 3
    mels: int = 80


class LogMel(nn.Module):
    """(B, N) samples -> (B, mels, frames): one frame per 160 samples, centred 200 samples in.

    The Fourier transform is a convolution, so that the exported graph needs no operator for it.
    The last frame reaches 40 samples past the window's end, which are taken as zero.
    """

    def __init__(self, mels: int) -> None:
        super().__init__()
        time = torch.arange(SPAN, dtype=torch.float64)
        angle = (
            2 * math.pi / SPAN * torch.arange(SPAN // 2 + 1, dtype=torch.float64)[:, None] * time
        )
        window = torch.hann_window(SPAN, dtype=torch.float64)
        basis = torch.cat([angle.cos(), -angle.sin()]) * window
        self.register_buffer("basis", basis.float()[:, None], persistent=False)
        self.register_buffer("filters", mel_filters(mels), persistent=False)
        self.basis: Tensor
        self.filters: Tensor

    def forward(self, samples: Tensor) -> Tensor:
        samples = F.pad(samples, (0, SPAN - MEL_HOP - MEL_REACH))
        spectrum = F.conv1d(samples[:, None], self.basis, stride=MEL_HOP)
        power = spectrum.square()
        bins = SPAN // 2 + 1
        mel = self.filters @ (power[:, :bins] + power[:, bins:])
        log = mel.clamp(min=10.0 ** (LOG_MEL_REFERENCE - 8)).log10()
        return (log + 4) / 4


class Attention(nn.Module):
    """Multi-head self-attention without a mask; queries may be a tail of the sequence."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, queries: int) -> Tensor:
        batch, length, width = x.shape
        q, k, v = (
            part.reshape(batch, length, self.heads, -1).transpose(1, 2)
            for part in self.qkv(x).chunk(3, -1)
        )
        q = q[:, :, length - queries :] * (width // self.heads) ** -0.5
        attention = (q @ k.transpose(-1, -2)).softmax(-1) @ v
        return self.out(attention.transpose(1, 2).reshape(batch, queries, width))


class WhisperLayer(nn.Module):
    """Pre-norm transformer layer; yields its last `queries` positions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, queries: int) -> Tensor:
        attended = self.attention(self.norm1(x), queries)
        x = x[:, x.shape[1] - queries :] + attended
        return x + self.contract(F.gelu(self.expand(self.norm2(x))))


class WhisperEncoder(nn.Module):
    """(B, N) float32 windows of 16 kHz samples -> (B, kept, width): the last `kept` frames before
    the `unheard` ones at the end."""

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.config = config
        self.log_mel = LogMel(config.mels)
        self.conv1 = nn.Conv1d(config.mels, config.width, 3, padding=1)
        self.conv2 = nn.Conv1d(config.width, config.width, 3, stride=2, padding=1)
        self.positions = nn.Parameter(sinusoidal_encoding(1500, config.width))
        self.layers = nn.ModuleList(
            WhisperLayer(config.width, config.heads) for _ in range(config.layers)
        )

    def forward(self, samples: Tensor, kept: int, unheard: int = 0) -> Tensor:
        x = F.gelu(self.conv1(self.log_mel(samples)))
        x = F.gelu(self.conv2(x)).transpose(1, 2)
        x = x + self.positions[: x.shape[1]]
        for layer in self.layers[:-1]:
            x = layer(x, x.shape[1])
        return self.layers[-1](x, kept + unheard)[:, :kept]


def mel_filters(mels: int) -> Tensor:
    """(mels, 201) triangular filters on Slaney's mel scale, area-normalised, 0 to 8 kHz.

    Linear below 1 kHz (200/3 Hz per mel), logarithmic above (27 mels per factor 6.4).
    """
    linear, knee = 200.0 / 3, 1000.0
    step = math.log(6.4) / 27
    top = knee / linear + math.log(SAMPLE_RATE / 2 / knee) / step
    mel = np.linspace(0.0, top, mels + 2)
    above = knee * np.exp(step * (mel - knee / linear))
    hertz = np.where(mel < knee / linear, linear * mel, above)
    bins = np.fft.rfftfreq(SPAN, 1 / SAMPLE_RATE)
    rising = (bins - hertz[:-2, None]) / np.diff(hertz)[:-1, None]
    falling = (hertz[2:, None] - bins) / np.diff(hertz)[1:, None]
    area = 2 / (hertz[2:] - hertz[:-2])[:, None]
    return torch.from_numpy(np.maximum(0, np.minimum(rising, falling)) * area).float()


def load_whisper(path: Path, config: WhisperConfig) -> WhisperEncoder:
    """Read the encoder's first layers from a CTranslate2 `model.bin` (fp16).

    Raises:
        ModelError: the file is not one, lacks a variable, or is of another size.
    """
    variables = read_ctranslate2(path)
    names = {"conv1": "conv1", "conv2": "conv2"}
    for i in range(config.layers):
        ours, theirs = f"layers.{i}", f"layer_{i}"
        names |= {
            f"{ours}.norm1": f"{theirs}/self_attention/layer_norm",
            f"{ours}.attention.qkv": f"{theirs}/self_attention/linear_0",
            f"{ours}.attention.out": f"{theirs}/self_attention/linear_1",
            f"{ours}.norm2": f"{theirs}/ffn/layer_norm",
            f"{ours}.expand": f"{theirs}/ffn/linear_0",
            f"{ours}.contract": f"{theirs}/ffn/linear_1",
        }
    encoder = WhisperEncoder(config)
    state = {"positions": _variable(variables, "position_encodings/encodings", path)}
    for ours, theirs in names.items():
        weight, bias = ("gamma", "beta") if "norm" in ours else ("weight", "bias")
        state[f"{ours}.weight"] = _variable(variables, f"{theirs}/{weight}", path)
        state[f"{ours}.bias"] = _variable(variables, f"{theirs}/{bias}", path)
    try:
        encoder.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{path} is not of Whisper tiny.en's size: {reason}") from error
    return encoder.eval().requires_grad_(False)


def read_ctranslate2(path: Path) -> dict[str, np.ndarray]:
    """The fp16 variables of a CTranslate2 binary model, by name."""
    variables: dict[str, np.ndarray] = {}
    try:
        with path.open("rb") as stream:
            _unpack(stream, "<I")
            _string(stream)
            _, count = _unpack(stream, "<II")
            for _ in range(count):
                name = _string(stream)
                (rank,) = _unpack(stream, "<B")
                shape = _unpack(stream, f"<{rank}I")
                kind, size = _unpack(stream, "<BI")
                data = stream.read(size)
                if kind == 4:
                    variables[name] = np.frombuffer(data, np.float16).reshape(shape)
    except (OSError, struct.error, ValueError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is not a CTranslate2 model.bin: {error}") from error
    return variables


def _variable(variables: dict[str, np.ndarray], name: str, path: Path) -> Tensor:
    try:
        return torch.from_numpy(variables[f"encoder/{name}"].astype(np.float32))
    except KeyError:
        raise ModelError(f"{path} has no variable encoder/{name}; is it Whisper tiny.en?") from None


def _unpack(stream: BinaryIO, layout: str) -> tuple[int, ...]:
    return struct.unpack(layout, stream.read(struct.calcsize(layout)))


def _string(stream: BinaryIO) -> str:
    (length,) = _unpack(stream, "<H")
    return stream.read(length).rstrip(b"\0").decode()
