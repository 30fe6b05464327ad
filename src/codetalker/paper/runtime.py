"""A published model through the same door as the bundled one: speech in, vertex motion out.

In the flow **speech -> features -> codes -> motion** -> mesh -> file, all of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from codetalker.audio import SAMPLE_RATE, Waveform, as_waveform
from codetalker.errors import AudioError, ModelError, OptionError
from codetalker.files import formats_of
from codetalker.files.mesh import Mesh, read_mesh
from codetalker.motion import check_fps
from codetalker.paper.codec import CodecLayer
from codetalker.paper.folder import read_model
from codetalker.paper.precision import set_precision
from codetalker.paper.systems import SystemConfig, SystemModel, system_of
from codetalker.paper.talker import DecoderLayer
from codetalker.progress import Progress
from codetalker.styles import Style, shares_of
from codetalker.training import processes
from codetalker.vertex_motion import VertexMotion

Precision = Literal["float32", "bfloat16", "float16"]
Face = str | os.PathLike[str] | Mesh | ArrayLike
"""A mesh or its file, or (V, 3) vertices."""


class PaperTalker:
    """A published model that is ready to speak; see `codetalker.Talker`.

    Args:
        model: in evaluation, on its device.
        face: the face to animate where the user gives none.
    """

    motion_type = VertexMotion
    options = ("template", "mode")

    def __init__(self, model: SystemModel, face: Mesh | None = None) -> None:
        self.model: Any = model
        self.face = face
        predictor = system_of(model.config).predictor
        self._predictor = lru_cache(maxsize=None)(lambda mode: predictor(model, mode))

    @classmethod
    def load(
        cls,
        folder: str | os.PathLike[str],
        *,
        device: str | None = None,
        precision: Precision = "float32",
        compile: bool = False,
    ) -> PaperTalker:
        """Load a folder that `codetalker import-official` or training has made.

        Args:
            device: where it runs: `cpu` or `cuda`; a GPU, if there is one, for None.
            precision: of all weights but those that `codetalker.paper.precision` names. The
                published numbers need float32.
            compile: let torch.compile fuse the layers; worth its minute on a GPU only.

        Raises:
            ModelError: the folder is missing, damaged, or holds another model.
        """
        model, face = read_model(Path(folder))
        set_precision(model, getattr(torch, precision), processes.own_device(device))
        if compile:
            for layer in model.modules():
                if isinstance(layer, DecoderLayer | CodecLayer):
                    layer.compile(dynamic=True)
        return cls(model, face)

    def __reduce__(self) -> tuple[Callable[..., PaperTalker], tuple[Any, ...]]:
        """Into other processes go configuration and weights; what was compiled is not there."""
        weight = min(self.model.parameters(), key=lambda weight: weight.itemsize)
        state = self.model.state_dict()
        return _of_weights, (self.config, state, weight.dtype, weight.device, self.face)

    @property
    def config(self) -> Any:
        """What the model is."""
        return self.model.config

    @property
    def styles(self) -> tuple[str, ...]:
        """Speaking styles: the subjects that the model was trained on, the default one first."""
        default = self.config.default_subject
        return (default, *(s for s in self.config.subjects if s != default))

    @property
    def formats(self) -> tuple[str, ...]:
        """Suffixes of the files that its motion can be written to."""
        return formats_of(VertexMotion)

    @property
    def fps(self) -> float:
        """The model's own frames per second."""
        return self.config.fps

    @property
    def facts(self) -> dict[str, str]:
        """What `codetalker info` tells of the model beyond its styles and its rate."""
        return self.config.facts

    def animate(
        self,
        audio: str | os.PathLike[str] | Waveform | ArrayLike,
        *,
        rate: float | None = None,
        style: Style | None = None,
        strength: float = 1.0,
        fps: float | None = None,
        seed: int = 0,
        progress: Progress | None = None,
        template: Face | None = None,
        mode: str = "exact",
    ) -> VertexMotion:
        """Let a face say the speech.

        Args:
            audio: a path, a `Waveform`, or (N,) or (N, channels) samples at `rate` Hz.
            style: a subject's name, or a blend: `A:0.3,B:0.7` or a mapping.
            strength: scale of the motion, 0 to 3; 1 is as trained.
            fps: frames per second of the result; the model's own if None.
            seed: of what a model draws at random; CodeTalker, FaceFormer and VOCA draw nothing.
            progress: called with the seconds done and in all.
            template: the face to animate, of the model's topology and unit.
            mode: `exact` for the published output; `fast` for long speech.

        Raises:
            AudioError: the sound cannot be read, or is too short for a frame.
            StyleError: there is no such style.
            ModelError: the model has no face of its own and none is given.
            RigError, OptionError: face, rate or mode cannot be used.
        """
        if fps is not None:
            check_fps(fps)
        if not 0 <= strength <= 3:
            raise OptionError(f"strength is {strength}; choose from 0 to 3, where 1 is as trained")
        face = self._face(template)
        weights = self._style_weights(style)
        speech = as_waveform(audio, rate)
        samples = self._normalized(speech)
        report = None if progress is None else lambda i, _: progress(i / self.fps, speech.duration)
        rest = torch.tensor(face.vertices).reshape(1, -1)
        predictor = self._predictor(mode)
        (predicted,) = predictor.predict([samples], weights[None], report, rest, seed)
        offsets = predicted.motion.float().cpu().numpy().reshape(-1, *face.vertices.shape)
        vertices = face.vertices + np.float32(strength) * offsets
        codes = None if predicted.indices is None else predicted.indices.cpu().numpy()
        motion = VertexMotion(vertices, face.vertices, self.fps, face.triangles, speech, codes)
        return motion if fps is None else motion.resample(fps)

    def _normalized(self, speech: Waveform) -> torch.Tensor:
        config = self.config
        if not config.frames(len(speech.samples)):
            raise AudioError(
                f"{1000 * speech.duration:.0f} ms of sound are too short; this model needs at "
                f"least {1000 * _shortest(config) / SAMPLE_RATE:.0f} ms"
            )
        samples = torch.tensor(speech.samples, dtype=torch.float32)
        return self.model.normalize(samples)

    def _face(self, template: Face | None) -> Mesh:
        if template is None and self.face is None:
            raise ModelError(
                "the model has no face of its own; give a template, a .ply or .obj mesh of "
                f"{self.config.vertices} vertices"
            )
        mesh = self.face if template is None else _mesh(template)
        assert mesh is not None
        if mesh.vertices.shape != (self.config.vertices, 3):
            raise OptionError(
                f"the template has vertices of shape {mesh.vertices.shape}, the model animates "
                f"{(self.config.vertices, 3)}; give a face of its topology"
            )
        if mesh.triangles is None and self.face is not None:
            return Mesh(mesh.vertices, self.face.triangles)
        return mesh

    def _style_weights(self, style: Style | None) -> torch.Tensor:
        """(S,) weights that sum to 1."""
        subjects = self.config.subjects
        weights = torch.zeros(len(subjects))
        for name, share in shares_of(self.styles[0] if style is None else style, subjects).items():
            weights[subjects.index(name)] = share
        return weights


def _of_weights(
    config: SystemConfig,
    state: dict[str, torch.Tensor],
    dtype: torch.dtype,
    device: torch.device,
    face: Mesh | None,
) -> PaperTalker:
    with torch.device("meta"):
        model: Any = system_of(config).model(config)
    model.load_state_dict(state, assign=True)
    set_precision(model.eval().requires_grad_(False), dtype, device)
    return PaperTalker(model, face)


def _mesh(template: Face) -> Mesh:
    if isinstance(template, Mesh):
        return template
    if isinstance(template, str | os.PathLike):
        return read_mesh(template)
    vertices: NDArray[np.float32] = np.asarray(template, np.float32)
    return Mesh(vertices)


def _shortest(config: SystemConfig) -> int:
    """Samples that give one frame."""
    samples = 1
    while not config.frames(samples):
        samples += 1
    return samples
