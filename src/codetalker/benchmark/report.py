"""Report: the benchmark as one page that needs nothing else, as a Markdown table and as JSON.

Every sentence about who wins is computed (`summary`); what stands here in words is what holds
whatever the figures are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import numpy as np

from codetalker.benchmark.analysis import Analysis, Finding
from codetalker.benchmark.curves import frequencies
from codetalker.benchmark.figures import FALSE_SHARE, FIGURES
from codetalker.benchmark.films import Film
from codetalker.benchmark.films import html_of as html_of_films
from codetalker.benchmark.statistics import DRAWS, Estimate
from codetalker.benchmark.summary import HEADS, claims, winners
from codetalker.benchmark.systems import Kind, System
from codetalker.disk import replacing
from codetalker.evaluation.report import write_json
from codetalker.plots import Axis, Line, Row, axis, dots, graph
from codetalker.report_page import bullets, page_of, table_of

PAGE, MARKDOWN, FIGURES_JSON = "index.html", "report.md", "figures.json"
TITLE = "Speech-driven faces: who wins where"
_SHOWN_S = 6.0
"""How much of a recording's lip gap is drawn."""
NOTES = (
    "An interval covers 95 %: percentiles of the figure over clips drawn with replacement, "
    f"{DRAWS} times; differences are paired, both systems on the same drawn clips. Clips of one "
    "speaker are alike: intervals say what other sentences of the same speakers would give, not "
    "what other speakers would.",
    "Holm: p values of a protocol are corrected for how many differences it compares; the "
    "verdicts in words and colours are those of the single intervals, which are not.",
    "Of systems that were trained several times, a figure is the mean over the trainings, clip by "
    "clip; the range over the trainings stands beside it. With one training a difference may be "
    "the seed's.",
    f"Closures at {FALSE_SHARE:.0%} false ones: each system at the threshold of its own at which "
    f"{FALSE_SHARE:.0%} of what must not be shut is below it. A face that never opens closes "
    "everything at 0.7 mm, and finds no more closures than false ones here.",
    "The clips that models are chosen by while they train are those of the seen speaker: its "
    "figures are a little too good, of all trained systems alike.",
)
NOT_SHOWN = (
    "That any system is good for faces or speakers unlike these: one man has nine tenths of the "
    "clips with true motion, in sentences of six words out of 51, slowly spoken and tracked from a "
    "single camera of low resolution.",
    "What teeth, tongue and cheeks do; and what upper faces should do: brows hardly move in these "
    "data, and speech says little of them.",
    "What people prefer: that takes raters (codetalker study).",
    "How the published systems do on the published data. The window regression and the transformer "
    "here have their ideas and not their size, meshes or speech encoders; the published codec with "
    "its InstanceNorm is not among the systems, for two cores do not train it.",
    "An equal contest for the bundled models: they also learned from synthetic speech and face "
    "takes that the systems trained here never had, they were chosen with a look at the free "
    "speech, and the held-out take was not held out for them.",
)


def write(
    analysis: Analysis,
    folder: Path,
    command: str,
    machine: str,
    only: Sequence[str] = (),
    films: Sequence[Film] = (),
) -> None:
    """Write the page, the table and the figures; each appears whole or not at all.

    Args:
        analysis: what was found.
        folder: where.
        command: that makes the report of all protocols.
        machine: what it was measured on, in words.
        only: the protocols that were asked for, if not all.
        films: of one recording.

    Raises:
        OutputError: one cannot be written there.
    """
    made = f"{command} --only {' '.join(only)}" if only else command
    write_json(folder / FIGURES_JSON, {**analysis.as_json(), "command": made})
    for name, text in (
        (MARKDOWN, markdown_of(analysis, made)),
        (PAGE, html_of(analysis, command, made, machine, films)),
    ):
        with replacing(folder / name) as temporary:
            temporary.write_text(text, "utf-8")


def html_of(
    analysis: Analysis, command: str, made: str, machine: str, films: Sequence[Film]
) -> str:
    """The page; `command` makes all of it, `made` what is here."""
    reference = analysis.by_name[analysis.reference].title
    parts = [
        f"<p>{len(analysis.systems)} systems, {len(analysis.findings)} protocols; all differences "
        f"are against <b>{escape(reference)}</b>.</p>",
        _made_by(made),
        "<h2>What was claimed</h2>",
        bullets(claims(analysis)),
        "<h2>Who wins where</h2>",
        table_of(HEADS, winners(analysis)),
        "<h2>Systems</h2>",
        table_of(*_systems(analysis)),
        *(["<h2>One recording</h2>", html_of_films(films)] if films else []),
        *(_section(found, analysis, command) for found in analysis.findings),
        "<h2>How to read this</h2>",
        bullets(NOTES),
        "<h2>What these data do not show</h2>",
        bullets(NOT_SHOWN),
        f"<p>Measured on {escape(machine)}.</p>",
    ]
    return page_of(TITLE, parts)


