"""Released checkpoints (`.pth.tar`) -> a model folder.

The files are read as tensors only: nothing in them is run. Every tensor must have the name and the
shape that the configuration calls for; nothing is loaded loosely.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from codetalker.disk import check_new_folder
from codetalker.errors import ModelError, OptionError
from codetalker.files.mesh import Mesh, read_mesh
from codetalker.paper.config import PRESETS, PaperConfig, preset
from codetalker.paper.folder import write_model
from codetalker.paper.model import PaperModel
from codetalker.paper.official import (
    codec_names,
    expected_shapes,
    position_tables,
    talker_names,
)

_WRAPPER = "module."
LISTED = 8
"""Tensors that a message names of each kind; it counts the others."""


def convert_official(
    model: str | PaperConfig,
    stage1: Path,
    stage2: Path,
    out: Path,
    template: Path | Mesh | None = None,
) -> None:
    """Convert a pair of released checkpoints into a model folder.

    Args:
        model: `vocaset`, `biwi`, or the configuration of a retrained model of other size.
        stage1: checkpoint of the VQ autoencoder, `vocaset_stage1.pth.tar`.
        stage2: checkpoint of the talker, `vocaset_stage2.pth.tar`.
        out: the folder to make.
        template: the face at rest to animate by default, a mesh or its file.

    Raises:
        ModelError: a file is missing, damaged, holds more than tensors, or does not fit.
        OptionError: there is no such preset, or the face has another number of vertices.
        OutputError: the folder has content, or cannot be written.
    """
    config = preset(model) if isinstance(model, str) else model
    check_new_folder(out)
    face = template if isinstance(template, Mesh) or template is None else read_mesh(template)
    if face is not None and len(face.vertices) != config.codec.vertices:
        raise OptionError(
            f"the template has {len(face.vertices)} vertices, {config.name} takes "
            f"{config.codec.vertices}; give a face of its topology"
        )
    stages = [read_checkpoint(path) for path in (stage1, stage2)]
    for stage, path in enumerate((stage1, stage2)):
        _check(stages[stage], path, config, stage)
    with torch.device("meta"):
        state = PaperModel(config).state_dict()
    names = (codec_names(config.codec), talker_names(config.talker, state))
    write_model(
        out,
        config,
        {
            ours: stage[official].float()
            for stage, mapping in zip(stages, names, strict=True)
            for official, ours in mapping.items()
        },
        face,
    )


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of a file that holds {"state_dict": tensors} and nothing else.

    Raises:
        ModelError: it is missing, damaged, or holds anything else.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ModelError(f"{path} does not exist; check the spelling of the path") from None
    except IsADirectoryError:
        raise ModelError(f"{path} is a directory; name the checkpoint file in it") from None
    except Exception as error:  # a damaged or hostile file can fail in any way
        found = re.search(r"GLOBAL (\S+)", str(error))
        if found:
            raise ModelError(
                f"{path} holds {found[1]} and not tensors alone; it was not loaded: such a file "
                "can run code, get the released checkpoint"
            ) from error
        raise ModelError(
            f"{path} is no readable checkpoint, damaged or cut off; download it again"
        ) from error
    if not isinstance(content, Mapping) or set(content) != {"state_dict"}:
        keys = ", ".join(map(str, content)) if isinstance(content, Mapping) else type(content)
        raise ModelError(
            f"{path} must hold one entry, state_dict, as the released checkpoints do; it holds "
            f"{keys[:200] if isinstance(keys, str) else keys.__name__}"
        )
    tensors = content["state_dict"]
    if not isinstance(tensors, Mapping):
        raise ModelError(f"{path}: state_dict is no table of tensors")
    for name, value in tensors.items():
        if not (isinstance(name, str) and isinstance(value, Tensor) and value.is_floating_point()):
            raise ModelError(f"{path}: {name!r} is no tensor of floats; it was not loaded")
        if not value.isfinite().all():
            raise ModelError(f"{path}: {name} holds NaN or infinite values; the file is unusable")
    return dict(tensors)


def _check(tensors: Mapping[str, Tensor], path: Path, config: PaperConfig, stage: int) -> None:
    """See that exactly the tensors that `config` calls for are there."""
    expected = expected_shapes(config)[stage]
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    if shapes != expected:
        raise ModelError(
            f"{path} is not the stage {stage + 1} checkpoint of {config.name}: "
            + (_wrapped(shapes) or _whose(shapes) or _differences(shapes, expected))
        )
    for name, table in position_tables(config)[stage].items():
        # Only these rows are used; far rows differ between machines by the rounding of sines.
        if not torch.allclose(tensors[name][:1], table[:1], atol=1e-5):
            raise ModelError(f"{path}: {name} is not the published table of positions")


def _wrapped(shapes: Mapping[str, torch.Size]) -> str | None:
    """What to do about the names that a model has inside DataParallel."""
    if not shapes or not all(name.startswith(_WRAPPER) for name in shapes):
        return None
    return (
        f"all its names begin with {_WRAPPER!r}, as DataParallel saves them; take that off the "
        "names of its state_dict, save it and import it again"
    )


def _whose(shapes: Mapping[str, torch.Size]) -> str | None:
    """Which released checkpoint these tensors are."""
    for name, config in PRESETS.items():
        for stage, expected in enumerate(expected_shapes(config)):
            if shapes == expected:
                return f"it is that of stage {stage + 1} of {name}"
    return None


def _differences(shapes: Mapping[str, torch.Size], expected: Mapping[str, torch.Size]) -> str:
    """What is missing, unexpected or misshapen, in one line."""
    wrong = [
        f"{name} {tuple(shapes[name])} instead of {tuple(shape)}"
        for name, shape in expected.items()
        if name in shapes and shapes[name] != shape
    ]
    kinds = {
        "missing": [name for name in expected if name not in shapes],
        "unexpected": [name for name in shapes if name not in expected],
        "misshapen": wrong,
    }
    return "; ".join(_list(kind, names) for kind, names in kinds.items() if names)


def _list(kind: str, names: list[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{len(names)} {kind} ({', '.join(names[:LISTED])}{more})"
