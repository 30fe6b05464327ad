"""CodeTalker: speech in, a talking 3D face out.

>>> talker = codetalker.load()
>>> talker.animate("speech.wav").save("face.glb")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codetalker.animation import Animation
    from codetalker.audio import Waveform
    from codetalker.causal.stream import Live, StreamState
    from codetalker.characters.character import Character
    from codetalker.errors import CodeTalkerError
    from codetalker.motion import Motion
    from codetalker.rig import Rig, bundled_head
    from codetalker.talker import StreamingTalker, Talker, load
    from codetalker.vertex_motion import VertexMotion

__all__ = [
    "Animation",
    "Character",
    "CodeTalkerError",
    "Live",
    "Motion",
    "Rig",
    "StreamState",
    "StreamingTalker",
    "Talker",
    "VertexMotion",
    "Waveform",
    "bundled_head",
    "load",
]

_HOMES = {
    "Animation": "animation",
    "Character": "characters.character",
    "CodeTalkerError": "errors",
    "Live": "causal.stream",
    "Motion": "motion",
    "Rig": "rig",
    "StreamState": "causal.stream",
    "StreamingTalker": "talker",
    "Talker": "talker",
    "VertexMotion": "vertex_motion",
    "Waveform": "audio",
    "bundled_head": "rig",
    "load": "talker",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `codetalker --help` needs none of them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = getattr(import_module(f"codetalker.{_HOMES[name]}"), name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
