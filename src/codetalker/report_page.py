"""A report as one page that needs nothing else: no script, no request, light and dark."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from importlib.resources import files

_CONTENT, _TITLE = "<!-- content -->", "<!-- title -->"


def page_of(title: str, parts: Iterable[str]) -> str:
    """The page.

    Args:
        title: plain text.
        parts: of its content, HTML.
    """
    page = files("codetalker").joinpath("assets/report.html").read_text("utf-8")
    return page.replace(_TITLE, escape(title)).replace(_CONTENT, "\n".join(parts))


def table_of(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of plain text that scrolls where the page is narrow; cells may have lines."""
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{_lines(text)}</td>" for text in row) + "</tr>" for row in rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def bullets(lines: Iterable[str]) -> str:
    """A list of plain text."""
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _lines(text: str) -> str:
    """The first as it is, what follows in small."""
    first, *rest = map(escape, text.split("\n"))
    return first + "".join(f"<small>{line}</small>" for line in rest)
