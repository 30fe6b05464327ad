"""The figures of phone-timed speech, over the observations (`phones.py`) of any number of clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from codetalker.evaluation.intervals import intervals
from codetalker.evaluation.metrics import Result
from codetalker.evaluation.phones import AT_TEETH_MM, Observations, Values
from codetalker.evaluation.sheet import INTERVALS, Line

Figure = Callable[[Observations], float | None]


def _over(kind: str, statistic: Callable[[Values], np.floating] = np.mean) -> Figure:
    """A statistic of all observations of a kind, None without any."""

    def figure(seen: Observations) -> float | None:
        return float(statistic(seen[kind])) if len(seen.get(kind, ())) else None

    return figure


def _height(seen: Observations) -> float | None:
    """Spearman's rank correlation of the opening of vowels with their height."""
    if len(seen.get("vowel_gap", ())) < 2:
        return None
    gap, height = _ranks(seen["vowel_gap"]), _ranks(seen["vowel_height"])
    return float(np.corrcoef(gap, height)[0, 1]) if gap.std() and height.std() else None


def _contrast(seen: Observations) -> float | None:
    """How much wider the mouth is in i s than in u w, mm."""
    wide, narrow = _over("width_is")(seen), _over("width_uw")(seen)
    return None if wide is None or narrow is None else wide - narrow


def _blinks_per_minute(seen: Observations) -> float | None:
    return 60 * len(seen["blink_s"]) / float(seen["seconds"].sum())


def _lids_lowered(seen: Observations) -> float | None:
    return float(seen["lowered_s"].sum() / seen["seconds"].sum())


FIGURES: dict[str, Figure] = {
    "closure_rate": _over("closed"),
    "closure_rate_p": _over("closed_p"),
    "closure_rate_b": _over("closed_b"),
    "closure_rate_m": _over("closed_m"),
    "closure_rate_in_speech": _over("closed_in_speech"),
    "vowels_falsely_shut": _over("vowel_shut"),
    "tk_falsely_shut": _over("tk_shut"),
    "w_falsely_shut": _over("w_shut"),
    "height_correlation": _height,
    "fv_to_teeth_mm": _over("teeth"),
    "fv_at_teeth": _over("teeth", lambda values: np.mean(values <= AT_TEETH_MM)),
    "fv_falsely_shut": _over("fv_shut"),
    "width_uw_mm": _over("width_uw"),
    "width_is_mm": _over("width_is"),
    "width_contrast_mm": _contrast,
    "pause_mm": _over("pause_mm"),
    "before_speech_mm": _over("before_mm"),
    "first_frames_mm": _over("first_mm"),
    "jitter_mm_s2": _over("acceleration"),
    "blinks_per_minute": _blinks_per_minute,
    "blink_median_s": _over("blink_s", np.median),
    "lids_lowered": _lids_lowered,
}
"""Name -> the figure over any clips' observations; None where they do not define it."""

EXTREMES: dict[str, Figure] = {
    "pause_worst_mm": _over("pause_mm", np.max),
    "pause_gap_worst_mm": _over("pause_gap_mm", np.max),
    "before_speech_worst_mm": _over("before_mm", np.max),
    "first_frames_worst_mm": _over("first_mm", np.max),
    "first_frames_gap_worst_mm": _over("first_gap_mm", np.max),
    "blink_longest_s": _over("blink_s", np.max),
}
"""The same; no interval over clips is meaningful for a maximum."""

COUNTS = {
    "bilabials": "closed",
    "vowels": "vowel_shut",
    "tk": "tk_shut",
    "w": "w_shut",
    "fv": "teeth",
    "pauses": "pause_mm",
    "beginnings": "first_mm",
    "blinks": "blink_s",
}
"""Name of a count -> the observations that it counts."""

LINES = (
    Line("closures on p b m", "closure_rate"),
    Line("  on p", "closure_rate_p"),
    Line("  on b", "closure_rate_b"),
    Line("  on m", "closure_rate_m"),
    Line("  within speech", "closure_rate_in_speech"),
    Line("  of", "bilabials", "d"),
    Line("vowels falsely shut", "vowels_falsely_shut", ".3f"),
    Line("t k falsely shut", "tk_falsely_shut", ".3f"),
    Line("w falsely shut", "w_falsely_shut", ".3f"),
    Line("opening against vowel height", "height_correlation"),
    Line("f v: lower lip to upper teeth, mm", "fv_to_teeth_mm"),
    Line(f"f v: lip within {AT_TEETH_MM} mm of the teeth", "fv_at_teeth"),
    Line("f v falsely shut", "fv_falsely_shut"),
    Line("width in u w, mm from rest", "width_uw_mm"),
    Line("width in i s, mm from rest", "width_is_mm"),
    Line("width in i s beyond u w, mm", "width_contrast_mm"),
    Line("lips from rest in pauses, mm", "pause_mm"),
    Line("  in the worst", "pause_worst_mm"),
    Line("  widest gap", "pause_gap_worst_mm"),
    Line("lips from rest before the first word, mm", "before_speech_mm"),
    Line("  in the worst", "before_speech_worst_mm"),
    Line("first frames, mm", "first_frames_mm"),
    Line("  in the worst", "first_frames_worst_mm"),
    Line("  widest gap", "first_frames_gap_worst_mm"),
    Line("jitter at rest, mm/s²", "jitter_mm_s2", ".1f"),
    Line("blinks a minute", "blinks_per_minute", ".1f"),
    Line("  median s", "blink_median_s"),
    Line("  longest s", "blink_longest_s"),
    Line("lids lowered, share of frames", "lids_lowered"),
    Line("clips", "clips", "d"),
)


def summary(clips: Sequence[Observations]) -> Result:
    """The figures of some clips together, with their counts and `intervals` over clips."""

    def figures(chosen: NDArray[np.intp]) -> dict[str, float | None]:
        drawn = _joined([clips[i] for i in chosen])
        return {name: figure(drawn) for name, figure in FIGURES.items()}

    seen = _joined(clips)
    return {
        "clips": len(clips),
        "seconds": float(seen["seconds"].sum()),
        **{name: figure(seen) for name, figure in (FIGURES | EXTREMES).items()},
        **{name: len(seen.get(kind, ())) for name, kind in COUNTS.items()},
        INTERVALS: intervals(len(clips), figures),
    }


def _joined(clips: Sequence[Observations]) -> Observations:
    kinds = {kind for clip in clips for kind in clip}
    return {kind: np.concatenate([c[kind] for c in clips if kind in c]) for kind in kinds}


def _ranks(values: Values) -> Values:
    """(n,) ranks from 0, equal values sharing their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    means: Values = np.cumsum(counts) - (counts + 1) / 2
    return means[place]
