"""Scores vertex animations that somebody made against a prepared data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codetalker.data.store import Store, StoreClip
from codetalker.errors import DataError
from codetalker.evaluation.metrics import VertexMetrics
from codetalker.evaluation.report import Row

OWN = "own"
"""How the style is called that is the speaker's own."""
_CONDITION = "_condition_"
_SUFFIXES = (".npy", ".npz")

Tick = Callable[[StoreClip], None]


def score_vertices(
    folder: Path, store: Store, clips: list[StoreClip], tick: Tick = lambda clip: None
) -> list[Row]:
    """One row per style for files `NAME.npy` or, as the official code calls them,
    `NAME_condition_STYLE.npy`; `.npz` motion files of vertices are taken as well.

    Args:
        folder: of the predictions, (T, V, 3) or (T, 3V) each.
        store: the truth, with its region files.
        clips: those to compare; each needs a prediction.
        tick: called after each comparison.

    Raises:
        DataError: a clip has no prediction, or one is malformed.
    """
    lips, upper_face = store.regions()
    scores: dict[str, VertexMetrics] = {}
    for style, clip, path in _pairs(folder, clips):
        metrics = scores.setdefault(style, VertexMetrics(lips, upper_face, store.unit_mm))
        predicted = read_prediction(path, store.fps)
        metrics.add(clip.name, predicted, store.vertices(clip), store.template(clip.subject))
        tick(clip)
    return [Row("all", style, metrics.result()) for style, metrics in scores.items()]


def read_prediction(path: Path, fps: float) -> NDArray[np.floating]:
    """The vertices (T, ...) of a prediction, mapped where the format allows.

    Raises:
        DataError: the file is malformed, or of another frame rate.
    """
    try:
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(stored, np.ndarray):
            vertices = stored
        else:
            with stored:
                vertices, rate = stored["vertices"], float(stored["fps"])
            if rate != fps:
                raise DataError(f"{path} has {rate:g} frames per second, the data has {fps:g}")
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise DataError(f"{path} is not a file of vertices (T, V, 3)") from error
    if vertices.ndim not in (2, 3) or vertices.dtype.kind != "f":
        raise DataError(f"{path} has shape {vertices.shape}, not (T, V, 3) or (T, 3V)")
    return vertices


def _pairs(folder: Path, clips: list[StoreClip]) -> list[tuple[str, StoreClip, Path]]:
    """Every prediction of the clips: its style, its clip and its file, sorted by style."""
    files = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix in _SUFFIXES}
    by_name = {clip.name: clip for clip in clips}
    pairs = []
    for stem, path in files.items():
        name, _, style = stem.partition(_CONDITION)
        if name in by_name:
            own = style in ("", by_name[name].subject)
            pairs.append((OWN if own else style, by_name[name], path))
    missing = by_name.keys() - {clip.name for _, clip, _ in pairs}
    if missing:
        raise DataError(
            f"{folder} lacks {len(missing)} of {len(clips)} predictions, first "
            f"{min(missing)}.npy; make them, or choose clips with --split and --speaker"
        )
    return sorted(pairs, key=lambda pair: (pair[0] != OWN, pair[0], pair[1].name))
