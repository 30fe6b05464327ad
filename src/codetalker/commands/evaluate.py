"""`codetalker evaluate`: how good a model or a folder of predictions is, in figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

from tyro.conf import Positional, arg

import codetalker
from codetalker.disk import check_file
from codetalker.errors import OptionError
from codetalker.model_folder import BUNDLED, CONFIG
from codetalker.places import check_inputs_kept
from codetalker.progress import ProgressBar

if TYPE_CHECKING:
    from codetalker.evaluation.report import Report
    from codetalker.evaluation.sheet import Sheet
    from codetalker.talker import Talker


def evaluate(
    model: Annotated[Positional[str | None], arg(metavar="MODEL")] = None,
    corpus: Annotated[Path | None, arg(metavar="DIR")] = None,
    *,
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
        model: folder or name of a model, the bundled one by default, or a folder of predictions:
            NAME.npz per clip; for vertices NAME.npy or NAME_condition_STYLE.npy.
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
    if robustness is not None:
        robustness = robustness or _examples()
    if json is not None:
        folders = (corpus, against, seen, phones, Path(model) if model else None)
        read = [path for path in (*folders, *(robustness or ())) if path is not None]
        check_inputs_kept(json, read)
        check_file(json)
    if corpus is not None:
        report = _on_corpus(model, corpus, split, speaker, style)
    elif against is not None:
        report = _against_store(model, against, split, speaker, style)
    elif robustness is not None:
        report = _robustness(model, robustness, style)
    else:
        report = _without_truth(model, seen, phones, style)
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

    clips = select(read_corpus(corpus), split, speaker)
    predictions, name = _predictions(model), model or BUNDLED
    if predictions is not None:
        with ProgressBar("clips", len(clips)) as bar:
            rows = score_motions(predictions, clips, lambda _: bar.advance())
    else:
        talker = _blendshape_talker(model)
        with ProgressBar("clips", len(clips) * (len(talker.styles) if style == BEST else 1)) as bar:
            rows = score_talker(talker, clips, style, lambda _: bar.advance())
    return Report(name, str(corpus), split, tuple(rows))


def _against_store(
    model: str | None, against: Path, split: str, speaker: str | None, style: str | None
) -> Report:
    from codetalker.data.store import open_store
    from codetalker.evaluation.report import Report
    from codetalker.evaluation.vertices import (
        VertexAnimator,
        predictions_in,
        predictions_of,
        score_vertices,
    )
    from codetalker.vertex_motion import VertexMotion

    store = open_store(against)
    clips = store.select(split, speaker)
    folder, name = _predictions(model), model or BUNDLED
    if folder is not None:
        predictions = predictions_in(folder, store, clips)
    else:
        talker = codetalker.load(model)
        if talker.motion_type is not VertexMotion:
            raise OptionError(f"{name} animates blendshapes; compare with them: --corpus DIR")
        predictions = predictions_of(cast(VertexAnimator, talker), store, clips, style)
    with ProgressBar("clips") as bar:
        rows = score_vertices(predictions, store, lambda _: bar.advance())
    note = f"LVE and FDD are in squared, MVE in plain units of the coordinates of {store.dataset}."
    return Report(name, str(against), split, tuple(rows), (note,))


def _without_truth(
    model: str | None, seen: Path | None, phones: Path | None, style: str | None
) -> Sheet:
    from codetalker.evaluation.recordings import score_phones, score_seen

    source, name = _predictions(model) or _blendshape_talker(model), model or BUNDLED
    with ProgressBar("clips") as bar:
        if seen is not None:
            return score_seen(name, source, seen, style, lambda _: bar.advance())
        assert phones is not None
        return score_phones(name, source, phones, style, lambda _: bar.advance())


def _robustness(model: str | None, recordings: tuple[Path, ...], style: str | None) -> Sheet:
    from codetalker.evaluation.recordings import score_robustness

    if _predictions(model) is not None:
        raise OptionError(f"{model} is no model; --robustness needs one that can be run")
    talker = _blendshape_talker(model)
    with ProgressBar("sounds") as bar:
        return score_robustness(
            model or BUNDLED, talker, recordings, style, lambda _: bar.advance()
        )


def _blendshape_talker(model: str | None) -> Talker:
    from codetalker.motion import Motion

    talker = codetalker.load(model)
    if talker.motion_type is not Motion:
        raise OptionError(
            f"{model or BUNDLED} animates vertices; compare with them: --against STORE"
        )
    return talker


def _examples() -> tuple[Path, ...]:
    """The recordings of the repository that this package is run from."""
    found = tuple(sorted((Path(__file__).parents[3] / "examples").glob("*.flac")))
    if not found:
        raise OptionError(
            "there are no examples here; name recordings of speech: --robustness A.wav"
        )
    return found


def _predictions(model: str | None) -> Path | None:
    """The folder of predictions that the name is; None if it is that of a model."""
    folder = None if model is None else Path(model)
    return folder if folder and folder.is_dir() and not (folder / CONFIG).exists() else None
