"""What goes over the wire: golden bytes of every protocol, and what independent readers see."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codetalker.arkit import ARKIT_NAMES
from codetalker.live.frames import Frame, JsonLines, Raw, frames_of
from codetalker.live.ifacialmocap import NAMES, IFacialMocap
from codetalker.live.livelink import LiveLinkFace
from codetalker.live.vmc import Vmc, bundles, message
from codetalker.motion import Motion

DEVICE = "0A1B2C3D-4E5F-6071-8293-A4B5C6D7E8F9"
PLACE = {name: i for i, name in enumerate(ARKIT_NAMES)}


def frame(number: int = 7, head: tuple = (0.0, 0.0, 0.0), **weights: float) -> Frame:
    """A frame of a motion of one row."""
    row = np.zeros((1, 52), np.float32)
    for name, weight in weights.items():
        row[0, PLACE[name]] = weight
    motion = Motion(row, ARKIT_NAMES, 25, head=np.array([head]), start=number / 25)
    (made,) = frames_of(motion)
    return made


FRAMES = st.builds(
    lambda seed, number: Frame(
        number,
        number / 25,
        np.random.default_rng(seed).random(52).astype(np.float32),
        np.random.default_rng(seed).normal(0, 0.2, 3).astype(np.float32),
        np.random.default_rng(seed).normal(0, 0.2, (2, 2)),
    ),
    st.integers(0, 1000),
    st.integers(0, 25 * 3600 * 24 * 30),
)


def test_frames_have_their_place_in_the_sound_and_apples_order() -> None:
    names = ("jawOpen", "eyeLookDownLeft", "eyeLookInRight", "brow of ours")
    weights = np.tile(np.array([0.5, 0.2, 0.4, 1.0], np.float32), (3, 1))
    made = list(frames_of(Motion(weights, names, 50, start=1.2)))
    assert [one.number for one in made] == [60, 61, 62]
    assert [one.time for one in made] == pytest.approx([1.2, 1.22, 1.24])
    assert made[0].weights[PLACE["jawOpen"]] == 0.5
    assert made[0].weights.sum() == pytest.approx(1.1)
    np.testing.assert_allclose(np.degrees(made[0].eyes), [[7, 0], [0, 14]], atol=1e-5)
    assert not made[0].head.any()


def test_golden_bytes_of_live_link_face() -> None:
    """Written by hand from the layout of Epic's plugin: version, id, subject, time, 61 values."""
    (packet,) = LiveLinkFace("Ann", 25, DEVICE).packets(
        frame(258, (0.25, 0.5, -0.75), jawOpen=0.5, jawLeft=1, eyeLookOutLeft=1, eyeLookDownRight=1)
    )
    begin = "06 00000024".replace(" ", "") + DEVICE.encode().hex() + "00000003" + "416e6e"
    time = "00000102 00000000 00000019 00000001 3d".replace(" ", "")
    assert packet[:65].hex() == begin + time
    assert len(packet) == 65 + 4 * 61
    values = {
        3: "3f800000",  # EyeLookOutLeft
        8: "3f800000",  # EyeLookDownRight
        15: "3f800000",  # JawLeft, before JawRight
        17: "3f000000",  # JawOpen
        52: "bf000000",  # HeadYaw, to the right
        53: "3e800000",  # HeadPitch
        54: "3f400000",  # HeadRoll
        55: "bf1c61aa",  # LeftEyeYaw: 35 degrees to the left
        59: "3f1c61aa",  # RightEyePitch: 35 degrees down
    }
    zero = "00000000"
    assert packet[65:].hex() == "".join(values.get(i, zero) for i in range(61))


def test_golden_bytes_of_osc() -> None:
    """The examples of the OSC 1.0 specification, and a bundle of one."""
    assert message("/oscillator/4/frequency", 440.0).hex(" ", 4) == (
        "2f6f7363 696c6c61 746f722f 342f6672 65717565 6e637900 2c660000 43dc0000"
    )
    assert message("/foo", 1000, -1, "hello", 1.234, 5.678).hex(" ", 4) == (
        "2f666f6f 00000000 2c696973 66660000 000003e8 ffffffff 68656c6c 6f000000 3f9df3b6 40b5b22d"
    )
    assert message("/VMC/Ext/Blend/Apply")[-4:] == b",\0\0\0"
    (bundle,) = bundles([message("/a", 1)])
    assert bundle.hex(" ", 4) == (
        "2362756e 646c6500 00000000 00000001 0000000c 2f610000 2c690000 00000001"
    )


