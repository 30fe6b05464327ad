"""Scores vertex animations against a prepared data set: those of a model, or files of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from codetalker.arrays import Field, read_npz
from codetalker.audio import Waveform
from codetalker.data.store import Store, StoreClip
from codetalker.data.vertex_arrays import as_vertices, check_order, map_array
from codetalker.errors import DataError
from codetalker.evaluation.metrics import VertexMetrics
from codetalker.evaluation.report import Row
from codetalker.files.npz import FPS
from codetalker.reading import refusing
from codetalker.vertex_motion import VertexMotion

OWN = "own"
"""How the style is called that is the speaker's own."""
_CONDITION = "_condition_"
_SUFFIXES = (".npy", ".npz")
_PREDICTION = {"vertices": Field(np.float32, "frames vertices 3", "frames rows"), "fps": FPS}


@dataclass(frozen=True)
class ClipPrediction:
    """What somebody predicts for a clip.

    Attributes:
        style: the style it is spoken in; `OWN` for the speaker's own.
        clip: the sentence.
        vertices: (T, V, 3).
        seconds: that the prediction took, if it was made here.
    """

    style: str
    clip: StoreClip
    vertices: NDArray[np.floating]
    seconds: float | None = None


class VertexAnimator(Protocol):
    """What evaluation needs of a vertex model."""

    @property
    def styles(self) -> Sequence[str]: ...

    def animate(
        self, audio: Waveform, *, style: str, fps: float, template: NDArray[np.float32]
    ) -> VertexMotion: ...


def score_vertices(
    predictions: Iterable[ClipPrediction],
    store: Store,
    tick: Callable[[StoreClip], None] = lambda clip: None,
) -> list[Row]:
    """One row per style.

    Args:
        predictions: taken one at a time, so that they need not fit in memory.
        store: the truth, with its region files.
        tick: called after each comparison.

    Raises:
        DataError: the region files are missing, or a prediction is malformed.
    """
    lips, upper_face = store.regions()
    scores: dict[str, VertexMetrics] = {}
    times: dict[str, tuple[float, float]] = {}
    for one in predictions:
        metrics = scores.setdefault(one.style, VertexMetrics(lips, upper_face, store.unit_mm))
        true, template = store.vertices(one.clip), store.template(one.clip.subject)
        metrics.add(one.clip.name, one.vertices, true, template)
        if one.seconds is not None:
            computing, speaking = times.get(one.style, (0.0, 0.0))
            speaking += store.waveform(one.clip).duration
            times[one.style] = computing + one.seconds, speaking
        tick(one.clip)
    rtf = {style: {"rtf": computing / speaking} for style, (computing, speaking) in times.items()}
    return [
        Row("all", style, scores[style].result() | rtf.get(style, {}))
        for style in sorted(scores, key=lambda name: (name != OWN, name))
    ]


def predictions_of(
    talker: VertexAnimator, store: Store, clips: list[StoreClip], style: str | None = None
) -> Iterator[ClipPrediction]:
    """Animate the clips: in one style, or each in its speaker's own, or, where the talker does not
    know the speaker, in every style that it has, as the official protocol does.
    """
    for clip in clips:
        known = clip.subject in talker.styles
        for name in [style] if style else [clip.subject] if known else talker.styles:
            template, waveform = np.array(store.template(clip.subject)), store.waveform(clip)
            start = time.perf_counter()
            motion = talker.animate(waveform, style=name, fps=store.fps, template=template)
            seconds = time.perf_counter() - start
            yield ClipPrediction(_label(name, clip), clip, motion.vertices, seconds)


def predictions_in(folder: Path, store: Store, clips: list[StoreClip]) -> Iterator[ClipPrediction]:
    """Read files `NAME.npy` or, as the official code calls them, `NAME_condition_STYLE.npy`, or
    `.npz` files of vertex motion; every clip needs one.

    Raises:
        DataError: a clip has no prediction, or a file is malformed.
    """
    for style, clip, path in _files(folder, clips):
        vertices, template = read_prediction(path, store.fps), store.template(clip.subject)
        if vertices.shape[1:] == template.shape:
            check_order(vertices, template, str(path))
        yield ClipPrediction(style, clip, vertices)


def read_prediction(path: Path, fps: float) -> NDArray[np.floating]:
    """The vertices (T, V, 3) of a prediction, mapped where the format allows.

    Raises:
        DataError: the file is malformed, or of another frame rate.
    """
    if path.suffix.lower() == ".npy":
        return as_vertices(map_array(path), str(path))
    with refusing(DataError, f"{path} is not a file of vertices", "make it again, (T, V, 3)"):
        arrays = read_npz(path, _PREDICTION)
        vertices, rate = arrays["vertices"], arrays["fps"].item()
    if rate != fps:
        raise DataError(f"{path} has {rate:g} frames per second, the data has {fps:g}")
    return as_vertices(vertices, str(path))


def _files(folder: Path, clips: list[StoreClip]) -> list[tuple[str, StoreClip, Path]]:
    """Every prediction of the clips: its style, its clip and its file."""
    files = {
        path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in _SUFFIXES
    }
    by_name = {clip.name: clip for clip in clips}
    found = []
    for stem, path in files.items():
        name, _, style = stem.partition(_CONDITION)
        if name in by_name:
            found.append((_label(style, by_name[name]), by_name[name], path))
    missing = by_name.keys() - {clip.name for _, clip, _ in found}
    if missing:
        raise DataError(
            f"{folder} lacks {len(missing)} of {len(clips)} predictions, first "
            f"{min(missing)}.npy; make them, or choose clips with --split and --speaker"
        )
    return found


def _label(style: str, clip: StoreClip) -> str:
    return OWN if style in ("", clip.subject) else style
