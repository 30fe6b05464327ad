"""The door: what every model can do, and how one is opened.

In the flow **speech -> features -> codes -> motion**. A family of models stands in a room of its
own; who uses a model needs to know this page alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, overload, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from codetalker.errors import ModelError
from codetalker.model_folder import find_model, read_config

if TYPE_CHECKING:
    from codetalker.audio import Waveform
    from codetalker.causal.runtime import CausalTalker
    from codetalker.causal.stream import Live, StreamState
    from codetalker.motion import Motion
    from codetalker.progress import Progress
    from codetalker.styles import Style
    from codetalker.vertex_motion import VertexMotion

FAMILIES = {
    "default": "codetalker.causal.runtime:CausalTalker",
    "paper": "codetalker.paper.runtime:PaperTalker",
}
"""Who loads a model, by the `family` that its config.json names."""


class Talker(Protocol):
    """A loaded model."""

    @property
    def styles(self) -> tuple[str, ...]:
        """Names of the speaking styles, the default one first."""
        ...

    @property
    def fps(self) -> float:
        """Frames per second of its motion."""
        ...

    @property
    def motion_type(self) -> type[Motion] | type[VertexMotion]:
        """What it makes: blendshape weights, or vertices."""
        ...

    @property
    def formats(self) -> tuple[str, ...]:
        """Suffixes of the files that its motion can be written to."""
        ...

    @property
    def options(self) -> tuple[str, ...]:
        """Names of what its `animate`, and `stream`, take beyond the arguments below."""
        ...

    @property
    def facts(self) -> dict[str, str]:
        """What `codetalker info` tells of it: heading -> text."""
        ...

    def animate(
        self,
        audio: str | PathLike[str] | Waveform | ArrayLike,
        *,
        rate: float | None = None,
        style: Style | None = None,
        strength: float = 1.0,
        fps: float | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Any:
        """Turn a recording into motion, of `motion_type`.

        Args:
            audio: a path, a `Waveform`, or (N,) or (N, channels) samples at `rate` Hz.
            style: one of `styles`, or a blend of some: `A:0.3,B:0.7`.
            strength: scale of the articulation, 0 to 3; 1 is as trained.
            fps: frames per second of the result; the model's own by default.
            seed: of what speech does not determine, such as blinks.
            progress: called with the seconds done and in all.

        Raises:
            AudioError, StyleError, OptionError: what is wrong with the input, and the remedy.
        """
        ...


@runtime_checkable
class StreamingTalker(Talker, Protocol):
    """A model that can also follow a voice while it speaks."""

    @property
    def latency(self) -> float:
        """Seconds of audio after the start of a frame until a stream can give it, at most."""
        ...

    def stream(
        self, rate: int = ..., *, style: Style | None = None, strength: float = 1.0, seed: int = 0
    ) -> Live:
        """Start a live stream of sound at `rate` Hz."""
        ...

    def flow(
        self,
        sound: Iterable[NDArray[np.float32]],
        *,
        style: Style | None = None,
        strength: float = 1.0,
        seed: int = 0,
    ) -> Iterator[Motion]:
        """Motion of (N,) samples at 16 kHz that come one after another, in constant memory."""
        ...

    def resume(self, state: StreamState | bytes) -> Live:
        """Go on with a stream from a state of it, or from the bytes that one was saved as."""
        ...


@overload
def load(model: None = None) -> CausalTalker: ...
@overload
def load(model: str | PathLike[str]) -> Talker: ...
def load(model: str | PathLike[str] | None = None) -> Talker:
    """A talker: the bundled one for None, or that of a model folder or of a bundled name.

    Raises:
        ModelError: there is no such model, or it is damaged.
        MissingExtraError: what its family needs is not installed.
    """
    folder = find_model(None if model is None else Path(model))
    family = read_config(folder).get("family")
    if not isinstance(family, str) or family not in FAMILIES:
        raise ModelError(f"{folder / 'config.json'} names the unknown family {family!r}")
    module, name = FAMILIES[family].split(":")
    return getattr(import_module(module), name).load(folder)
