"""Sheets: one line per figure or per row, intervals beside figures, JSON with everything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from codetalker.errors import OutputError
from codetalker.evaluation.sheet import Line, Sheet

LINES = (Line("closures", "rate"), Line("jaw", "jaw.mm", ".1f"), Line("never", "never"))
ROWS = (
    {"style": "anna", "language": "all", "rate": 0.5, "jaw": {"mm": 2.04},
     "intervals": {"rate": [0.25, 0.75]}},
    {"style": "anna", "language": "de", "rate": 0, "jaw": {"mm": None}},
)  # fmt: skip


def shown(sheet: Sheet) -> list[list[str]]:
    """The cells of every line of the table."""
    console = Console()
    with console.capture() as capture:
        sheet.show(console)
    lines = capture.get().replace("┃", "│").splitlines()
    return [[c.strip() for c in line.split("│")[1:-1]] for line in lines if "│" in line]


def test_a_figure_is_a_line_and_a_row_a_column() -> None:
    assert shown(Sheet("m", "d", ("style", "language"), LINES, ROWS)) == [
        ["", "anna all", "anna de"],
        ["closures", "0.50 (0.25 to 0.75)", "0.00"],
        ["jaw", "2.0", ""],
    ]


def test_a_row_may_be_a_row() -> None:
    assert shown(Sheet("m", "d", ("style", "language"), LINES, ROWS, across=True)) == [
        ["style", "language", "closures", "jaw"],
        ["anna", "all", "0.50 (0.25 to 0.75)", "2.0"],
        ["anna", "de", "0.00", ""],
    ]


def test_a_row_that_only_repeats_the_one_before_is_in_the_json_alone(tmp_path: Path) -> None:
    rows = (ROWS[0], ROWS[0] | {"language": "en"}, ROWS[1])
    sheet = Sheet("m", "d", ("style", "language"), LINES, rows)
    assert shown(sheet)[0] == ["", "anna all", "anna de"]
    sheet.write(tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == {
        "format_version": 1, "model": "m", "against": "d", "rows": list(rows), "notes": [],
    }  # fmt: skip


def test_notes_follow_the_table() -> None:
    console = Console()
    with console.capture() as capture:
        Sheet("m", "d", ("style",), LINES, ROWS, ("read [this]",)).show(console)
    assert capture.get().splitlines()[-1] == "read [this]"


def test_json_needs_its_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="create it first"):
        Sheet("m", "d", (), LINES, ROWS).write(tmp_path / "no" / "out.json")
