"""The neutral face: what a speaker looks like with lips closed and at rest.

In the flow film -> landmarks -> **still head -> weights** -> corpus. Motion is what differs from
it, so it is sought where nothing is said and the lips meet, over all clips of a speaker; and each
clip may be off by a little of its own, as the camera was.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from codetalker.capture.points import iod, lip_gap

_CLOSED, _NARROW = 0.015, 0.005
"""Of the eyes' distance: lips no further apart are closed; as are those within this of the
narrowest."""
_NARROWEST = 5  # percent of the frames
_LEAST_FRAMES = 3
_TRUST = 6.0
"""Frames of a clip's own rest that count as much as the speaker's."""
_QUIET_DB, _LOUD_PERCENT = 25.0, 95

Array = NDArray[np.float64]


def quiet(sound: NDArray[np.float32], rate: int, fps: float, count: int) -> NDArray[np.bool_]:
    """(count,) whether there is hardly any sound about each frame: 25 dB below the loud ones."""
    level = frame_levels(sound, rate, fps, count)
    return level < np.percentile(level, _LOUD_PERCENT) - _QUIET_DB


def frame_levels(sound: NDArray[np.float32], rate: int, fps: float, count: int) -> Array:
    """(count,) level of the sound in each frame's time, dB; what is missing is silence."""
    edges = np.rint(np.arange(count + 1) * rate / fps).astype(int)
    power = np.concatenate([[0.0], np.cumsum(sound.astype(np.float64) ** 2)])
    edges = np.minimum(edges, len(sound))
    spans = np.maximum(np.diff(edges), 1)
    return 10 * np.log10(np.maximum(np.diff(power[edges]) / spans, 1e-10))


def neutral_faces(
    clips: Sequence[NDArray[np.floating]], silent: Sequence[NDArray[np.bool_]]
) -> list[Array]:
    """(468, 3) the face at rest that each clip's motion is measured from.

    Args:
        clips: (T, 468, 3) still points of each clip of one speaker.
        silent: (T,) where nothing is said.
    """
    gaps = [lip_gap(clip) / iod() for clip in clips]
    narrow = np.percentile(np.concatenate(gaps), _NARROWEST) + _NARROW
    resting = [
        clip[(gap < max(_CLOSED, narrow)) & still]
        for clip, gap, still in zip(clips, gaps, silent, strict=True)
    ]
    every = np.concatenate(resting)
    if len(every) < _LEAST_FRAMES:
        every = np.concatenate([c[g <= narrow] for c, g in zip(clips, gaps, strict=True)])
    common = np.median(every.astype(np.float64), axis=0)
    return [common + _own(rest, common) for rest in resting]


def _own(rest: NDArray[np.floating], common: Array) -> Array:
    """How far a clip's rest is off, the more believed the more of it there is."""
    if len(rest) < _LEAST_FRAMES:
        return np.zeros_like(common)
    share = len(rest) / (len(rest) + _TRUST)
    return share * (np.median(rest, axis=0) - common)
