"""Plots of a report, as SVG text: shares and strengths with their intervals, and power."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

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
    """Rows of dots on their intervals, with a line where nothing is preferred.

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


def curves(
    lines: Sequence[tuple[str, Sequence[tuple[float, float]]]], most: float, at: float
) -> str:
    """Lines from 0 to 1 over a number of answers, and a mark where the study is.

    Args:
        lines: a label and its points, x ascending.
        most: end of the x axis.
        at: where the mark is.
    """
    height, left = 260, 48
    right, bottom = _WIDTH - 3 * _MARGIN, height - _BELOW

    def point(x: float, y: float) -> tuple[float, float]:
        return left + (right - left) * min(x / most, 1), bottom - (bottom - _MARGIN) * y

    parts = []
    for share in (0, 0.2, 0.4, 0.6, 0.8, 1):
        y = point(0, share)[1]
        parts.append(_line(left, y, right, y, f'class="{"middle" if share == 0.8 else "grid"}"'))
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" class="end">{share:g}</text>')
    for tick in (most * i / 4 for i in range(5)):
        x = point(tick, 0)[0]
        parts.append(f'<text x="{x:.1f}" y="{height - 12}" class="mid">{tick:.0f}</text>')
    for label, points in lines:
        path = " ".join("{:.1f},{:.1f}".format(*point(x, y)) for x, y in points)
        parts.append(f'<polyline points="{path}"/>')
        x, y = point(*next((p for p in points if p[1] > 0.45), points[-1]))
        parts.append(f'<text x="{x + 8:.1f}" y="{y + 12:.1f}">{escape(label)}</text>')
    x = point(at, 0)[0]
    parts.append(_line(x, _MARGIN, x, bottom, 'class="here"'))
    return _svg(height, parts, f"power over answers, with a mark at {at:.0f}")


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
