"""A published model on disk: `config.json`, `model.safetensors`, and a face if there is one.

`config.json` says which format version, family and, unless it is CodeTalker, `system` it is, holds
the configuration and the SHA-256 of the weights. `template.ply` is the face at rest that is
animated unless the user gives another one. Training leaves one in the run of a talker, and a codec
for it in that of a codec.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from codetalker.disk import new_folder
from codetalker.errors import ModelError, OptionError, OutputError
from codetalker.files.mesh import Mesh, read_mesh, write_ply
from codetalker.model_folder import CONFIG, damaged, file_digest, read_config, write_config
from codetalker.paper.config import PaperCodecConfig, from_dict, to_dict
from codetalker.paper.model import PaperModel
from codetalker.paper.official import portable_name
from codetalker.paper.systems import (
    CODETALKER,
    SystemConfig,
    name_of,
    system_named,
    system_of,
)
from codetalker.reading import Malformed, refusing
from codetalker.training.loop import BEST, load_checkpoint
from codetalker.training.trained import read_trained, undescribed

_FAMILY = "paper"
WEIGHTS, TEMPLATE = "model.safetensors", "template.ply"
MODEL = "model"
"""The model folder in the run of a talker."""


def write_model(
    folder: Path, config: SystemConfig, tensors: Mapping[str, Tensor], face: Mesh | None = None
) -> None:
    """Write a model folder; it appears complete or not at all.

    Args:
        folder: a new one, or an empty one.
        tensors: the state of a model of `config`; `portable_name`s are kept on disk.
        face: the face at rest, if there is one.

    Raises:
        OutputError: the folder has content, or cannot be written.
    """
    portable = {portable_name(name): tensor.contiguous() for name, tensor in tensors.items()}
    with new_folder(folder) as temporary:
        try:
            save_file(portable, temporary / WEIGHTS)
        except SafetensorError as error:
            raise OutputError(
                f"{folder} cannot be written ({error}); see whether the disk is full"
            ) from error
        system = name_of(config)
        named = {} if system == CODETALKER else {"system": system}
        write_config(temporary, _FAMILY, named | {"config": to_dict(config)}, (WEIGHTS,))
        if face is not None:
            write_ply(temporary / TEMPLATE, face)


def read_model(folder: Path) -> tuple[Any, Mesh | None]:
    """Read a model folder: the model in evaluation, and the face at rest if there is one.

    Raises:
        ModelError: the folder is missing, damaged, or of another family or version.
    """
    config, checksum = _read_description(folder)
    path = folder / WEIGHTS
    missing = f"{path} cannot be read: it is missing; import it again"
    with refusing(ModelError, f"{path} cannot be read", "import it again", missing):
        if file_digest(path) != checksum:
            raise damaged(path)
        stored = load_file(path)
    with refusing(ModelError, f"{path} does not fit {CONFIG}", "import it again"):
        with torch.device("meta"):
            model = system_of(config).model(config)
        kinds = {name: tensor.dtype for name, tensor in model.state_dict().items()}
        names = {portable_name(name): name for name in kinds}
        ours = {names.get(name, name): tensor for name, tensor in stored.items()}
        model.load_state_dict(ours, assign=True)
        for name, tensor in ours.items():
            if tensor.is_floating_point() != kinds[name].is_floating_point:
                raise Malformed(f"{name} is of type {tensor.dtype}")
            if not torch.isfinite(tensor).all():
                raise Malformed(f"{name} is not finite")
    face = read_mesh(folder / TEMPLATE) if (folder / TEMPLATE).exists() else None
    return model.eval().requires_grad_(False), face


def read_paper_config(folder: Path) -> SystemConfig:
    """The configuration of a model folder.

    Raises:
        ModelError: the folder is missing, damaged, or of another family or version.
    """
    return _read_description(folder)[0]


def _read_description(folder: Path) -> tuple[SystemConfig, str]:
    """The configuration, and the checksum of the weights."""
    content = read_config(folder)
    if content.get("family") != _FAMILY:
        raise ModelError(
            f"{folder} holds a model of family {content.get('family')!r}, not {_FAMILY!r}; make "
            "one with: codetalker import-official"
        )
    with refusing(ModelError, f"{folder / CONFIG} is malformed", "import it again"):
        try:
            system = system_named(content.get("system", CODETALKER))
            return from_dict(content["config"], system.config), str(content["files"][WEIGHTS])
        except OptionError as error:
            raise Malformed(str(error)) from None


def read_codec(path: Path) -> tuple[PaperCodecConfig, dict[str, Tensor]]:
    """A trained codec and its configuration.

    Args:
        path: the run's folder, for its best codec; `best.pt` or `last.pt` in there; or a model
            folder, such as `import-official` makes, whose codec it is then.

    Raises:
        ModelError: it is none of these, or damaged.
    """
    if (path / CONFIG).is_file():
        model, _ = read_model(path)
        if not isinstance(model, PaperModel):
            raise undescribed(path, "codec")
        return model.config.codec, model.codec.state_dict()
    record, state = read_trained(path, "codec")
    try:
        return PaperCodecConfig(**record["model"]), state
    except (KeyError, TypeError):
        raise undescribed(path, "codec") from None


def write_trained(run: Path, config: SystemConfig, face: Mesh, which: str = BEST) -> Path:
    """Make the model folder of a talker's run.

    Args:
        config: of the run.
        face: the face at rest to animate by default.
        which: `best.pt` or `last.pt`.
    """
    state = load_checkpoint(run / which)
    shutil.rmtree(run / MODEL, ignore_errors=True)
    write_model(run / MODEL, config, state.get("model", state), face)
    return run / MODEL
