"""HTML: one file that plays a talking head in any browser, from disk and without a network.

In the flow speech -> features -> codes -> motion -> mesh -> **file**. The head and its motion are
the GLB file, the sound is FLAC; the player around them is built from `web/src/player`.
"""

from __future__ import annotations

from base64 import b64encode
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import av

from codetalker.audio import Waveform
from codetalker.errors import OutputError
from codetalker.files.glb import glb_of
from codetalker.files.sound_track import SoundTrack

if TYPE_CHECKING:
    from codetalker.animation import Animation

_CONTENT = "<!-- content -->"
"""Where the player has its data."""


def write_html(path: Path, animation: Animation) -> None:
    """Write the player with the animation, and its sound if it has one, inside.

    Raises:
        OutputError: the motion has no frames.
    """
    if not len(animation):
        raise OutputError(f"{path}: the motion has no frames to play; give it longer audio")
    parts = {"head": ("model/gltf-binary", glb_of(animation))}
    if animation.audio is not None:
        parts["sound"] = ("audio/flac", flac(animation.audio))
    player = files("codetalker").joinpath("assets/player.html").read_text("utf-8")
    before, after = player.split(_CONTENT)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(before)
        for name, (kind, content) in parts.items():
            file.write(f'<script type="{kind}" id="{name}">{b64encode(content).decode()}</script>')
        file.write(after)


def flac(audio: Waveform) -> bytes:
    """The recording's own sound as a FLAC file, 16 bits a sample."""
    stream = BytesIO()
    with av.open(stream, "w", format="flac") as file:
        SoundTrack(file, "flac", audio).finish()
    return stream.getvalue()
