"""`codetalker evaluate`: how good a model or a folder of predictions is, in figures."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from codetalker.errors import DataError, OptionError

if TYPE_CHECKING:
    from codetalker.evaluation.report import Report

BUNDLED = "default"


def evaluate(
    model: Positional[str] = BUNDLED,
    corpus: Annotated[Path | None, arg(metavar="DIR")] = None,
    against: Annotated[Path | None, arg(metavar="STORE")] = None,
    split: Annotated[str | None, arg(metavar="SPLIT")] = None,
    speaker: Annotated[str | None, arg(metavar="SPEAKER")] = None,
    style: Annotated[str | None, arg(metavar="STYLE")] = None,
    json: Annotated[Path | None, arg(metavar="FILE")] = None,
) -> None:
    """Score a model, or motions that were made before, against recorded motion.

    Args:
        model: folder or name of a model, or a folder of predictions: NAME.npz per clip.
        corpus: recordings with blendshape motion; docs/data.md describes the folder.
        against: vertex data made by `codetalker prepare`; `model` is then a folder of
            NAME.npy or NAME_condition_STYLE.npy.
        split: which clips: train, val (the default), unseen; test, test-a, test-b for vertices.
        speaker: only this speaker's clips.
        style: the style to speak in; `best` tries each; by default the speaker's own.
        json: also write the figures to this file.
    """
    from rich.console import Console

    if (corpus is None) == (against is None):
        raise OptionError("name what to compare with: either --corpus DIR or --against STORE")
    if against is not None:
        if style is not None:
            raise OptionError("--style is for --corpus; names of vertex files say the style")
        report = _against_store(Path(model), against, split or "val", speaker)
    else:
        assert corpus is not None
        report = _on_corpus(model, corpus, split or "val", speaker, style)
    report.show(Console())
    if json is not None:
        report.write(json)


def _on_corpus(
    model: str, corpus: Path, split: str, speaker: str | None, style: str | None
) -> Report:
    from codetalker.data.clip import select
    from codetalker.data.corpus import read_corpus
    from codetalker.evaluation.report import Report
    from codetalker.evaluation.talkers import BEST, score_motions, score_talker

    clips = select(read_corpus(corpus), split, speaker)
    folder = Path(model)
    if folder.is_dir() and not (folder / "config.json").exists():
        with _progress(len(clips)) as tick:
            rows = score_motions(folder, clips, tick)
    else:
        import codetalker

        talker = codetalker.load(None if model == BUNDLED else model)
        with _progress(len(clips) * (len(talker.styles) if style == BEST else 1)) as tick:
            rows = score_talker(talker, clips, style, tick)
    return Report(model, str(corpus), split, tuple(rows))


def _against_store(folder: Path, against: Path, split: str, speaker: str | None) -> Report:
    from codetalker.data.store import open_store
    from codetalker.evaluation.report import Report
    from codetalker.evaluation.vertices import score_vertices

    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder of predictions")
    store = open_store(against)
    clips = store.select(split, speaker)
    with _progress(None) as tick:
        rows = score_vertices(folder, store, clips, tick)
    note = f"LVE and FDD are in squared, MVE in plain units of the coordinates of {store.dataset}."
    return Report(str(folder), str(against), split, tuple(rows), (note,))


@contextmanager
def _progress(total: int | None) -> Iterator[Callable[[object], None]]:
    """A function to call after each clip: a bar with the time left on a terminal, else nothing."""
    if not sys.stderr.isatty():
        yield lambda clip: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("clips", total=total)
        yield lambda clip: bar.advance(task)
