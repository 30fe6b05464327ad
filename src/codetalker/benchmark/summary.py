"""Summary: who wins where, in sentences computed from the figures and from nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from codetalker.benchmark.analysis import Analysis, Finding
from codetalker.benchmark.figures import FIGURES, FOUND
from codetalker.benchmark.systems import Kind, System

Which = Callable[[System], bool]
STILL = "static"
"""The face that does not move: no rival where not moving is what is asked for."""


@dataclass(frozen=True)
class Claim:
    """Something that the reference should show.

    Attributes:
        protocol, figure: where.
        rivals: whom it is compared with, in words.
        which: the same.
        strictly: it must be better, not merely no worse.
    """

    protocol: str
    figure: str
    rivals: str
    which: Which
    strictly: bool = True


def _baseline(system: System) -> bool:
    return system.kind in (Kind.BASELINE, Kind.WEB)


CLAIMS = (
    *(
        Claim("seen-speaker", figure, "every causal baseline", lambda s: _baseline(s) and s.causal)
        for figure in ("lve_mm2", "fdd_abs_mm2")
    ),
    *(
        Claim("seen-speaker", figure, "every regression", lambda s: _baseline(s) and s.regression)
        for figure in ("closure_rate", FOUND)
    ),
    *(
        Claim(protocol, figure, "every baseline", _baseline, figure == FOUND)
        for protocol in ("unseen-speakers", "free-speech")
        for figure in (FOUND, "correlation")
    ),
)
"""What is asked of the bundled model."""


def claims(analysis: Analysis) -> list[str]:
    """Whether each claim holds, and if not, because of whom."""
    findings = {found.protocol.name: found for found in analysis.findings}
    return [
        _judged(claim, findings[claim.protocol], analysis)
        for claim in CLAIMS
        if claim.protocol in findings
    ]


HEADS = ("", "best", "reference", "better", "not told apart", "worse")


def winners(analysis: Analysis) -> list[tuple[str, ...]]:
    """Rows under `HEADS`, for each figure that is compared: the best system, and who is better,
    not told apart and worse than the reference."""
    return [
        _ranking(found, figure, analysis)
        for found in analysis.findings
        for figure in found.protocol.figures
        if FIGURES[figure].better and (analysis.reference, figure) in found.estimates
    ]


def _judged(claim: Claim, found: Finding, analysis: Analysis) -> str:
    reference, figure = analysis.by_name[analysis.reference], FIGURES[claim.figure]
    rivals = [
        system
        for system in analysis.systems
        if claim.which(system)
        and system.name != analysis.reference
        and found.verdict(system.name, claim.figure) is not None
        and (figure.judges_still or system.name != STILL)
    ]
    allowed = (-1,) if claim.strictly else (-1, 0)
    failed = [s for s in rivals if found.verdict(s.name, claim.figure) not in allowed]
    relation = "better than" if claim.strictly else "no worse than"
    begin = f"{found.protocol.title}, {figure.title}: {reference.title} is"
    if not rivals:
        return f"{begin} compared with nothing."
    if not failed:
        return f"Yes. {begin} {relation} {claim.rivals} ({len(rivals)})."
    relation = "not better than" if claim.strictly else "worse than some of"
    because = "; ".join(f"{s.title} {_less(found, s.name, claim.figure)}" for s in failed)
    return f"No. {begin} {relation} {claim.rivals}: {because}."


def _ranking(found: Finding, name: str, analysis: Analysis) -> tuple[str, ...]:
    figure = FIGURES[name]
    ranked = sorted(
        (
            system
            for system in analysis.systems
            if (system.name, name) in found.estimates
            and (figure.judges_still or system.name != STILL)
        ),
        key=lambda system: -figure.better * found.estimates[system.name, name].value,
    )
    values = [found.estimates[n, name].value for n in (ranked[0].name, analysis.reference)]
    best, own = (f"{value:{figure.layout}}" for value in values)
    those = [
        ", ".join(s.title for s in ranked if found.verdict(s.name, name) == verdict)
        for verdict in (1, 0, -1)
    ]
    where = f"{found.protocol.title}: {figure.title}"
    return (where, f"{ranked[0].title} {best}", own, *those)


def _less(found: Finding, system: str, name: str) -> str:
    """`-0.40 (-0.52 to -0.29)`."""
    less, layout = found.differences[system, name], FIGURES[name].layout
    assert less.interval is not None
    low, high = less.interval
    return f"{less.value:+{layout}} ({low:+{layout}} to {high:+{layout}})"
