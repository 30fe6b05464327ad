"""What training leaves: a codec for the talker's training, a model folder for everything else."""

from __future__ import annotations

import shutil
from pathlib import Path

from torch import Tensor

from codetalker.files.mesh import Mesh
from codetalker.model_folder import CONFIG
from codetalker.paper.config import CodecConfig, PaperConfig
from codetalker.paper.folder import read_model, write_model
from codetalker.training.loop import BEST, load_checkpoint
from codetalker.training.trained import read_trained, undescribed

MODEL = "model"
"""The folder, in a talker's run, that `codetalker.load` opens."""


def read_codec(path: Path) -> tuple[CodecConfig, dict[str, Tensor]]:
    """A trained codec and its configuration.

    Args:
        path: the run's folder, for its best codec; `best.pt` or `last.pt` in there; or a model
            folder, such as `import-official` makes, whose codec it is then.

    Raises:
        ModelError: it is none of these, or damaged.
    """
    if (path / CONFIG).is_file():
        model, _ = read_model(path)
        return model.config.codec, model.codec.state_dict()
    record, state = read_trained(path, "codec")
    try:
        return CodecConfig(**record["model"]), state
    except (KeyError, TypeError):
        raise undescribed(path, "codec") from None


def write_trained(run: Path, config: PaperConfig, face: Mesh, which: str = BEST) -> Path:
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
