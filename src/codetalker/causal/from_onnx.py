"""A bundle -> the torch modules that it was exported from, to learn something more with them.

In the flow speech -> **features -> codes -> motion**. The encoders of speech and motion stay
behind: who fits a style hears through `speech.onnx` and needs no codes of the true motion.
"""

from __future__ import annotations

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from codetalker.causal.bundle import Bundle
from codetalker.causal.codec import Codec, CodecConfig
from codetalker.causal.generator import Generator
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


def _weights(graph: bytes) -> dict[str, torch.Tensor]:
    """The initialisers of a graph by their name in the module."""
    tensors = onnx.load_from_string(graph).graph.initializer
    return {
        tensor.name.removesuffix(HALF): torch.from_numpy(
            numpy_helper.to_array(tensor).astype(np.float32)
        )
        for tensor in tensors
    }