def test_golden_text_of_ifacialmocap() -> None:
    (packet,) = IFacialMocap().packets(
        frame(3, (0.1, -0.2, 0.3), jawOpen=0.124, mouthSmileLeft=0.996, eyeLookInRight=0.06)
    )
    text = packet.decode("ascii")
    shapes, _, turns = text.partition("=")
    pairs = dict(pair.rsplit("-", 1) for pair in shapes.strip("|").split("|"))
    assert len(pairs) == 52
    assert {name: value for name, value in pairs.items() if value != "0"} == {
        "jawOpen": "12",
        "mouthSmile_L": "100",
        "eyeLookIn_R": "6",
    }
    assert turns == (
        "head#5.7296,-11.4592,17.1887,0,0,0|"
        "rightEye#0.0000,2.1000,0.0000|leftEye#0.0000,0.0000,0.0000|"
    )


def test_names_of_ifacialmocap_are_those_of_its_specification() -> None:
    example = """mouthSmile_R eyeLookOut_L mouthUpperUp_L eyeWide_R mouthClose mouthPucker
        mouthRollLower eyeBlink_R eyeLookDown_L cheekSquint_R eyeBlink_L tongueOut jawRight
        eyeLookIn_R cheekSquint_L mouthDimple_L mouthPress_L eyeSquint_L mouthRight
        mouthShrugLower eyeLookUp_R eyeLookOut_R mouthPress_R cheekPuff jawForward
        mouthLowerDown_L mouthFrown_L mouthShrugUpper browOuterUp_L browInnerUp mouthDimple_R
        browDown_R mouthUpperUp_R mouthRollUpper mouthFunnel mouthStretch_R mouthFrown_R
        eyeLookDown_R jawOpen jawLeft browDown_L mouthSmile_L noseSneer_R mouthLowerDown_R
        noseSneer_L eyeWide_L mouthStretch_L browOuterUp_R eyeLookIn_L eyeSquint_R eyeLookUp_L
        mouthLeft"""
    assert set(NAMES) == set(example.split())
    assert NAMES[PLACE["eyeLookInRight"]] == "eyeLookIn_R"


@settings(max_examples=30)
@given(FRAMES)
def test_json_lines_and_floats_hold_the_frame(one: Frame) -> None:
    lines = JsonLines(25, 0.2)
    opening, (line,) = json.loads(lines.opening), lines.packets(one)
    assert (tuple(opening["names"]), opening["fps"], opening["latency"]) == (ARKIT_NAMES, 25, 0.2)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    told = json.loads(line)
    assert told["frame"] == one.number
    assert told["time"] == pytest.approx(one.time, abs=1e-6)
    np.testing.assert_allclose(told["weights"], one.weights, atol=6e-6)
    np.testing.assert_allclose(told["head"], one.head, atol=6e-6)
    (raw,) = Raw().packets(one)
    values = np.frombuffer(raw, "<f4")
    np.testing.assert_array_equal(values, [*one.weights, *one.head])


@settings(max_examples=30)
@given(FRAMES, st.sampled_from(["Face", "Änne", "x" * 200]), st.sampled_from([25.0, 50.0, 29.97]))
def test_an_independent_reader_of_live_link_face(one: Frame, subject: str, fps: float) -> None:
    reader = pytest.importorskip("pylivelinkface", reason="pylivelinkface is not installed")
    sender = LiveLinkFace(subject, fps, DEVICE)
    found, face = reader.PyLiveLinkFace.decode(sender.packets(one)[0])
    assert found
    assert (face.name, face.uuid, face._version) == (subject, "$" + DEVICE, 6)
    assert face._frames == one.number
    assert face.fps / face._denominator == pytest.approx(fps, rel=1e-3)
    for name in ARKIT_NAMES:
        seen = face.get_blendshape(reader.FaceBlendShape[name[0].upper() + name[1:]])
        assert seen == one.weights[PLACE[name]]
    turns = {
        "HeadPitch": one.head[0], "HeadYaw": -one.head[1], "HeadRoll": -one.head[2],
        "LeftEyePitch": one.eyes[0, 0], "LeftEyeYaw": -one.eyes[0, 1], "LeftEyeRoll": 0,
        "RightEyePitch": one.eyes[1, 0], "RightEyeYaw": -one.eyes[1, 1], "RightEyeRoll": 0,
    }  # fmt: skip
    for name, angle in turns.items():
        assert face.get_blendshape(reader.FaceBlendShape[name]) == pytest.approx(angle, abs=1e-6)


