"""Released checkpoints (`.pth.tar`) -> a model folder.

The files are read as tensors only: nothing in them is run. Every tensor must have the name and the
shape that the configuration calls for; nothing is loaded loosely.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from codetalker.disk import check_new_folder
from codetalker.errors import ModelError, OptionError, did_you_mean
from codetalker.files.mesh import Mesh, read_mesh
from codetalker.paper.config import PaperConfig
from codetalker.paper.folder import write_model
from codetalker.paper.systems import SystemConfig, released, system_of

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
    """Convert a pair of CodeTalker's checkpoints; as `convert`.

    Args:
        stage1: checkpoint of the VQ autoencoder, `vocaset_stage1.pth.tar`.
        stage2: checkpoint of the talker, `vocaset_stage2.pth.tar`.
    """
    convert(model, (stage1, stage2), out, template)


def convert(
    model: str | SystemConfig,
    paths: Sequence[Path],
    out: Path,
    template: Path | Mesh | None = None,
) -> None:
    """Convert released checkpoints into a model folder.

    Args:
        model: `vocaset`, `biwi`, `faceformer-vocaset`, `faceformer-biwi`, or the configuration of
            a retrained model of other size.
        paths: the files, in the order in which they were trained.
        out: the folder to make.
        template: the face at rest to animate by default, a mesh or its file.

    Raises:
        ModelError: a file is missing, damaged, holds more than tensors, or does not fit.
        OptionError: there is no such preset, it has not so many files, or the face has another
            number of vertices.
        OutputError: the folder has content, or cannot be written.
    """
    config = _config(model)
    system = system_of(config)
    official = system.official
    if official is None:
        raise OptionError(f"checkpoints of {system.title} cannot be imported; train it instead")
    if len(paths) != len(official.files):
        raise OptionError(
            f"{system.title} was released in {_files(len(official.files))}; give that, not "
            f"{_files(len(paths))}"
        )
    check_new_folder(out)
    face = template if isinstance(template, Mesh) or template is None else read_mesh(template)
    if face is not None and len(face.vertices) != config.vertices:
        raise OptionError(
            f"the template has {len(face.vertices)} vertices, {config.name} takes "
            f"{config.vertices}; give a face of its topology"
        )
    files = [read_checkpoint(path, official.entry) for path in paths]
    expected, state = official.shapes(config), official.state(config)
    for i, path in enumerate(paths):
        what = f"the {official.files[i]} checkpoint of {config.name}"
        _check(files[i], path, expected[i], official.tables(config)[i], what)
    write_model(
        out,
        config,
        {
            ours: file[key].float()
            for file, names in zip(files, official.names(config, state), strict=True)
            for key, ours in names.items()
        },
        face,
    )


def _config(model: str | SystemConfig) -> SystemConfig:
    if not isinstance(model, str):
        return model
    if model not in released():
        raise OptionError(f"no preset {model!r}; {did_you_mean(model, released())}")
    return released()[model]


def read_checkpoint(path: Path, entry: str | None = "state_dict") -> dict[str, Tensor]:
    """The tensors of a file that holds them, as its one `entry` or alone, and nothing else.

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
    if entry is not None and (not isinstance(content, Mapping) or set(content) != {entry}):
        keys = ", ".join(map(str, content)) if isinstance(content, Mapping) else type(content)
        raise ModelError(
            f"{path} must hold one entry, {entry}, as the released checkpoints do; it holds "
            f"{keys[:200] if isinstance(keys, str) else keys.__name__}"
        )
    tensors = content if entry is None else content[entry]
    if not isinstance(tensors, Mapping):
        raise ModelError(f"{path}: {entry or 'it'} is no table of tensors")
    for name, value in tensors.items():
        if not (isinstance(name, str) and isinstance(value, Tensor) and value.is_floating_point()):
            raise ModelError(f"{path}: {name!r} is no tensor of floats; it was not loaded")
        if not value.isfinite().all():
            raise ModelError(f"{path}: {name} holds NaN or infinite values; the file is unusable")
    return dict(tensors)


def _check(
    tensors: Mapping[str, Tensor],
    path: Path,
    expected: Mapping[str, torch.Size],
    tables: Mapping[str, Tensor],
    what: str,
) -> None:
    shapes = _shapes(tensors)
    if shapes != expected:
        raise ModelError(
            f"{path} is not {what}: "
            + (_wrapped(shapes) or _whose(shapes) or _differences(shapes, expected))
        )
    for name, table in tables.items():
        # Only these rows are used; far rows differ between machines by the rounding of sines.
        if not torch.allclose(tensors[name][:1], table[:1], atol=1e-5):
            raise ModelError(f"{path}: {name} is not the published table of positions")


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}


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
    for name, config in released().items():
        official = system_of(config).official
        assert official is not None
        for file, expected in zip(official.files, official.shapes(config), strict=True):
            if shapes == expected:
                return f"it is that of {file} of {name}"
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


def _files(count: int) -> str:
    return "one FILE" if count == 1 else "--stage1 FILE and --stage2 FILE"
