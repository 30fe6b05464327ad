"""What an evaluation found: rows of figures, as a table for people and as stable JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from codetalker.disk import check_file, replacing
from codetalker.evaluation.metrics import Result

JSON_VERSION = 1

_COLUMNS = (
    ("clips", "clips", "d"),
    ("frames", "frames", "d"),
    ("LVE mm²", "lve_mm2", ".2f"),
    ("LVE", "lve", ".4e"),
    ("lip mm", "lip_error_mm", ".2f"),
    ("all mm", "mve_mm", ".2f"),
    ("MVE", "mve", ".4e"),
    ("FDD mm²", "fdd_mm2", ".3g"),
    ("|FDD| mm²", "fdd_abs_mm2", ".3g"),
    ("FDD", "fdd", ".3g"),
    ("|FDD|", "fdd_abs", ".3g"),
    ("std lips", "motion_std_ratio.lips", ".2f"),
    ("std upper", "motion_std_ratio.upper_face", ".2f"),
    ("gap corr", "lip_gap_correlation", ".3f"),
    ("offset ms", "av_offset_ms", ".0f"),
    ("closures", "closure_rate", ".2f"),
    ("of", "closures", "d"),
    ("pauses mm", "silence_motion_mm", ".2f"),
    ("2 s silence mm", "inserted_silence_mm", ".2f"),
    ("codes", "codes_used", "d"),
    ("perplexity", "code_perplexity", ".1f"),
    ("RTF", "rtf", ".3f"),
)
"""Heading, figure and format; a column appears if a row has the figure, and not under another name
with its unit."""


@dataclass(frozen=True)
class Row:
    """The figures of one speaker's clips in one style, under the names of docs/metrics.md."""

    speaker: str
    style: str
    figures: Result

    def figure(self, name: str) -> object:
        """A figure by name, with a dot into a nested one; None where it is undefined."""
        value: object = self.figures
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value


@dataclass(frozen=True)
class Report:
    """An evaluation.

    Attributes:
        subject: the model or folder of predictions.
        truth: what it was compared with.
        split: which clips.
        rows: one per speaker and style.
        notes: what a reader of the figures should know, one line each.
    """

    subject: str
    truth: str
    split: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def show(self, console: Console) -> None:
        """Print the table and the notes; as wide as they are where nobody's terminal limits it."""
        if not console.is_terminal:
            console.width = 240
        table = Table(title=f"{self.subject}, split {self.split}", title_justify="left")
        columns = [column for column in _COLUMNS if self._shows(column[1])]
        table.add_column("speaker")
        table.add_column("style")
        for heading, _, _ in columns:
            table.add_column(heading, justify="right")
        for row in self.rows:
            cells = [_cell(row.figure(name), layout) for _, name, layout in columns]
            table.add_row(row.speaker, row.style, *cells)
        console.print(table)
        for note in self.notes:
            console.print(note, markup=False, highlight=False)

    def _shows(self, name: str) -> bool:
        """Whether a row has the figure, and not the same one with its unit."""
        return any(row.figure(name) not in (None, row.figure(f"{name}_mm2")) for row in self.rows)

    def as_json(self) -> dict[str, object]:
        """The stable form: keys are only ever added."""
        return {
            "format_version": JSON_VERSION,
            "model": self.subject,
            "against": self.truth,
            "split": self.split,
            "rows": [{"speaker": r.speaker, "style": r.style, **r.figures} for r in self.rows],
            "notes": list(self.notes),
        }

    def write(self, path: Path) -> None:
        """Write the JSON; the file appears whole or not at all.

        Raises:
            OutputError: it cannot be written there.
        """
        write_json(path, self.as_json())


def write_json(path: Path, content: dict[str, object]) -> None:
    """Write a JSON file that appears whole or not at all.

    Raises:
        OutputError: it cannot be written there.
    """
    check_file(path)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


def _cell(value: object, layout: str) -> str:
    return "-" if value is None else format(value, layout)
