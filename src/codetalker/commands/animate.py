"""`codetalker animate`: recordings in, files with a talking face out.

In the flow **speech -> features -> codes -> motion -> mesh -> file**, all of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, UseAppendAction, arg

from codetalker.disk import check_parent, is_stream
from codetalker.errors import CodeTalkerError, OptionError, OutputError, did_you_mean, one_line
from codetalker.files import check_output, flows, formats_of, save_flow, written_to
from codetalker.files.json_forms import JsonForm
from codetalker.model_folder import FOR_FILES, find_model
from codetalker.motion import parse_fps
from codetalker.places import Place, check_inputs_kept, place, same_place
from codetalker.progress import ProgressBar
from codetalker.styles import shares_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from codetalker.characters.character import Character
    from codetalker.talker import StreamingTalker, Talker

_DEFAULT_FORMATS = (".glb", ".mp4")
_STANDARD_INPUT = Path("-")


def _shown_as(metavar: str, *aliases: str):
    return arg(metavar=metavar, aliases=aliases or None, help_behavior_hint="")


def animate(
    audio: Annotated[Positional[tuple[Path, ...]], _shown_as("AUDIO...")],
    *,
    output: Annotated[UseAppendAction[tuple[Path, ...]], _shown_as("OUT", "-o")] = (),
    format: Annotated[str | None, _shown_as("NPZ,GLB,...")] = None,
    model: Annotated[str | None, _shown_as("MODEL")] = None,
    style: Annotated[str | None, _shown_as("STYLE")] = None,
    strength: float = 1.0,
    mood: Annotated[str | None, _shown_as("MOOD")] = None,
    fps: Annotated[str | None, _shown_as("FPS")] = None,
    track: Annotated[int | None, _shown_as("N")] = None,
    seed: int = 0,
    blinks: bool = True,
    life: Literal["off", "idle", "full"] | None = None,
    template: Annotated[Path | None, _shown_as("FACE")] = None,
    mode: Literal["exact", "fast"] | None = None,
    json_form: JsonForm | None = None,
    character: Annotated[Path | None, _shown_as("FACE")] = None,
    names: Annotated[Path | None, _shown_as("MAP")] = None,
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
        style: a speaking style of the model, or a blend such as s1:0.5,s3:0.5.
        strength: scale of the articulation, 1 as trained.
        mood: happy, sad, angry or surprised, with an intensity if you like (happy:0.5): an
            expression laid over the motion, not learned; for models of blendshapes.
        fps: frames per second, 1 to 240; the model's own by default. 30000/1001 is exact, and so
            are 29.97 and its kind, which mean such rates.
        track: which sound track of a film, from 1; its default one by default.
        seed: for models that draw at random.
        blinks: procedural ones, where the model has them.
        life: procedural motion of eyes, head and brows, off by default: idle, as of one who
            listens, or full, with the accents of the voice; for models of blendshapes.
        template: a face of the model's topology, .obj or .ply; for models of vertices.
        mode: exact for the published output, fast for long speech; for models of vertices.
        json_form: of .json: talkinghead, visemes (the same with viseme_aa and so on for the mouth),
            azure or rhubarb.
        character: your own face, .glb or .vrm with morph targets: a GLB is that file with the
            motion in it; for models of blendshapes.
        names: what drives the shapes of the character whose names say nothing, .toml.
    """
    if not audio:
        raise OptionError("no recording is given; name at least one: codetalker animate speech.wav")
    rate = None if fps is None else parse_fps(fps)

    import codetalker

    talker = codetalker.load(model or FOR_FILES)
    face = _face(talker, character, names)
    known = talker.formats if face is None else formats_of(face.MOVES)
    given = (template, character, names, find_model(model) if model else None)
    inputs = (*audio, *(path for path in given if path is not None))
    jobs = _plan(audio, output, format, known, inputs)
    options = {"style": style, "strength": strength, "fps": rate, "seed": seed}
    own = {"template": template, "mode": mode, "blinks": None if blinks else False, "life": life}
    options |= _own_options(talker, own)
    change = _change(talker, mood)
    writing = _writing(jobs, json_form)
    if style is not None:
        shares_of(style, talker.styles)  # before any recording is read
    failures: list[str] = []
    try:
        for recording, paths in jobs:
            with _noted(recording, failures) if len(jobs) > 1 else nullcontext():
                for path in paths:
                    check_output(path, known)
                _animate_one(talker, recording, track, paths, change, face, writing, **options)
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


