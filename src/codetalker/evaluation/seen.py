"""How well a motion's mouth follows one that a camera saw, in free speech.

What was seen is a lip gap and a width relative to the face, of another face than the rig's. So
only timing, order and spread are compared, each clip at its own lag: picture and sound of films are
often some frames apart. docs/metrics.md defines every figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from codetalker.data.seen import SeenClip
from codetalker.errors import DataError
from codetalker.evaluation.face_errors import ratio
from codetalker.evaluation.intervals import intervals
from codetalker.evaluation.lipgap import PREDICTED_MM, correlation
from codetalker.evaluation.metrics import Result
from codetalker.evaluation.mouth import Mouth
from codetalker.evaluation.sheet import INTERVALS, Line
from codetalker.motion import Motion
from codetalker.rig import bundled_head

LAG_S = 0.2
"""The largest lag between picture and sound that is tried."""
SEEN_SHUT_MM = 0.5
"""A gap below this was seen shut ..."""
SEEN_OPEN_MM = 3.0
"""... and one above this open."""
REST_PERCENTILE = 5
"""Percentile of the seen gap that stands for closed lips."""
_EYES = (36, 45)  # iBUG-68: outer corners

LINES = (
    Line("lag ms", "lag_ms", ".0f"),
    Line("correlation", "correlation", ".3f"),
    Line("separation", "separation", ".3f"),
    Line("shut found", "shut_found"),
    Line("false shut", "false_shut"),
    Line("spread", "spread"),
    Line("width corr", "width_correlation", ".3f"),
    Line("width spread", "width_spread"),
    Line("clips", "clips", "d"),
)
_MEANS = tuple(line.figure for line in LINES[1:-1])


@dataclass(frozen=True, eq=False)
class Aligned:
    """A motion's mouth beside the seen one at the lag of the highest correlation, in mm.

    Attributes:
        lag_ms: positive where the motion is late.
        correlation: of the gaps at that lag.
        gap, width: (N,) float64, predicted, in the frames that are compared.
        seen_gap, seen_width: (N,) the same, seen.
    """

    lag_ms: float
    correlation: float
    gap: NDArray[np.float64]
    width: NDArray[np.float64]
    seen_gap: NDArray[np.float64]
    seen_width: NDArray[np.float64]

    @property
    def shut(self) -> NDArray[np.bool_]:
        """(N,) frames that were seen shut."""
        return self.seen_gap < SEEN_SHUT_MM

    @property
    def open(self) -> NDArray[np.bool_]:
        """(N,) frames that were seen open."""
        return self.seen_gap > SEEN_OPEN_MM


def align(clip: SeenClip, motion: Motion) -> Aligned:
    """Lay a motion beside what was seen.

    Raises:
        DataError: the motion hardly overlaps with what was seen.
    """
    rig, mouth = bundled_head(), _mouth()
    weights = motion.weights_for(rig.blendshape_names).astype(np.float64)
    gap, width = weights @ mouth.central_gap, weights @ mouth.width
    seen_gap, seen_width, valid = _seen_at(clip, np.arange(len(motion)) / motion.fps)
    reach = round(LAG_S * motion.fps)
    frames = np.flatnonzero(valid)
    frames = frames[(frames > reach) & (frames < len(motion) - reach - 1)]
    if len(frames) < 2:
        raise DataError(f"clip {clip.name!r}: the motion hardly overlaps with what was seen")
    seen_gap = seen_gap - np.percentile(seen_gap[valid], REST_PERCENTILE)
    true, true_width = seen_gap[frames], seen_width[frames]
    values = {lag: correlation(gap[frames + lag], true) or 0.0 for lag in range(-reach, reach + 1)}
    lag = max(values, key=lambda lag: (values[lag], -abs(lag)))
    lag_ms = 1000 * lag / motion.fps
    return Aligned(lag_ms, values[lag], gap[frames + lag], width[frames + lag], true, true_width)


def score_clip(clip: SeenClip, motion: Motion) -> Result:
    """The figures of one clip, None where it does not define one.

    Raises:
        DataError: the motion hardly overlaps with what was seen.
    """
    found = align(clip, motion)
    gap, shut, open_ = found.gap, found.gap[found.shut], found.gap[found.open]
    return {
        "lag_ms": found.lag_ms,
        "correlation": found.correlation,
        "separation": separation(shut, open_),
        "shut_found": _share(shut < PREDICTED_MM),
        "false_shut": _share(open_ < PREDICTED_MM),
        "spread": ratio(float(gap.std()), float(found.seen_gap.std())),
        "width_correlation": correlation(found.width, found.seen_width),
        "width_spread": ratio(float(found.width.std()), float(found.seen_width.std())),
        "frames": len(gap),
    }


def summary(rows: Sequence[Result]) -> Result:
    """Mean of each figure over clips, each alike, with `intervals` over clips."""

    def means(chosen: NDArray[np.intp]) -> dict[str, float | None]:
        return {
            name: float(np.mean(values)) if (values := _defined(rows, name, chosen)) else None
            for name in _MEANS
        }

    every = np.arange(len(rows))
    return {
        "clips": len(rows),
        "frames": sum(row["frames"] for row in rows),
        **means(every),
        INTERVALS: intervals(len(rows), means),
    }


def separation(shut: NDArray[np.floating], open_: NDArray[np.floating]) -> float | None:
    """Probability that a gap of `shut` is below one of `open_`, ties counting half.

    The area under the ROC curve, by ranks (Mann and Whitney, 1947).
    """
    if not len(shut) or not len(open_):
        return None
    ordered = np.sort(open_)
    above = len(open_) - np.searchsorted(ordered, shut, side="right")
    ties = np.searchsorted(ordered, shut, side="right") - np.searchsorted(ordered, shut)
    return float((above + ties / 2).mean() / len(open_))


@lru_cache(maxsize=1)
def _mouth() -> Mouth:
    return Mouth(bundled_head())


def _seen_at(
    clip: SeenClip, times: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Gap and width in mm of the rig at `times` (T,), and whether they were seen then."""
    rig = bundled_head()
    right, left = rig.template[rig.landmarks[list(_EYES)]]
    eyes_mm = float(np.linalg.norm(left - right)) * 1000
    seen = np.isfinite(clip.gap)
    gap, width = (
        np.interp(times, clip.times[seen], curve[seen]) * eyes_mm
        for curve in (clip.gap, clip.width)
    )
    valid = np.interp(times, clip.times, (~seen).astype(float)) == 0
    return gap, width, valid & (times >= clip.times[0]) & (times <= clip.times[-1])


def _share(where: NDArray[np.bool_]) -> float | None:
    return float(where.mean()) if len(where) else None


def _defined(rows: Sequence[Result], name: str, chosen: NDArray[np.intp]) -> list[float]:
    return [rows[i][name] for i in chosen if rows[i][name] is not None]
