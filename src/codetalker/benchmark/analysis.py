"""Analysis: every system's figures with intervals, and who is better than the reference where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from codetalker.benchmark.figures import FIGURES
from codetalker.benchmark.observed import Measured
from codetalker.benchmark.protocols import Protocol
from codetalker.benchmark.results import Results
from codetalker.benchmark.statistics import Estimate, Sample, difference, estimate, holm
from codetalker.benchmark.systems import System

LEVEL = 0.05
Pair = tuple[str, str]
"""System and figure."""


@dataclass(frozen=True)
class Finding:
    """One protocol.

    Attributes:
        protocol: what was measured.
        samples: system -> its clips; of several trainings, their mean.
        measured: system -> what each training gave.
        figures: that any system defines, as they are shown.
        estimates: of every system and figure.
        differences: system less reference, for the figures that the protocol compares.
        corrected: their p values after Holm, over all of this protocol.
    """

    protocol: Protocol
    samples: dict[str, Sample]
    measured: dict[str, list[Measured]]
    figures: tuple[str, ...]
    estimates: dict[Pair, Estimate]
    differences: dict[Pair, Estimate]
    corrected: dict[Pair, float]

    def verdict(self, system: str, figure: str) -> int | None:
        """1 where the system is better than the reference, -1 where worse, 0 where that cannot be
        told: the interval of the difference holds zero. None where there is no difference."""
        found = self.differences.get((system, figure))
        if found is None or found.interval is None:
            return None
        better = FIGURES[figure].better
        return (1 if found.value * better > 0 else -1) if found.excludes_zero else 0

    def seeds(self, system: str, figure: str) -> tuple[float, float] | None:
        """The lowest and the highest of several trainings; None for one."""
        trainings = self.measured[system]
        if len(trainings) < 2:
            return None
        values = [estimate(Sample([one.clips]), figure).value for one in trainings]
        return min(values), max(values)


@dataclass(frozen=True)
class Analysis:
    """A benchmark.

    Attributes:
        systems: one per name, the first training of each.
        reference: the name of the system that all others are compared with.
        findings: one per protocol.
    """

    systems: tuple[System, ...]
    reference: str
    findings: tuple[Finding, ...]

    @cached_property
    def by_name(self) -> dict[str, System]:
        """The systems."""
        return {system.name: system for system in self.systems}

    def as_json(self) -> dict[str, Any]:
        """Every figure with its interval, and every difference."""
        rows = []
        for found in self.findings:
            for (system, figure), value in found.estimates.items():
                row: dict[str, Any] = {
                    "protocol": found.protocol.name, "system": system, "figure": figure,
                    "value": value.value, "interval": value.interval,
                    "clips": len(found.samples[system].clips),
                    "trainings": len(found.measured[system]),
                }  # fmt: skip
                seeds = found.seeds(system, figure)
                if seeds:
                    row["trainings_from_to"] = seeds
                less = found.differences.get((system, figure))
                if less is not None:
                    row |= {
                        "less_reference": less.value,
                        "less_reference_interval": less.interval,
                        "p": less.p,
                        "p_holm": found.corrected.get((system, figure)),
                    }
                rows.append(row)
        systems = {
            s.name: {"title": s.title, "kind": s.kind, "latency_s": s.latency, "digest": s.digest}
            for s in self.systems
        }
        return {
            "format_version": 1, "reference": self.reference, "systems": systems, "rows": rows,
        }  # fmt: skip


def analyse(
    systems: Sequence[System], protocols: Sequence[Protocol], results: Results, reference: str
) -> Analysis:
    """The figures of all results; systems without any are left out."""
    first: dict[str, System] = {}
    for system in systems:
        first.setdefault(system.name, system)
    findings = tuple(_finding(p, results[p.name], reference) for p in protocols)
    return Analysis(tuple(first.values()), reference, findings)


def _finding(protocol: Protocol, measured: dict[str, list[Measured]], reference: str) -> Finding:
    samples = {name: Sample([one.clips for one in each]) for name, each in measured.items()}
    figures = tuple(f for f in FIGURES if any(f in sample.figures for sample in samples.values()))
    estimates = {
        (name, figure): estimate(sample, figure)
        for name, sample in samples.items()
        for figure in figures
        if figure in sample.figures
    }
    differences = {
        (name, figure): difference(sample, samples[reference], figure)
        for name, sample in samples.items()
        if name != reference
        for figure in protocol.figures
        if figure in sample.figures and figure in samples[reference].figures
    }
    ps = {" ".join(pair): d.p for pair, d in differences.items() if d.p is not None}
    corrected = holm(ps)
    return Finding(
        protocol, samples, measured, figures, estimates, differences,
        {pair: corrected[" ".join(pair)] for pair in differences if " ".join(pair) in corrected},
    )  # fmt: skip
