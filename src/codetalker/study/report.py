"""Report: the figures of a study as one page that needs nothing else."""

from __future__ import annotations

from html import escape
from math import ceil
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from codetalker.disk import replacing
from codetalker.evaluation.report import write_json
from codetalker.plots import Axis, Line, Row, dots, graph
from codetalker.report_page import bullets, page_of, table_of
from codetalker.study.analysis import Analysis, Findings, rule
from codetalker.study.power import EFFECTS, power

_HEADS = (
    "systems",
    "prefer the first",
    "share",
    "Wilson",
    "raters taken together",
    "design effect",
    "could show",
)
_POINTS = 60
"""Of a curve of power."""
NOTES = (
    "An interval covers 95 %; intervals are not adjusted for how many there are of them.",
    "Thick: Wilson's interval, as if all answers were independent. Thin: the answers of a rater "
    "taken together, by the design effect.",
    "Strengths are log odds by Bradley and Terry around the mean of the systems; their intervals "
    "are percentiles over raters drawn anew, 1000 times.",
    "Agreement is that of two raters on the same two films. Krippendorff's alpha is what of it "
    "goes beyond the overall preference: 1 where all agree, 0 where a system is preferred by the "
    "same share on every recording, not defined where nobody ever prefers the other.",
    "The share of the left side is near one half where sides do not matter; sides are balanced, so "
    "a lean to one side draws shares towards one half.",
)


def write_report(analysis: Analysis, page: Path, figures: Path, command: str) -> None:
    """Write the page and its figures as JSON; each appears whole or not at all.

    Args:
        analysis: the figures.
        page: `.html` file.
        figures: `.json` file.
        command: that makes the report again.

    Raises:
        OutputError: one cannot be written there.
    """
    write_json(figures, analysis.as_json())
    with replacing(page) as temporary:
        temporary.write_text(html_of(analysis, command), "utf-8")


def show(analysis: Analysis, console: Console) -> None:
    """Print what is preferred, and whose answers count."""
    if not console.is_terminal:
        console.width = 240
    table = Table(title=analysis.study.title, title_justify="left")
    for heading in ("question", "systems", "prefer the first", "share", "95 %", "alpha"):
        table.add_column(heading)
    for found in analysis.findings:
        alpha = "-" if found.alpha is None else f"{found.alpha:.2f}"
        for s in found.shares:
            share = "-" if s.share is None else f"{s.share:.3f}"
            ends = "{:.3f} to {:.3f}".format(*s.clustered)
            won = f"{s.wins} of {s.answers}"
            table.add_row(found.question, " over ".join(s.systems), won, share, ends, alpha)
    console.print(table)
    kept = analysis.judged
    console.print(
        f"raters: {kept.raters}; left out: {kept.failed} failed attention checks, {kept.unchecked} "
        "saw too few of them",
        markup=False,
        highlight=False,
    )


def html_of(analysis: Analysis, command: str) -> str:
    """The page.

    Args:
        analysis: its figures.
        command: that makes it again.
    """
    study, kept = analysis.study, analysis.judged
    left_out = kept.failed + kept.unchecked
    parts = [
        f"<p>{kept.raters} raters, {len(kept.judgements)} answers on {len(study.systems)} systems "
        f"({', '.join(map(escape, study.systems))}); {left_out} raters are left out: "
        f"{kept.failed} failed attention checks, {kept.unchecked} saw too few of them. "
        f"{escape(rule(study))}</p>",
        *(_question(found) for found in analysis.findings),
        _power(analysis),
        "<h2>How to read this</h2>",
        bullets(NOTES),
        f"<p>Made by <code>{escape(command)}</code>; study {study.id}.</p>",
    ]
    return page_of(study.title, parts)


def _question(found: Findings) -> str:
    shares = [
        Row(" over ".join(s.systems), s.share, (s.wilson, s.clustered))
        for s in found.shares
        if s.share is not None
    ]
    reach = max((abs(e) for s in found.strengths for e in s.interval or (s.strength,)), default=1)
    end = max(ceil(reach * 2) / 2, 0.5)
    strengths = [
        Row(s.system, s.strength, (s.interval,) if s.interval else ())
        for s in sorted(found.strengths, key=lambda s: -s.strength)
    ]
    share, low, high = found.left
    alpha = "not defined" if found.alpha is None else f"{found.alpha:.2f}"
    agreed = "nothing was judged twice" if found.agreement is None else f"{found.agreement:.0%}"
    if found.alpha is not None and found.alpha_interval:
        alpha += " ({:.2f} to {:.2f})".format(*found.alpha_interval)
    return "\n".join(
        [
            f"<h2>{escape(found.text)}</h2>",
            "<h3>Share of answers that prefer the first system</h3>",
            dots(shares, 0, 1, (0, 0.25, 0.5, 0.75, 1), 0.5),
            table_of(
                _HEADS,
                (
                    (
                        " over ".join(s.systems),
                        f"{s.wins} of {s.answers}",
                        "" if s.share is None else f"{s.share:.3f}",
                        "{:.3f} to {:.3f}".format(*s.wilson),
                        "{:.3f} to {:.3f}".format(*s.clustered),
                        f"{s.design_effect:.2f}",
                        "nothing" if s.detectable is None else f"{s.detectable:.3f}",
                    )
                    for s in found.shares
                ),
            ),
            "<h3>Strength</h3>",
            dots(strengths, -end, end, (-end, -end / 2, 0, end / 2, end), 0),
            f"<p>Agreement: {agreed}; Krippendorff's alpha: {alpha}. "
            f"Left side: {share:.3f} ({low:.3f} to {high:.3f}).</p>",
        ]
    )


def _power(analysis: Analysis) -> str:
    answers = max(s.answers / s.design_effect for f in analysis.findings for s in f.shares)
    most = max(400, 100 * ceil(answers / 100))
    counts = np.unique(np.linspace(6, most, _POINTS).astype(int))
    lines = [
        _line(f"{share:g}", [(float(n), power(share, int(n))) for n in counts])
        for share in EFFECTS[:4]
    ]
    across = Axis(0, most, [round(most * i / 4) for i in range(5)])
    shares = Axis(0, 1, (0, 0.2, 0.4, 0.6, 0.8, 1), marked=0.8)
    said = f"power over answers, with a mark at {answers:.0f}"
    before = ((f"{n.share:g}", str(n.answers), str(n.raters)) for n in analysis.needed)
    return "\n".join(
        [
            "<h2>Power</h2>",
            "<p>How likely so many independent answers on two systems show that a share is not one "
            "half (exact binomial test, 5 %). The mark: what this study has at best, "
            f"{answers:.0f} answers after division by the design effect.</p>",
            graph(lines, across, shares, said, mark=answers),
            "<h3>Before a study: what shows a share in 80 % of cases</h3>",
            table_of(("share", "answers", "raters, if answers are independent"), before),
        ]
    )


def _line(label: str, points: list[tuple[float, float]]) -> Line:
    """Of power, labelled where it is past one half or at its end."""
    at = next((i for i, (_, y) in enumerate(points) if y > 0.45), -1)
    return Line(label, points, at=at)
