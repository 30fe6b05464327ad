"""`codetalker page`: the web page in which the whole model runs, as a folder to serve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from codetalker.page import write_page


def page(
    output: Annotated[Path, arg(metavar="FOLDER", aliases=("-o",))],
    *,
    model: Annotated[str | None, arg(metavar="MODEL")] = None,
) -> None:
    """Write the page to a folder of static files: microphone, recordings, your own head.

    The model runs in the browser; nothing leaves it. Any web server will do, on this machine:
    python -m http.server -d FOLDER

    Args:
        output: the folder to make.
        model: folder or name of a model, the bundled one for streams by default.
    """
    written = write_page(output, model)
    print(f"{written}: open it through a web server, python -m http.server -d {written}")
