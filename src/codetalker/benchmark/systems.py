"""Systems: what a benchmark compares, whatever they are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

import codetalker
from codetalker.audio import Waveform
from codetalker.curves import frame_count
from codetalker.errors import OptionError
from codetalker.model_folder import CONFIG, file_digest, find_model
from codetalker.motion import Motion
from codetalker.rig import bundled_head

Animate = Callable[[Waveform, str | None, int], Motion]
"""(sound, style or None for the default one, seed) -> motion."""
STATIC_FPS = 25.0


class Kind(StrEnum):
    """What a system is there for."""

    MODEL = "model"
    BASELINE = "baseline"
    ABLATION = "ablation"
    WEB = "web library"


@dataclass(frozen=True)
class System:
    """Something that turns speech into motion of the bundled head.

    Attributes:
        name: of the system, the same for all its seeds; fit for a file name.
        title: what people read.
        kind: what it is there for.
        animate: speech to motion.
        digest: by which it is recognised; another digest is measured anew.
        styles: names of its styles, the default one first.
        latency: seconds of sound after a frame that it hears, at most; None for the whole.
        regression: whether it minimises errors of motion without a codebook.
        cold: as `animate`, but with nothing remembered of the sound; for measuring time.
        remembers: it computes nothing; its time is not measured.
        seed: that it was trained with.
        note: what a reader should know of it.
    """

    name: str
    title: str
    kind: Kind
    animate: Animate
    digest: str
    styles: tuple[str, ...]
    latency: float | None
    regression: bool = False
    cold: Animate | None = None
    remembers: bool = False
    seed: int = 0
    note: str = ""

    @property
    def causal(self) -> bool:
        """Whether it can follow a voice while it speaks."""
        return self.latency is not None

    def style_of(self, speaker: str) -> str | None:
        """The speaker's own style where there is one, or the default."""
        return speaker if speaker in self.styles else None


def static() -> System:
    """A face that does not move."""
    names = bundled_head().blendshape_names

    def animate(sound: Waveform, style: str | None, seed: int) -> Motion:
        frames = frame_count(sound.duration, STATIC_FPS)
        return Motion(np.zeros((frames, len(names)), np.float32), names, STATIC_FPS)

    return System("static", "static face", Kind.BASELINE, animate, "0", (), 0.0)


def models(names: Sequence[str]) -> list[System]:
    """Models by folder or bundled name, as `codetalker.load` opens them.

    Raises:
        ModelError: there is none of that name.
        OptionError: it animates vertices.
    """
    return [_model(name) for name in names]


def _model(name: str) -> System:
    folder = find_model(name)
    talker = codetalker.load(folder)
    if talker.motion_type is not Motion:
        raise OptionError(f"{name} animates vertices; name models of blendshapes with --models")

    def animate(sound: Waveform, style: str | None, seed: int) -> Motion:
        return talker.animate(sound, style=style, seed=seed)

    latency = getattr(talker, "latency", None)
    digest = file_digest(folder / CONFIG)[:16]
    title = f"CodeTalker {folder.name}"
    return System(
        folder.name, title, Kind.MODEL, animate, digest, talker.styles, latency, note=name
    )
