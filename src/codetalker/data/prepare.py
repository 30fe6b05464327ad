"""Converts a vertex data set once into a store (`data.store`), one clip at a time.

A clip is loaded, checked, and written under a temporary name that is then renamed; so a stopped run
goes on where it was. What cannot be used is left out and reported.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codetalker.arrays import map_npy
from codetalker.audio import SAMPLE_RATE
from codetalker.data.biwi import is_raw_biwi, read_biwi
from codetalker.data.official_layout import read_official_layout
from codetalker.data.source import Source, SourceClip
from codetalker.data.splits import BIWI, VOCASET, Portion, Protocol
from codetalker.data.store import Store, StoreClip
from codetalker.data.vocaset import FRAME_STEP, is_raw_vocaset, read_vocaset
from codetalker.disk import replacing
from codetalker.errors import AudioError, DataError, OptionError, OutputError

MAX_DRIFT_S = 0.5
"""Motion and sound may differ in length by this much before it is reported."""

Tracker = Callable[[Iterable[SourceClip]], Iterable[SourceClip]]


def open_source(protocol: Protocol, folder: Path) -> Source:
    """Read a data set's index: as its publisher stores it, or in the official code's layout.

    Raises:
        DataError: the folder is missing or is neither.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} does not exist; name the folder of the data set")
    if protocol is VOCASET and is_raw_vocaset(folder):
        return read_vocaset(folder)
    if protocol is BIWI and is_raw_biwi(folder):
        return read_biwi(folder)
    return read_official_layout(folder, FRAME_STEP if protocol is VOCASET else 1)


def own_protocol(
    subjects: Iterable[str],
    fps: float,
    unit_mm: float | None = None,
    val: tuple[str, ...] = (),
    test: tuple[str, ...] = (),
) -> Protocol:
    """Splits by subject for a user's own data: those not named are for training.

    Raises:
        OptionError: a subject is not in the data.
    """
    known = sorted(set(subjects))
    for subject in (*val, *test):
        if subject not in known:
            raise OptionError(f"no clips of subject {subject!r}; there are: {', '.join(known)}")
    train = tuple(subject for subject in known if subject not in (*val, *test))
    parts = [
        Portion(split, members, range(10**9))
        for split, members in (("train", train), ("val", val), ("test", test))
        if members
    ]
    return Protocol("own", fps, unit_mm, None, tuple(parts))


def convert(
    source: Source, protocol: Protocol, out: Path, track: Tracker = lambda clips: clips
) -> Store:
    """Convert every clip that can be used and write the store's manifest.

    Args:
        source: what to convert.
        protocol: frame rate, unit and splits.
        out: the folder to make.
        track: shows progress over the clips.

    Raises:
        DataError: no clip can be used.
        OutputError: `out` cannot be written.
    """
    _make_folders(out)
    problems, clips = list(source.problems), []
    for clip in track(source.clips):
        try:
            clips.append(_convert(clip, source, protocol, out))
        except (DataError, AudioError) as error:
            problems.append(f"{clip.name}: {error}")
    if not clips:
        raise DataError(f"not one clip can be used: {(problems or ['there is none'])[0]}")
    subjects = tuple(sorted(source.templates))
    _save(out / "templates.npy", np.stack([source.templates[subject] for subject in subjects]))
    for name, path in source.regions.items():
        with replacing(out / name) as temporary:
            shutil.copyfile(path, temporary)
    store = Store(
        folder=out,
        dataset=protocol.name,
        fps=protocol.fps,
        unit_mm=protocol.unit_mm,
        vertices_per_face=len(source.templates[subjects[0]]),
        subjects=subjects,
        styles=protocol.parts[0].subjects,
        clips=tuple(clips),
        problems=(*problems, *_drifting(clips, protocol.fps), *_absent(source, protocol)),
    )
    store.save_manifest()
    return store


def _convert(clip: SourceClip, source: Source, protocol: Protocol, out: Path) -> StoreClip:
    """Write one clip's arrays unless they are there."""
    template = source.templates.get(clip.subject)
    if template is None:
        raise DataError(f"subject {clip.subject!r} has no template in templates.pkl")
    motion, sound = out / "vertices" / f"{clip.name}.npy", out / "audio" / f"{clip.name}.npy"
    frames, samples = _stored(motion, template.shape), _stored(sound, ())
    if samples is None:
        waveform = clip.waveform().samples
        samples = len(waveform)
        _save(sound, waveform)
    if frames is None:
        vertices = clip.vertices()
        _check(vertices, template)
        frames = len(vertices)
        _save(motion, vertices)
    split = protocol.split(clip.subject, clip.sentence)
    return StoreClip(clip.name, clip.subject, clip.sentence, split, frames, samples)


def _check(vertices: NDArray[np.float32], template: NDArray[np.float32]) -> None:
    if not len(vertices):
        raise DataError("it has no frames")
    if vertices.shape[1:] != template.shape:
        raise DataError(
            f"it has {vertices.shape[1]} vertices, the subject's template has {len(template)}"
        )
    finite = np.isfinite(vertices).all((1, 2))
    if not finite.all():
        raise DataError(f"its vertices are NaN or infinite at frame {int(finite.argmin())}")


def _drifting(clips: list[StoreClip], fps: float) -> list[str]:
    """Clips whose sound and motion are not equally long: kept, but worth a look."""
    drift = {clip.name: clip.samples / SAMPLE_RATE - clip.frames / fps for clip in clips}
    return [
        f"{name}: kept, but its sound is {abs(seconds):.1f} s "
        f"{'longer' if seconds > 0 else 'shorter'} than its motion"
        for name, seconds in drift.items()
        if abs(seconds) > MAX_DRIFT_S
    ]


def _absent(source: Source, protocol: Protocol) -> list[str]:
    """Clips of the official splits that the source does not mention at all."""
    mentioned = {clip.name for clip in source.clips}
    mentioned |= {problem.split(":")[0] for problem in source.problems}
    return [
        f"{name}: not in the source, though the official split {split} has it"
        for name, split in protocol.clip_names()
        if name not in mentioned
    ]


def _make_folders(out: Path) -> None:
    try:
        for folder in (out / "vertices", out / "audio"):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out} cannot be made a folder ({error.strerror})") from error


def _stored(path: Path, row: tuple[int, ...]) -> int | None:
    """Length of an array that an earlier run has finished; None if it is not there or differs."""
    try:
        array = map_npy(path)
    except (OSError, ValueError):
        return None
    return len(array) if array.dtype == np.float32 and array.shape[1:] == row else None


def _save(path: Path, array: NDArray[np.float32]) -> None:
    with replacing(path) as temporary:
        np.save(temporary, np.ascontiguousarray(array, np.float32))
