"""Renditions: what is asked of a model, checked once, and done for recording after recording.

In the flow **speech -> features -> codes -> motion -> mesh -> file**, all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import arg

from codetalker.errors import OptionError
from codetalker.files import flows, formats_of, save_flow
from codetalker.files.json_forms import JsonForm
from codetalker.motion import Motion, parse_fps
from codetalker.progress import ProgressBar
from codetalker.styles import shares_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from codetalker.characters.character import Character
    from codetalker.talker import StreamingTalker, Talker

_JSON = ".json"


def shown_as(metavar: str, *aliases: str):
    """How a command line's help names an option and its value."""
    return arg(metavar=metavar, aliases=aliases or None, help_behavior_hint="")


@dataclass(frozen=True)
class Wishes:
    """What is asked of a model beside the recording.

    Attributes:
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

    style: Annotated[str | None, shown_as("STYLE")] = None
    strength: float = 1.0
    mood: Annotated[str | None, shown_as("MOOD")] = None
    fps: Annotated[str | None, shown_as("FPS")] = None
    track: Annotated[int | None, shown_as("N")] = None
    seed: int = 0
    blinks: bool = True
    life: Literal["off", "idle", "full"] | None = None
    template: Annotated[Path | None, shown_as("FACE")] = None
    mode: Literal["exact", "fast"] | None = None
    json_form: JsonForm | None = None
    character: Annotated[Path | None, shown_as("FACE")] = None
    names: Annotated[Path | None, shown_as("MAP")] = None

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The files that are read."""
        named = (self.template, self.character, self.names)
        return tuple(path for path in named if path is not None)


@dataclass(frozen=True)
class Written:
    """What a recording has given.

    Attributes:
        path: the file, or the folder of a mesh for every frame.
        seconds, frames, fps: of the motion in it.
    """

    path: Path
    seconds: float
    frames: int
    fps: float


@dataclass(frozen=True, eq=False)
class Rendition:
    """A model with what is asked of it.

    Attributes:
        talker: the model.
        wishes: as they were given.
        options: of `Talker.animate`.
        change: what is laid over the motion.
        face: the user's own, or None.
    """

    talker: Talker
    wishes: Wishes
    options: dict[str, Any]
    change: Callable[[Any], Any]
    face: Character | None

    @staticmethod
    def of(talker: Talker, wishes: Wishes) -> Rendition:
        """See that a model can do what is asked.

        Raises:
            OptionError, StyleError: it cannot.
            RigError: the character cannot be read.
        """
        options: dict[str, Any] = {
            "style": wishes.style,
            "strength": wishes.strength,
            "fps": None if wishes.fps is None else parse_fps(wishes.fps),
            "seed": wishes.seed,
        }
        face = _face(talker, wishes)
        options |= _own_options(talker, wishes)
        change = _change(talker, wishes.mood)
        if wishes.style is not None:
            shares_of(wishes.style, talker.styles)  # before any recording is read
        return Rendition(talker, wishes, options, change, face)

    @property
    def formats(self) -> tuple[str, ...]:
        """Suffixes of the files that can be written."""
        return self.talker.formats if self.face is None else formats_of(self.face.MOVES)

    def check_wanted(self, suffixes: set[str]) -> None:
        """See that these suffixes, in small letters, have a use for what is asked.

        Raises:
            OptionError: they have none.
        """
        if self.wishes.json_form is not None and _JSON not in suffixes:
            raise OptionError("--json-form is of .json files; name one with -o, or leave it out")

    def write(self, recording: Path, paths: list[Path], silent: bool = False) -> Iterator[Written]:
        """Animate a recording and write the files, each of which is given when it is there.

        Args:
            silent: show no bars.

        Raises:
            AudioError, OptionError, OutputError, ...: what is wrong, and the remedy.
        """
        from codetalker.audio import Waveform, heard
        from codetalker.talker import StreamingTalker

        talker, track = self.talker, self.wishes.track
        own_rate = self.options["fps"] in (None, talker.fps)
        as_it_comes = len(paths) == 1 and flows(paths[0]) and own_rate
        if as_it_comes and isinstance(talker, StreamingTalker):
            yield self._as_it_comes(talker, heard(recording, track), paths[0], silent)
            return
        with ProgressBar(recording.name, silent=silent) as bar:
            waveform = Waveform.load(recording, track)
            made = talker.animate(waveform, **self.options, progress=bar.update)
        motion = self.change(made)
        motion = motion if self.face is None else motion.on(self.face)
        for path in paths:
            form = self.wishes.json_form if path.suffix.lower() == _JSON else None
            own = {} if form is None else {"form": form}
            with ProgressBar(path.name, silent=silent) as bar:
                written = motion.save(path, progress=bar.update, **own)
            yield Written(written, motion.duration, len(motion), made.fps)

    def _as_it_comes(
        self,
        talker: StreamingTalker,
        sound: Iterator[NDArray[np.float32]],
        path: Path,
        silent: bool,
    ) -> Written:
        """In constant memory, however long the recording is."""
        options = {name: value for name, value in self.options.items() if name != "fps"}
        frames = 0

        def parts() -> Iterator[Any]:
            nonlocal frames
            for part in talker.flow(sound, **options):
                frames += len(part)
                bar.advance(part.duration)
                yield self.change(part)

        with ProgressBar(path.name, silent=silent) as bar:
            written = save_flow(parts(), path)
        return Written(written, frames / talker.fps, frames, talker.fps)


def _own_options(talker: Talker, wishes: Wishes) -> dict[str, Any]:
    """Those that are given; they are for some families of models only."""
    values = {
        "template": wishes.template,
        "mode": wishes.mode,
        "blinks": None if wishes.blinks else False,
        "life": wishes.life,
    }
    given = {name: value for name, value in values.items() if value is not None}
    for name in given:
        if name not in talker.options:
            raise OptionError(f"this model takes no --{name}; leave it out")
    return given


def _face(talker: Talker, wishes: Wishes) -> Character | None:
    """The user's own face."""
    if wishes.character is None:
        if wishes.names is not None:
            raise OptionError("--names is for the shapes of a --character; name one, too")
        return None
    from codetalker.characters.character import Character

    if talker.motion_type is not Motion:
        raise OptionError("characters are for models of blendshapes; leave --character out")
    return Character.load(wishes.character, wishes.names)


def _change(talker: Talker, mood: str | None) -> Callable[[Any], Any]:
    """What is laid over the motion."""
    if mood is None:
        return lambda motion: motion
    from codetalker.mood import parse_mood, with_mood

    name, intensity = parse_mood(mood)
    if talker.motion_type is not Motion:
        raise OptionError("moods are for models of blendshapes; leave --mood out")
    return lambda motion: with_mood(motion, name, intensity)
