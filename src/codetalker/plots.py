"""Plots of a report, as SVG text: figures on their intervals, and lines over two axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

_WIDTH, _LABELS, _ROW, _MARGIN = 720, 250, 30, 14
_BELOW = 34
"""Pixels for the axis' numbers."""


@dataclass(frozen=True)
class Row:
    """A line of a plot.

    Attributes:
        label: on its left.
        value: a dot.
        intervals: lines behind it, the widest last.
    """

    label: str
    value: float
    intervals: Sequence[tuple[float, float]]


def dots(
    rows: Sequence[Row], low: float, high: float, ticks: Sequence[float], middle: float
) -> str:
    """Rows of dots on their intervals, with a line where nothing differs.

    Args:
        rows: what is plotted.
        low, high: ends of the axis.
        ticks: numbers on it.
        middle: where the line is.
    """
    height = len(rows) * _ROW + _BELOW
    right = _WIDTH - _MARGIN

    def x(value: float) -> float:
        return _LABELS + (right - _LABELS) * (min(max(value, low), high) - low) / (high - low)

    parts = [_tick(x(tick), f"{tick:g}", height, tick == middle) for tick in ticks]
    for i, row in enumerate(rows):
        y = i * _ROW + _ROW / 2
        parts.append(
            f'<text x="{_LABELS - 12}" y="{y + 4:.1f}" class="end">{escape(row.label)}</text>'
        )
        for width, (a, b) in zip((5, 2), row.intervals, strict=False):
            parts.append(_line(x(a), y, x(b), y, f'class="interval" stroke-width="{width}"'))
        parts.append(f'<circle cx="{x(row.value):.1f}" cy="{y:.1f}" r="5.5"/>')
    return _svg(height, parts, "; ".join(f"{row.label}: {row.value:.2f}" for row in rows))


@dataclass(frozen=True)
class Line:
    """A line of a graph.

    Attributes:
        label: of it.
        points: x and y, x ascending.
        hue: degrees of its colour; the accent's for None.
        strong: drawn above others.
        at: number of the point that the label stands beside; None for a legend below.
    """

    label: str
    points: Sequence[tuple[float, float]]
    hue: float | None = None
    strong: bool = False
    at: int | None = None


@dataclass(frozen=True)
class Axis:
    """An axis of a graph.

    Attributes:
        low, high: its ends; what lies beyond is drawn at them.
        ticks: numbers on it.
        title: what it counts, with the unit.
        marked: a tick that is drawn as the one to compare with.
    """

    low: float
    high: float
    ticks: Sequence[float]
    title: str = ""
    marked: float | None = None

    def share(self, value: float) -> float:
        """Where a value is, from 0 to 1."""
        return (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)


def axis(values: Sequence[float], title: str, low: float | None = None) -> Axis:
    """An axis with round ticks that holds all values, from `low` if it is given."""
    least, most = min(values) if low is None else low, max(values)
    room = max(most - least, 1e-9)
    step = 10 ** floor(log10(room))
    step *= next(f for f in (0.2, 0.5, 1, 2) if room / (step * f) <= 6)
    first, last = floor(least / step + 1e-9), ceil(most / step - 1e-9)
    ticks = [round(i * step, 10) for i in range(first, last + 1)]
    return Axis(ticks[0], ticks[-1], ticks, title)


def graph(lines: Sequence[Line], x: Axis, y: Axis, said: str, *, mark: float | None = None) -> str:
    """Lines over two axes.

    Args:
        lines: what is plotted.
        x, y: its axes.
        said: what a screen reader says.
        mark: an x that is marked.
    """
    left, plot = 56, 240
    legend = [line for line in lines if line.at is None]
    columns = 2
    height = plot + _BELOW * bool(x.title) + 20 * -(-len(legend) // columns) + 8 * bool(legend)
    right, bottom = _WIDTH - 3 * _MARGIN, plot - _BELOW

    def point(a: float, b: float) -> tuple[float, float]:
        return left + (right - left) * x.share(a), bottom - (bottom - _MARGIN) * y.share(b)

    parts = []
    for tick in y.ticks:
        at = point(x.low, tick)[1]
        kind = "middle" if tick == y.marked else "grid"
        parts.append(_line(left, at, right, at, f'class="{kind}"'))
        parts.append(f'<text x="{left - 8}" y="{at + 4:.1f}" class="end">{tick:g}</text>')
    for tick in x.ticks:
        at = point(tick, y.low)[0]
        parts.append(f'<text x="{at:.1f}" y="{bottom + 22}" class="mid">{tick:g}</text>')
    if x.title:
        across = (left + right) / 2
        parts.append(f'<text x="{across}" y="{plot + 8}" class="mid">{escape(x.title)}</text>')
    if y.title:
        parts.append(f'<text x="{left}" y="{_MARGIN - 3}" class="soft">{escape(y.title)}</text>')
    for line in sorted(lines, key=lambda line: line.strong):
        path = " ".join("{:.1f},{:.1f}".format(*point(a, b)) for a, b in line.points)
        parts.append(f'<polyline points="{path}"{_colour(line)}/>')
        if line.at is not None:
            a, b = point(*line.points[line.at])
            parts.append(f'<text x="{a + 8:.1f}" y="{b + 12:.1f}">{escape(line.label)}</text>')
    for i, line in enumerate(legend):
        a = left + i % columns * (right - left) / columns
        b = plot + _BELOW * bool(x.title) + 20 * (i // columns)
        parts.append(f'<polyline points="{a},{b} {a + 24},{b}"{_colour(line)}/>')
        parts.append(f'<text x="{a + 32:.1f}" y="{b + 4}">{escape(line.label)}</text>')
    if mark is not None:
        at = point(mark, y.low)[0]
        parts.append(_line(at, _MARGIN, at, bottom, 'class="here"'))
    return _svg(height, parts, said)


def _colour(line: Line) -> str:
    width = f"stroke-width:{3 if line.strong else 1.6}"
    colour = "" if line.hue is None else f"stroke:hsl({line.hue:.0f} 65% 50%);"
    return "" if line.hue is None and not line.strong else f' style="{colour}{width}"'


def _tick(x: float, label: str, height: int, middle: bool) -> str:
    line = _line(x, 0, x, height - _BELOW + 4, f'class="{"middle" if middle else "grid"}"')
    return f'{line}<text x="{x:.1f}" y="{height - 12}" class="mid">{label}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, more: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {more}/>'


def _svg(height: int, parts: Sequence[str], said: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(said)}">'
        f"{''.join(parts)}</svg>"
    )
