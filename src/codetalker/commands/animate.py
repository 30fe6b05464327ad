"""`codetalker animate`: recordings in, files with a talking face out.

In the flow **speech -> features -> codes -> motion -> mesh -> file**, all of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, UseAppendAction, arg

from codetalker.errors import AudioError, OptionError, OutputError, did_you_mean
from codetalker.files import check_output, written_to
from codetalker.model_folder import FOR_FILES
from codetalker.motion import check_fps
from codetalker.progress import ProgressBar

if TYPE_CHECKING:
    from codetalker.talker import Talker

_DEFAULT_FORMATS = (".glb", ".mp4")


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
    fps: Annotated[float | None, _shown_as("FPS")] = None,
    seed: int = 0,
    blinks: bool = True,
    life: Literal["off", "idle", "full"] | None = None,
    template: Annotated[Path | None, _shown_as("FACE")] = None,
    mode: Literal["exact", "fast"] | None = None,
) -> int:
    """Turn recordings of speech into talking faces.

    Without -o, a GLB and an MP4 appear beside each recording.

    Args:
        audio: audio or video files, of any format.
        output: file in the format of its suffix (npz, glb, mp4; obj and ply: a folder with a mesh
            for every frame; csv: of models of blendshapes), or folder for all; repeat it for
            several files.
        format: the formats to write into a folder, separated by commas.
        model: folder or name of a model; by default the bundled `studio`, which looks a second
            ahead. `live` is the one for streams.
        style: a speaking style of the model, or a blend such as s1:0.5,s3:0.5.
        strength: scale of the articulation, 1 as trained.
        mood: happy, sad, angry or surprised, with an intensity if you like (happy:0.5): an
            expression laid over the motion, not learned; for models of blendshapes.
        fps: frames per second, above 0 and up to 240; the model's own by default.
        seed: for models that draw at random.
        blinks: procedural ones, where the model has them.
        life: procedural motion of eyes, head and brows, off by default: idle, as of one who
            listens, or full, with the accents of the voice; for models of blendshapes.
        template: a face of the model's topology, .obj or .ply; for models of vertices.
        mode: exact for the published output, fast for long speech; for models of vertices.
    """
    if not audio:
        raise OptionError("no recording is given; name at least one: codetalker animate speech.wav")
    if fps is not None:
        check_fps(fps)

    import codetalker

    talker = codetalker.load(model or FOR_FILES)
    jobs = _plan(audio, output, format, talker.formats)
    for path in [path for _, paths in jobs for path in paths]:
        check_output(path, talker.formats)
    options = {"style": style, "strength": strength, "fps": fps, "seed": seed}
    own = {"template": template, "mode": mode, "blinks": None if blinks else False, "life": life}
    options |= _own_options(talker, own)
    change = _change(talker, mood)
    failures = 0
    for recording, paths in jobs:
        try:
            _animate_one(talker, recording, paths, change, **options)
        except (AudioError, OutputError) as error:
            if len(jobs) == 1:
                raise
            print("error:", error, file=sys.stderr)
            failures += 1
    return 2 if failures else 0


def _own_options(talker: Talker, values: dict[str, Any]) -> dict[str, Any]:
    """Those that are given; they are for some families of models only."""
    given = {name: value for name, value in values.items() if value is not None}
    for name in given:
        if name not in talker.options:
            raise OptionError(f"this model takes no --{name}; leave it out")
    return given


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


def _animate_one(
    talker: Talker, recording: Path, paths: list[Path], change: Callable[[Any], Any], **options: Any
) -> None:
    from codetalker.audio import Waveform

    with ProgressBar(recording.name) as bar:
        made = talker.animate(Waveform.load(recording), **options, progress=bar.update)
    motion = change(made)
    for path in paths:
        with ProgressBar(path.name) as bar:
            written = motion.save(path, progress=bar.update)
        print(f"{written}: {motion.duration:.2f} s, {len(motion)} frames at {motion.fps:g} fps")


def _plan(
    audio: tuple[Path, ...], output: tuple[Path, ...], format: str | None, known: tuple[str, ...]
) -> list[tuple[Path, list[Path]]]:
    """Which files each recording gives."""
    if len(audio) == 1 and output and not format and not output[0].is_dir():
        jobs = [(audio[0], list(output))]
    else:
        suffixes = _suffixes(format, known) if format else _DEFAULT_FORMATS
        folder = _folder(output, known) if output else None
        jobs = [
            (recording, [_beside(recording, folder, suffix) for suffix in suffixes])
            for recording in audio
        ]
    taken = {recording.absolute(): recording for recording in audio}
    for recording, paths in jobs:
        places = [written_to(path) for path in paths]
        for path, place in zip(paths, places, strict=True):
            other = taken.setdefault(place.absolute(), recording)
            if place.absolute() == other.absolute():
                raise OutputError(f"{place} would replace the recording itself; choose another -o")
            if other is not recording:
                raise OutputError(
                    f"{recording} and {other} would both be written to {place}; rename one of them"
                )
            if place != path and places.count(place) > 1:
                raise OutputError(
                    f"{path} is not the only -o to make the folder {place}; name it otherwise"
                )
    return jobs


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
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"the folder {folder} cannot be made: {error.strerror}; choose another one"
        ) from None
    return folder


def _beside(recording: Path, folder: Path | None, suffix: str) -> Path:
    path = (folder or recording.parent) / f"{recording.stem}{suffix}"
    # A video beside itself: talk.mp4 gives talk-face.mp4.
    return path if path != recording else path.with_stem(f"{path.stem}-face")
