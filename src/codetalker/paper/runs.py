"""What training leaves: a codec for the talker's training, a model folder for everything else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from torch import Tensor

from codetalker.errors import ModelError
from codetalker.mesh_file import Mesh
from codetalker.paper.config import CodecConfig, PaperConfig
from codetalker.paper.folder import CONFIG, read_model, write_model
from codetalker.training.loop import BEST, load_checkpoint
from codetalker.training.run_record import RUN

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
    file = path / BEST if path.is_dir() else path
    state = load_checkpoint(file)
    try:
        config = json.loads((file.parent / RUN).read_text())["config"]
        if config["stage"] != "codec":
            raise ModelError(f"{path} is the run of a talker; name the run of its codec")
        return CodecConfig(**config["model"]), state.get("model", state)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{file.parent / RUN} does not describe the run of a codec; make one with: codetalker "
            "train codec --preset vocaset --data STORE -o RUN"
        ) from error


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
