"""Graph: a network of the bundled family, checked and ready to run.

In the flow **speech -> features -> codes** -> motion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from codetalker.errors import ModelError
from codetalker.reading import Malformed, refusing


@dataclass(frozen=True)
class Port:
    """An input or output of a graph: a tensor of fixed shape."""

    name: str
    shape: tuple[int, ...]
    type: str = "float"

    def __str__(self) -> str:
        return f"{self.name} {self.type} {self.shape}"


class Graph:
    """A graph with the inputs (in any order) and outputs (in this order) that are declared.

    Raises:
        ModelError: it is none, or its inputs and outputs are others; the message opens with `name`.
    """

    def __init__(
        self, content: bytes, name: str, inputs: Sequence[Port], outputs: Sequence[Port]
    ) -> None:
        self._name, self._outputs = name, outputs
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # windows run beside each other instead
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.add_session_config_entry("session.load_model_format", "ONNX")
        with refusing(ModelError, f"{name} cannot be run", "export the model again"):
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
        taken = sorted(_ports(self._session.get_inputs()))
        _compare(f"{name} takes", taken, sorted(map(str, inputs)))
        _compare(f"{name} gives", _ports(self._session.get_outputs()), [*map(str, outputs)])

    def run(self, inputs: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """The outputs.

        Raises:
            ModelError: the graph cannot do it, or gives what it does not declare, or no numbers.
        """
        with refusing(ModelError, f"{self._name} fails", "export the model again"):
            outputs: list[Any] = [*self._session.run(None, inputs)]
            for port, output in zip(self._outputs, outputs, strict=True):
                if output.shape != port.shape:
                    raise Malformed(f"{port.name} has the shape {output.shape}")
                if output.dtype.kind == "f" and not np.isfinite(output).all():
                    raise Malformed(f"{port.name} is not finite")
            return outputs


def _ports(values: Any) -> list[str]:
    """As ONNX Runtime has them, written as ours."""
    return [
        str(Port(value.name, tuple(value.shape), value.type.removeprefix("tensor(").rstrip(")")))
        for value in values
    ]


def _compare(what: str, found: list[str], wanted: list[str]) -> None:
    if found != wanted:
        pairs = (
            (one, other)
            for one, other in zip([*found, "no more"], [*wanted, "no more"], strict=False)
            if one != other
        )
        one, other = next(pairs)
        raise ModelError(f"{what} {one}, not {other}; export the model again")
