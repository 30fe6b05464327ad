"""Down-mix: samples of any type and number of channels -> one channel in which the voice is heard.

In the flow **speech** -> features -> codes -> motion.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from codetalker.errors import AudioError

SHARES = {"FC": 1.0, "FL": 0.5**0.5, "FR": 0.5**0.5, "LFE": 0.0, "LFE2": 0.0}
"""Of the channels of a layout with a centre, where films have their speech, by FFmpeg's names; the
rest, behind and beside, have a half (Recommendation ITU-R BS.775, table 2)."""
_REST = 0.5
_CANCELLED = 0.01
"""Power of the mean of two channels, of their own mean power, below which they cancel: -20 dB."""


def as_floats(samples: NDArray[np.generic]) -> NDArray[np.float32]:
    """Samples of any type -> float32, full scale -1..1; integers by their range.

    Raises:
        AudioError: the type is none of sound.
    """
    half = _half_range(samples)
    floats = samples.astype(np.float32)
    return floats if half is None else floats / half - (samples.dtype.kind == "u")


def mean_of(samples: NDArray[np.generic]) -> NDArray[np.float32]:
    """(N, channels) of any type -> (N,) float32, the mean of the channels.

    Raises:
        AudioError: the type is none of sound.
    """
    if samples.shape[1] == 1:
        return as_floats(samples[:, 0])
    half = _half_range(samples)
    mean = samples.mean(axis=1, dtype=np.float64).astype(np.float32)
    return mean if half is None else mean / half - (samples.dtype.kind == "u")


def _half_range(samples: NDArray[np.generic]) -> np.float32 | None:
    """Half of what the type of integers can hold; None of floats."""
    kind, width = samples.dtype.kind, samples.dtype.itemsize
    if kind not in "fiu" or (kind in "iu" and width > 4):
        raise AudioError(
            f"samples of type {samples.dtype} are not sound; pass floats from -1 to 1 or int16"
        )
    return None if kind == "f" else np.float32(2.0 ** (8 * width - 1))


def mixed(
    samples: NDArray[np.float32], channels: Sequence[str]
) -> tuple[NDArray[np.float32], bool]:
    """(N, C) floats of a film's channels -> (N,), and whether two channels cancelled each other.

    One or two channels give their mean, or the louder one where they cancel; more give the centre
    with the rest beside it if they have one, their mean otherwise.

    Args:
        channels: C names as FFmpeg has them.
    """
    if "FC" in channels and len(channels) > 1:
        shares = np.array([SHARES.get(name, _REST) for name in channels], np.float32)
        return samples @ shares, False
    mean = samples[:, 0] if len(channels) == 1 else samples.mean(axis=1, dtype=np.float32)
    if len(channels) != 2:
        return mean, False
    power = np.square(samples, dtype=np.float64).mean(axis=0)
    cancelled = float(np.square(mean, dtype=np.float64).mean()) < _CANCELLED * float(power.mean())
    return (samples[:, int(power.argmax())].copy(), True) if cancelled else (mean, False)
