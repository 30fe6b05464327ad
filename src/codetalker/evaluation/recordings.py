"""Scores a talker, or motions that somebody made, on recordings without true motion.

Two kinds: lip gap seen in video (`seen.py`) and phone-timed speech (`phones.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from codetalker.audio import Waveform
from codetalker.data.phones import read_phones
from codetalker.data.seen import read_seen
from codetalker.evaluation import phones, seen
from codetalker.evaluation.metrics import Result
from codetalker.evaluation.sheet import Sheet
from codetalker.evaluation.talkers import require_motions
from codetalker.motion import Motion

EACH = "each"
"""The style that stands for every style of the talker, one after another."""
ALL = "all"
"""What a row is of that is of everything."""


class Recording(Protocol):
    """What both kinds of clip have."""

    @property
    def name(self) -> str: ...

    def waveform(self) -> Waveform: ...


class Animator(Protocol):
    """What scoring needs of a talker."""

    @property
    def styles(self) -> Sequence[str]: ...

    def animate(self, audio: Waveform, *, style: str) -> Motion: ...


Clip = TypeVar("Clip", bound=Recording)
Make = Callable[[Recording], Motion]


def makers(source: Animator | Path, style: str | None) -> Iterator[tuple[str, Make]]:
    """Who makes the motions to be scored: per style its name, and what gives a clip's motion.

    Args:
        source: a talker, or a folder of motions `NAME.npz`, whose style is called `-`.
        style: one of the talker's; None for its default one, `EACH` for all.
    """
    if isinstance(source, Path):
        folder = source
        yield "-", lambda clip: Motion.load(folder / f"{clip.name}.npz")
        return
    for name in source.styles if style == EACH else [style or source.styles[0]]:
        yield name, lambda clip, name=name: source.animate(clip.waveform(), style=name)


def score_seen(
    subject: str,
    source: Animator | Path,
    folder: Path,
    style: str | None = None,
    tick: Callable[[object], None] = lambda clip: None,
) -> Sheet:
    """Rows of every clip and of all of them, for lip gap seen in video.

    Raises:
        DataError: the folder is malformed, or a clip has no motion.
    """
    clips = _clips(source, read_seen(folder))
    rows: list[Result] = []
    for name, make in makers(source, style):
        own = []
        for clip in clips:
            own.append({"style": name, "clip": clip.name, **seen.score_clip(clip, make(clip))})
            tick(clip)
        rows += [*own, {"style": name, "clip": ALL, **seen.summary(own)}]
    return Sheet(subject, str(folder), ("style", "clip"), seen.LINES, tuple(rows))


def score_phones(
    subject: str,
    source: Animator | Path,
    folder: Path,
    style: str | None = None,
    tick: Callable[[object], None] = lambda clip: None,
) -> Sheet:
    """Rows of every language and of all of them, for phone-timed speech.

    Raises:
        DataError: the folder is malformed, or a clip has no motion.
    """
    clips = _clips(source, read_phones(folder))
    languages = sorted({clip.language for clip in clips})
    rows: list[Result] = []
    for name, make in makers(source, style):
        found = []
        for clip in clips:
            found.append(phones.observe(clip, make(clip)))
            tick(clip)
        rows.append({"style": name, "language": ALL, **phones.summary(found)})
        for language in languages:
            pairs = zip(clips, found, strict=True)
            own = [seen for clip, seen in pairs if clip.language == language]
            figures = phones.summary(own) if len(languages) > 1 else rows[-1]
            rows.append(figures | {"style": name, "language": language})
    return Sheet(subject, str(folder), ("style", "language"), phones.LINES, tuple(rows))


def _clips(source: Animator | Path, clips: Sequence[Clip]) -> Sequence[Clip]:
    """The clips, once it is seen that a folder of motions has them all."""
    if isinstance(source, Path):
        require_motions(source, [clip.name for clip in clips])
    return clips
