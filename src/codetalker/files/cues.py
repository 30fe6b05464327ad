"""Mouth cues for drawn animation: which of a chart's nine mouths is shown, and from when.

In the flow speech -> features -> codes -> motion -> mesh -> **file**. The chart is that of Rhubarb
Lip Sync, A to H and X, whose TSV and JSON many programs read; `.dat` is the switch file of Papagayo
for Moho and OpenToonz, with Preston Blair's names. The cues are the cheapest way through the
frames: a drawing costs what it is off the mouth, a change of drawing costs too.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from codetalker.arkit import ARKIT_NAMES
from codetalker.rig import bundled_head
from codetalker.visemes import VISEMES, off_visemes

if TYPE_CHECKING:
    from codetalker.motion import Motion

_DRAWN = {
    **dict.fromkeys(("TH", "DD", "kk", "SS", "nn", "ih"), "B"),
    "E": "C",
    "aa": "D",
    **dict.fromkeys(("RR", "oh"), "E"),
    **dict.fromkeys(("CH", "ou"), "F"),
    "FF": "G",
}
"""Viseme -> open mouth of the chart. H, the tongue behind the teeth, is not in the weights."""
PRESTON_BLAIR = {
    "A": "MBP",
    "B": "etc",
    "C": "E",
    "D": "AI",
    "E": "O",
    "F": "U",
    "G": "FV",
    "H": "L",
    "X": "rest",
}
"""Rhubarb's own translation of its chart."""

_PARTED = 5.0
"""What the square of the lip gap costs where closed lips, A, are drawn."""
_CHANGE = 0.5
"""Square millimetres times seconds: what a change of drawing costs."""
_REST = 0.4
"""Seconds from which closed lips are a pause, not a p, b or m."""


@dataclass(frozen=True)
class Cue:
    """A drawn mouth from frame `start` to before frame `end`."""

    mouth: str
    start: int
    end: int


def mouth_cues(motion: Motion) -> list[Cue]:
    """The mouths of Rhubarb's chart that show a motion of ARKit weights, one after another, from
    its first frame to its last."""
    drawings = ["A", *sorted(set(_DRAWN.values()))]
    path = _cheapest(_costs(motion.weights_for(ARKIT_NAMES), drawings), _CHANGE * motion.fps)
    changes = np.flatnonzero(np.diff(path, prepend=-1, append=-1))
    cues = []
    for start, end in pairwise(changes):
        mouth = drawings[path[start]]
        paused = end - start >= _REST * motion.fps or start == 0 or end == len(path)
        cues.append(Cue("X" if mouth == "A" and paused else mouth, int(start), int(end)))
    return cues


def write_tsv(path: Path, motion: Motion) -> None:
    """Write Rhubarb's TSV: seconds and mouth in each line, an X at the end."""
    rows = [(cue.start, cue.mouth) for cue in mouth_cues(motion)] + [(len(motion), "X")]
    path.write_text(
        "".join(f"{start / motion.fps:.3f}\t{mouth}\n" for start, mouth in rows), "ascii"
    )


def write_dat(path: Path, motion: Motion) -> None:
    """Write Papagayo's switch file: frame, from 1, and mouth in each line, rest at the end. The
    file does not say its rate: it is the motion's."""
    rows = [(cue.start, cue.mouth) for cue in mouth_cues(motion)] + [(len(motion), "X")]
    lines = ["MohoSwitch1", *(f"{start + 1} {PRESTON_BLAIR[mouth]}" for start, mouth in rows)]
    path.write_text("\n".join(lines) + "\n", "ascii")


def _costs(weights: NDArray[np.float32], drawings: list[str]) -> NDArray[np.float64]:
    """(T, 52) weights -> (T, K) what each drawing is off the mouth, square millimetres."""
    off = off_visemes(weights)
    gap = np.maximum(weights @ bundled_head().lip_gap_basis.mean(axis=1) * 1000, 0)
    open_mouths = [
        off[:, [VISEMES.index(name) for name, drawn in _DRAWN.items() if drawn == mouth]].min(1)
        for mouth in drawings[1:]
    ]
    return np.stack([_PARTED * gap**2, *open_mouths], axis=1)


def _cheapest(costs: NDArray[np.float64], change: float) -> NDArray[np.intp]:
    """(T, K) costs -> (T,) columns with the least sum of costs and changes (Viterbi 1967)."""
    came_from = np.empty(costs.shape, np.intp)
    total = np.zeros(costs.shape[1])
    stay = np.arange(costs.shape[1])
    for frame, cost in enumerate(costs):
        best = int(total.argmin())
        changed = total > total[best] + change
        came_from[frame] = np.where(changed, best, stay)
        total = np.where(changed, total[best] + change, total) + cost
    path = np.empty(len(costs), np.intp)
    column = int(total.argmin())
    for frame in range(len(costs) - 1, -1, -1):
        path[frame] = column
        column = came_from[frame, column]
    return path
