"""Sources of a study: the films of a folder, and its motions with the sound that goes with them.

In the flow speech -> features -> codes -> **motion -> mesh -> file**.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from codetalker.arrays import open_npz
from codetalker.audio import Waveform
from codetalker.errors import DataError, MotionError
from codetalker.motion import Motion
from codetalker.reading import check_text, refusing
from codetalker.study.films import Heard, check_film, hear
from codetalker.vertex_motion import VertexMotion

FILM, MOTION = ".mp4", ".npz"
_SOUNDS = (".wav", ".flac", ".mp3", ".m4a", ".ogg", ".opus", ".aac")
_APART = 0.25
"""Seconds by which a motion may be longer or shorter than its sound."""


@dataclass(frozen=True)
class Source:
    """A film, or a motion and its sound.

    Attributes:
        path: of the film or motion.
        sound: the file that it is heard from.
    """

    path: Path
    sound: Path

    def heard(self) -> Heard:
        """Its sound, once it has been seen that it can be used.

        Raises:
            DataError, AudioError, MotionError: it cannot.
        """
        if self.path.suffix.lower() == FILM:
            check_film(self.path)
            return hear(self.path, self.sound)
        heard, seconds = hear(self.path, self.sound), self._motion().duration
        if abs(seconds - heard.seconds) > _APART:
            raise DataError(
                f"{self.path} lasts {seconds:.2f} s and its sound {self.sound} "
                f"{heard.seconds:.2f} s; give the sound that it was made from"
            )
        return heard

    def film(self, place: Path, size: int) -> None:
        """Write its film; a motion's is `size` pixels wide and high."""
        if self.path.suffix.lower() == FILM:
            shutil.copyfile(self.path, place)
            return
        replace(self._motion(), audio=Waveform.load(self.sound)).save(place, size=size)

    def _motion(self) -> Motion | VertexMotion:
        remedy = "save one with its motion's save()"
        with refusing(MotionError, f"{self.path} is no motion file", remedy):
            with open_npz(self.path) as file:
                kind = VertexMotion if "vertices" in file.names else Motion
            return kind.load(self.path)


def sources_of(folder: Path, audio: Path | None) -> dict[str, Source]:
    """The films of a folder and, where there is no film, the motions, by name without suffix.

    Args:
        folder: of a system.
        audio: folder with the sound of motions; None where it lies beside them.

    Raises:
        DataError: there are none, or a motion has no sound.
    """
    films, motions = (_files(folder, (suffix,)) for suffix in (FILM, MOTION))
    if not films | motions:
        raise DataError(f"{folder} holds no film {FILM} and no motion {MOTION}; name another")
    silent = motions.keys() - films.keys()
    sounds = _files(audio or folder, _SOUNDS) if silent else {}
    if missing := sorted(silent - sounds.keys()):
        raise DataError(
            f"{motions[missing[0]]} has no sound {missing[0]}.wav or .flac in {audio or folder}; "
            "name the folder that has it: --audio DIR"
        )
    found = {name: Source(motions[name], sounds[name]) for name in silent}
    return found | {name: Source(path, path) for name, path in films.items()}


def _files(folder: Path, suffixes: Iterable[str]) -> dict[str, Path]:
    """Of these suffixes, by name; nothing hidden."""
    remedy = "name a folder of films or motions"
    with refusing(DataError, f"{folder} cannot be listed", remedy, f"{folder} does not exist"):
        return {
            check_text(path.stem): path
            for path in sorted(folder.iterdir())
            if path.suffix.lower() in suffixes and not path.name.startswith(".")
        }
