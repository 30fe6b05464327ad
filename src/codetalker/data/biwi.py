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
from codetalker.data.source import Source, SourceClip, find_regions, parse_name
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
        DataError: no neutral face is there, or one is malformed.
    """
    scans = {path.stem: read_scan(path) for path in sorted((folder / "rigid_scans").glob("*.obj"))}
    if not scans:
        raise DataError(f"{folder} has no rigid_scans/*.obj; unpack the data set's rigid_scans")
    clips, problems = [], []
    for sequence in sorted(p for p in (folder / "faces").glob("*/*") if p.is_dir()):
        name = f"{sequence.parent.name}_{sequence.name}"
        subject, sentence = parse_name(name)
        sound, frames = _sound(folder, subject, sequence.name), sorted(sequence.glob("*.vl"))
        if subject not in scans:
            problems.append(f"{name}: rigid_scans/{subject}.obj is missing")
        elif sound is None:
            problems.append(f"{name}: wav/{name}.wav is missing, and so is its video")
        elif not frames:
            problems.append(f"{name}: there are no .vl frames; unpack {sequence.name}.tar")
        else:
            vertices = partial(_vertices, frames, scans[subject][1])
            clips.append(
                SourceClip(name, subject, sentence, vertices, partial(Waveform.load, sound))
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
        DataError: the size of the file does not fit the count.
    """
    data = path.read_bytes()
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


def _sound(folder: Path, subject: str, sentence: str) -> Path | None:
    """The sound file of a clip: a wav, or the video that the publisher rendered."""
    stems = (f"{subject}_{sentence}", f"{subject}/{sentence}", f"{subject}/{subject}_{sentence}")
    candidates = [folder / "wav" / f"{stems[0]}.wav"]
    candidates += [folder / "videos" / f"{stem}.flv" for stem in stems]
    return next((path for path in candidates if path.is_file()), None)
