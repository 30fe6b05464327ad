"""`codetalker animate`: recordings in, files with a talking face out.

In the flow **speech -> features -> codes -> motion -> mesh -> file**, all of it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, UseAppendAction, arg

from codetalker.disk import check_parent, is_stream
from codetalker.errors import CodeTalkerError, OptionError, OutputError, one_line
from codetalker.files import check_output, suffixes_of, written_to
from codetalker.model_folder import FOR_FILES, find_model
from codetalker.places import Place, check_inputs_kept, place, same_place
from codetalker.rendition import Rendition, Wishes, shown_as

_DEFAULT_FORMATS = (".glb", ".mp4")
_STANDARD_INPUT = Path("-")
_AS_TRAINED = Wishes()


def animate(
    audio: Annotated[Positional[tuple[Path, ...]], shown_as("AUDIO...")],
    *,
    output: Annotated[UseAppendAction[tuple[Path, ...]], shown_as("OUT", "-o")] = (),
    format: Annotated[str | None, shown_as("NPZ,GLB,...")] = None,
    model: Annotated[str | None, shown_as("MODEL")] = None,
    wishes: Annotated[Wishes, arg(name="")] = _AS_TRAINED,
) -> int:
    """Turn recordings of speech into talking faces.

    Without -o, a GLB and an MP4 appear beside each recording.

    Args:
        audio: audio or video files, of any format.
        output: file in the format of its suffix (npz, glb, mp4; obj and ply: a folder with a mesh
            for every frame; csv, json, tsv, dat: of models of blendshapes), or folder for all;
            repeat it for several files.
        format: the formats to write into a folder, separated by commas.
        model: folder or name of a model; by default the bundled `studio`, which looks a second
            ahead. `live` is the one for streams.
    """
    if not audio:
        raise OptionError("no recording is given; name at least one: codetalker animate speech.wav")

    import codetalker

    rendition = Rendition.of(codetalker.load(model or FOR_FILES), wishes)
    if rendition.face is not None and (lack := one_line(rendition.face.lack)):
        print(f"warning: {lack}", file=sys.stderr)
    models = (find_model(model),) if model else ()
    jobs = _plan(audio, output, format, rendition.formats, (*audio, *wishes.inputs, *models))
    rendition.check_wanted({path.suffix.lower() for _, paths in jobs for path in paths})
    failures: list[str] = []
    try:
        for recording, paths in jobs:
            with _noted(recording, failures) if len(jobs) > 1 else nullcontext():
                for path in paths:
                    check_output(path, rendition.formats)
                for made in rendition.write(recording, paths):
                    frames = f"{made.frames} frames at {made.fps:g} fps"
                    print(f"{made.path}: {made.seconds:.2f} s, {frames}")
    finally:
        for failure in failures:
            print("error:", failure, file=sys.stderr)
    return 2 if failures else 0


@contextmanager
def _noted(recording: Path, failures: list[str]) -> Iterator[None]:
    """Note what is wrong with one of several recordings, in one line, and go on."""
    try:
        yield
    except CodeTalkerError as error:
        line = " ".join(str(error).split())
        failures.append(line if str(recording) in line else f"{recording}: {line}")


def _plan(
    audio: tuple[Path, ...],
    output: tuple[Path, ...],
    format: str | None,
    known: tuple[str, ...],
    inputs: tuple[Path, ...],
) -> list[tuple[Path, list[Path]]]:
    """Which files each recording gives; none of them is an input, or is written twice."""
    if len(audio) == 1 and output and not format and not output[0].is_dir():
        jobs = [(audio[0], list(output))]
        _check_places(jobs, inputs)
        return jobs
    suffixes = suffixes_of(format, known) if format else _DEFAULT_FORMATS
    folder = _folder(output, known) if output else None
    jobs = [
        (recording, [_beside(recording, folder, suffix) for suffix in suffixes])
        for recording in audio
    ]
    _check_places(jobs, inputs)
    if folder is not None:
        _make(folder)
    return jobs


def _check_places(jobs: list[tuple[Path, list[Path]]], inputs: tuple[Path, ...]) -> None:
    taken: dict[Place, tuple[Path, Path]] = {}
    for recording, paths in jobs:
        for path in paths:
            written = written_to(path)
            check_inputs_kept(written, inputs)
            other, first = taken.setdefault(place(written), (recording, path))
            if other is not recording:
                raise OutputError(
                    f"{recording} and {other} would both be written to {written}; rename one of "
                    "them"
                )
            if first is not path:
                made = "the file" if written == path else "the folder"
                raise OutputError(
                    f"{path} is not the only -o to make {made} {written}; name it otherwise"
                )


def _folder(output: tuple[Path, ...], known: tuple[str, ...]) -> Path:
    folder, *others = output
    if others or folder.suffix.lower() in known or folder.is_file():
        raise OutputError(
            f"-o {folder} is not the one folder for all; with several recordings or --format, "
            "-o names a folder"
        )
    return folder


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"the folder {folder} cannot be made: {error.strerror}; choose another one"
        ) from None
    check_parent(folder / "face")


def _beside(recording: Path, folder: Path | None, suffix: str) -> Path:
    if folder is None and (recording == _STANDARD_INPUT or is_stream(recording)):
        raise OptionError(f"{recording} is no file to write beside; name the output with -o")
    path = (folder or recording.parent) / f"{recording.stem}{suffix}"
    # A video beside itself: talk.mp4 gives talk-face.mp4.
    return path.with_stem(f"{path.stem}-face") if same_place(path, recording) else path
