"""Reads the folder layout of the official code, for prepared data sets and for one's own data.

`wav/NAME.wav` or of another suffix, `vertices_npy/NAME.npy` of (T, 3V) or (T, V, 3), and
`templates.pkl`; NAME is `SUBJECT_SENTENCE`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codetalker.audio import Waveform
from codetalker.data.safe_pickle import load_templates
from codetalker.data.source import (
    SOUND_SUFFIXES,
    Source,
    SourceClip,
    files_by_stem,
    find_regions,
    parse_names,
)
from codetalker.data.vertex_arrays import as_vertices, map_array
from codetalker.errors import DataError


def read_official_layout(folder: Path, frame_step: int = 1) -> Source:
    """The clips of a folder, of which every `frame_step`-th frame is taken.

    Raises:
        DataError: the folder has no clips or no templates.
    """
    motions = files_by_stem(folder / "vertices_npy", {".npy"})
    sounds = files_by_stem(folder / "wav", SOUND_SUFFIXES)
    if not motions:
        raise DataError(f"{folder} has no vertices_npy/*.npy; see docs/data.md for the layout")
    problems = [f"{name}: wav/{name}.wav is missing" for name in motions.keys() - sounds.keys()]
    problems += [
        f"{name}: vertices_npy/{name}.npy is missing" for name in sounds.keys() - motions.keys()
    ]
    clips = []
    parsed, misnamed = parse_names(sorted(motions.keys() & sounds.keys()))
    for name, (subject, sentence) in parsed.items():
        several = [paths for paths in (motions[name], sounds[name]) if len(paths) > 1]
        if several:
            listed = " and ".join(f"{path.parent.name}/{path.name}" for path in several[0])
            problems.append(f"{name}: there are {listed}; keep one of them")
            continue
        (motion,), (sound,) = motions[name], sounds[name]
        clips.append(
            SourceClip(
                name,
                subject,
                sentence,
                partial(_vertices, motion, frame_step),
                partial(Waveform.load, sound),
                (motion,),
                (sound,),
            )
        )
    return Source(
        load_templates(folder / "templates.pkl"),
        tuple(clips),
        (*sorted(problems), *misnamed),
        find_regions(folder),
    )


def _vertices(path: Path, frame_step: int) -> NDArray[np.float32]:
    frames = as_vertices(map_array(path), f"vertices_npy/{path.name}")
    return np.asarray(frames[::frame_step], np.float32)
