"""Scores a talker, or motions that somebody made, on recordings without true motion.

Three kinds: lip gap seen in video (`seen.py`), phone-timed speech (`phones.py`), and any speech,
with noise and worse (`robustness.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

from codetalker.audio import Waveform
from codetalker.data.phones import MANIFEST, PhoneClip, read_phones
from codetalker.data.seen import read_seen
from codetalker.evaluation import phone_figures, robustness, seen
from codetalker.evaluation.metrics import Result
from codetalker.evaluation.phones import observe
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
    for name in _styles(source, style):
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
    return Sheet(subject, str(folder), ("style", "clip"), seen.LINES, tuple(rows), across=True)


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
    clips = _clips(source, phone_clips(folder))
    languages = sorted({clip.language for clip in clips})
    rows: list[Result] = []
    for name, make in makers(source, style):
        found = []
        for clip in clips:
            found.append(observe(clip, make(clip)))
            tick(clip)
        rows.append({"style": name, "language": ALL, **phone_figures.summary(found)})
        for language in languages:
            pairs = zip(clips, found, strict=True)
            own = [seen for clip, seen in pairs if clip.language == language]
            figures = phone_figures.summary(own) if len(languages) > 1 else rows[-1]
            rows.append(figures | {"style": name, "language": language})
    return Sheet(subject, str(folder), ("style", "language"), phone_figures.LINES, tuple(rows))


def phone_clips(folder: Path) -> tuple[PhoneClip, ...]:
    """The clips of a folder of phone-timed speech, or of several such folders within one.

    In the latter case clips are called `FOLDER/NAME`.

    Raises:
        DataError: there is none, or one is malformed.
    """
    parts = sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))
    if (folder / MANIFEST).exists() or not parts:
        return read_phones(folder)
    return tuple(
        replace(clip, name=f"{part.name}/{clip.name}")
        for part in parts
        for clip in read_phones(part)
    )


def score_robustness(
    subject: str,
    talker: Animator,
    recordings: Sequence[Path],
    style: str | None = None,
    tick: Callable[[object], None] = lambda row: None,
) -> Sheet:
    """Rows of noises, levels and other sounds around and instead of some recordings of speech.

    Raises:
        AudioError: a recording cannot be read.
    """
    speech = [Waveform.load(path) for path in recordings]
    found: list[Result] = []
    for name in _styles(talker, style):
        for row in robustness.rows(
            lambda sound, name=name: talker.animate(sound, style=name), speech
        ):
            found.append({"style": name, **row})
            tick(row)
    against = ", ".join(path.name for path in recordings)
    labels = ("style", "sound", "level_db")
    return Sheet(subject, against, labels, robustness.LINES, tuple(found), across=True)


def _styles(talker: Animator, style: str | None) -> Sequence[str]:
    return talker.styles if style == EACH else [style or talker.styles[0]]


def _clips(source: Animator | Path, clips: Sequence[Clip]) -> Sequence[Clip]:
    """The clips, once it is seen that a folder of motions has them all."""
    if isinstance(source, Path):
        require_motions(source, [clip.name for clip in clips])
    return clips
