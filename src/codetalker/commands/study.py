"""`codetalker study build|serve|export|analyse`: which of two faces do people prefer?"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional, arg

from codetalker.errors import OutputError
from codetalker.study.folder import read_study

REPORT = "report.html"


def study(arguments: Sequence[str]) -> int:
    """Run one of the subcommands."""
    return tyro.extras.subcommand_cli_from_dict(
        {"build": build, "serve": serve, "export": export, "analyse": analyse},
        args=arguments,
        prog="codetalker study",
        description="Ask people which of two faces is better, and say what they answer.",
    )


def build(
    folders: Annotated[Positional[tuple[Path, ...]], arg(metavar="FOLDER...")],
    *,
    output: Annotated[Path, arg(metavar="STUDY", aliases=("-o",))],
    audio: Annotated[Path | None, arg(metavar="DIR")] = None,
    title: str = "Talking faces",
    seed: int = 0,
    pairs: int | None = None,
    checks: int = 6,
    size: int = 480,
) -> int:
    """Make a study folder from folders of films or motions, one for each system.

    What is called alike belongs to the same recording: NAME.mp4, or NAME.npz and its sound
    NAME.wav, .flac or the like. A system is called as its folder is.

    Args:
        folders: of films or motions, two or more.
        output: the folder to make.
        audio: folder with the sound of motions, where it does not lie beside them.
        title: that raters read.
        seed: that order and sides are drawn from.
        pairs: that each rater judges; all by default, 24 at most.
        checks: of each rater's attention, 0 or 5 to 50.
        size: of films that are made from motions, in pixels.
    """
    from codetalker.progress import ProgressBar
    from codetalker.study.analysis import needed
    from codetalker.study.build import Plan, build_study

    plan = Plan(folders, audio, title, seed, pairs, checks, size)
    with ProgressBar(output.name) as bar:
        made = build_study(plan, output, bar.update, partial(print, file=sys.stderr))
    print(
        f"{output}: {len(made.pairs)} pairs of {', '.join(made.systems)}; a rater judges "
        f"{made.per_rater} and {len(made.checks)} checks"
    )
    for line in needed(made):
        print(f"to show a share of {line.share:g}: {line.raters} raters, {line.answers} answers")
    return 0


def serve(
    folder: Annotated[Positional[Path], arg(metavar="STUDY")],
    *,
    host: str = "127.0.0.1",
    port: int = 8010,
) -> int:
    """Serve a study's page and keep the answers in its folder; Ctrl-C ends it.

    Args:
        folder: of the study.
        host: address to listen at; 0.0.0.0 for everybody.
        port: 0 is any free one.
    """
    from codetalker.listening import address_of, listening
    from codetalker.study.server import app_of, running
    from codetalker.study.store import Store

    found = read_study(folder)
    with listening(host, port) as bound, closing(Store(folder, found)) as store:
        print(f"{address_of(bound)}/: serving {folder}", flush=True)
        with suppress(KeyboardInterrupt):  # the signal again, when all is done
            running(app_of(found, folder, store)).run([bound])
    return 0


def export(
    folder: Annotated[Positional[Path], arg(metavar="STUDY")],
    *,
    output: Annotated[Path, arg(metavar="FOLDER", aliases=("-o",))],
    raters: int = 200,
) -> int:
    """Write a study as static files for any host; raters save their answers and send them back.

    A rater's number is drawn at random, or given in the address: ?rater=7

    Args:
        folder: of the study.
        output: the folder to make.
        raters: how many have an order of their own.
    """
    from codetalker.study.export import export_study

    export_study(folder, output, raters)
    print(f"{output}: put it on any web server; here: python -m http.server -d {output}")
    return 0


def analyse(
    folder: Annotated[Positional[Path], arg(metavar="STUDY")],
    answers: Annotated[Positional[tuple[Path, ...]], arg(metavar="[ANSWERS.json ...]")] = (),
    *,
    output: Annotated[Path | None, arg(metavar="REPORT.html", aliases=("-o",))] = None,
    json: Annotated[Path | None, arg(metavar="FILE")] = None,
) -> int:
    """Say what raters prefer: shares, strengths, agreement and power, as a page and as JSON.

    Args:
        folder: of the study, with the answers that were kept while it was served.
        answers: files that raters of an exported study have saved.
        output: the page, report.html in the study's folder by default.
        json: the figures, beside the page by default.
    """
    from rich.console import Console

    from codetalker.disk import check_file
    from codetalker.places import check_files_kept
    from codetalker.study.analysis import analyse as analysed
    from codetalker.study.answers import read_answers
    from codetalker.study.folder import ANSWERS, MANIFEST
    from codetalker.study.report import show, write_report
    from codetalker.study.store import stored_answers

    found = read_study(folder)
    page = output or folder / REPORT
    if page.suffix.lower() != ".html":
        raise OutputError(f"{page} is no page; name the report NAME.html")
    figures = json or page.with_suffix(".json")
    for path in (page, figures):
        check_file(path)
    check_files_kept((page, figures), (folder / MANIFEST, folder / ANSWERS, *answers))
    given = [answer for path in answers for answer in read_answers(path, found)]
    analysis = analysed(found, [*stored_answers(folder, found), *given])
    command = shlex.join(["codetalker", "study", "analyse", str(folder), *map(str, answers)])
    write_report(analysis, page, figures, command)
    show(analysis, Console())
    print(f"{page}: the report; {figures}: its figures")
    return 0
