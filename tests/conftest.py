"""What several test files share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import settings

from codetalker.errors import ModelError
from codetalker.model_folder import find_model

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")

SHARED = Path(__file__).parents[2] / "shared"
"""Material beside the repository that is not part of it; tests that need it skip without it."""


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small model of the `default` family with random weights; see `tiny_model`."""
    from tiny_model import export_tiny

    folder = tmp_path_factory.mktemp("models") / "tiny"
    export_tiny(folder)
    return folder


@pytest.fixture(scope="session")
def bundled_model() -> Path:
    """The folder of the trained model that comes with the package."""
    try:
        return find_model()
    except ModelError:
        pytest.skip("this checkout has no trained model")


def write_sound(
    path: Path,
    samples: np.ndarray,
    rate: int = 16000,
    codec: str = "pcm_s16le",
    layout: str = "mono",
) -> Path:
    """(N, channels) int16 or float32 samples in a file of the suffix's container."""
    kind = "flt" if samples.dtype == np.float32 else "s16"
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=rate)
        stream.layout = layout
        for start in range(0, len(samples), 4096):
            packed = np.ascontiguousarray(samples[start : start + 4096].reshape(1, -1))
            frame = av.AudioFrame.from_ndarray(packed, kind, layout)
            frame.sample_rate = rate
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def load_apart(path: Path) -> tuple[float, int]:
    """Seconds of a sound file, and kilobytes that a process of its own takes to load it at most."""
    # VmHWM, because ru_maxrss of a child begins with what its parent has.
    program = (
        "import re, sys; from codetalker.audio import Waveform;"
        "seconds = Waveform.load(sys.argv[1]).duration;"
        "print(seconds, re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=True
    )
    seconds, kilobytes = run.stdout.split()
    return float(seconds), int(kilobytes)
