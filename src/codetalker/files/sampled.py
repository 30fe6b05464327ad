"""What readers of motion files return; and weights at uneven times, as others record them, as such.

In the flow speech -> features -> codes -> **motion** -> mesh -> file. `Motion.load` makes a motion
of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codetalker.arkit import ARKIT_NAMES
from codetalker.curves import between, usual_rate
from codetalker.reading import Malformed

_MOST_FRAMES = 24 * 3600 * 60
_SLOWEST, _FASTEST = 0.1, 1000.0


@dataclass(frozen=True, eq=False)
class Sampled:
    """A motion as a file holds it.

    Attributes:
        weights: (T, K) float32.
        names: of the columns.
        fps: frames per second.
        head: (T, 3) float32 pitch, yaw, roll in radians, or None.
    """

    weights: NDArray[np.float32]
    names: tuple[str, ...]
    fps: float
    head: NDArray[np.float32] | None = None


def sampled(
    times: NDArray[np.float64],
    names: Sequence[str],
    values: NDArray[np.float32],
    head: NDArray[np.float32] | None = None,
) -> Sampled:
    """Rows at times, at a frame rate.

    Rows that were dropped are filled between their neighbours; the frame rate is a usual one near
    to that of the rows. Columns are put in Apple's order, those that are missing are 0, and others
    follow.

    Args:
        times: (T,) seconds from the start, none before the one before it.
        names: of the K columns.
        values: (T, K).
        head: (T, 3) pitch, yaw, roll in radians.

    Raises:
        Malformed: there is no row, times go back, or last longer than a day.
    """
    if not len(times):
        raise Malformed("it holds no frame")
    later = np.concatenate([[True], np.diff(times) > 0])  # a row twice is one row
    if (np.diff(times) < 0).any():
        raise Malformed("its times go back")
    times, values = times[later] - times[0], values[later]
    fps = usual_rate(times)
    if not _SLOWEST <= fps <= _FASTEST or times[-1] * fps > _MOST_FRAMES:
        raise Malformed(f"its rows are {fps:.3g} a second for {times[-1]:.0f} seconds")
    moments = np.arange(round(float(times[-1]) * fps) + 1) / fps
    found = [name for name in ARKIT_NAMES if name in names]
    if not found:
        raise Malformed("it holds none of Apple's blendshapes")
    more = [name for name in names if name not in ARKIT_NAMES]
    weights = np.zeros((len(values), len(ARKIT_NAMES) + len(more)), np.float32)
    order = [*ARKIT_NAMES, *more]
    weights[:, [order.index(name) for name in names]] = values
    turned = None if head is None else between(moments, times, head[later])
    return Sampled(between(moments, times, weights), tuple(order), fps, turned)
