"""Reads VOCASET as its publisher distributes it.

`data_verts.npy` holds all frames (N, 5023, 3) float32 in metres at 60 fps, `subj_seq_to_idx.pkl`
says which rows are whose, `raw_audio_fixed.pkl` holds the sound and `templates.pkl` the neutral
faces. Every second frame is taken, as the official code does.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codetalker.arrays import map_npy
from codetalker.audio import Waveform
from codetalker.data.safe_pickle import load_data_pickle, load_templates
from codetalker.data.source import Source, SourceClip, find_regions, parse_name
from codetalker.errors import DataError

VERTEX_FILE = "data_verts.npy"
FRAME_STEP = 2
"""60 fps are recorded, 30 are modelled."""


def is_raw_vocaset(folder: Path) -> bool:
    """Whether a folder holds the publisher's files."""
    return (folder / VERTEX_FILE).is_file()


def read_vocaset(folder: Path) -> Source:
    """The clips of a folder with the publisher's four files.

    Vertices stay on disk; the sound is one pickle and is held until the source is dropped.

    Raises:
        DataError: a file is missing or malformed.
    """
    vertices = _map_vertices(folder / VERTEX_FILE)
    index = _index(folder / "subj_seq_to_idx.pkl", len(vertices))
    sound = load_data_pickle(folder / "raw_audio_fixed.pkl")
    clips = []
    for name, rows in index.items():
        subject, sentence = parse_name(name)
        sequence = name.removeprefix(subject + "_")
        clips.append(
            SourceClip(
                name,
                subject,
                sentence,
                partial(_frames, vertices, rows),
                partial(_waveform, sound, subject, sequence),
            )
        )
    return Source(
        load_templates(folder / "templates.pkl"), tuple(clips), regions=find_regions(folder)
    )


def _map_vertices(path: Path) -> NDArray[np.float32]:
    try:
        vertices = map_npy(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a readable npy file ({error})") from error
    if vertices.ndim != 3 or vertices.shape[2] != 3 or vertices.dtype.kind != "f":
        raise DataError(f"{path} has shape {vertices.shape}, not (frames, vertices, 3)")
    return vertices


def _index(path: Path, count: int) -> dict[str, NDArray[np.int64]]:
    """Clip name -> its rows in the order of the file, which is that of time."""
    stored = load_data_pickle(path)
    try:
        rows = {
            f"{subject}_{sequence}": np.array(list(frames.values()), np.int64)
            for subject, sequences in stored.items()
            for sequence, frames in sequences.items()
        }
    except (AttributeError, TypeError, ValueError) as error:
        raise DataError(f"{path} does not map subject, sequence and frame to a row") from error
    for name, own in rows.items():
        if own.ndim != 1 or (len(own) and not 0 <= own.min() <= own.max() < count):
            raise DataError(f"{path}: {name} refers to rows that {VERTEX_FILE} does not have")
    return rows


def _frames(vertices: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.asarray(vertices[rows[::FRAME_STEP]], np.float32)


def _waveform(sound: Any, subject: str, sequence: str) -> Waveform:
    try:
        entry = sound[subject][sequence]
        return Waveform.of(np.asarray(entry["audio"]), float(entry["sample_rate"]))
    except (KeyError, TypeError, IndexError) as error:
        raise DataError(f"raw_audio_fixed.pkl has no sound of {subject} {sequence}") from error