def markdown_of(analysis: Analysis, command: str) -> str:
    """One table per protocol; figures with intervals."""
    lines = [f"# {TITLE}", "", f"`{command}`", ""]
    lines += [*(f"- {line}" for line in claims(analysis)), ""]
    lines += [_row(HEADS), _row("---" for _ in HEADS), *map(_row, winners(analysis))]
    for found in analysis.findings:
        heads, rows = _figures(found, analysis)
        lines += ["", f"## {found.protocol.title}", "", found.protocol.text, ""]
        lines += [_row(heads), _row("---" for _ in heads), *map(_row, rows)]
    return "\n".join(lines) + "\n"


def _row(cells: Iterable[str]) -> str:
    plain = (cell.replace("|", "\\|").replace("\n", " ") for cell in cells)
    return f"| {' | '.join(plain)} |"


def _systems(analysis: Analysis) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    heads = ("system", "kind", "hears ahead, s", "trainings", "note")
    trainings = {
        name: len(found) for one in analysis.findings for name, found in one.measured.items()
    }
    rows = [
        (
            system.title,
            str(system.kind),
            "all" if system.latency is None else f"{system.latency:g}",
            str(trainings.get(system.name, 0)),
            system.note,
        )
        for system in analysis.systems
    ]
    return heads, rows


def _section(found: Finding, analysis: Analysis, command: str) -> str:
    protocol = found.protocol
    parts = [
        f'<h2 id="{protocol.name}">{escape(protocol.title)}</h2>',
        f"<p>{escape(protocol.text)}</p>",
        table_of(*_figures(found, analysis)),
        *(_differences(found, figure, analysis) for figure in protocol.figures),
        _detection(found, analysis),
        _gaps(found, analysis),
        _spectra(found, analysis),
        _errors(found, analysis),
        _codes(found, analysis),
        _made_by(f"{command} --only {protocol.name}"),
    ]
    return "\n".join(part for part in parts if part)


def _figures(found: Finding, analysis: Analysis) -> tuple[list[str], list[list[str]]]:
    heads = ["system", *(FIGURES[name].title for name in found.figures)]
    rows = []
    for system in analysis.systems:
        if system.name not in found.samples:
            continue
        cells = [system.title]
        for name in found.figures:
            value = found.estimates.get((system.name, name))
            cells.append("" if value is None else _shown(value, found, system.name, name))
        rows.append(cells)
    return heads, rows


def _shown(value: Estimate, found: Finding, system: str, name: str) -> str:
    """The figure, below it its interval, and that over trainings."""
    layout = FIGURES[name].layout
    text = f"{value.value:{layout}}"
    if value.interval is not None:
        text += f"\n{value.interval[0]:{layout}} to {value.interval[1]:{layout}}"
    seeds = found.seeds(system, name)
    return text if seeds is None else f"{text}\n[{seeds[0]:{layout}}, {seeds[1]:{layout}}]"


def _differences(found: Finding, name: str, analysis: Analysis) -> str:
    """Dots: each system less the reference."""
    figure = FIGURES[name]
    rows, corrected = [], []
    for system in analysis.systems:
        less = found.differences.get((system.name, name))
        if less is None or less.interval is None:
            continue
        word = {1: "better", 0: "?", -1: "worse", None: ""}[found.verdict(system.name, name)]
        rows.append(Row(f"{system.title}: {word}", less.value, (less.interval,)))
        p = found.corrected.get((system.name, name))
        corrected.append(f"{system.title} {p:.4f}" if p is not None else "")
    if not rows or not figure.better:
        return ""
    near = [row for row in rows if not row.label.startswith("static")] or rows
    ends = [end for row in near for interval in row.intervals for end in interval]
    across = axis([*ends, 0], "")
    title = f"{figure.title}, less that of {analysis.by_name[analysis.reference].title}"
    more = "more is better" if figure.better > 0 else "less is better"
    return "\n".join(
        [
            f"<h3>{escape(title)} ({more})</h3>",
            dots(rows, across.low, across.high, across.ticks, 0),
            f"<p>p after Holm: {escape('; '.join(filter(None, corrected)))}.</p>",
        ]
    )


