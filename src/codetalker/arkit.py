"""Apple's 52 blendshape names, and which of them speech drives.

In the flow speech -> features -> codes -> **motion** -> mesh -> file.
"""

# fmt: off
ARKIT_NAMES = (
    "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft",
    "eyeSquintLeft", "eyeWideLeft", "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight",
    "eyeLookOutRight", "eyeLookUpRight", "eyeSquintRight", "eyeWideRight", "jawForward",
    "jawLeft", "jawRight", "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft",
    "mouthRight", "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight",
    "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthPressLeft",
    "mouthPressRight", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft",
    "mouthUpperUpRight", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft",
    "browOuterUpRight", "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft",
    "noseSneerRight", "tongueOut",
)
# fmt: on
"""Apple's ARFaceAnchor.BlendShapeLocation names in the order of Apple's documentation."""

_PLACES = {name: place for place, name in enumerate(ARKIT_NAMES)}

MOUTH = tuple(
    name
    for name in ARKIT_NAMES
    if name.startswith(("jaw", "mouth")) or name in ("cheekPuff", "tongueOut")
)
"""Jaw, lips, puffed cheeks and tongue: what speech drives."""
UPPER_FACE = tuple(name for name in ARKIT_NAMES if name not in MOUTH)
"""Eyes, brows, squinting cheeks and nose: what speech only hints at."""


def channels(names: tuple[str, ...]) -> tuple[int, ...]:
    """Places of the names in Apple's order.

    Raises:
        KeyError: one of them is not Apple's.
    """
    return tuple(_PLACES[name] for name in names)
