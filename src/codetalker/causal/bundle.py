"""Bundle: a model of the bundled family on disk, ONNX graphs and arrays in a model folder.

The run time needs numpy and ONNX Runtime only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from codetalker.causal.blinks import Blinks
from codetalker.causal.loudness import Loudness
from codetalker.disk import new_folder
from codetalker.errors import ModelError
from codetalker.model_folder import CONFIG, read_config, read_file, write_config
from codetalker.windows import SpeechWindows

_FAMILY = "default"
GRAPHS = ("speech.onnx", "talker.onnx")
ARRAYS = ("styles.npy", "codebook.npy")

_Layer = TypeVar("_Layer")


@dataclass(frozen=True)
class Bundle:
    """A model, read and checked.

    Attributes:
        name: of the folder.
        digest: by which the model is recognised: 16 hexadecimal digits.
        blendshapes: names of the K weights that it predicts.
        windows: how speech is cut; also gives the frame rate.
        loudness: the gain at which each window is heard; None hears it as it is.
        blinks: procedural ones, on top of the learned motion; None leaves it as it is.
        onset: seconds in which the mouth comes out of rest at the start of a sound: a speaker whose
            first word is near has opened it before, but nobody has seen that. Procedural, too.
        styles: style name -> (width,) float32 embedding; the first is the default.
        temperature: (H,) float32 per code: 0 queries the nearest, 1 samples.
        articulation: indices of the weights that `strength` scales.
        state: shapes of the arrays that a frame hands to the next.
        codebook: (codes, D) float32.
        speech, talker: the ONNX graphs.
        notes: what the model was trained on, and its figures.
        sizes: of the modules that it was exported from, `talker` and `codec`, for whoever learns
            more with them (`causal.from_onnx`); None of a bundle without.
    """

    name: str
    digest: str
    blendshapes: tuple[str, ...]
    windows: SpeechWindows
    loudness: Loudness | None
    blinks: Blinks | None
    onset: float
    styles: dict[str, NDArray[np.float32]]
    temperature: NDArray[np.float32]
    articulation: NDArray[np.int64]
    state: dict[str, tuple[int, ...]]
    codebook: NDArray[np.float32]
    speech: bytes
    talker: bytes
    notes: dict[str, str]
    sizes: dict[str, Any] | None = None


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle.

    Raises:
        ModelError: a file is missing, damaged, or does not fit the others.
    """
    config = read_config(folder)
    try:
        data = {name: read_file(folder / name, config["files"][name]) for name in GRAPHS + ARRAYS}
        styles, codebook = (np.load(BytesIO(data[name]), allow_pickle=False) for name in ARRAYS)
        names = [config["default_style"], *config["styles"]]
        rows = dict(zip(config["styles"], styles, strict=True))
        if config["state"]["motion"] != [1, len(config["blendshapes"])]:
            raise ValueError("the motion of its state has another number of blendshapes")
        return Bundle(
            name=folder.name,
            digest=hashlib.sha256(repr(sorted(config["files"].items())).encode()).hexdigest()[:16],
            blendshapes=tuple(config["blendshapes"]),
            windows=SpeechWindows(**config["windows"]),
            loudness=_layer(Loudness, config, "loudness"),
            blinks=_layer(Blinks, config, "blinks"),
            onset=float(config["onset"]) if config["format_version"] > 1 else 0.0,
            styles={name: rows[name] for name in names},
            temperature=np.array(config["temperature"], np.float32),
            articulation=np.array(config["articulation"], np.int64),
            state={name: tuple(shape) for name, shape in config["state"].items()},
            codebook=codebook,
            speech=data["speech.onnx"],
            talker=data["talker.onnx"],
            notes=config["notes"],
            sizes=config.get("sizes"),
        )
    except (KeyError, TypeError, ValueError, EOFError) as error:
        raise ModelError(
            f"{folder / CONFIG} does not describe a bundle ({error}); export it again"
        ) from None


def _layer(kind: Callable[..., _Layer], config: dict[str, Any], name: str) -> _Layer | None:
    """A layer's options, if the bundle has it."""
    options = config[name] if config["format_version"] > 1 else None
    return None if options is None else kind(**options)


def with_style(folder: Path, name: str, row: NDArray[np.float32], out: Path) -> Bundle:
    """A copy of a bundle with one more style, its first one, which is the default.

    Raises:
        ModelError: `folder` is no bundle, or has a style of that name.
        OutputError: `out` is there, or cannot be written.
    """
    bundle, config = load_bundle(folder), read_config(folder)
    if name in bundle.styles:
        raise ModelError(f"{folder} has a style {name!r}; name another one with --name")
    for written in ("files", "family", "format_version"):
        config.pop(written)
    names = [name, *config["styles"]]
    rows = np.stack([row, *(bundle.styles[known] for known in names[1:])])
    return write_bundle(
        out,
        config | {"styles": names, "default_style": name},
        {"speech.onnx": bundle.speech, "talker.onnx": bundle.talker},
        {"styles.npy": rows, "codebook.npy": bundle.codebook},
    )


def write_bundle(
    folder: Path,
    config: dict[str, Any],
    graphs: dict[str, bytes],
    arrays: dict[str, NDArray],
) -> Bundle:
    """Write all files to a temporary folder, rename it, and read it back."""
    with new_folder(folder) as partial:
        for name, content in graphs.items():
            (partial / name).write_bytes(content)
        for name, array in arrays.items():
            np.save(partial / name, array)
        write_config(partial, _FAMILY, config, (*graphs, *arrays))
    return load_bundle(folder)
