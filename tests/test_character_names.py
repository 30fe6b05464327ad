"""What drives a shape is told by its name, whoever named it; a map has the last word."""

from __future__ import annotations

from pathlib import Path

import pytest

from codetalker.arkit import ARKIT_NAMES
from codetalker.characters.names import SOURCES, VISEME_SOURCES, drives, read_map, shares_of, system
from codetalker.errors import OptionError, RigError

HALVES = {"eyeBlinkLeft": 0.5, "eyeBlinkRight": 0.5}


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("jawOpen", "jawOpen"),
        ("JawOpen", "jawOpen"),
        ("face.jawOpen", "jawOpen"),
        ("blendShape1.jawOpen", "jawOpen"),
        ("head|blendShape2:JawOpen", "jawOpen"),
        ("jawOpen.001", "jawOpen"),
        ("jaw_open", "jawOpen"),
        ("mouthSmile_L", "mouthSmileLeft"),
        ("mouthSmile_R", "mouthSmileRight"),
        ("MouthSmileL", "mouthSmileLeft"),
        ("mouthLeft", "mouthLeft"),
        ("eyeBlink_left", "eyeBlinkLeft"),
        ("browInnerUp_R", "browInnerUp"),
        ("A25_Jaw_Open", "jawOpen"),
        ("A44_Mouth_Upper_Up_Left", "mouthUpperUpLeft"),
        ("Mouth_Smile_L", "mouthSmileLeft"),
        ("Mouth_L", "mouthLeft"),
        ("Brow_Raise_Outer_R", "browOuterUpRight"),
        ("Mouth_Funnel_Up_L", "mouthFunnel"),
        ("Mouth_Down_Lower_R", "mouthLowerDownRight"),
        ("Eye_R_Look_L", "eyeLookInRight"),
        ("CTRL_expressions_jawOpen", "jawOpen"),
        ("CTRL_expressions_eyeBlinkL", "eyeBlinkLeft"),
        ("CTRL_expressions_mouthCornerPullR", "mouthSmileRight"),
        ("CTRL_expressions_mouthLipsTogetherUL", "mouthClose"),
        ("CTRL_expressions_eyeLookRightL", "eyeLookInLeft"),
        ("facs_bs_MouthSmileLeft_div2", "mouthSmileLeft"),
        ("eCTRLvAA", "viseme_aa"),
        ("viseme_PP", "viseme_PP"),
        ("viseme_I", "viseme_ih"),
        ("viseme_U", "viseme_ou"),
        ("vrc.v_oh", "viseme_oh"),
        ("Fcl_MTH_A", "aa"),
        ("Face.M_F00_000_00_Fcl_MTH_O", "oh"),
        ("Fcl_EYE_Close_L", "eyeBlinkLeft"),
        ("mouthOpen", "jawOpen"),
        ("う", "ou"),
    ],
)
def test_names_as_they_occur(name: str, source: str) -> None:
    assert shares_of(name) == {source: 1.0}


def test_one_shape_for_both_sides_is_driven_by_their_mean() -> None:
    assert shares_of("Fcl_EYE_Close") == shares_of("eyesClosed") == shares_of("eyeBlink") == HALVES


@pytest.mark.parametrize("name", ["_neutral", "", "smug", "Fcl_ALL_Joy", "Basis", "L", "E", "aah"])
def test_what_is_no_known_name_drives_nothing(name: str) -> None:
    assert shares_of(name) == {}


@pytest.mark.parametrize(
    "spelt",
    [
        str,
        lambda name: name[0].upper() + name[1:],
        lambda name: f"face_{name}",
        lambda name: f"HeadShapes{name[0].upper()}{name[1:]}",
        lambda name: f"{name}_Mesh",
        str.lower,
        lambda name: name.replace("Left", "_L").replace("Right", "_R"),
    ],
)
def test_all_of_apples_names_are_found_one_each(spelt) -> None:
    driven = drives([tuple(map(spelt, ARKIT_NAMES))], {}, {})
    found = [source for shares in driven.values() for source in shares]
    assert sorted(found) == sorted(ARKIT_NAMES)


