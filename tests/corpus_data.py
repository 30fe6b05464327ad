"""Small corpus folders, made for the tests."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from codetalker.rig import bundled_head

NAMES = bundled_head().blendshape_names


def write_flac(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("flac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], "s16", "mono")
        frame.sample_rate = 16000
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def write_part(folder: Path, clips: list[str], **arrays: object) -> np.ndarray:
    """A corpus folder of clips of 10 frames; returns their weights."""
    weights = np.random.default_rng(1).random((len(clips), 10, 52)).astype(np.float32)
    for name in clips:
        write_flac(folder / "audio" / f"{name}.flac", np.full(6400, 1000, np.int16))
    stored = {
        "names": np.array(clips),
        "weights": weights,
        "fps": np.float32(25),
        "blendshape_names": np.array(NAMES),
    }
    np.savez(folder / "motion.npz", **(stored | arrays))
    return weights