def _own_options(talker: Talker, values: dict[str, Any]) -> dict[str, Any]:
    """Those that are given; they are for some families of models only."""
    given = {name: value for name, value in values.items() if value is not None}
    for name in given:
        if name not in talker.options:
            raise OptionError(f"this model takes no --{name}; leave it out")
    return given


def _face(talker: Talker, character: Path | None, names: Path | None) -> Character | None:
    """The user's own face, with a line on what it lacks."""
    if character is None:
        if names is not None:
            raise OptionError("--names is for the shapes of a --character; name one, too")
        return None
    from codetalker.characters.character import Character
    from codetalker.motion import Motion

    if talker.motion_type is not Motion:
        raise OptionError("characters are for models of blendshapes; leave --character out")
    face = Character.load(character, names)
    if lack := one_line(face.lack):
        print(f"warning: {lack}", file=sys.stderr)
    return face


def _change(talker: Talker, mood: str | None) -> Callable[[Any], Any]:
    """What is laid over the motion."""
    if mood is None:
        return lambda motion: motion
    from codetalker.mood import parse_mood, with_mood
    from codetalker.motion import Motion

    name, intensity = parse_mood(mood)
    if talker.motion_type is not Motion:
        raise OptionError("moods are for models of blendshapes; leave --mood out")
    return lambda motion: with_mood(motion, name, intensity)


def _writing(
    jobs: list[tuple[Path, list[Path]]], json_form: JsonForm | None
) -> dict[str, dict[str, Any]]:
    """Suffix -> options of its format."""
    if json_form is None:
        return {}
    if not any(path.suffix.lower() == ".json" for _, paths in jobs for path in paths):
        raise OptionError("--json-form is of .json files; name one with -o, or leave it out")
    return {".json": {"form": json_form}}


def _animate_one(
    talker: Talker,
    recording: Path,
    track: int | None,
    paths: list[Path],
    change: Callable[[Any], Any],
    face: Character | None,
    writing: dict[str, dict[str, Any]],
    **options: Any,
) -> None:
    from codetalker.audio import Waveform, heard
    from codetalker.talker import StreamingTalker

    as_it_comes = len(paths) == 1 and flows(paths[0]) and options["fps"] in (None, talker.fps)
    if as_it_comes and isinstance(talker, StreamingTalker):
        given = {name: value for name, value in options.items() if name != "fps"}
        _animate_as_it_comes(talker, heard(recording, track), paths[0], change, **given)
        return
    with ProgressBar(recording.name) as bar:
        made = talker.animate(Waveform.load(recording, track), **options, progress=bar.update)
    motion = change(made)
    motion = motion if face is None else motion.on(face)
    for path in paths:
        with ProgressBar(path.name) as bar:
            own = writing.get(path.suffix.lower(), {})
            written = motion.save(path, progress=bar.update, **own)
        print(f"{written}: {motion.duration:.2f} s, {len(motion)} frames at {made.fps:g} fps")


def _animate_as_it_comes(
    talker: StreamingTalker,
    sound: Iterator[NDArray[np.float32]],
    path: Path,
    change: Callable[[Any], Any],
    **options: Any,
) -> None:
    """In constant memory, however long the recording is."""
    frames = 0

    def parts() -> Iterator[Any]:
        nonlocal frames
        for part in talker.flow(sound, **options):
            frames += len(part)
            bar.advance(part.duration)
            yield change(part)

    with ProgressBar(path.name) as bar:
        written = save_flow(parts(), path)
    print(f"{written}: {frames / talker.fps:.2f} s, {frames} frames at {talker.fps:g} fps")


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
    suffixes = _suffixes(format, known) if format else _DEFAULT_FORMATS
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


def _suffixes(format: str, known: tuple[str, ...]) -> tuple[str, ...]:
    suffixes = tuple(f".{name.strip().lower().removeprefix('.')}" for name in format.split(","))
    unknown = [suffix for suffix in suffixes if suffix not in known]
    if unknown:
        name, names = unknown[0][1:], [suffix[1:] for suffix in known]
        raise OptionError(f"there is no format {name!r}; {did_you_mean(name, names, str)}")
    return suffixes


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
