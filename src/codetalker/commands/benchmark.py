"""`codetalker benchmark`: baselines and models on one corpus, compared by written protocols."""

from __future__ import annotations

import platform
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from os import cpu_count
from pathlib import Path
from typing import Annotated, Literal

from rich.console import Console
from tyro.conf import arg

from codetalker.benchmark.analysis import analyse
from codetalker.benchmark.films import films_of
from codetalker.benchmark.protocols import Data, Protocol, main_clips, protocols
from codetalker.benchmark.report import FIGURES_JSON, MARKDOWN, PAGE, write
from codetalker.benchmark.results import Results, Store
from codetalker.benchmark.summary import claims
from codetalker.benchmark.systems import models as open_models
from codetalker.benchmark.systems import static
from codetalker.benchmark.tracks import fitted_on, recorder, system_of, write_sound
from codetalker.causal.compared import FULL, QUICK, Ear, Workshop, held_out
from codetalker.causal.hearing import HEARINGS
from codetalker.causal.train import find_whisper
from codetalker.causal.whisper import WhisperConfig, load_whisper
from codetalker.data.clip import Clip
from codetalker.data.corpus import read_corpus
from codetalker.data.seen import read_seen
from codetalker.errors import OptionError, did_you_mean
from codetalker.evaluation.recordings import phone_clips
from codetalker.model_folder import FOR_FILES, bundled_models
from codetalker.places import check_run_kept
from codetalker.progress import ProgressBar

WORK = "work"
"""Folder within the report's: runs, features, results."""
_QUICK_CLIPS, _QUICK_PHONES, _QUICK_MINUTES = 20, 40, 2.0


def benchmark(
    corpus: Annotated[Path, arg(metavar="DIR")],
    output: Annotated[Path, arg(metavar="REPORT", aliases=("-o",))],
    *,
    free_speech: Annotated[Path | None, arg(metavar="DIR")] = None,
    phones: Annotated[Path | None, arg(metavar="DIR")] = None,
    models: Annotated[tuple[str, ...], arg(metavar="MODEL ...")] = (),
    tracks: Annotated[tuple[Path, ...], arg(metavar="FILE ...")] = (),
    only: Annotated[tuple[str, ...], arg(metavar="PROTOCOL ...")] = (),
    hearing: Literal["live", "studio"] = "studio",
    whisper: Annotated[Path | None, arg(metavar="FILE")] = None,
    sounds: Annotated[Path | None, arg(metavar="DIR")] = None,
    films: bool = False,
    quick: bool = False,
) -> None:
    """Train the baselines, measure every system by every protocol, and write one report.

    Stopped, the same command goes on; what is there already is not made again.

    Args:
        corpus: recordings with blendshape motion, as docs/data.md describes them.
        output: the folder of the report, which may be there from an earlier start.
        free_speech: recordings whose lip gap was seen in video.
        phones: recordings with the times of their phones, or a folder of several such folders.
        models: models to compare, by folder or bundled name; the others are compared with the
            first. By default `studio` and all others that are bundled.
        tracks: mouth shapes of other programs, as docs/benchmark.md describes them.
        only: protocols by name, by default all.
        hearing: how the systems hear that are trained here.
        whisper: `model.bin` of Whisper tiny.en; that of the installed package by default.
        sounds: instead, write all sounds that are played and those that tracks are fitted on into
            this folder, for other programs.
        films: also film one recording by every system, a minute or two.
        quick: short trainings, one seed, fewer clips: 15 minutes on two cores.
    """
    read = [path for path in (corpus, free_speech, phones, whisper, *tracks) if path]
    check_run_kept(output, (WORK, PAGE, MARKDOWN, FIGURES_JSON), read)
    data, trained = _data(corpus, free_speech, phones, quick)
    if sounds is not None:
        record(data, sounds, only)
        return
    heard = HEARINGS[hearing]
    encoder = load_whisper(find_whisper(whisper), WhisperConfig(layers=heard.layers))
    ear = Ear(encoder, heard, output / WORK / "heard")
    shop = Workshop(trained, ear, output / WORK, QUICK if quick else FULL)
    given = {
        "--free-speech": free_speech, "--phones": phones, "--whisper": whisper,
        "--hearing": hearing, "--models": models, "--tracks": tracks,
    }  # fmt: skip
    words = ["codetalker", "benchmark", "--corpus", corpus, "-o", output, *_words(given)]
    command = shlex.join(map(str, [*words, *["--films"] * films, *["--quick"] * quick]))
    run(shop, data, output, models or _bundled(), tracks, only, command, films=films)


