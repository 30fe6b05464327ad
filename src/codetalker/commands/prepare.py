"""`codetalker prepare`: a vertex data set, converted once for training and evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from codetalker.data.official_layout import read_official_layout
from codetalker.data.prepare import convert, open_source, own_protocol
from codetalker.data.splits import PROTOCOLS
from codetalker.data.store import MANIFEST
from codetalker.errors import OptionError
from codetalker.progress import ProgressBar

_LISTED = 20
"""Problems that are printed: what one screen holds."""


def prepare(
    dataset: tyro.conf.Positional[Literal["vocaset", "biwi", "own"]],
    source: tyro.conf.Positional[Path],
    out: Annotated[Path, tyro.conf.arg(aliases=("-o",))],
    *,
    fps: float | None = None,
    unit_mm: float | None = None,
    val: tuple[str, ...] = (),
    test: tuple[str, ...] = (),
) -> None:
    """Convert a vertex data set (VOCASET, BIWI, your own) for training and evaluation.

    Args:
        dataset: whose format and splits; `own` is your own data in the official code's layout.
        source: the folder as published, or one with wav, vertices_npy and templates.pkl.
        out: the folder to make; a run that was stopped goes on there.
        fps: frames per second of your own data.
        unit_mm: millimetres per unit of your own data, if it has a unit.
        val: subjects of your own data to validate on.
        test: subjects of your own data to test on.
    """
    if dataset == "own":
        if fps is None or not 1 <= fps <= 240:
            raise OptionError("your own data needs --fps, its frames per second from 1 to 240")
        opened = read_official_layout(source)
        subjects = [clip.subject for clip in opened.clips]
        protocol = own_protocol(subjects, fps, unit_mm, val, test)
    else:
        if fps is not None or unit_mm is not None or val or test:
            raise OptionError(f"--fps, --unit-mm, --val and --test are fixed for {dataset}")
        protocol = PROTOCOLS[dataset]
        opened = open_source(protocol, source)
    console = Console(stderr=True)
    with ProgressBar(f"preparing {dataset}") as bar:
        store = convert(opened, protocol, out, bar.track)
    for problem in store.problems[:_LISTED]:
        console.print(problem, markup=False, highlight=False, soft_wrap=True)
    if len(store.problems) > _LISTED:
        rest = len(store.problems) - _LISTED
        console.print(f"... and {rest} more lines in {out / MANIFEST}", soft_wrap=True)
    counts = {c.split: sum(o.split == c.split for o in store.clips) for c in store.clips}
    listed = ", ".join(f"{split} {count}" for split, count in counts.items())
    console.print(f"{out}: {len(store.clips)} clips ({listed})", soft_wrap=True)
