"""CodeTalker: speech in, a talking 3D face out.

    talker = codetalker.load()
    talker.animate("speech.wav").save("face.glb")
"""

from codetalker.audio import Waveform
from codetalker.errors import CodeTalkerError
from codetalker.motion import Motion
from codetalker.rig import Rig, bundled_head
from codetalker.talker import Live, Talker, load

__all__ = [
    "CodeTalkerError",
    "Live",
    "Motion",
    "Rig",
    "Talker",
    "Waveform",
    "bundled_head",
    "load",
]
