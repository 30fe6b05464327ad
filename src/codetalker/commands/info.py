"""`codetalker info`: what a model is and what it was trained on."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import Positional, arg

import codetalker
from codetalker.model_folder import bundled_models


def info(model: Annotated[Positional[str | None], arg(metavar="MODEL")] = None) -> None:
    """Show a model's styles, rate, latency, and the notes of its makers.

    Args:
        model: folder or name of a model; the bundled one for streams by default.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    talker = codetalker.load(model)
    table = Table(show_header=False)
    table.add_row("styles", Text(", ".join(talker.styles)))
    table.add_row("frames per second", f"{talker.fps:g}")
    for name, fact in talker.facts.items():
        table.add_row(Text(name), Text(fact))  # of whoever made the model: no markup
    table.add_row("models of the package", Text(", ".join(bundled_models())))
    Console().print(table)
