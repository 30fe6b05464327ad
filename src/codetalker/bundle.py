"""Bundle: the model on disk, a folder of `config.json`, ONNX graphs and arrays.

Read strictly: versioned, every file checked against its SHA-256, no pickle. The run time needs
numpy and ONNX Runtime only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from codetalker.blinks import Blinks
from codetalker.errors import ModelError
from codetalker.loudness import Loudness
from codetalker.new_folder import new_folder
from codetalker.windows import SpeechWindows

FORMAT_VERSION = 2
READABLE = (1, 2)
"""Version 1 knows no loudness, blinks, or look-ahead that is not heard."""
BUNDLED, FOR_FILES = "live", "studio"
"""The bundled models: for streams, 200 ms behind, and for files, with a second of look-ahead."""
GRAPHS = ("speech.onnx", "talker.onnx")
ARRAYS = ("styles.npy", "codebook.npy")
MAX_FILE_BYTES = 1 << 30

_Layer = TypeVar("_Layer")


@dataclass(frozen=True)
class Bundle:
    """A model, read and checked.

    Attributes:
        name: of the folder.
        blendshapes: names of the K weights that it predicts.
        windows: how speech is cut; also gives the frame rate.
        loudness: the gain at which each window is heard; None hears it as it is.
        blinks: procedural ones, on top of the learned motion; None leaves it as it is.
        styles: style name -> (width,) float32 embedding; the first is the default.
        temperature: (H,) float32 per code: 0 queries the nearest, 1 samples.
        articulation: indices of the weights that `strength` scales.
        state: shapes of the arrays that a frame hands to the next.
        codebook: (codes, D) float32.
        speech, talker: the ONNX graphs.
        notes: what the model was trained on, and its figures.
    """

    name: str
    blendshapes: tuple[str, ...]
    windows: SpeechWindows
    loudness: Loudness | None
    blinks: Blinks | None
    styles: dict[str, NDArray[np.float32]]
    temperature: NDArray[np.float32]
    articulation: NDArray[np.int64]
    state: dict[str, tuple[int, ...]]
    codebook: NDArray[np.float32]
    speech: bytes
    talker: bytes
    notes: dict[str, str]


def find_model(model: str | Path | None = None) -> Path:
    """The folder of a bundled model by name (None: the default one), or of a path.

    Raises:
        ModelError: there is none; the message lists the names.
    """
    bundled = Path(str(files("codetalker").joinpath("assets/models")))
    name = BUNDLED if model is None else str(model)
    for folder in (Path(name).expanduser(), bundled / name):
        if (folder / "config.json").is_file():
            return folder
    there = sorted(p.parent.name for p in bundled.glob("*/config.json"))
    raise ModelError(
        f"there is no model {name!r}: name a folder with a config.json, or one of "
        f"{', '.join(there) or 'the bundled models (none is installed)'}"
    )


def read_config(folder: Path) -> dict[str, Any]:
    """The `config.json` of any family of model.

    Raises:
        ModelError: it is missing or not a JSON object of a version that we know.
    """
    path = folder / "config.json"
    try:
        config = json.loads(_read(path, 1 << 20))
        version = config["format_version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{path} is not a model's config.json ({error})") from None
    if version not in READABLE:
        raise ModelError(
            f"{path} has format version {version}, this release reads {FORMAT_VERSION} and older; "
            "install the release that wrote it, or export the model again"
        )
    return config


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle of the `default` family.

    Raises:
        ModelError: a file is missing, damaged, or does not fit the others.
    """
    config = read_config(folder)
    try:
        data = {name: _checked(folder / name, config["files"][name]) for name in GRAPHS + ARRAYS}
        styles, codebook = (np.load(BytesIO(data[name]), allow_pickle=False) for name in ARRAYS)
        names = [config["default_style"], *config["styles"]]
        rows = dict(zip(config["styles"], styles, strict=True))
        if config["state"]["motion"] != [1, len(config["blendshapes"])]:
            raise ValueError("the motion of its state has another number of blendshapes")
        return Bundle(
            name=folder.name,
            blendshapes=tuple(config["blendshapes"]),
            windows=SpeechWindows(**config["windows"]),
            loudness=_layer(Loudness, config, "loudness"),
            blinks=_layer(Blinks, config, "blinks"),
            styles={name: rows[name] for name in names},
            temperature=np.array(config["temperature"], np.float32),
            articulation=np.array(config["articulation"], np.int64),
            state={name: tuple(shape) for name, shape in config["state"].items()},
            codebook=codebook,
            speech=data["speech.onnx"],
            talker=data["talker.onnx"],
            notes=config["notes"],
        )
    except (KeyError, TypeError, ValueError, EOFError) as error:
        raise ModelError(
            f"{folder / 'config.json'} does not describe a bundle ({error}); export it again"
        ) from None


def _layer(kind: Callable[..., _Layer], config: dict[str, Any], name: str) -> _Layer | None:
    """A layer's options, if the bundle has it."""
    options = config[name] if config["format_version"] > 1 else None
    return None if options is None else kind(**options)


def write_bundle(
    folder: Path,
    config: dict[str, Any],
    graphs: dict[str, bytes],
    arrays: dict[str, NDArray],
) -> Bundle:
    """Write all files to a temporary folder, rename it, and read it back."""
    data = dict(graphs)
    for name, array in arrays.items():
        stream = BytesIO()
        np.save(stream, array)
        data[name] = stream.getvalue()
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in data.items()}
    with new_folder(folder) as partial:
        for name, content in data.items():
            (partial / name).write_bytes(content)
        text = json.dumps(config | {"files": sums}, indent=1)
        (partial / "config.json").write_text(text + "\n")
    return load_bundle(folder)


def _checked(path: Path, expected: str) -> bytes:
    content = _read(path, MAX_FILE_BYTES)
    if hashlib.sha256(content).hexdigest() != expected:
        raise ModelError(
            f"{path} is damaged: its checksum is not that of config.json; copy it again"
        )
    return content


def _read(path: Path, limit: int) -> bytes:
    try:
        if path.stat().st_size > limit:
            raise ModelError(f"{path} is larger than {limit >> 20} MiB, which no model file is")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from None
