"""The figures of the benchmark: what they are called and which way is better."""

from __future__ import annotations

from dataclasses import dataclass

FOUND = "found_at_equal_false"
FALSE_SHARE = 0.05
"""Share of lips that must not shut and do, at which closures are compared: each system at the
threshold of its own that gives it."""


@dataclass(frozen=True)
class Figure:
    """How a figure is read.

    Attributes:
        title: with its unit.
        better: 1 if more is better, -1 if less is, 0 if neither (nearest to the truth's is).
        layout: its format.
        root: whether it is the root of the quotient of sums.
        judges_still: whether it tells a face that does not move from a good one.
    """

    title: str
    better: int
    layout: str = ".2f"
    root: bool = False
    judges_still: bool = False


FIGURES = {
    "lve_mm2": Figure("LVE, mm²", -1, judges_still=True),
    "lip_error_mm": Figure("lip distance, mm", -1, judges_still=True),
    "fdd_abs_mm2": Figure("|FDD|, mm²", -1, judges_still=True),
    "correlation": Figure("lip-gap correlation", 1, ".3f"),
    "closure_rate": Figure("closures below 0.7 mm", 1, ".3f"),
    FOUND: Figure(f"closures at {FALSE_SHARE:.0%} false ones", 1, ".3f"),
    "separation": Figure("separation of shut and open", 1, ".3f"),
    "shut_found": Figure("seen shut, predicted shut", 1, ".3f"),
    "false_shut": Figure("seen open, predicted shut", -1, ".3f"),
    "vowels_falsely_shut": Figure("vowels shut", -1, ".3f"),
    "tk_falsely_shut": Figure("t k shut", -1, ".3f"),
    "fv_at_teeth": Figure("f v at the teeth", 1, ".3f"),
    "motion_std_lips": Figure("lip motion / true", 0, ".2f", root=True),
    "motion_std_upper_face": Figure("upper-face motion / true", 0, ".2f", root=True),
    "spread": Figure("gap spread / seen", 0),
    "width_correlation": Figure("width correlation", 1, ".3f"),
    "fast_motion": Figure("lip speed from 4 Hz / true", 0, ".2f", root=True),
    "dtw_offset_ms": Figure("warping offset, ms", 0, ".0f"),
    "dtw_ms": Figure("warping, ms", -1, ".0f"),
    "drift": Figure("LVE, last tenth / first", 0, ".3f"),
    "gap_change_mm": Figure("gap changed by level, mm", -1, root=True),
    "pause_mm": Figure("lips from rest in pauses, mm", -1),
    "silence_mm": Figure("lips from rest in silence, mm", -1),
    "noise_mm": Figure("lips from rest in noise, mm", -1),
    "between_seeds_upper_mm": Figure("upper face between seeds, mm", 0, ".3f"),
    "between_seeds_lips_mm": Figure("lips between seeds, mm", 0, ".3f"),
    "between_styles_lips_mm": Figure("lips between styles, mm", 0),
    "rtf": Figure("real-time factor", -1, ".3f"),
}
"""Name -> figure, in the order in which they are shown."""
