"""Corpus folders: `audio/NAME.flac` beside `motion.npz`, read into clips.

A corpus is one such folder or a folder of several; docs/data.md describes them.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codetalker.data.clip import Clip
from codetalker.errors import DataError
from codetalker.motion import Motion
from codetalker.rig import bundled_head

SPLITS = ("train", "val", "unseen")
MAX_FRAMES = 50_000_000
"""Refuse motion files that claim more (23 days at 25 fps): damaged or hostile."""

OTHERS = "others"
"""A folder of this name, in which arrays do not say otherwise, holds clips of various people: each
is a speaker of its own and is never trained on."""

Words = tuple[tuple[float, float, str], ...]


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
    names, rate = bundled_head().blendshape_names, float(arrays["fps"])
    weights = _split_weights(folder, arrays, len(arrays["names"]))
    return [Motion(take, names, rate).resample(fps).weights for take in weights]


def _read_part(folder: Path) -> list[Clip]:
    arrays = _load(folder / "motion.npz")
    names = [str(name) for name in arrays["names"]]
    weights = _split_weights(folder, arrays, len(names))
    speakers, splits = _speakers(folder, arrays, names), _splits(folder, arrays, names)
    words = _read_words(folder / "align.json")
    audio = {path.stem: path for path in (folder / "audio").glob("*.flac")}
    missing = [name for name in names if name not in audio]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise DataError(f"{folder / 'audio'} lacks {missing[0]}.flac{more}, named in motion.npz")
    return [
        Clip(name, speaker, split, audio[name], frames, float(arrays["fps"]), words.get(name, ()))
        for name, speaker, split, frames in zip(names, speakers, splits, weights, strict=True)
    ]


def _load(path: Path) -> dict[str, NDArray]:
    """The arrays of `motion.npz`, checked for presence and plausibility."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files if name != "head_pose"}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is not a readable npz file ({error})") from error
    missing = {"names", "weights", "fps", "blendshape_names"} - arrays.keys()
    if missing:
        raise DataError(f"{path} lacks {', '.join(sorted(missing))}; see docs/data.md")
    names, weights = arrays["names"], arrays["weights"]
    if len(set(names.tolist())) != names.size:
        raise DataError(f"{path}: a clip name occurs twice")
    if not 1 <= float(arrays["fps"]) <= 240:
        raise DataError(f"{path}: fps is {arrays['fps']}, not within 1 ... 240")
    if weights.shape[-1:] != arrays["blendshape_names"].shape or weights.size > MAX_FRAMES * 52:
        raise DataError(f"{path}: weights have shape {weights.shape}, not (..., blendshapes)")
    if not np.isfinite(weights).all():
        raise DataError(f"{path}: weights hold NaN or infinity")
    return arrays | {"weights": weights[..., _columns(path, arrays["blendshape_names"])]}


def _columns(path: Path, stored: NDArray) -> list[int]:
    """Where the bundled head's blendshapes lie among the stored columns."""
    column = {str(name): index for index, name in enumerate(stored)}
    wanted = bundled_head().blendshape_names
    missing = [name for name in wanted if name not in column]
    if missing:
        raise DataError(f"{path} has no column {missing[0]!r}; it needs all 52 ARKit blendshapes")
    return [column[name] for name in wanted]


def _split_weights(
    folder: Path, arrays: dict[str, NDArray], count: int
) -> list[NDArray[np.float32]]:
    """One (T, K) float32 array per clip from stacked (N, T, K) or joined (sum T, K) weights."""
    weights = arrays["weights"].astype(np.float32)
    if weights.ndim == 3 and len(weights) == count:
        return list(weights)
    if weights.ndim == 2 and {"starts", "lengths"} <= arrays.keys():
        starts, lengths = arrays["starts"], arrays["lengths"]
        inside = (starts >= 0) & (lengths > 0) & (starts + lengths <= len(weights))
        if starts.shape == lengths.shape == (count,) and inside.all():
            return [weights[s : s + n] for s, n in zip(starts, lengths, strict=True)]
    raise DataError(
        f"{folder / 'motion.npz'}: weights {weights.shape} do not divide into {count} clips; stack "
        "them (clips, frames, 52), or join them and give starts and lengths"
    )


def _speakers(folder: Path, arrays: dict[str, NDArray], names: list[str]) -> list[str]:
    if "speaker" in arrays:
        return _per_clip(folder, "speaker", arrays["speaker"], names)
    return names if _own_name(folder) == OTHERS else [_own_name(folder)] * len(names)


def _own_name(folder: Path) -> str:
    """`anna` of a folder `anna` or `CORPUS_anna`."""
    return folder.resolve().name.rpartition("_")[2]


def _splits(folder: Path, arrays: dict[str, NDArray], names: list[str]) -> list[str]:
    if "split" not in arrays:
        return ["unseen" if _own_name(folder) == OTHERS else "train"] * len(names)
    splits = _per_clip(folder, "split", arrays["split"], names)
    for name, split in zip(names, splits, strict=True):
        if split not in SPLITS:
            raise DataError(f"{folder}: clip {name} has split {split!r}, not {', '.join(SPLITS)}")
    return splits


def _per_clip(folder: Path, what: str, array: NDArray, names: list[str]) -> list[str]:
    if array.shape != (len(names),):
        raise DataError(
            f"{folder / 'motion.npz'}: {array.size} values of {what!r} for {len(names)} clips"
        )
    return [str(value) for value in array]


def _read_words(path: Path) -> dict[str, Words]:
    """Word times per clip from `align.json`; none if the folder has no such file."""
    if not path.exists():
        return {}
    try:
        stored = json.loads(path.read_text())["words"]
        return {
            name: tuple((float(start), float(end), str(word)) for start, end, word in rows)
            for name, rows in stored.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} does not map clip names to [start, end, word] rows") from error