def _words(given: Mapping[str, object]) -> Iterator[object]:
    """The options of a command that are set."""
    for name, value in given.items():
        values = value if isinstance(value, tuple) else () if value is None else (value,)
        yield from (name, *values) if values else ()


def run(
    shop: Workshop,
    data: Data,
    output: Path,
    names: Sequence[str],
    tracks: Sequence[Path],
    only: Sequence[str],
    command: str,
    *,
    films: bool = False,
) -> None:
    """Train, measure and write the report.

    Args:
        shop: trains the systems.
        data: what protocols play.
        output: folder of the report.
        names: of models, the first the reference.
        tracks: mouth shapes of other programs.
        only: names of protocols; all for none.
        command: that makes the report of all protocols again.
        films: film one recording.
    """
    console = Console(stderr=True)
    wanted = _wanted(protocols(data), only)
    store, compared = Store(output / WORK / "results"), []
    results: Results = {protocol.name: {} for protocol in wanted}
    count, start = len(names) + 1 + len(tracks) + shop.count, time.monotonic()
    shown = (system_of(path, data.clips) for path in tracks)
    for system in chain(open_models(names), [static()], shown, shop.systems()):
        with ProgressBar(system.name, len(wanted)) as bar:
            for protocol in wanted:
                bar.rename(f"{system.name}: {protocol.name}")
                found = store.measured(system, protocol)
                results[protocol.name].setdefault(system.name, []).append(found)
                bar.advance()
        compared.append(system)
        spent = (time.monotonic() - start) / 60
        left = spent / len(compared) * (count - len(compared))
        told = f"{len(compared)} of {count} systems, {spent:.0f} min, about {left:.0f} left"
        console.print(f"{system.title}: measured; {told}", markup=False, highlight=False)
    analysis = analyse(compared, wanted, results, compared[0].name)
    clip = main_clips(data.clips)[0]
    filmed = films_of(compared, clip, output / WORK / "films") if films else []
    write(analysis, output, command, _machine(), only, filmed)
    for line in claims(analysis):
        print(line)
    print(f"{output / PAGE}, {output / MARKDOWN}, {output / FIGURES_JSON}")


def record(data: Data, folder: Path, only: Sequence[str]) -> None:
    """Write the sounds of all protocols or only of some, and those that tracks are fitted on."""
    system = recorder(folder)
    for clip in fitted_on(data.clips):
        write_sound(clip.waveform(), folder)
    for protocol in ProgressBar("sounds").track(_wanted(protocols(data), only)):
        protocol.measure(system)
    print(f"{folder}: {len(list(folder.glob('*.wav')))} sounds")


def _data(
    corpus: Path, free_speech: Path | None, phones: Path | None, quick: bool
) -> tuple[Data, list[Clip]]:
    """What is played, and the clips to train on."""
    clips, takes = held_out(read_corpus(corpus))
    timed = () if phones is None else phone_clips(phones)
    if quick:
        timed = timed[:: -(-len(timed) // _QUICK_PHONES) or 1]
    data = Data(
        clips, takes, () if free_speech is None else read_seen(free_speech), timed,
        **({"most": _QUICK_CLIPS, "minutes": _QUICK_MINUTES} if quick else {}),
    )  # fmt: skip
    return data, clips


def _bundled() -> tuple[str, ...]:
    """All models that come with the package, the one for files first."""
    there = bundled_models()
    if not there:
        raise OptionError("no model is installed; name some with --models")
    return tuple(sorted(there, key=lambda name: (name != FOR_FILES, name)))


def _wanted(there: list[Protocol], only: Sequence[str]) -> list[Protocol]:
    names = [protocol.name for protocol in there]
    for name in only:
        if name not in names:
            hint = did_you_mean(name, names, str)
            raise OptionError(f"there is no protocol {name!r} for these data; {hint}")
    return [protocol for protocol in there if not only or protocol.name in only]


def _machine() -> str:
    """In words, without its name."""
    return f"{cpu_count()} cores ({platform.machine()}, {platform.system()}), PyTorch on the CPU"
