"""Films of a report: the same recording by the truth and by every system, in one page.

In the flow speech -> features -> codes -> motion -> mesh -> **file**.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

from codetalker.benchmark.systems import Kind, System
from codetalker.benchmark.tracks import sound_name
from codetalker.data.clip import Clip
from codetalker.motion import Motion
from codetalker.rig import bundled_head

PIXELS = 256
Speak = Callable[[], Motion]


@dataclass(frozen=True)
class Film:
    """A film and whose it is."""

    title: str
    path: Path


def films_of(systems: Sequence[System], clip: Clip, folder: Path, size: int = PIXELS) -> list[Film]:
    """The truth's and the systems', one training of each and no ablations; kept in the folder."""
    sound = clip.waveform()
    true = Motion(clip.weights, bundled_head().blendshape_names, clip.fps, audio=sound)
    folder.mkdir(parents=True, exist_ok=True)
    found = [_film("truth", "truth", sound_name(sound), lambda: true, folder, size)]
    shown = {s.name: s for s in reversed(systems) if s.kind != Kind.ABLATION}
    for system in (s for s in systems if shown.get(s.name) is s):

        def speak(system: System = system) -> Motion:
            made = system.animate(sound, system.style_of(clip.speaker), 0)
            return replace(made, audio=sound)

        made_from = system.digest + sound_name(sound)
        found.append(_film(system.title, system.name, made_from, speak, folder, size))
    return found


def html_of(films: Sequence[Film]) -> str:
    """Players beside each other, the films within the page."""
    players = (
        f'<figure><video controls loop width="{PIXELS}" aria-label="{escape(film.title)}" '
        f'src="data:video/mp4;base64,{b64encode(film.path.read_bytes()).decode()}"></video>'
        f"<figcaption>{escape(film.title)}</figcaption></figure>"
        for film in films
    )
    return f'<div class="films">{"".join(players)}</div>'


def _film(title: str, name: str, made_from: str, speak: Speak, folder: Path, size: int) -> Film:
    key = hashlib.sha256(f"{made_from} {size}".encode()).hexdigest()[:16]
    path = folder / f"{name}-{key}.mp4"
    if not path.exists():
        speak().save(path, size=size)
    return Film(title, path)
