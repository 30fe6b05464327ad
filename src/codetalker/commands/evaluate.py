"""`codetalker evaluate`: how good a model or a folder of predictions is, in figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

import codetalker
from codetalker.bundle import BUNDLED
from codetalker.errors import OptionError
from codetalker.progress import ProgressBar

if TYPE_CHECKING:
    from codetalker.evaluation.report import Report


def evaluate(
    model: Annotated[Positional[str | None], arg(metavar="MODEL")] = None,
    corpus: Annotated[Path | None, arg(metavar="DIR")] = None,
    against: Annotated[Path | None, arg(metavar="STORE")] = None,
    split: Annotated[str, arg(metavar="SPLIT")] = "val",
    speaker: Annotated[str | None, arg(metavar="SPEAKER")] = None,
    style: Annotated[str | None, arg(metavar="STYLE")] = None,
    json: Annotated[Path | None, arg(metavar="FILE")] = None,
) -> None:
    """Score a model, or motions that were made before, against recorded motion.

    Args:
        model: folder or name of a model, the bundled one by default, or a folder of predictions:
            NAME.npz per clip; for vertices NAME.npy or NAME_condition_STYLE.npy.
        corpus: recordings with blendshape motion, as docs/data.md describes them.
        against: vertex data made by `codetalker prepare`.
        split: which clips: train, val, unseen; for vertices also test, test-a, test-b.
        speaker: only this speaker's clips.
        style: the style to speak in, by default the speaker's own; `best` tries each (with
            --corpus).
        json: also write the figures to this file.
    """
    from rich.console import Console

    if (corpus is None) == (against is None):
        raise OptionError("name what to compare with: either --corpus DIR or --against STORE")
    if against is not None:
        report = _against_store(model, against, split, speaker, style)
    else:
        assert corpus is not None
        report = _on_corpus(model, corpus, split, speaker, style)
    report.show(Console())
    if json is not None:
        report.write(json)


def _on_corpus(
    model: str | None, corpus: Path, split: str, speaker: str | None, style: str | None
) -> Report:
    from codetalker.data.clip import select
    from codetalker.data.corpus import read_corpus
    from codetalker.evaluation.report import Report
    from codetalker.evaluation.talkers import BEST, score_motions, score_talker
    from codetalker.talker import Talker

    clips = select(read_corpus(corpus), split, speaker)
    talker, name = _load(model), model or BUNDLED
    if talker is None:
        with ProgressBar("clips", len(clips)) as bar:
            rows = score_motions(Path(name), clips, lambda _: bar.advance())
    elif isinstance(talker, Talker):
        with ProgressBar("clips", len(clips) * (len(talker.styles) if style == BEST else 1)) as bar:
            rows = score_talker(talker, clips, style, lambda _: bar.advance())
    else:
        raise OptionError(f"{name} animates vertices; compare it with vertices: --against STORE")
    return Report(name, str(corpus), split, tuple(rows))


def _against_store(
    model: str | None, against: Path, split: str, speaker: str | None, style: str | None
) -> Report:
    from codetalker.data.store import open_store
    from codetalker.evaluation.report import Report
    from codetalker.evaluation.vertices import predictions_in, predictions_of, score_vertices
    from codetalker.talker import Talker

    store = open_store(against)
    clips = store.select(split, speaker)
    talker, name = _load(model), model or BUNDLED
    if talker is None:
        predictions = predictions_in(Path(name), store, clips)
    elif isinstance(talker, Talker):
        raise OptionError(f"{name} animates blendshapes; compare it with those: --corpus DIR")
    else:
        predictions = predictions_of(talker, store, clips, style)
    with ProgressBar("clips") as bar:
        rows = score_vertices(predictions, store, lambda _: bar.advance())
    note = f"LVE and FDD are in squared, MVE in plain units of the coordinates of {store.dataset}."
    return Report(name, str(against), split, tuple(rows), (note,))


def _load(model: str | None) -> Any:
    """The model of that name or folder, the bundled one for None; None for a folder of
    predictions."""
    if model and Path(model).is_dir() and not (Path(model) / "config.json").exists():
        return None
    return codetalker.load(model)
