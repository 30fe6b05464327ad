"""What an evaluation without true motion found: a line per figure, and the same as stable JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from codetalker.evaluation.metrics import Result
from codetalker.evaluation.report import JSON_VERSION, write_json

INTERVALS = "intervals"
"""Within a row: figure -> [low, high]."""


@dataclass(frozen=True)
class Line:
    """How a figure is shown.

    Attributes:
        heading: what people read.
        figure: its name in the rows, with a dot into a nested one.
        layout: its format.
    """

    heading: str
    figure: str
    layout: str = ".2f"


@dataclass(frozen=True)
class Sheet:
    """Figures of several groups of clips or sounds.

    Attributes:
        subject: the model or folder of predictions.
        against: what it was measured with.
        labels: the names within a row that say what it is of.
        lines: the figures that the terminal shows; the JSON has all.
        rows: figures by name, with their labels, and `intervals` where there are any.
        notes: what a reader of the figures should know, one line each.
        across: a row of the sheet is a row of the table, rather than a column of it.
    """

    subject: str
    against: str
    labels: tuple[str, ...]
    lines: tuple[Line, ...]
    rows: tuple[Result, ...]
    notes: tuple[str, ...] = ()
    across: bool = False

    def show(self, console: Console) -> None:
        """Print the table and the notes; as wide as they are where nobody's terminal limits it."""
        if not console.is_terminal:
            console.width = 1000
        shown = [line for line in self.lines if _known(self.rows, line)]
        rows = [row for i, row in enumerate(self.rows) if self.across or not self._repeats(i)]
        heads = [[_label(row.get(name)) for name in self.labels] for row in rows]
        cells = [[_cell(row, line) for line in shown] for row in rows]
        table = Table(title=f"{self.subject} on {self.against}", title_justify="left")
        if self.across:
            for name in self.labels:
                table.add_column(name.replace("_", " "))
            for line in shown:
                table.add_column(line.heading, justify="right")
            for head, row in zip(heads, cells, strict=True):
                table.add_row(*head, *row)
        else:
            table.add_column("")
            for head in heads:
                table.add_column(" ".join(head), justify="right")
            for line, row in zip(shown, zip(*cells, strict=True), strict=True):
                table.add_row(line.heading, *row)
        console.print(table)
        for note in self.notes:
            console.print(note, markup=False, highlight=False)

    def _repeats(self, index: int) -> bool:
        """Whether a row has the figures of the one before, as that of an only language has."""
        figures = [
            {name: value for name, value in row.items() if name not in self.labels}
            for row in self.rows[max(index - 1, 0) : index + 1]
        ]
        return index > 0 and figures[0] == figures[1]

    def as_json(self) -> dict[str, object]:
        """The stable form: keys are only ever added."""
        return {
            "format_version": JSON_VERSION,
            "model": self.subject,
            "against": self.against,
            "rows": list(self.rows),
            "notes": list(self.notes),
        }

    def write(self, path: Path) -> None:
        """Write the JSON; the file appears whole or not at all.

        Raises:
            OutputError: it cannot be written there.
        """
        write_json(path, self.as_json())


def _figure(row: Result, name: str) -> object:
    value: object = row
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _known(rows: tuple[Result, ...], line: Line) -> bool:
    return any(_figure(row, line.figure) is not None for row in rows)


def _label(value: object) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _cell(row: Result, line: Line) -> str:
    value = _figure(row, line.figure)
    if value is None:
        return ""
    ends = row.get(INTERVALS, {}).get(line.figure)
    between = f" ({ends[0]:{line.layout}} to {ends[1]:{line.layout}})" if ends else ""
    return f"{value:{line.layout}}{between}"