def test_only_one_system_moves_the_mouth() -> None:
    visemes = tuple(name for name in VISEME_SOURCES)
    vowels = tuple(f"Fcl_MTH_{v}" for v in "AIUEO")
    blink = ("eyeBlinkLeft",)
    for names, mouth in (
        (ARKIT_NAMES + visemes + vowels, "shapes"),
        (("jawOpen", "mouthSmile", *visemes, *vowels), "visemes"),
        (("jawOpen", *vowels), "vowels"),
        (("mouthOpen",), "shapes"),
    ):
        driven = drives([names + blink * (blink[0] not in names)], {}, {})
        assert system(driven) == mouth
        kinds = {"shapes": "jawOpen", "visemes": "viseme_aa", "vowels": "aa"}
        moved = {source for shares in driven.values() for source in shares}
        assert moved & {*kinds.values()} == {kinds[mouth]}
        assert "eyeBlinkLeft" in moved


def test_of_two_shapes_for_one_thing_the_nearer_name_counts() -> None:
    driven = drives([("jawOpen", "mouthOpen", "eyeBlink", "eyeBlinkLeft", "eyeBlinkRight")], {}, {})
    assert set(driven) == {"jawOpen", "eyeBlinkLeft", "eyeBlinkRight"}


def test_single_letters_are_vowels_only_together() -> None:
    assert set(drives([tuple("AIUEO")], {}, {})) == set("AIUEO")
    assert drives([("A", "E", "jawOpen")], {}, {}).keys() == {"jawOpen"}


def test_bare_visemes_are_known_by_their_company() -> None:
    bare = (
        "sil",
        "PP",
        "FF",
        "TH",
        "DD",
        "kk",
        "CH",
        "SS",
        "nn",
        "RR",
        "aa",
        "E",
        "ih",
        "oh",
        "ou",
    )
    driven = drives([(*bare, "blink")], {}, {})
    assert [driven[name] for name in bare] == [{source: 1.0} for source in VISEME_SOURCES]
    assert drives([("aa", "ih", "ou", "ee", "oh", "SS")], {}, {})["aa"] == {"aa": 1.0}


def test_many_names_take_no_time() -> None:
    names = tuple(f"CTRL_expressions_thing{i}" for i in range(2000))
    assert drives([(*names, *(f"CTRL_expressions_{n}" for n in ARKIT_NAMES))], {}, {}).keys() == {
        f"CTRL_expressions_{name}" for name in ARKIT_NAMES
    }


def test_a_map_has_the_last_word(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text('"Mund auf" = "jawOpen"\nsmug = { mouthSmileLeft = 0.4 }\njawOpen = {}\n')
    own = read_map(path)
    assert own == {"Mund auf": {"jawOpen": 1.0}, "smug": {"mouthSmileLeft": 0.4}, "jawOpen": {}}
    driven = drives([("jawOpen", "Mund auf", "smug")], own, {})
    assert driven == own


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('x = "jawOpn"', "did you mean 'jawOpen'?"),
        ("x = 3", "must be an object"),
        ("x = [", "no map of shape names"),
        ('x = { jawOpen = "much" }', "must be float"),
        ("x = { jawOpen = inf }", "no number"),
    ],
)
def test_a_map_that_is_none_is_told_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "map.toml"
    path.write_text(text)
    with pytest.raises(OptionError) as error:
        read_map(path)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises(OptionError, match="does not exist"):
        read_map(tmp_path / "other.toml")


def test_a_map_of_shapes_that_are_not_there() -> None:
    with pytest.raises(RigError, match="did you mean 'jawOpen'"):
        drives([("jawOpen",)], {"jawOpn": {"jawOpen": 1.0}}, {})


def test_sources_are_named_once() -> None:
    assert len(set(SOURCES)) == 52 + 15 + 5
