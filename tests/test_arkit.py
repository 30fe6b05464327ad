"""Apple's names: complete, in the order of the head, and parted into mouth and upper face."""

from __future__ import annotations

import pytest

from codetalker.arkit import ARKIT_NAMES, MOUTH, UPPER_FACE, channels
from codetalker.files.livelink import COLUMNS
from codetalker.rig import bundled_head


def test_the_names_are_those_of_the_head_and_of_live_link() -> None:
    assert bundled_head().blendshape_names == ARKIT_NAMES
    assert {name[0].upper() + name[1:] for name in ARKIT_NAMES} == set(COLUMNS[:52])


def test_every_name_is_of_the_mouth_or_of_the_upper_face() -> None:
    assert sorted([*MOUTH, *UPPER_FACE]) == sorted(ARKIT_NAMES)
    assert {"jawOpen", "mouthClose", "cheekPuff", "tongueOut"} <= set(MOUTH)
    assert {"eyeBlinkLeft", "browInnerUp", "cheekSquintLeft", "noseSneerRight"} <= set(UPPER_FACE)


def test_channels_are_places_in_apples_order() -> None:
    assert channels(("eyeBlinkLeft", "jawOpen", "tongueOut")) == (0, 17, 51)
    with pytest.raises(KeyError, match="jawopen"):
        channels(("jawopen",))
