"""Corpus folders: `audio/NAME.flac` beside `motion.npz`, read into clips.

A corpus is one such folder or a folder of several; docs/data.md describes them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codetalker.arrays import Arrays, Field, read_npz
from codetalker.data.clip import Clip
from codetalker.errors import DataError
from codetalker.motion import Motion
from codetalker.reading import Malformed, check_file_name, read_json, refusing
from codetalker.rig import bundled_head
from codetalker.typed import convert

SPLITS = ("train", "val", "unseen")

OTHERS = "others"
"""A folder of this name, in which arrays do not say otherwise, holds clips of various people: each
is a speaker of its own and is never trained on."""

Words = tuple[tuple[float, float, str], ...]

_LAYOUT = {
    "names": Field(str, "clips"),
    "blendshape_names": Field(str, "columns"),
    "weights": Field(np.float32, "clips frames columns", "rows columns"),
    "fps": Field(np.float64, "", "1", least=1, most=240),
    "starts": Field(np.int64, "clips", least=0, optional=True),
    "lengths": Field(np.int64, "clips", least=1, optional=True),
    "speaker": Field(str, "clips", optional=True),
    "split": Field(str, "clips", optional=True),
}


def read_corpus(folder: Path | str) -> list[Clip]:
    """Read the motion of every clip; the sound stays on disk.

    Args:
        folder: holds `motion.npz` and `audio/`, or folders that do. Columns of weights may come in
            any order; clips have them in the order of the bundled head.

    Raises:
        DataError: what is missing or malformed.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"corpus folder {folder} does not exist; --corpus names a folder of clips")
    parts = [folder] if (folder / "motion.npz").exists() else sorted(folder.iterdir())
    parts = [part for part in parts if (part / "motion.npz").is_file()]
    if not parts:
        raise DataError(
            f"no motion.npz in {folder} or its folders; see docs/data.md for the layout"
        )
    return [clip for part in parts for clip in _read_part(part)]


def read_takes(folder: Path | str, fps: int) -> list[NDArray[np.float32]]:
    """The motions (T, 52) of a folder's `motion.npz` at `fps`; there need be no sound.

    Raises:
        DataError: the file is missing or malformed.
    """
    folder = Path(folder)
    arrays = _load(folder / "motion.npz")
    names, rate = bundled_head().blendshape_names, arrays["fps"].item()
    weights = _split_weights(folder, arrays, len(arrays["names"]))
    return [Motion(take, names, rate).resample(fps).weights for take in weights]


def _read_part(folder: Path) -> list[Clip]:
    arrays = _load(folder / "motion.npz")
    names = arrays["names"].tolist()
    weights = _split_weights(folder, arrays, len(names))
    speakers, splits = _speakers(folder, arrays, names), _splits(folder, arrays, names)
    words = _read_words(folder / "align.json")
    audio = {path.stem: path for path in (folder / "audio").glob("*.flac")}
    missing = [name for name in names if name not in audio]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise DataError(f"{folder / 'audio'} lacks {missing[0]}.flac{more}, named in motion.npz")
    return [
        Clip(name, speaker, split, audio[name], frames, arrays["fps"].item(), words.get(name, ()))
        for name, speaker, split, frames in zip(names, speakers, splits, weights, strict=True)
    ]


def _load(path: Path) -> Arrays:
    """The arrays of `motion.npz`, checked, with the columns of the bundled head."""
    with refusing(
        DataError, f"{path} is not a readable npz file", "see docs/data.md for its arrays"
    ):
        arrays = read_npz(path, _LAYOUT)
        names = arrays["names"].tolist()
        if len(set(map(check_file_name, names))) != len(names):
            raise Malformed("a clip name occurs twice")
        columns = _columns(path, arrays["blendshape_names"])
    return arrays | {"weights": arrays["weights"][..., columns]}


def _columns(path: Path, stored: NDArray) -> list[int]:
    """Where the bundled head's blendshapes lie among the stored columns."""
    column = {str(name): index for index, name in enumerate(stored)}
    wanted = bundled_head().blendshape_names
    missing = [name for name in wanted if name not in column]
    if missing:
        raise DataError(f"{path} has no column {missing[0]!r}; it needs all 52 ARKit blendshapes")
    return [column[name] for name in wanted]


def _split_weights(folder: Path, arrays: Arrays, count: int) -> list[NDArray[np.float32]]:
    """One (T, K) float32 array per clip from stacked (N, T, K) or joined (sum T, K) weights."""
    weights = arrays["weights"]
    if weights.ndim == 3 and len(weights) == count:
        return list(weights)
    if weights.ndim == 2 and {"starts", "lengths"} <= arrays.keys():
        starts, lengths = arrays["starts"], arrays["lengths"]
        if (lengths <= len(weights) - starts).all():
            return [weights[s : s + n] for s, n in zip(starts, lengths, strict=True)]
    raise DataError(
        f"{folder / 'motion.npz'}: weights {weights.shape} do not divide into {count} clips; stack "
        "them (clips, frames, 52), or join them and give starts and lengths"
    )


def _speakers(folder: Path, arrays: Arrays, names: list[str]) -> list[str]:
    if "speaker" in arrays:
        return arrays["speaker"].tolist()
    return names if _own_name(folder) == OTHERS else [_own_name(folder)] * len(names)


def _own_name(folder: Path) -> str:
    """`anna` of a folder `anna` or `CORPUS_anna`."""
    return folder.resolve().name.rpartition("_")[2]


def _splits(folder: Path, arrays: Arrays, names: list[str]) -> list[str]:
    if "split" not in arrays:
        return ["unseen" if _own_name(folder) == OTHERS else "train"] * len(names)
    splits = arrays["split"].tolist()
    for name, split in zip(names, splits, strict=True):
        if split not in SPLITS:
            raise DataError(f"{folder}: clip {name} has split {split!r}, not {', '.join(SPLITS)}")
    return splits


def _read_words(path: Path) -> dict[str, Words]:
    """Word times per clip from `align.json`; none if the folder has no such file."""
    if not path.exists():
        return {}
    with refusing(
        DataError, f"{path} does not hold words", "write CLIP: [[start, end, word], ...]"
    ):
        return convert(dict[str, Words], read_json(path)["words"], "words")
