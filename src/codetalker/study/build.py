"""Build: folders of films or motions become a study folder.

In the flow speech -> features -> codes -> motion -> mesh -> file -> **study**.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from codetalker.arguments import number
from codetalker.disk import new_folder
from codetalker.errors import DataError, OptionError
from codetalker.progress import Progress
from codetalker.reading import check_text, refusing
from codetalker.study.attention import FEWEST
from codetalker.study.design import LIP_SYNC, QUESTIONS, Check, pairs_of
from codetalker.study.films import OTHER, STILL, check_same_sound, spoil
from codetalker.study.folder import FILMS, MANIFEST, Study
from codetalker.study.sources import FILM, sources_of

_MOST_PAIRS = 24
"""That a rater judges unless told otherwise: with the checks 20 minutes of five-second films."""
_MOST_CHECKS = 50
_LARGEST_SEED = 1 << 53


@dataclass(frozen=True)
class Plan:
    """What a study is made of.

    Attributes:
        folders: of films or motions, one for each system, which is called as its folder is.
        audio: folder with the sound of motions; None where it lies beside them.
        title: that raters read.
        seed: that the order is drawn from.
        pairs: that a rater judges; None for all, 24 at most.
        checks: of the raters' attention; 0 for none.
        size: of films made from motions, in pixels.
    """

    folders: tuple[Path, ...]
    audio: Path | None = None
    title: str = "Talking faces"
    seed: int = 0
    pairs: int | None = None
    checks: int = 6
    size: int = 480


def build_study(
    plan: Plan,
    output: Path,
    progress: Progress = lambda done, total: None,
    note: Callable[[str], None] = lambda line: None,
) -> Study:
    """Make a study folder of the clips that all systems have.

    Args:
        plan: what it is made of.
        output: the folder to make.
        progress: told how far the work is.
        note: told in a line which clips are left out.

    Raises:
        DataError, AudioError, MotionError: the folders do not go together, or a film or motion
            cannot be used.
        OptionError: a number is out of range.
        OutputError: the folder has content already, or cannot be written.
    """
    systems = _systems(plan.folders)
    found = [sources_of(folder, plan.audio) for folder in plan.folders]
    clips = sorted(set.intersection(*(set(sources) for sources in found)))
    if not clips:
        folders = ", ".join(map(str, plan.folders))
        raise DataError(f"no name is in all of {folders}; name films of the same recording alike")
    if others := sorted(set.union(*(set(sources) for sources in found)) - set(clips)):
        note(f"left out, since not in every folder: {', '.join(others)}")
    sources = [own[clip] for own in found for clip in clips]
    study = _study(plan, systems, clips)
    work = len(sources) + len(study.films)
    for i, clip in enumerate(clips):
        first, *others = (own[clip].heard() for own in found)
        for other in others:
            check_same_sound(first, other)
        progress((i + 1) * len(systems), work)
    with new_folder(output) as partial:
        places = [partial / FILMS / name for name in study.films]
        (partial / FILMS).mkdir()
        for i, (source, place) in enumerate(zip(sources, places, strict=False), 1):
            source.film(place, plan.size)
            progress(len(sources) + i, work)
        for i, check in enumerate(study.checks):
            right, spoilt = check.films
            spoil(places[spoilt], places[right], places[_pictures(check, len(clips))], check.spoilt)
            progress(2 * len(sources) + i + 1, work)
        (partial / MANIFEST).write_text(study.to_json(), "utf-8")
    return study


def _study(plan: Plan, systems: tuple[str, ...], clips: Sequence[str]) -> Study:
    if plan.checks and not FEWEST <= plan.checks <= _MOST_CHECKS:
        raise OptionError(
            f"--checks is {plan.checks}; choose {FEWEST} to {_MOST_CHECKS}, with fewer nobody who "
            "guesses is told apart, or 0"
        )
    count = len(systems) * len(clips)
    table = [range(start, start + len(clips)) for start in range(0, count, len(clips))]
    pairs = pairs_of(table, systems, clips)
    most = min(len(pairs), _MOST_PAIRS)
    per_rater = number(most if plan.pairs is None else plan.pairs, "--pairs", 1, len(pairs))
    return Study(
        title=_shown(plan.title, "--title"),
        seed=int(number(plan.seed, "--seed", 0, _LARGEST_SEED)),
        per_rater=int(per_rater),
        systems=systems,
        questions=QUESTIONS,
        films=tuple(_film_name(plan, systems, i) for i in range(count + plan.checks)),
        pairs=pairs,
        checks=tuple(_check(i, systems, clips) for i in range(plan.checks)),
    )


def _check(index: int, systems: Sequence[str], clips: Sequence[str]) -> Check:
    """One after another of the systems and clips; still faces and other sentences by turns."""
    alone = len(clips) == 1
    turn = index if alone else index // 2
    system, clip = (turn + turn // len(clips)) % len(systems), turn % len(clips)
    right, spoilt = system * len(clips) + clip, len(systems) * len(clips) + index
    if index % 2 and not alone:
        return Check(clips[clip], OTHER, (right, spoilt), (LIP_SYNC,))
    return Check(clips[clip], STILL, (right, spoilt), tuple(q.name for q in QUESTIONS))


def _pictures(check: Check, clips: int) -> int:
    """The film that gives a spoilt one its pictures: its own, or the same system's next."""
    right, _ = check.films
    return right if check.spoilt == STILL else right - right % clips + (right + 1) % clips


def _film_name(plan: Plan, systems: Sequence[str], index: int) -> str:
    """That tells nobody what it is."""
    return sha256(repr((plan.title, plan.seed, systems, index)).encode()).hexdigest()[:16] + FILM


def _systems(folders: Sequence[Path]) -> tuple[str, ...]:
    if len(folders) < 2:
        raise OptionError("a study compares systems; name a folder of films for each, two or more")
    names = tuple(_shown(folder.resolve().name, str(folder)) for folder in folders)
    if twice := [name for name in names if names.count(name) > 1]:
        raise OptionError(
            f"two folders are called {twice[0]!r}, as their systems would be; rename one"
        )
    return names


def _shown(text: str, where: str) -> str:
    with refusing(OptionError, f"{where} cannot be shown", "choose other characters"):
        return check_text(text)
