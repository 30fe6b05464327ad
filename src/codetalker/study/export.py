"""Export: a study as a folder of static files, whose answers raters download and send back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from codetalker.arguments import number
from codetalker.disk import new_folder
from codetalker.places import check_inputs_kept
from codetalker.study.folder import FILMS, Study, read_study
from codetalker.study.page import PAGE

STATIC = "static"
PLANS = "plans.json"
"""For each rater's number the films of every trial, as indices into `films`."""
_MOST = 5000


def export_study(folder: Path, output: Path, raters: int) -> Study:
    """Write the folder: page, films, what the page may know, and the order of so many raters.

    Raises:
        DataError: there is no study in `folder`.
        OptionError: the number of raters is out of range.
        OutputError: the output has content already, or cannot be written.
    """
    study = read_study(folder)
    raters = int(number(raters, "--raters", 1, _MOST))
    check_inputs_kept(output, [folder])
    index = {film: i for i, film in enumerate(study.films)}
    plans = [[[index[a], index[b]] for a, b in study.trials(i)] for i in range(raters)]
    with new_folder(output) as partial:
        shutil.copytree(PAGE, partial, dirs_exist_ok=True)
        (partial / FILMS).mkdir()
        for film in study.films:
            shutil.copyfile(folder / FILMS / film, partial / FILMS / film)
        _write(partial / "public.json", study.public(STATIC))
        _write(partial / PLANS, {"films": study.films, "plans": plans})
    return study


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), "utf-8")
