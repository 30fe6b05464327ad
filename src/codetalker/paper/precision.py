"""Half precision for prediction, and the parts that keep float32 in it.

The codebook does, because its distances decide between codes. So do convolutions on a processor:
in bfloat16 they go to oneDNN, whose release 3.12.0, the one in torch 2.13, has faults in them where
the processor has AMX (release notes of oneDNN 3.12.2; pytorch issue 169688). Features of the speech
encoder were seen 29% off on such a processor and right with `ONEDNN_MAX_CPU_ISA=AVX2`. With
AVX512-BF16 alone, convolutions of these shapes were measured right to 0.4%, which is rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from codetalker.nn.quantizer import VectorQuantizer


def set_precision(model: nn.Module, dtype: torch.dtype, device: str | torch.device) -> None:
    """Move a model to a device, its weights to `dtype` but for the parts that keep float32."""
    model.to(device=device, dtype=dtype)
    for module in model.modules():
        if isinstance(module, VectorQuantizer):
            module.float()
    if dtype != torch.float32 and torch.device(device).type == "cpu":
        for module in model.modules():
            if isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
                _compute_in_float32(module, dtype)


def _compute_in_float32(module: nn.Module, dtype: torch.dtype) -> None:
    """Let a module of one input compute in float32 and give `dtype` to what follows."""

    def widen(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(x.float() for x in inputs)

    def narrow(_: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        return output.to(dtype)

    module.float()
    module.register_forward_pre_hook(widen)
    module.register_forward_hook(narrow)
