"""Small data sets in the formats of VOCASET, BIWI and the official code, made for the tests."""

from __future__ import annotations

import pickle
import wave
from pathlib import Path

import numpy as np

VOCA_TRAIN, VOCA_TEST = "FaceTalk_170728_03272_TA", "FaceTalk_170809_00138_TA"
VERTICES = 20


def face(seed: int = 0) -> np.ndarray:
    """(V, 3) a neutral face."""
    return np.random.default_rng(seed).normal(size=(VERTICES, 3)).astype(np.float32)


def motion(seed: int, frames: int, template: np.ndarray) -> np.ndarray:
    """(T, V, 3) vertices that move smoothly about a template."""
    time = np.arange(frames)[:, None, None] / 10
    phase = np.random.default_rng(seed).uniform(0, 6, (1, len(template), 3))
    return (template + 0.05 * np.sin(time + phase)).astype(np.float32)


def tone(seconds: float, rate: int) -> np.ndarray:
    """(N,) int16 a tone of 220 Hz."""
    time = np.arange(round(seconds * rate)) / rate
    return (8000 * np.sin(2 * np.pi * 220 * time)).astype(np.int16)


def write_wav(path: Path, samples: np.ndarray, rate: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())


def write_pickle(path: Path, content: object) -> None:
    path.write_bytes(pickle.dumps(content, protocol=2))


def write_raw_vocaset(
    folder: Path, subjects: tuple[str, ...] = (VOCA_TRAIN, VOCA_TEST), frames: int = 61
) -> dict[str, np.ndarray]:
    """The publisher's four files, sentences 1 and 21 of each subject; clip name -> (T, V, 3).

    Sequences lie in the big array with frames in between that belong to none, one in reverse.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    rows, index, sound, clips = [rng.normal(size=(3, VERTICES, 3))], {}, {}, {}
    templates = {subject: face(i).astype(np.float64) for i, subject in enumerate(subjects)}
    count = 3
    for number, subject in enumerate(subjects):
        for sentence in ("sentence01", "sentence21"):
            own = motion(10 * number + int(sentence[-2:]), frames, templates[subject])
            places = count + np.arange(frames)[:: -1 if sentence == "sentence21" else 1]
            stored = np.empty_like(own)
            stored[places - count] = own
            rows += [stored, rng.normal(size=(2, VERTICES, 3))]
            index.setdefault(subject, {})[sentence] = dict(enumerate(places.tolist()))
            sound.setdefault(subject, {})[sentence] = {
                "sample_rate": 22000,
                "audio": tone(frames / 60, 22000),
            }
            clips[f"{subject}_{sentence}"] = own
            count += frames + 2
    np.save(folder / "data_verts.npy", np.concatenate(rows).astype(np.float32))
    write_pickle(folder / "subj_seq_to_idx.pkl", index)
    write_pickle(folder / "raw_audio_fixed.pkl", sound)
    write_pickle(folder / "templates.pkl", templates)
    return clips


def write_official_layout(
    folder: Path,
    names: tuple[str, ...] = ("F2_e01", "F2_e37", "F1_e37"),
    frames: int = 20,
    fps: float = 25,
) -> dict[str, np.ndarray]:
    """`wav`, `vertices_npy` and `templates.pkl` as BIWI's preprocessing leaves them."""
    (folder / "vertices_npy").mkdir(parents=True, exist_ok=True)
    templates = {subject: face(i) for i, subject in enumerate(sorted({n[:2] for n in names}))}
    clips = {}
    for seed, name in enumerate(names):
        clips[name] = motion(seed, frames, templates[name[:2]])
        flat = clips[name].reshape(frames, -1).astype(np.float64)
        np.save(folder / "vertices_npy" / f"{name}.npy", flat)
        write_wav(folder / "wav" / f"{name}.wav", tone(frames / fps, 44100), 44100)
    write_pickle(folder / "templates.pkl", templates)
    return clips


def write_raw_biwi(folder: Path, frames: int = 4, header: str = "<u4") -> None:
    """`faces`, `rigid_scans` and `wav` of subject F2, sentence e01: a tetrahedron that grows."""
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    (folder / "faces" / "F2" / "e01").mkdir(parents=True)
    for number in range(frames):
        moved = (corners * (1 + number) + number).astype("<f4")
        data = np.array(len(corners), header).tobytes() + moved.tobytes()
        (folder / "faces" / "F2" / "e01" / f"frame_{number + 1:03d}.vl").write_bytes(data)
    (folder / "rigid_scans").mkdir()
    lines = [f"v {x} {y} {z}" for x, y, z in corners * 7]
    lines += ["vt 0 0", "f 1/1 3/1 2/1", "f 1//1 2//1 4//1", "f 1 4 3", "f -3 -2 -1"]
    (folder / "rigid_scans" / "F2.obj").write_text("\n".join(lines))
    write_wav(folder / "wav" / "F2_e01.wav", tone(frames / 25, 44100), 44100)
