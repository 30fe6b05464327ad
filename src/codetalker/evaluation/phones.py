"""What a motion does at known phones: where phonetics is sure, no true motion is needed.

In the flow it judges motion against phone times (`data/phones.py`). A clip is reduced to
observations, one number per phone, pause or blink; `phone_figures.py` sums those of many clips up.
docs/metrics.md defines both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from codetalker.data.clip import ANTICIPATE_S, SETTLE_S
from codetalker.data.phones import BILABIAL, LABIODENTAL, VOWEL_HEIGHT, PhoneClip, symbols
from codetalker.errors import DataError
from codetalker.evaluation.blinks import LOWERED, blinks, lids
from codetalker.evaluation.lipgap import PREDICTED_MM, PREDICTED_S
from codetalker.evaluation.metrics import lip_motion_mm
from codetalker.evaluation.mouth import Mouth
from codetalker.motion import Motion
from codetalker.rig import bundled_head

Values = NDArray[np.float64]
Observations = dict[str, Values]
"""What was observed, by kind: (n,) numbers; where the question is whether, 0 or 1 each."""

STEP_S = 0.01
"""Curves are taken linearly between frames, this often."""
PAUSE_S = 0.5
"""A silence after speech that lasts this long is a pause: the mouth rests in it."""
FIRST_S = 0.5
"""How much of a recording's beginning is its first frames."""
AT_TEETH_MM = 1.5
"""The lower lip is at the upper teeth within this."""
_MIDDLE = (0.25, 0.75)  # of a phone: what its neighbours leave it


def observe(clip: PhoneClip, motion: Motion) -> Observations:
    """Everything that the figures of this clip are made of.

    Raises:
        DataError: the motion is much shorter than the phones.
    """
    if motion.duration < clip.duration - 0.1:
        raise DataError(
            f"clip {clip.name!r}: {motion.duration:.2f} s of motion for {clip.duration:.2f} s of "
            "phones; make the motion of this very recording"
        )
    found: dict[str, list[float]] = defaultdict(list)
    curves = Curves(motion)
    _observe_phones(clip, curves, found)
    _observe_rest(clip, curves, found)
    lowered = lids(motion)
    found["blink_s"] += [blink.duration for blink in blinks(lowered, motion.fps)]
    found["lowered_s"].append((lowered > LOWERED).sum() / motion.fps)
    found["seconds"].append(motion.duration)
    return {name: np.array(values, np.float64) for name, values in found.items()}


class Curves:
    """A motion's mouth over time, in mm."""

    def __init__(self, motion: Motion) -> None:
        self.fps = motion.fps
        self.times = np.arange(len(motion)) / motion.fps
        self.weights = motion.weights_for(bundled_head().blendshape_names)
        self.gap = self.weights.astype(np.float64) @ _mouth().gap
        self.width = self.weights.astype(np.float64) @ _mouth().width
        self.lips = lip_motion_mm(bundled_head(), self.weights).astype(np.float64)

    def during(self, curve: Values, start: float, end: float) -> Values:
        """A curve (T,) from `start` to `end` seconds, every `STEP_S`."""
        return np.interp(_steps(start, end), self.times, curve)

    def middle(self, curve: Values, start: float, end: float) -> Values:
        """A curve (T,) in the middle half of a phone."""
        return self.during(curve, *(start + share * (end - start) for share in _MIDDLE))

    def closes(self, start: float, end: float) -> bool:
        """Whether the lips are shut at some time in a phone or just beside it."""
        near = self.during(self.gap, max(start - PREDICTED_S, 0), end + PREDICTED_S)
        return bool((near < PREDICTED_MM).any())

    def shut(self, start: float, end: float) -> NDArray[np.bool_]:
        """Whether the lips are shut, at each step of the middle half of a phone."""
        return self.middle(self.gap, start, end) < PREDICTED_MM

    def lip_to_teeth(self, start: float, end: float) -> float:
        """The least distance of the lower lip from the upper teeth in a phone."""
        first = min(int(start * self.fps), len(self.times) - 1)
        near = slice(first, max(first, int(np.ceil(end * self.fps))) + 1)
        distance = _mouth().lip_to_teeth_mm(self.weights[near])
        return float(np.interp(_steps(start, end), self.times[near], distance).min())

    def acceleration(self, start: float, end: float) -> list[float]:
        """Mean acceleration of the lip vertices over the inner frames, mm/s²; [] without any."""
        still = self.weights[(self.times >= start) & (self.times <= end)]
        if len(still) < 3:
            return []
        second = lip_motion_mm(bundled_head(), np.diff(still, 2, axis=0))
        return [float(second.mean()) * self.fps**2]


