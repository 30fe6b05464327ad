"""Reads the folder layout of the official code, for prepared data sets and for one's own data.

`wav/NAME.wav`, `vertices_npy/NAME.npy` of (T, 3V) or (T, V, 3), and `templates.pkl`; NAME is
`SUBJECT_SENTENCE`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codetalker.arrays import map_npy
from codetalker.audio import Waveform
from codetalker.data.safe_pickle import load_templates
from codetalker.data.source import Source, SourceClip, find_regions, parse_name
from codetalker.errors import DataError


def read_official_layout(folder: Path, frame_step: int = 1) -> Source:
    """The clips of a folder, of which every `frame_step`-th frame is taken.

    Raises:
        DataError: the folder has no clips or no templates, or a name is not understood.
    """
    motions = {path.stem: path for path in sorted((folder / "vertices_npy").glob("*.npy"))}
    sounds = {path.stem: path for path in sorted((folder / "wav").glob("*.wav"))}
    if not motions:
        raise DataError(f"{folder} has no vertices_npy/*.npy; see docs/data.md for the layout")
    clips = []
    for name in sorted(motions.keys() & sounds.keys()):
        subject, sentence = parse_name(name)
        vertices = partial(_vertices, motions[name], frame_step)
        clips.append(
            SourceClip(name, subject, sentence, vertices, partial(Waveform.load, sounds[name]))
        )
    silent, still = sorted(motions.keys() - sounds.keys()), sorted(sounds.keys() - motions.keys())
    problems = [f"{name}: wav/{name}.wav is missing" for name in silent]
    problems += [f"{name}: vertices_npy/{name}.npy is missing" for name in still]
    return Source(
        load_templates(folder / "templates.pkl"),
        tuple(clips),
        tuple(problems),
        find_regions(folder),
    )


def _vertices(path: Path, frame_step: int) -> NDArray[np.float32]:
    try:
        frames = map_npy(path)
    except (OSError, ValueError) as error:
        raise DataError(f"vertices_npy/{path.name} is not a readable npy file") from error
    if frames.dtype.kind != "f" or frames.ndim not in (2, 3) or not len(frames):
        raise DataError(f"vertices_npy/{path.name} has shape {frames.shape}, not (frames, 3V)")
    if frames[0].size % 3:
        raise DataError(f"vertices_npy/{path.name} has rows of {frames[0].size} numbers, not 3V")
    return np.asarray(frames[::frame_step], np.float32).reshape(-1, frames[0].size // 3, 3)