def test_a_subject_is_one_device_wherever_it_is_sent_from() -> None:
    ids = [LiveLinkFace(name, 25).packets(frame())[0][5:41] for name in ("A", "A", "B")]
    assert ids[0] == ids[1] != ids[2]
    assert [len(part) for part in ids[0].decode("ascii").split("-")] == [8, 4, 4, 4, 12]


def messages_of(packets: list[bytes]) -> list[tuple]:
    """Address and values of each message, by `python-osc`."""
    osc = pytest.importorskip("pythonosc.osc_bundle", reason="python-osc is not installed")
    read = [osc.OscBundle(packet) for packet in packets]
    return [(one.address, *one.params) for bundle in read for one in bundle]


@settings(max_examples=30)
@given(FRAMES, st.sampled_from(["vrm0", "vrm1", "arkit"]), st.booleans())
def test_an_independent_reader_of_vmc(one: Frame, names: str, bones: bool) -> None:
    packets = Vmc(names, bones).packets(one)  # type: ignore[arg-type]
    assert max(map(len, packets)) <= 1400
    read = messages_of(packets)
    values = {name: value for address, name, value in (m for m in read if "Val" in m[0])}
    assert min(values.values()) >= 0
    assert max(values.values()) <= 1
    kinds = [m[0].removeprefix("/VMC/Ext/") for m in read]
    assert (
        kinds == ["Blend/Val"] * len(values) + ["Blend/Apply", "OK", "T"] + ["Bone/Pos"] * 3 * bones
    )
    assert read[len(values) + 1] == ("/VMC/Ext/OK", 1)
    assert read[len(values) + 2][1] == pytest.approx(one.time, rel=1e-6)
    if names == "arkit":
        for name, weight in zip(ARKIT_NAMES, one.weights, strict=True):
            assert values[name[0].upper() + name[1:]] == weight
    else:
        expected = {
            "vrm0": ["A", "I", "U", "E", "O", "Blink_L", "Blink_R"],
            "vrm1": ["aa", "ih", "ou", "ee", "oh", "blinkLeft", "blinkRight"],
        }[names]
        assert list(values) == expected
        assert values[expected[5]] == one.weights[PLACE["eyeBlinkLeft"]]
        assert values[expected[6]] == one.weights[PLACE["eyeBlinkRight"]]
    assert [m[1] for m in read if "Bone" in m[0]] == ["Head", "LeftEye", "RightEye"] * bones


@pytest.mark.parametrize(
    ("head", "quaternion"),
    [
        ((0.2, 0, 0), (np.sin(0.1), 0, 0, np.cos(0.1))),  # the nose goes down in both
        ((0, 0.2, 0), (0, -np.sin(0.1), 0, np.cos(0.1))),  # to the left: Unity's y turns right
        ((0, 0, 0.2), (0, 0, -np.sin(0.1), np.cos(0.1))),
    ],
)
def test_bones_turn_in_unitys_axes(head: tuple, quaternion: tuple) -> None:
    bones = {m[1]: m[2:] for m in messages_of(Vmc().packets(frame(0, head))) if "Bone" in m[0]}
    np.testing.assert_allclose(bones["Head"], (0, 0, 0, *quaternion), atol=1e-6)
    np.testing.assert_allclose(bones["LeftEye"], (0, 0, 0, 0, 0, 0, 1), atol=1e-6)


def test_vowels_are_told_apart() -> None:
    shapes = {
        "A": {"jawOpen": 0.5},
        "I": {"mouthSmileLeft": 0.4, "mouthSmileRight": 0.4, "mouthLowerDownLeft": 0.3,
              "mouthLowerDownRight": 0.3, "jawOpen": 0.2},
        "U": {"mouthPucker": 0.7, "jawOpen": 0.1},
        "E": {"mouthStretchLeft": 0.3, "mouthStretchRight": 0.3, "mouthLowerDownLeft": 0.4,
              "mouthLowerDownRight": 0.4, "jawOpen": 0.35},
        "O": {"mouthFunnel": 0.6, "jawOpen": 0.4},
    }  # fmt: skip
    for vowel, weights in shapes.items():
        sent = {
            m[1]: m[2] for m in messages_of(Vmc().packets(frame(0, **weights))) if "Val" in m[0]
        }
        values = {name: sent[name] for name in "AIUEO"}
        assert max(values, key=lambda name: values[name]) == vowel, values
        assert values[vowel] > 0.5


def test_a_packet_of_any_protocol_fits_a_datagram() -> None:
    wide = replace(frame(2**31 - 1), weights=np.ones(52, np.float32))
    for encoding in (LiveLinkFace("x" * 100, 25), IFacialMocap(), Vmc("arkit")):
        assert max(map(len, encoding.packets(wide))) < 1472