def _observe_phones(clip: PhoneClip, curves: Curves, found: dict[str, list[float]]) -> None:
    spelled = [symbols(phone) for phone in clip.phones]  # silence has no letters
    for index, letters in enumerate(spelled):
        if not letters:
            continue
        span = float(clip.starts[index]), float(clip.ends[index])
        before = spelled[index - 1][-1:] if index else ()
        after = spelled[index + 1][:1] if index + 1 < len(spelled) else ()
        first, within_speech = letters[0], bool(before and after)
        if first in BILABIAL:
            kinds = ["closed", f"closed_{first}", *["closed_in_speech"] * within_speech]
            for kind in kinds:
                found[kind].append(curves.closes(*span))
        elif first in VOWEL_HEIGHT:
            found["vowel_shut"].append(float(curves.shut(*span).all()))
            found["vowel_height"].append(max(VOWEL_HEIGHT.get(letter, 0) for letter in letters))
            found["vowel_gap"].append(curves.during(curves.gap, *span).max())
        elif first in LABIODENTAL:
            distance = curves.lip_to_teeth(*span)
            found["teeth"].append(distance)
            found["fv_shut"].append(float(distance > AT_TEETH_MM and curves.shut(*span).any()))
        elif letters in (("t",), ("k",)) and within_speech and not BILABIAL & {*before, *after}:
            found["tk_shut"].append(float(curves.shut(*span).any()))
        elif letters == ("w",):
            found["w_shut"].append(float(curves.shut(*span).any()))
        if letters in (("u",), ("w",), ("i",), ("s",)):
            kind = "width_uw" if first in "uw" else "width_is"
            found[kind].append(curves.middle(curves.width, *span).mean())


def _observe_rest(clip: PhoneClip, curves: Curves, found: dict[str, list[float]]) -> None:
    for start, end in _silences(clip):
        begins, last = start == 0, end >= clip.duration
        if not begins and end - start < PAUSE_S:
            continue
        start, end = start + SETTLE_S * (not begins), end - ANTICIPATE_S * (not last)
        if end < start:
            continue
        kind = "before" if begins else "pause"
        found[f"{kind}_mm"].append(curves.during(curves.lips, start, end).mean())
        found[f"{kind}_gap_mm"].append(curves.during(curves.gap, start, end).max())
        found["acceleration"] += curves.acceleration(start, end)
        if begins:
            first = min(end, FIRST_S)
            found["first_mm"].append(curves.during(curves.lips, 0, first).max())
            found["first_gap_mm"].append(curves.during(curves.gap, 0, first).max())


def _silences(clip: PhoneClip) -> Iterator[tuple[float, float]]:
    """Start and end of each stretch without a phone."""
    silent = np.array([not symbols(phone) for phone in clip.phones])
    edges = np.flatnonzero(np.diff(np.concatenate([[False], silent, [False]])))
    for first, stop in edges.reshape(-1, 2):
        yield float(clip.starts[first]), float(clip.ends[stop - 1])


def _steps(start: float, end: float) -> Values:
    return np.linspace(start, end, max(2, round((end - start) / STEP_S) + 1))


@lru_cache(maxsize=1)
def _mouth() -> Mouth:
    return Mouth(bundled_head())
