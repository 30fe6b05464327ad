"""Reads BIWI (B3D(AC)^2) as its publisher distributes it, once the archives are unpacked.

`faces/SUBJECT/SENTENCE/frame_*.vl` hold one frame each, `rigid_scans/SUBJECT.obj` the neutral face
and the triangles, `wav/SUBJECT_SENTENCE.wav` or `videos/` the sound. Coordinates are normalised as
the official scripts do: turned by half a circle about x, and every frame by itself centred on the
mean of its vertices and scaled to a surface area of 1 (so that they have no physical unit).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codetalker.audio import Waveform
from codetalker.data.source import (
    SOUND_SUFFIXES,
    Source,
    SourceClip,
    files_by_stem,
    find_regions,
    parse_names,
)
from codetalker.errors import DataError, RigError
from codetalker.files.mesh import read_mesh

MAX_VERTICES = 10_000_000
"""In a frame; one that claims more is damaged."""


def is_raw_biwi(folder: Path) -> bool:
    """Whether a folder holds the publisher's files."""
    return (folder / "faces").is_dir()


def read_biwi(folder: Path) -> Source:
    """The clips of a folder with `faces`, `rigid_scans` and sound.

    Raises:
        DataError: no neutral face is there.
    """
    scans, unread = {}, {}
    for path in sorted((folder / "rigid_scans").glob("*.obj")):
        try:
            scans[path.stem] = read_scan(path)
        except DataError as error:
            unread[path.stem] = str(error)
    if not scans and not unread:
        raise DataError(f"{folder} has no rigid_scans/*.obj; unpack the data set's rigid_scans")
    found = sorted(p for p in (folder / "faces").glob("*/*") if p.is_dir())
    sequences = {f"{path.parent.name}_{path.name}": path for path in found}
    recordings = files_by_stem(folder / "wav", SOUND_SUFFIXES)
    parsed, problems = parse_names(sequences)
    clips = []
    for name, (subject, sentence) in parsed.items():
        frames = sorted(sequences[name].glob("*.vl"))
        sounds = recordings.get(name) or _video(folder / "videos", subject, sequences[name].name)
        if subject not in scans:
            missing = f"rigid_scans/{subject}.obj is missing"
            problems.append(f"{name}: {unread.get(subject, missing)}")
        elif not sounds:
            problems.append(f"{name}: wav/{name}.wav is missing, and so is its video")
        elif len(sounds) > 1:
            listed = " and ".join(str(path.relative_to(folder)) for path in sounds)
            problems.append(f"{name}: there are {listed}; keep one of them")
        elif not frames:
            problems.append(f"{name}: there are no .vl frames; unpack {sequences[name].name}.tar")
        else:
            vertices = partial(_vertices, frames, scans[subject][1])
            waveform = partial(Waveform.load, sounds[0])
            files = (*frames, folder / "rigid_scans" / f"{subject}.obj")
            clips.append(
                SourceClip(name, subject, sentence, vertices, waveform, files, tuple(sounds))
            )
    templates = {s: normalised(vertices, faces) for s, (vertices, faces) in scans.items()}
    return Source(templates, tuple(clips), tuple(problems), find_regions(folder))


def normalised(
    vertices: NDArray[np.floating], triangles: NDArray[np.integer]
) -> NDArray[np.float32]:
    """Turn (V, 3) by pi about x, centre on the mean vertex, scale to a surface area of 1."""
    turned = vertices.astype(np.float64) * [1, -1, -1]
    turned -= turned.mean(0)
    a, b, c = (turned[triangles[:, corner]] for corner in range(3))
    area = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1).sum()
    return (turned / np.sqrt(area)).astype(np.float32)


def read_vl(path: Path) -> NDArray[np.float32]:
    """One frame, (V, 3): a count, of 32 or 64 bits as the writing machine had it, then floats.

    Raises:
        DataError: the file cannot be read, or its size does not fit the count.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path.name} cannot be read: {error.strerror}") from None
    for header in (4, 8):
        count = int.from_bytes(data[:header], "little")
        if len(data) == header + 12 * count and 0 < count <= MAX_VERTICES:
            return np.frombuffer(data, "<f4", offset=header).reshape(count, 3)
    raise DataError(f"{path.name} is not a frame of vertices: its size does not fit its count")


def read_scan(path: Path) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Vertices (V, 3) and triangles (F, 3) of a neutral face.

    Raises:
        DataError: the mesh cannot be read, or has no triangles.
    """
    try:
        mesh = read_mesh(path)
    except RigError as error:
        raise DataError(str(error)) from error
    if mesh.triangles is None:
        raise DataError(f"{path} has no faces; unpack the data set's rigid_scans again")
    return mesh.vertices, mesh.triangles


def _vertices(frames: list[Path], triangles: NDArray[np.int32]) -> NDArray[np.float32]:
    return np.stack([_frame(path, triangles) for path in frames])


def _frame(path: Path, triangles: NDArray[np.int32]) -> NDArray[np.float32]:
    vertices = read_vl(path)
    if triangles.max() >= len(vertices):
        raise DataError(f"{path.name} has {len(vertices)} vertices, fewer than the neutral face")
    return normalised(vertices, triangles)


def _video(folder: Path, subject: str, sentence: str) -> list[Path]:
    """The video that the publisher rendered of a clip, if it is there."""
    stems = (f"{subject}_{sentence}", f"{subject}/{sentence}", f"{subject}/{subject}_{sentence}")
    videos = [folder / f"{stem}.flv" for stem in stems]
    return [path for path in videos if path.is_file()][:1]
