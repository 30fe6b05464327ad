"""Trained torch modules -> the bundle folder that the run time loads.

In the flow **speech -> features -> codes -> motion**: `speech.onnx` is the first arrow,
`talker.onnx` the others, a frame at a time with its state as inputs and outputs. Weights are stored
in half precision and computed in single.
"""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from codetalker.causal.blinks import Blinks
from codetalker.causal.bundle import Bundle, write_bundle
from codetalker.causal.codec import Codec
from codetalker.causal.generator import Generator
from codetalker.causal.loudness import Loudness
from codetalker.causal.talker import SpeechAdapter, TalkerNet
from codetalker.causal.whisper import WhisperEncoder
from codetalker.rig import Rig
from codetalker.windows import SpeechWindows

OPSET = 18
HALF = "_half"
"""Ends the names of weights that are stored in half precision."""


class SpeechGraph(nn.Module):
    """(1, samples) window -> (frames_per_hop, width): what the talker hears in each frame."""

    def __init__(
        self, encoder: WhisperEncoder, adapter: SpeechAdapter, windows: SpeechWindows
    ) -> None:
        super().__init__()
        self.encoder, self.adapter = encoder, adapter
        self.kept, self.unheard = windows.kept, windows.unheard

    def forward(self, samples: Tensor) -> Tensor:
        return self.adapter(self.encoder(samples, self.kept, self.unheard))[0]


@dataclass(frozen=True)
class Trained:
    """The modules that make a model, and the windows through which it hears, at which gain."""

    encoder: WhisperEncoder
    talker: TalkerNet
    codec: Codec
    windows: SpeechWindows
    loudness: Loudness | None = None


def export_bundle(
    folder: Path,
    model: Trained,
    rig: Rig,
    *,
    styles: dict[str, int],
    default_style: str,
    notes: dict[str, str],
    blinks: Blinks | None = None,
    onset: float = 0.0,
) -> Bundle:
    """Write the bundle folder; weights are rounded to half precision in place, so that the torch
    modules and the bundle stay the same model.

    Args:
        rig: the head that the weights move.
        styles: name -> row of the talker's style table.
        default_style: one of them.
        notes: what the model card should know: data, figures.
        blinks, onset: what the run time adds to the motion; see `Bundle`.
    """
    encoder, talker, codec = model.encoder, model.talker, model.codec
    for module in (encoder, talker, codec):
        round_to_half(module.eval().cpu())
    generator = Generator(talker, codec)
    state = generator.start()
    width = talker.config.width
    noise = torch.zeros(1, codec.config.heads, codec.config.codes)
    graphs = {
        "speech.onnx": _graph(
            SpeechGraph(encoder, talker.adapter, model.windows),
            (torch.zeros(1, model.windows.samples),),
            ["samples"],
            ["speech"],
        ),
        "talker.onnx": _graph(
            generator,
            (torch.zeros(1, width), torch.zeros(1, width), noise, *state),
            ["speech", "style", "noise", "cache", "context", "motion", "position"],
            ["motion_out", "codes", "cache_out", "context_out"],
        ),
    }
    config = {
        "rig": rig.name,
        "blendshapes": list(rig.blendshape_names),
        "windows": asdict(model.windows),
        "loudness": asdict(model.loudness) if model.loudness else None,
        "blinks": asdict(blinks) if blinks else None,
        "onset": onset,
        "styles": list(styles),
        "default_style": default_style,
        "state": {name: list(value.shape) for name, value in state._asdict().items()},
        "temperature": list(codec.config.temperatures),
        "articulation": list(codec.config.articulation),
        "notes": notes,
        "sizes": {"talker": asdict(talker.config), "codec": asdict(codec.config)},
    }
    arrays = {
        "styles.npy": talker.style.weight.detach().numpy()[list(styles.values())],
        "codebook.npy": codec.quantizer.embedding.weight.detach().numpy(),
    }
    return write_bundle(folder, config, graphs, arrays)


def round_to_half(module: nn.Module) -> None:
    """Round the matrices to what half precision holds; vectors stay as they are."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim > 1:
                parameter.copy_(parameter.half().float())


def _graph(
    module: nn.Module, inputs: tuple[Tensor, ...], names: list[str], outputs: list[str]
) -> bytes:
    """Trace to ONNX with half-precision initialisers, called as in the module: `from_onnx` reads
    them. The run time folds what could be folded here."""
    with tempfile.TemporaryDirectory() as folder, torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracer, about loops that never change
        path = Path(folder) / "graph.onnx"
        torch.onnx.export(
            module.eval(), inputs, str(path), input_names=names, output_names=outputs,
            opset_version=OPSET, dynamo=False, do_constant_folding=False,
        )  # fmt: skip
        model = onnx.load(path)
    _halve(model)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _halve(model: onnx.ModelProto) -> None:
    """Store large float initialisers as float16 with a cast, which the run time folds on load."""
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.ndim < 2 or values.size < 1024:
            continue
        half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            continue  # a constant that half precision would change, such as the Fourier basis
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, name + HALF))
        casts.append(helper.make_node("Cast", [name + HALF], [name], to=TensorProto.FLOAT))
    for i, cast in enumerate(casts):
        model.graph.node.insert(i, cast)
