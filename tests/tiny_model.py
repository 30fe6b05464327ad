"""A twin of the bundled model, small and with random weights, so that tests need no training."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from codetalker.arkit import MOUTH, UPPER_FACE
from codetalker.causal.bundle import Bundle
from codetalker.causal.codec import Codec, CodecConfig, Part
from codetalker.causal.talker import TalkerConfig, TalkerNet
from codetalker.causal.to_onnx import Trained, export_bundle
from codetalker.causal.whisper import WhisperConfig, WhisperEncoder
from codetalker.rig import bundled_head
from codetalker.windows import SpeechWindows

WINDOWS = SpeechWindows(left=6, hop=4, look_ahead=6, past=4)
STYLES = {"anna": 1, "bert": 0}
"""Style name -> row of the talker's table; the rows are not in the names' order on purpose."""
PARTS = (
    Part("mouth", MOUTH, heads=2, temperature=0.0),
    Part("upper face", UPPER_FACE, heads=1, temperature=1.0),
)
CODEC = CodecConfig(parts=PARTS, codes=16, code_width=4, width=8, blocks=1)
ENCODER = WhisperConfig(width=16, heads=2, layers=2, mels=20)
TALKER = TalkerConfig(
    styles=2, heads=3, code_width=4, features=16, bottleneck=8, width=16, layers=2,
    attention_heads=2, feedforward=64, period=5, window=8,
)  # fmt: skip


def tiny_encoder() -> WhisperEncoder:
    torch.manual_seed(1)
    return WhisperEncoder(ENCODER).eval()


def tiny_codec() -> Codec:
    """Its decoder gives weights about 0.3, most of them within 0..1."""
    torch.manual_seed(2)
    codec = Codec(CODEC).eval()
    for decoder in codec.decoders:
        last = list(decoder.children())[-1]
        with torch.no_grad():
            last.weight.mul_(2)
            last.bias.fill_(0.3)
    return codec


def tiny_talker(windows: SpeechWindows = WINDOWS) -> TalkerNet:
    """Its queries are about as spread as the codebook, so that speech changes the codes."""
    torch.manual_seed(3)
    talker = TalkerNet(TALKER, windows).eval()
    with (
        torch.no_grad()
    ):  # the exporter stores weights that are equal but once, as training never has
        for name, parameter in talker.named_parameters():
            if "norm" in name:
                parameter.add_(0.01 * torch.randn_like(parameter))
    cut = torch.from_numpy(windows.cut(babble(10)).copy())
    with torch.no_grad():
        speech = talker.adapter(tiny_encoder()(cut, windows.kept)).flatten(0, 1)[None]
        talker.adapter.gather.weight.div_(speech.std())
        talker.adapter.gather.bias.sub_(speech.mean((0, 1))).div_(speech.std())
        speech = (speech - speech.mean((0, 1))) / speech.std()
        queries = talker(speech, talker.style.weight[:1, None], torch.zeros(1, len(speech[0]), 52))
        mean, spread = queries.mean((0, 1)).flatten(), queries.std((0, 1)).flatten()
        talker.query.weight.div_(spread[:, None])
        talker.query.bias.sub_(mean).div_(spread)
    return talker


def export_tiny(folder: Path, windows: SpeechWindows = WINDOWS) -> Bundle:
    """The default style is not the first of the table; the upper face is sampled."""
    model = Trained(tiny_encoder(), tiny_talker(windows), tiny_codec(), windows)
    return export_bundle(
        folder, model, bundled_head(),
        styles=STYLES, default_style="bert", notes={"weights": "random"},
    )  # fmt: skip


def babble(seconds: float, rate: int = 16000, seed: int = 0) -> NDArray[np.float32]:
    """(N,) tones of changing pitch and loudness, some silence: what speech is to an encoder."""
    random = np.random.default_rng(seed)
    count = round(seconds * rate)
    corners = np.arange(0, count + rate, rate // 8)
    loudness = np.interp(np.arange(count), corners, random.uniform(-0.2, 0.3, len(corners)))
    pitch = np.interp(np.arange(count), corners, random.uniform(100, 3000, len(corners)))
    tone = np.sin(2 * np.pi * np.cumsum(pitch) / rate)
    return (loudness.clip(0) * (tone + 0.1 * random.standard_normal(count))).astype(np.float32)


def write_model_bin(path: Path, variables: dict[str, np.ndarray]) -> Path:
    """CTranslate2's layout: strings are u16 length with the NUL; type 4 is fp16, 0 is fp32."""

    def string(text: str) -> bytes:
        data = text.encode() + b"\0"
        return struct.pack("<H", len(data)) + data

    parts = [struct.pack("<I", 6), string("WhisperSpec"), struct.pack("<II", 3, len(variables))]
    for name, array in variables.items():
        parts += [string(name), struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)]
        kind = {"float16": 4, "float32": 0}[array.dtype.name]
        parts += [struct.pack("<BI", kind, array.nbytes), array.tobytes()]
    path.write_bytes(b"".join(parts))
    return path


def whisper_variables(config: WhisperConfig) -> dict[str, np.ndarray]:
    """Random variables under the names of the file, and some that are not wanted."""
    random, width = np.random.default_rng(0), config.width
    shapes: dict[str, tuple[int, ...]] = {
        "conv1/weight": (width, config.mels, 3),
        "conv1/bias": (width,),
        "conv2/weight": (width, width, 3),
        "conv2/bias": (width,),
        "position_encodings/encodings": (1500, width),
        "layer_norm/gamma": (width,),
    }
    for i in range(config.layers + 1):
        for part, outputs, inputs in (
            ("self_attention/linear_0", 3 * width, width),
            ("self_attention/linear_1", width, width),
            ("ffn/linear_0", 4 * width, width),
            ("ffn/linear_1", width, 4 * width),
        ):
            shapes[f"layer_{i}/{part}/weight"] = (outputs, inputs)
            shapes[f"layer_{i}/{part}/bias"] = (outputs,)
        for part in ("self_attention", "ffn"):
            for name in ("gamma", "beta"):
                shapes[f"layer_{i}/{part}/layer_norm/{name}"] = (width,)
    variables = {
        f"encoder/{name}": random.normal(0, 0.05, shape).astype(np.float16)
        for name, shape in shapes.items()
    }
    return variables | {"decoder/scale": np.ones((), np.float32)}
