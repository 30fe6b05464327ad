"""`codetalker evaluate`: how good a model or a folder of predictions is, in figures."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

import codetalker
from codetalker.bundle import BUNDLED
from codetalker.errors import OptionError

if TYPE_CHECKING:
    from codetalker.evaluation.report import Report
    from codetalker.evaluation.sheet import Sheet
    from codetalker.talker import Talker


def evaluate(
    model: Positional[str] = BUNDLED,
    corpus: Annotated[Path | None, arg(metavar="DIR")] = None,
    against: Annotated[Path | None, arg(metavar="STORE")] = None,
    seen: Annotated[Path | None, arg(metavar="DIR")] = None,
    phones: Annotated[Path | None, arg(metavar="DIR")] = None,
    robustness: Annotated[tuple[Path, ...] | None, arg(metavar="[AUDIO ...]")] = None,
    split: Annotated[str, arg(metavar="SPLIT")] = "val",
    speaker: Annotated[str | None, arg(metavar="SPEAKER")] = None,
    style: Annotated[str | None, arg(metavar="STYLE")] = None,
    json: Annotated[Path | None, arg(metavar="FILE")] = None,
) -> None:
    """Score a model, or motions that were made before; name one thing to measure with.

    Args:
        model: folder or name of a model, or a folder of predictions: NAME.npz per clip; for
            vertices NAME.npy or NAME_condition_STYLE.npy.
        corpus: recordings with blendshape motion, as docs/data.md describes them.
        against: vertex data made by `codetalker prepare`.
        seen: recordings whose lip gap was seen in video, as docs/data.md describes them.
        phones: recordings with the times of their phones, as docs/data.md describes them.
        robustness: noise, silence, quiet and other sounds, around or instead of these recordings
            of speech; without a name, those in the repository's `examples`.
        split: which clips: train, val, unseen; for vertices also test, test-a, test-b.
        speaker: only this speaker's clips.
        style: the style to speak in, by default the speaker's own where there is truth, else the
            model's first; `best` tries each (with --corpus), `each` gives figures of each (without
            truth).
        json: also write the figures to this file.
    """
    from rich.console import Console

    kinds = {
        "--corpus": corpus,
        "--against": against,
        "--seen": seen,
        "--phones": phones,
        "--robustness": robustness,
    }
    if sum(value is not None for value in kinds.values()) != 1:
        raise OptionError(f"name one thing to measure with: {', '.join(kinds)}")
    if corpus is not None:
        report = _on_corpus(model, corpus, split, speaker, style)
    elif against is not None:
        report = _against_store(model, against, split, speaker, style)
    elif robustness is not None:
        report = _robustness(model, robustness or _examples(), style)
    else:
        report = _without_truth(model, seen, phones, style)
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
    talker = _load(model)
    if talker is None:
        with _progress(len(clips)) as tick:
            rows = score_motions(Path(model), clips, tick)
    else:
        talker = _animates_blendshapes(talker, model)
        with _progress(len(clips) * (len(talker.styles) if style == BEST else 1)) as tick:
            rows = score_talker(talker, clips, style, tick)
    return Report(model, str(corpus), split, tuple(rows))


def _against_store(
    model: str, against: Path, split: str, speaker: str | None, style: str | None
) -> Report:
    from codetalker.data.store import open_store
    from codetalker.evaluation.report import Report
    from codetalker.evaluation.vertices import predictions_in, predictions_of, score_vertices
    from codetalker.talker import Talker

    store = open_store(against)
    clips = store.select(split, speaker)
    talker = _load(model)
    if talker is None:
        predictions = predictions_in(Path(model), store, clips)
    elif isinstance(talker, Talker):
        raise OptionError(f"{model} animates blendshapes; compare it with those: --corpus DIR")
    else:
        predictions = predictions_of(talker, store, clips, style)
    with _progress(None) as tick:
        rows = score_vertices(predictions, store, tick)
    note = f"LVE and FDD are in squared, MVE in plain units of the coordinates of {store.dataset}."
    return Report(model, str(against), split, tuple(rows), (note,))


def _without_truth(model: str, seen: Path | None, phones: Path | None, style: str | None) -> Sheet:
    from codetalker.evaluation.recordings import score_phones, score_seen

    talker = _load(model)
    source = Path(model) if talker is None else _animates_blendshapes(talker, model)
    with _progress(None) as tick:
        if seen is not None:
            return score_seen(model, source, seen, style, tick)
        assert phones is not None
        return score_phones(model, source, phones, style, tick)


def _robustness(model: str, recordings: tuple[Path, ...], style: str | None) -> Sheet:
    from codetalker.evaluation.recordings import score_robustness

    talker = _load(model)
    if talker is None:
        raise OptionError(f"{model} is no model; --robustness needs one that can be run")
    with _progress(None) as tick:
        talker = _animates_blendshapes(talker, model)
        return score_robustness(model, talker, recordings, style, tick)


def _animates_blendshapes(talker: Any, model: str) -> Talker:
    from codetalker.talker import Talker

    if not isinstance(talker, Talker):
        raise OptionError(f"{model} animates vertices; compare it with vertices: --against STORE")
    return talker


def _examples() -> tuple[Path, ...]:
    """The recordings of the repository that this package is run from."""
    found = tuple(sorted((Path(__file__).parents[3] / "examples").glob("*.flac")))
    if not found:
        raise OptionError(
            "there are no examples here; name recordings of speech: --robustness A.wav"
        )
    return found


def _load(model: str) -> Any:
    """The model of that name or folder; None for a folder of predictions."""
    if Path(model).is_dir() and not (Path(model) / "config.json").exists():
        return None
    return codetalker.load(model)


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
