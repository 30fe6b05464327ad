"""A bundle -> the torch modules that it was exported from, to learn something more with them.

In the flow speech -> **features -> codes -> motion**. The encoder of motion is in no bundle, and
that of speech is Whisper's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from codetalker.causal.bundle import Bundle
from codetalker.causal.codec import Codec, CodecConfig
from codetalker.causal.generator import Generator
from codetalker.causal.hearing import Hearing
from codetalker.causal.loudness import Loudness
from codetalker.causal.talker import TalkerConfig, TalkerNet
from codetalker.causal.to_onnx import HALF
from codetalker.errors import ModelError

_LEFT_BEHIND = ("talker.adapter.", "talker.style.", "codec.encoders.")
"""Parts that `talker.onnx` does not hold."""


def generator_of(bundle: Bundle) -> Generator:
    """Talker and codec of a bundle, frozen.

    Raises:
        ModelError: it is one that was exported without the names of its weights.
    """
    sizes = bundle.sizes
    if sizes is None:
        raise ModelError(
            f"{bundle.name} was exported by a release that kept no names of weights; train it again"
        )
    try:
        talker = TalkerNet(TalkerConfig.of(sizes["talker"]), bundle.windows)
        generator = Generator(talker, Codec(CodecConfig.of(sizes["codec"])))
        missing, _ = generator.load_state_dict(_weights(bundle.talker), strict=False)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{bundle.name} is not of its own sizes ({error})") from None
    lost = [name for name in missing if not name.startswith(_LEFT_BEHIND)]
    if lost:
        raise ModelError(f"talker.onnx of {bundle.name} lacks {lost[0]}; export the model again")
    return generator.eval().requires_grad_(False)


@dataclass(frozen=True)
class Start:
    """A bundle as what training goes on from.

    Attributes:
        bundle: as it was read.
        talker: with a row for each of `styles`; those that are new begin as the first one.
        codec: codebook and decoder; its encoder is not trained.
        hearing: how the bundle hears.
        styles: the bundle's and the new ones, in the order of the rows; the first is the neutral
            one, where there is one.
    """

    bundle: Bundle
    talker: TalkerNet
    codec: Codec
    hearing: Hearing
    styles: tuple[str, ...]


def start_of(bundle: Bundle, speakers: Sequence[str], neutral: str) -> Start:
    """What training goes on from, with styles for the speakers that the bundle does not know.

    Raises:
        ModelError: the bundle was exported without the names of its weights.
    """
    generator = generator_of(bundle)
    known = sorted(bundle.styles, key=lambda name: name != neutral)
    styles = (*known, *(name for name in speakers if name not in bundle.styles))
    rows = [torch.from_numpy(bundle.styles.get(name, bundle.styles[known[0]])) for name in styles]
    config = replace(generator.talker.config, styles=len(styles))
    heard = _weights(bundle.speech)
    state = {n: v for n, v in generator.talker.state_dict().items() if "adapter." not in n}
    state |= {n: v for n, v in heard.items() if n.startswith("adapter.")}
    state["style.weight"] = torch.stack(rows)
    talker = TalkerNet(config, bundle.windows)
    try:
        talker.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(f"speech.onnx of {bundle.name} is not of its sizes ({error})") from None
    layers = {name.split(".")[2] for name in heard if name.startswith("encoder.layers.")}
    loudness = bundle.loudness or Loudness()
    hearing = Hearing(bundle.windows, len(layers), loudness)
    return Start(bundle, talker, generator.codec, hearing, styles)


def _weights(graph: bytes) -> dict[str, torch.Tensor]:
    """The initialisers of a graph by their name in the module."""
    tensors = onnx.load_from_string(graph).graph.initializer
    return {
        tensor.name.removesuffix(HALF): torch.from_numpy(
            numpy_helper.to_array(tensor).astype(np.float32)
        )
        for tensor in tensors
    }
