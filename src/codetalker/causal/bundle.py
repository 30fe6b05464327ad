"""Bundle: a model of the bundled family on disk, ONNX graphs and arrays in a model folder.

The run time needs numpy and ONNX Runtime only.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codetalker.arrays import Field, read_npy
from codetalker.causal.blinks import JAW, LIDS, Blinks
from codetalker.causal.loudness import Loudness
from codetalker.causal.onnx_screen import check_arithmetic
from codetalker.disk import new_folder
from codetalker.errors import ModelError
from codetalker.model_folder import CONFIG, read_config, read_file, write_config
from codetalker.reading import Malformed, refusing
from codetalker.typed import build
from codetalker.windows import SpeechWindows

_FAMILY = "default"
GRAPHS = ("speech.onnx", "talker.onnx")
ARRAYS = ("styles.npy", "codebook.npy")

STATE = {"cache", "context", "motion", "position"}
_TABLE = Field(np.float32, "rows width")
_MAX_STATE = 1 << 24
"""Numbers in each part of a state."""
_MAX_WINDOW = 60 * 50
"""Feature frames in a minute."""


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
        ModelError: a file is missing, damaged, or does not fit the others; a graph asks for more
            than arithmetic; a number is not finite.
    """
    content = read_config(folder)
    what, remedy = f"{folder / CONFIG} does not describe a bundle", "export the model again"
    with refusing(ModelError, what, remedy):
        config = _described(content)
        data = {name: read_file(folder / name, config.files[name]) for name in GRAPHS + ARRAYS}
        for name in GRAPHS:
            with refusing(ModelError, f"{name} cannot be run", remedy):
                check_arithmetic(data[name])
        return Bundle(
            name=folder.name,
            digest=hashlib.sha256(repr(sorted(config.files.items())).encode()).hexdigest()[:16],
            blendshapes=config.blendshapes,
            windows=config.windows,
            loudness=config.loudness,
            blinks=config.blinks,
            onset=config.onset,
            styles=_styles(config, data["styles.npy"]),
            temperature=np.array(config.temperature, np.float32),
            articulation=np.array(config.articulation, np.int64),
            state=config.state,
            codebook=read_npy(data["codebook.npy"], _TABLE),
            speech=data["speech.onnx"],
            talker=data["talker.onnx"],
            notes=config.notes,
            sizes=config.sizes,
        )


@dataclass(frozen=True)
class _Config:
    """What `config.json` says, by its names; `Bundle` says what it means.

    Raises:
        Malformed: values exclude each other.
    """

    blendshapes: tuple[str, ...]
    windows: SpeechWindows
    loudness: Loudness | None
    blinks: Blinks | None
    onset: float
    styles: tuple[str, ...]
    default_style: str
    state: dict[str, tuple[int, ...]]
    temperature: tuple[float, ...]
    articulation: tuple[int, ...]
    notes: dict[str, str]
    files: dict[str, str]
    sizes: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        shapes, names = self.state, self.blendshapes
        facts = {
            "a blendshape or a style twice, or none": all(
                0 < len(set(own)) == len(own) for own in (names, self.styles)
            ),
            "a default style that is none": self.default_style in self.styles,
            "windows of more than a minute": self.windows.frames <= _MAX_WINDOW,
            "an onset beyond 10 s": 0 <= self.onset <= 10,
            "another state than the run time has": set(shapes) == STATE
            and all(1 <= prod(shape) <= _MAX_STATE and min(shape) > 0 for shape in shapes.values()),
            "a position of another shape": shapes.get("position") == (1,),
            "a motion of another number of blendshapes": shapes.get("motion") == (1, len(names)),
            "temperatures below 0 or above 100, or none": bool(self.temperature)
            and all(0 <= t <= 100 for t in self.temperature),
            "articulation of blendshapes that it lacks": all(
                0 <= i < len(names) for i in self.articulation
            ),
            "blinks without the lids and the jaw": not self.blinks or {JAW, *LIDS} <= set(names),
            "a loudness beyond hearing": not self.loudness or self.loudness.is_sane,
            "blinks more often than anyone": not self.blinks or self.blinks.is_sane,
        }
        for wrong, right in facts.items():
            if not right:
                raise Malformed(f"it has {wrong}")


def _described(content: dict[str, Any]) -> _Config:
    """The description of a bundle of any version that is read; what others put in is let be."""
    if content["format_version"] < 2:
        content = content | {"loudness": None, "blinks": None, "onset": 0.0}
    return build(_Config, content, "it", strict=False)


def _styles(config: _Config, table: bytes) -> dict[str, NDArray[np.float32]]:
    """The embedding of each style, the default one first."""
    rows = dict(zip(config.styles, read_npy(table, _TABLE), strict=True))
    return {name: rows[name] for name in (config.default_style, *config.styles)}


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
