"""`codetalker fit-style`: a speaking style of a new speaker, written into a copy of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from rich.console import Console
from tyro.conf import Positional, arg

import codetalker
from codetalker.causal.bundle import with_style
from codetalker.causal.fit_style import StyleRecipe, fit_style, hear
from codetalker.causal.runtime import CausalTalker
from codetalker.data.clip import Clip, select
from codetalker.data.corpus import read_corpus
from codetalker.disk import check_new_folder
from codetalker.errors import DataError, ModelError, OptionError
from codetalker.evaluation.report import Report, Row
from codetalker.evaluation.talkers import score_talker
from codetalker.model_folder import FOR_FILES, find_model
from codetalker.progress import ProgressBar
from codetalker.rig import bundled_head

_HELD_OUT = 8
"""Every so many clips one is kept for the figures, where the corpus names none."""


def fit_style_command(
    corpus: Annotated[Positional[Path], arg(metavar="CORPUS")],
    output: Annotated[Path, arg(metavar="MODEL", aliases=("-o",))],
    *,
    name: Annotated[str | None, arg(metavar="NAME")] = None,
    speaker: Annotated[str | None, arg(metavar="SPEAKER")] = None,
    model: Annotated[str | None, arg(metavar="MODEL")] = None,
    steps: int = StyleRecipe.steps,
    seed: int = StyleRecipe.seed,
) -> None:
    """Fit a style to a minute or more of somebody's speech and motion.

    The figures are those of clips that were kept back: in the new style, and in the best of the old
    ones.

    Args:
        corpus: recordings with blendshape motion, as docs/data.md describes them; clips of split
            `val` are kept back, or every eighth.
        output: the folder to make, a copy of the model with one more style, its default.
        name: of the style, by default the speaker's.
        speaker: whose clips, if the corpus has several speakers.
        model: folder or name of a bundled model, `studio` by default.
        steps: of the fit.
        seed: of the sequences that it draws.
    """
    if steps < 1:
        raise OptionError(f"{steps} steps fit nothing; take 1 or more")
    check_new_folder(output)
    folder = find_model(Path(model or FOR_FILES))
    talker = codetalker.load(folder)
    if not isinstance(talker, CausalTalker):
        raise ModelError(f"{folder} is of a family whose styles cannot be fitted")
    clips = _of_one_speaker(read_corpus(corpus), speaker)
    name = name or clips[0].speaker
    if name in talker.styles:
        raise OptionError(f"{folder.name} has a style {name!r}; give another --name")
    learned, kept = _divided(clips)
    with ProgressBar("hearing", len(learned)) as bar:
        heard = [hear(talker, clip) for clip in bar.track(learned)]
    with ProgressBar("fitting", steps) as bar:
        row = fit_style(
            talker, heard, bundled_head(), StyleRecipe(steps=steps, seed=seed), bar.update
        )
    with_style(folder, name, row, output)
    rows = _figures(talker, CausalTalker.load(output), kept, name)
    console = Console(stderr=True)
    Report(str(output), str(corpus), "kept back", tuple(rows)).show(console)
    console.print(f"{output}: style {name!r}, of {len(learned)} clips", soft_wrap=True)


def _of_one_speaker(clips: list[Clip], speaker: str | None) -> list[Clip]:
    clips = select(clips, speaker=speaker)
    speakers = sorted({clip.speaker for clip in clips})
    if len(speakers) > 1:
        raise DataError(f"the corpus has several speakers; choose one: --speaker {speakers[0]}")
    return clips


def _divided(clips: list[Clip]) -> tuple[list[Clip], list[Clip]]:
    """To learn from, and to measure on: those of split `val`, or some."""
    kept = [clip for clip in clips if clip.split == "val"] or clips[_HELD_OUT - 1 :: _HELD_OUT]
    names = {clip.name for clip in kept}
    learned = [clip for clip in clips if clip.name not in names]
    if not (learned and kept):
        raise DataError(f"{len(clips)} clips are too few to fit and to measure; record more")
    return learned, kept


def _figures(before: CausalTalker, after: CausalTalker, kept: list[Clip], name: str) -> list[Row]:
    """Of the old style that comes nearest, and of the new one."""
    with ProgressBar("measuring", len(kept) * (len(before.styles) + 1)) as bar:
        (best,) = score_talker(before, kept, "best", lambda _: bar.advance())
        (new,) = score_talker(after, kept, name, lambda _: bar.advance())
    best.figures.pop("styles_tried")
    return [best, new]
