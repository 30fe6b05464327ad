"""JSON: TalkingHead, Azure's event handlers and Rhubarb's readers find in it what they expect."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codetalker.arkit import ARKIT_NAMES
from codetalker.audio import Waveform
from codetalker.cli import main
from codetalker.errors import OptionError
from codetalker.files.cues import mouth_cues
from codetalker.motion import Motion
from codetalker.visemes import VISEMES, to_visemes

# Ready Player Me's documentation of its 15 Oculus visemes, in the order of OVRLipSync.
READY_PLAYER_ME = [
    f"viseme_{name}"
    for name in [
        *("sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR"),
        *("aa", "E", "I", "O", "U"),
    ]
]


@pytest.fixture(scope="module")
def motion() -> Motion:
    random = np.random.default_rng(4)
    weights = random.random((50, 52)) * (random.random(52) < 0.5)
    return Motion(weights.astype(np.float32), ARKIT_NAMES, 25)


def saved(motion: Motion, folder: Path, form: str) -> dict[str, Any]:
    text = motion.save(folder / "a.json", form=form).read_text("utf-8")
    return json.loads(text, parse_constant=lambda name: pytest.fail(name))


def played(anim: dict[str, Any], shape: str, seconds: float) -> float:
    """A shape's value as TalkingHead plays it: times are the sums of `dt` after a 0, and each value
    is reached, in a straight line, at the end of its `dt`."""
    times = np.cumsum([0, *anim["dt"]])
    values = [0.0, *anim["vs"][shape]]
    assert len(times) == len(values)
    place = int(np.searchsorted(times, seconds * 1000, side="right")) - 1
    if place == len(times) - 1:
        return values[-1]
    share = (seconds * 1000 - times[place]) / (times[place + 1] - times[place])
    return (1 - share) * values[place] + share * values[place + 1]


def test_talking_head_shows_every_frame_at_its_time(motion: Motion, tmp_path: Path) -> None:
    anim = saved(motion, tmp_path, "talkinghead")
    assert set(anim) == {"name", "dt", "vs"}
    assert motion.save(tmp_path / "b.json").read_bytes() == (tmp_path / "a.json").read_bytes()
    moving = {name for name, curve in zip(ARKIT_NAMES, motion.weights.T, strict=True) if any(curve)}
    assert set(anim["vs"]) == moving  # the avatar keeps the others
    for frame in (0, 1, 25, 49):
        for name in moving:
            value = motion.weights[frame, ARKIT_NAMES.index(name)]
            assert played(anim, name, frame / 25 + 1e-6) == pytest.approx(value, abs=1e-3)


def test_talking_head_may_have_visemes_for_the_mouth(motion: Motion, tmp_path: Path) -> None:
    anim = saved(motion, tmp_path, "visemes")
    shares = to_visemes(motion.weights)
    for i, name in enumerate(READY_PLAYER_ME):
        np.testing.assert_allclose(
            anim["vs"].get(name, np.zeros(50)), shares[:, i], atol=1e-4, err_msg=VISEMES[i]
        )
    others = set(anim["vs"]) - set(READY_PLAYER_ME)
    assert others
    assert not any(re.match("jaw|mouth|tongue", name) for name in others)
    for name in others:
        column = motion.weights[:, ARKIT_NAMES.index(name)]
        np.testing.assert_allclose(anim["vs"][name], column, atol=1e-4)


@pytest.mark.parametrize("fps", [25, 29.97, 60])
def test_azures_rows_are_55_positions_60_times_a_second(
    motion: Motion, tmp_path: Path, fps: float
) -> None:
    spoken = Motion(motion.weights, motion.names, fps)
    event = saved(spoken, tmp_path, "azure")
    assert set(event) == {"FrameIndex", "BlendShapes"}
    assert event["FrameIndex"] == 0
    rows = np.array(event["BlendShapes"])
    assert rows.shape == (len(spoken.resample(60)), 55)
    assert len(rows) == pytest.approx(60 * spoken.duration, abs=1)
    documented = {"eyeBlinkLeft": 1, "jawOpen": 18, "mouthPucker": 21, "noseSneerRight": 51}
    for name, position in (documented | {"tongueOut": 52}).items():
        column = spoken.resample(60).weights[:, ARKIT_NAMES.index(name)]
        np.testing.assert_allclose(rows[:, position - 1], column, atol=1e-4)
    assert not rows[:, 52:].any()
    assert ((rows >= 0) & (rows <= 1)).all()


def test_rhubarbs_cues_are_those_of_the_motion(motion: Motion, tmp_path: Path) -> None:
    form = saved(motion, tmp_path, "rhubarb")
    assert set(form) == {"metadata", "mouthCues"}
    assert form["metadata"] == {"soundFile": "", "duration": 2.0}
    cues = form["mouthCues"]
    assert [cue["value"] for cue in cues] == [cue.mouth for cue in mouth_cues(motion)]
    assert cues[0]["start"] == 0
    assert cues[-1]["end"] == 2.0
    assert all(one["end"] == other["start"] for one, other in pairwise(cues))


def test_rhubarbs_sound_is_the_recording_by_its_name(tmp_path: Path) -> None:
    example = Path(__file__).parents[1] / "examples" / "sense_and_sensibility.flac"
    spoken = Motion(np.zeros((5, 52)), ARKIT_NAMES, 25, audio=Waveform.load(example))
    assert saved(spoken, tmp_path, "rhubarb")["metadata"]["soundFile"] == example.name


@pytest.mark.parametrize("form", ["talkinghead", "visemes", "azure", "rhubarb"])
def test_a_motion_of_no_frames_has_none(motion: Motion, tmp_path: Path, form: str) -> None:
    content = saved(motion[:0], tmp_path, form)
    found = [content.get(name) for name in ("dt", "BlendShapes", "mouthCues") if name in content]
    assert found == [[]]


def test_another_form_is_refused_by_name(motion: Motion, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="azure"):
        motion.save(tmp_path / "a.json", form="azur")
    assert not list(tmp_path.iterdir())


def test_the_command_writes_the_form_that_is_asked_for(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example = Path(__file__).parents[1] / "examples" / "sense_and_sensibility.flac"
    command = ["animate", str(example), "--model", str(tiny_bundle), "--json-form", "azure", "-o"]
    assert main([*command, str(tmp_path / "a.json")]) == 0
    assert "BlendShapes" in json.loads((tmp_path / "a.json").read_text())
    capsys.readouterr()
    assert main([*command, str(tmp_path / "a.csv")]) == 2
    assert "--json-form is of .json" in capsys.readouterr().err
