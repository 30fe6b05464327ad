"""Scores a talker, or motions that somebody made, on the clips of a corpus."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from codetalker.audio import Waveform
from codetalker.data.clip import Clip
from codetalker.errors import DataError
from codetalker.evaluation.codes import CodeUsage
from codetalker.evaluation.metrics import RigMetrics
from codetalker.evaluation.report import Row
from codetalker.evaluation.silence import inserted_silence_mm
from codetalker.motion import Motion
from codetalker.rig import bundled_head

BEST = "best"
"""The style that stands for: try each, keep the one with the smallest lip error per speaker."""

Tick = Callable[[Clip], None]


class Animator(Protocol):
    """What evaluation needs of a talker, a baseline or a stub."""

    @property
    def styles(self) -> Sequence[str]: ...

    def animate(self, audio: Waveform, *, style: str | None = None) -> Motion: ...


def score_talker(
    talker: Animator, clips: list[Clip], style: str | None = None, tick: Tick = lambda clip: None
) -> list[Row]:
    """One row per speaker, as the talker animates its clips.

    Args:
        talker: animates each clip's sound; the motion is brought to the clip's frame rate.
        clips: what to animate.
        style: a style's name; None for the speaker's own where the talker has it and the talker's
            default elsewhere; `BEST` for the one with the smallest `lip_error_mm`, whose rivals
            are listed as `styles_tried`.
        tick: called after each clip.
    """
    rows = []
    for speaker, own in by_speaker(clips).items():
        if style == BEST:
            tried = [_score(talker, own, name, tick) for name in talker.styles]
            rows.append(_best(tried))
        else:
            name = style or (speaker if speaker in talker.styles else None)
            rows.append(_score(talker, own, name, tick))
    return rows


def score_motions(folder: Path, clips: list[Clip], tick: Tick = lambda clip: None) -> list[Row]:
    """One row per speaker for motion files `NAME.npz` of every clip, at any frame rate.

    Raises:
        DataError: a clip has no file.
        MotionError: a file is no motion file.
    """
    require_motions(folder, [clip.name for clip in clips])
    rows = []
    for speaker, own in by_speaker(clips).items():
        metrics = RigMetrics(bundled_head())
        for clip in own:
            _compare(metrics, clip, Motion.load(folder / f"{clip.name}.npz").resample(clip.fps))
            tick(clip)
        rows.append(Row(speaker, "-", metrics.result()))
    return rows


def require_motions(folder: Path, names: Sequence[str]) -> None:
    """See that every clip has its motion file.

    Raises:
        DataError: it has not.
    """
    missing = [name for name in names if not (folder / f"{name}.npz").is_file()]
    if missing:
        raise DataError(
            f"{folder} lacks {len(missing)} of {len(names)} predictions, first {missing[0]}.npz; "
            "make them, or choose clips with --split and --speaker"
        )


def by_speaker(clips: list[Clip]) -> dict[str, list[Clip]]:
    """The clips of each speaker, in the order in which speakers first occur."""
    groups: dict[str, list[Clip]] = {}
    for clip in clips:
        groups.setdefault(clip.speaker, []).append(clip)
    return groups


def _score(talker: Animator, clips: list[Clip], style: str | None, tick: Tick) -> Row:
    metrics, codes = RigMetrics(bundled_head()), CodeUsage()
    computing = speaking = 0.0
    for clip in clips:
        waveform = clip.waveform()
        start = time.perf_counter()
        motion = talker.animate(waveform, style=style)
        computing += time.perf_counter() - start
        speaking += waveform.duration
        if motion.codes is not None:
            codes.add(motion.codes)
        _compare(metrics, clip, motion.resample(clip.fps))
        tick(clip)
    figures = metrics.result() | {
        "inserted_silence_mm": inserted_silence_mm(talker, clips, style),
        "codes_used": codes.used,
        "code_perplexity": codes.perplexity,
        "rtf": computing / speaking,
    }
    return Row(clips[0].speaker, style or "default", figures)


def _compare(metrics: RigMetrics, clip: Clip, motion: Motion) -> None:
    weights = motion.weights_for(bundled_head().blendshape_names)
    metrics.add(clip.name, weights, clip.weights, clip.fps, clip.silence())


def _best(tried: list[Row]) -> Row:
    """The row with the smallest lip error, with the main figures of every style."""
    best = min(tried, key=lambda row: row.figures["lip_error_mm"])
    names = ("lip_error_mm", "lve_mm2", "lip_gap_correlation", "closure_rate")
    rivals = {row.style: {name: row.figures[name] for name in names} for row in tried}
    return Row(best.speaker, best.style, best.figures | {"styles_tried": rivals})
