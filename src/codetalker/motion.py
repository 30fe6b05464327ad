"""Motion: blendshape weights over time, at a frame rate.

In the flow speech -> features -> codes -> **motion** -> mesh -> file. Frame 0 is at audio sample 0.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, overload

import numpy as np
from numpy.typing import NDArray

from codetalker.arguments import as_number, shown
from codetalker.curves import frame_count, resample_curves
from codetalker.errors import MotionError, OptionError, RigError

if TYPE_CHECKING:
    from codetalker.animation import Animation
    from codetalker.audio import Waveform
    from codetalker.characters.animation import CharacterAnimation
    from codetalker.characters.character import Character
    from codetalker.progress import Progress
    from codetalker.rig import Rig

MIN_FPS, MAX_FPS = 0.1, 240.0
"""A picture every ten seconds, and the fastest displays and cameras."""
NTSC = (24, 30, 48, 60, 120)
"""n * 1000 / 1001 frames per second are written as 23.976, 29.97 ... for short (SMPTE ST 12-1)."""


def check_fps(fps: float) -> None:
    """See that a frame rate can be asked for.

    Raises:
        OptionError: it is not from 0.1 to 240.
    """
    if not MIN_FPS <= (as_number(fps) or 0) <= MAX_FPS:
        raise OptionError(
            f"fps {shown(fps)} is out of range; choose one from {MIN_FPS:g} to {MAX_FPS:g}"
        )


def parse_fps(text: str) -> float:
    """`25`, `30000/1001`, or `29.97`, which means the same.

    Raises:
        OptionError: it is no such number, or out of range.
    """
    try:
        fps = float(Fraction(text)) if "/" in text else float(text)
    except (ValueError, ZeroDivisionError, OverflowError):
        raise OptionError(f"fps {shown(text)} is no number; write 25 or 30000/1001") from None
    short_for = [n * 1000 / 1001 for n in NTSC if abs(fps - n * 1000 / 1001) < 0.005]
    fps = short_for[0] if short_for else fps
    check_fps(fps)
    return fps


@dataclass(frozen=True, eq=False)
class Motion:
    """Blendshape weights per frame; frame i is at start + i / fps seconds.

    Attributes:
        weights: (T, K) float32, usually in 0..1.
        names: K blendshape names, Apple's ARKit names in Apple's order for the bundled models.
        fps: frames per second.
        audio: the speech that the motion belongs to, for formats that carry sound; or None.
        codes: (T, H) int64 rows of the model's codebook that the frames were decoded from; or None.
        head: (T, 3) float32 pitch, yaw, roll of the head in radians, as `codetalker.head_pose` has
            them; None for a head that is still.
        start: seconds of the sound before frame 0: what a stream gives says where it belongs.

    Raises:
        MotionError: shapes, names and rate do not belong together, or a weight is not finite.
    """

    weights: NDArray[np.float32]
    names: tuple[str, ...]
    fps: float
    audio: Waveform | None = None
    codes: NDArray[np.int64] | None = None
    head: NDArray[np.float32] | None = None
    start: float = 0.0

    FORMS: ClassVar[tuple[str, ...]] = ("weights", "animation", "meshes")

    def __post_init__(self) -> None:
        names = tuple(str(name) for name in self.names)
        weights = np.asarray(self.weights, np.float32)
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "fps", float(self.fps))
        if weights.ndim != 2 or weights.shape[1] != len(names):
            raise MotionError(
                f"weights of shape {weights.shape} do not fit {len(names)} names; "
                "pass one row per frame and one column per name"
            )
        if len(set(names)) != len(names):
            raise MotionError("a blendshape name occurs twice; name each column once")
        if not (isfinite(self.fps) and self.fps > 0):
            raise MotionError(f"a motion of {self.fps} frames per second; pass a positive rate")
        if not np.isfinite(weights).all():
            raise MotionError("the weights hold NaN or infinite values; remove them first")
        if self.head is not None:
            head = np.asarray(self.head, np.float32)
            object.__setattr__(self, "head", head)
            if head.shape != (len(weights), 3) or not np.isfinite(head).all():
                raise MotionError(
                    f"a head's turn of shape {head.shape} does not fit {len(weights)} frames; pass "
                    "finite pitch, yaw and roll for each"
                )

    def __len__(self) -> int:
        """Frames."""
        return len(self.weights)

    def __getitem__(self, frames: slice) -> Motion:
        """Some of the frames, without the sound."""
        codes = None if self.codes is None else self.codes[frames]
        head = None if self.head is None else self.head[frames]
        start = self.start + frames.indices(len(self))[0] / self.fps
        return Motion(self.weights[frames], self.names, self.fps, None, codes, head, start)

    @staticmethod
    def joined(parts: Sequence[Motion]) -> Motion:
        """Motions of the same names and rate, one after another, without their sound."""
        codes = [part.codes for part in parts if part.codes is not None]
        heads = [np.zeros((len(p), 3), np.float32) if p.head is None else p.head for p in parts]
        return Motion(
            np.concatenate([part.weights for part in parts]),
            parts[0].names,
            parts[0].fps,
            codes=np.concatenate(codes) if len(codes) == len(parts) else None,
            head=np.concatenate(heads) if any(p.head is not None for p in parts) else None,
            start=parts[0].start,
        )

    @property
    def duration(self) -> float:
        """Seconds that the frames cover, T / fps."""
        return len(self) / self.fps

    def weights_for(self, names: tuple[str, ...]) -> NDArray[np.float32]:
        """(T, len(names)) weights in that order of names; 0 for a name that the motion lacks."""
        if names == self.names:
            return self.weights
        column = {name: i for i, name in enumerate(self.names)}
        picked = np.zeros((len(self), len(names)), np.float32)
        for i, name in enumerate(names):
            if name in column:
                picked[:, i] = self.weights[:, column[name]]
        return picked

    @overload
    def on(self, rig: Rig | None = None) -> Animation: ...
    @overload
    def on(self, rig: Character) -> CharacterAnimation: ...
    def on(self, rig: Rig | Character | None = None) -> Animation | CharacterAnimation:
        """The motion on a rig, the bundled head for None, or on a user's own character.

        Raises:
            RigError: the motion and the rig have no blendshape name in common.
        """
        from codetalker.animation import Animation
        from codetalker.rig import Rig, bundled_head

        if rig is not None and not isinstance(rig, Rig):
            return rig.animated(self)
        rig = rig or bundled_head()
        if not set(self.names) & set(rig.blendshape_names):
            raise RigError(
                f"rig {rig.name!r} has no blendshape called {' or '.join(self.names[:2])} or any "
                "other name of the motion; use a rig with ARKit names"
            )
        weights = self.weights_for(rig.blendshape_names)
        return Animation(rig, weights, self.fps, self.audio, head=self.head)

    def form(self, name: str) -> Motion | Animation:
        """One of `FORMS`, for the formats of `codetalker.files`."""
        return self if name == "weights" else self.on()

    def resample(self, fps: float) -> Motion:
        """The same motion at another rate: low-passed when slower, smooth in between when faster.

        Values stay within the range of the frames next to them, so closures stay closed.

        Raises:
            OptionError: fps is not above 0 and at most 240.
        """
        check_fps(fps)
        if fps == self.fps or not len(self):
            return replace(self, fps=fps)
        duration = self.duration
        if self.audio and frame_count(self.audio.duration, self.fps) == len(self):
            duration = self.audio.duration  # the last frame may reach beyond the sound
        count = frame_count(duration, fps)
        weights = resample_curves(self.weights, self.fps, fps, count)
        head = None if self.head is None else resample_curves(self.head, self.fps, fps, count)
        return replace(self, weights=weights, fps=fps, codes=None, head=head)

    def save(
        self, path: str | os.PathLike[str], /, progress: Progress | None = None, **options: Any
    ) -> Path:
        """Write a file in the format of the suffix, on the bundled head where it shows a face.

        Args:
            path: the file; it appears complete or not at all. `.obj` and `.ply` give a mesh for
                every frame, in a new folder named as the path without its suffix.
            progress: called now and then by formats that take long.
            options: passed on to the writer of that format.

        Returns:
            What was written.

        Raises:
            OutputError: the suffix is unknown, or the file cannot be written there.
            OptionError: the format has no such option.
        """
        from codetalker import files

        return files.save(self, path, progress, **options)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Motion:
        """Read a motion, without its sound, by the suffix of its file.

        `.npz`, `.csv`, `.json` and `.glb` as `save` writes them; what others record: Live Link
        Face's `.csv`, iFacialMocap's `.txt`, MediaPipe's and ARKit's scores as `.json`, a weights
        animation in a `.glb`.

        Raises:
            MotionError: there is no such file, or it holds no motion.
        """
        from codetalker.files.readers import load

        found = load(Path(path))
        return Motion(found.weights, found.names, found.fps, head=found.head)