def _detection(found: Finding, analysis: Analysis) -> str:
    lines = []
    for system in _drawn(found, analysis):
        sample = found.samples[system.name]
        if sample.curves is not None and "found_at_equal_false" in sample.figures:
            false, right = sample.roc()
            points = list(zip(false.tolist(), right.tolist(), strict=True))
            lines.append(_line(system, points, analysis))
    if not lines:
        return ""
    across = Axis(0, 0.5, (0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5), "share of what must not shut, shut")
    up = Axis(0, 1, (0, 0.2, 0.4, 0.6, 0.8, 1), "share of closures found")
    said = "closures found over false ones, by the threshold of the lip gap"
    plot = graph(lines, across, up, said, mark=FALSE_SHARE)
    return f"<h3>Closures as detection, every threshold of the gap</h3>{plot}"


def _gaps(found: Finding, analysis: Analysis) -> str:
    """The lip gap of the first clip against the truth's."""
    lines, true = [], None
    for system in _drawn(found, analysis):
        curves = found.measured[system.name][0].curves
        if "gap" not in curves:
            continue
        fps = curves["fps"][0]
        count = round(_SHOWN_S * fps)
        times = (np.arange(count) / fps).tolist()
        lines.append(_line(system, list(zip(times, curves["gap"][:count], strict=False)), analysis))
        if true is None or system.name == analysis.reference:
            true = list(zip(times, curves["true_gap"][:count], strict=False))
    if true is None:
        return ""
    lines.append(Line("truth", true, strong=True))
    across = axis([x for x, _ in true], "s", 0)
    up = axis([y for line in lines for _, y in line.points], "lip gap from rest, mm")
    clip = found.samples[analysis.reference].clips[0]
    return f"<h3>Lip gap, {escape(clip)}</h3>{graph(lines, across, up, 'lip gap over time')}"


def _spectra(found: Finding, analysis: Analysis) -> str:
    lines, true = [], None
    for system in _drawn(found, analysis):
        curves = found.measured[system.name][0].curves
        if "spectrum" in curves:
            lines.append(_line(system, _decibels(curves["spectrum"], curves["fps"][0]), analysis))
            true = _decibels(curves["true_spectrum"], curves["fps"][0])
    if true is None:
        return ""
    lines.append(Line("truth", true, strong=True))
    top = max(y for _, y in true)
    across = axis([x for x, _ in true], "Hz", 0)
    up = axis([top - 40, top + 5], "power of the lips' speed, dB")
    plot = graph(lines, across, up, "spectrum of the speed of the lip gap")
    return f"<h3>How fast lips move: below the truth is smoothed</h3>{plot}"


def _decibels(power: Sequence[float], fps: float) -> list[tuple[float, float]]:
    values = 10 * np.log10(np.maximum(power, 1e-6))
    return list(zip(frequencies(fps)[1:].tolist(), values[1:].tolist(), strict=True))


def _errors(found: Finding, analysis: Analysis) -> str:
    lines = []
    for system in _drawn(found, analysis):
        error = found.measured[system.name][0].curves.get("error")
        if error:
            groups = np.array_split(np.array(error), min(20, len(error)))
            means = [float(group.mean()) for group in groups]
            places = [(i + 0.5) / len(means) for i in range(len(means))]
            lines.append(_line(system, list(zip(places, means, strict=True)), analysis))
    if not lines:
        return ""
    up = axis([y for line in lines for _, y in line.points], "LVE, mm²", 0)
    across = Axis(0, 1, (0, 0.1, 0.5, 0.9, 1), "share of the recording")
    return f"<h3>Error over time</h3>{graph(lines, across, up, 'LVE over the recording')}"


def _codes(found: Finding, analysis: Analysis) -> str:
    lines = []
    for system in _drawn(found, analysis):
        codes = found.measured[system.name][0].curves.get("codes")
        if codes:
            shares = [count / sum(codes) for count in codes]
            lines.append(_line(system, list(enumerate(shares)), analysis))
    if not lines:
        return ""
    across = axis(
        [x for line in lines for x, _ in line.points], "codes, the most frequent first", 0
    )
    up = axis([y for line in lines for _, y in line.points], "share of all codes", 0)
    return f"<h3>Codes</h3>{graph(lines, across, up, 'histogram of codes')}"


def _drawn(found: Finding, analysis: Analysis) -> list[System]:
    """Whose curves are drawn: no ablations, and not the face that does not move."""
    return [
        system
        for system in analysis.systems
        if system.name in found.samples and system.kind != Kind.ABLATION and system.name != "static"
    ]


def _line(system: System, points: Sequence[tuple[float, float]], analysis: Analysis) -> Line:
    names = [one.name for one in analysis.systems]
    hue = (names.index(system.name) * 137.5 + 20) % 360  # the golden angle keeps hues apart
    return Line(system.title, points, hue, strong=system.name == analysis.reference)


def _made_by(command: str) -> str:
    return f"<p>Made by <code>{escape(command)}</code>.</p>"
