"""Model folders: `config.json`, which says what a model is, beside the files that it lists.

In the flow speech -> features -> codes -> motion: where all of it lies between runs, whatever the
family. Read strictly: versioned, every file checked against its SHA-256, no pickle.
"""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from codetalker.arguments import shown
from codetalker.errors import ModelError
from codetalker.reading import open_regular, read_json, read_regular, refusing

FORMAT_VERSION = 2
READABLE = (1, 2)
"""Version 1 of the bundled family knows no loudness, blinks, or look-ahead that is not heard."""
CONFIG = "config.json"
BUNDLED, FOR_FILES = "live", "studio"
"""The bundled models that `codetalker.load()` opens and that files are animated with: one answers
within 200 ms, the other looks a second ahead."""
DEFAULT = "default"
"""Another name of the first."""
MAX_FILE_BYTES = 1 << 30
"""Of what is read into memory whole; bundles have some 20 MB."""
_MAX_CONFIG_BYTES = 1 << 20


def find_model(model: str | Path | None = None) -> Path:
    """The folder of a model: that of a path or, where there is none, a bundled one of that name.

    None is the bundled model for streams, whatever the working directory holds.

    Raises:
        ModelError: there is none; the message lists the names.
    """
    bundled = Path(str(files("codetalker").joinpath("assets/models")))
    name = BUNDLED if model is None else str(model)
    places = [] if model is None else [Path(name).expanduser()]
    for folder in [*places, bundled / (BUNDLED if name == DEFAULT else name)]:
        if (folder / CONFIG).is_file():
            return folder
    there = bundled_models()
    raise ModelError(
        f"there is no model {name!r}: name a folder with a {CONFIG}, or one of "
        f"{', '.join(there) or 'the bundled models (none is installed)'}"
    )


def bundled_models() -> tuple[str, ...]:
    """Names of the models that come with the package."""
    bundled = files("codetalker").joinpath("assets/models")
    return tuple(sorted(path.parent.name for path in Path(str(bundled)).glob(f"*/{CONFIG}")))


def read_config(folder: Path) -> dict[str, Any]:
    """The `config.json` of any family of model.

    Raises:
        ModelError: it is missing or not a JSON object of a version that we know.
    """
    path = folder / CONFIG
    with refusing(ModelError, f"{path} is not a model's {CONFIG}", "export the model again"):
        config = read_json(path, _MAX_CONFIG_BYTES)
        version = config["format_version"]
    if type(version) is not int or version not in READABLE:
        found = shown(version).strip("'")
        raise ModelError(
            f"{path} has format version {found}, this release reads {FORMAT_VERSION} and older; "
            "install the release that wrote it, or export the model again"
        )
    return config


def write_config(folder: Path, family: str, config: dict[str, Any], names: tuple[str, ...]) -> None:
    """Write `config.json` with the checksums of the files `names`, which are there already."""
    sums = {name: file_digest(folder / name) for name in names}
    content = {"format_version": FORMAT_VERSION, "family": family, **config, "files": sums}
    (folder / CONFIG).write_text(json.dumps(content, indent=1) + "\n")


def read_file(path: Path, expected: str) -> bytes:
    """A file of a model whole, once its SHA-256 is seen to be the expected one.

    Raises:
        ModelError: it is missing, too large, or another file than the model was written with.
    """
    missing = f"{path} cannot be read: it is missing; copy the folder again"
    with refusing(ModelError, f"{path} cannot be read", "copy the folder again", missing):
        content = read_regular(path, MAX_FILE_BYTES)
    if hashlib.sha256(content).hexdigest() != expected:
        raise damaged(path)
    return content


def file_digest(path: Path) -> str:
    """SHA-256 of a file of any size."""
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def damaged(path: Path) -> ModelError:
    """To raise where a file is not the one that `config.json` lists."""
    return ModelError(f"{path} is damaged: its checksum is not that of {CONFIG}; copy it again")
