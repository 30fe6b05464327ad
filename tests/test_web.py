"""The page and a saved `.html` in a browser: what is seen, heard, saved and asked for.

One run of `web/tests/browser.mjs` is looked at from all sides. It needs node, Chromium, and the
packages of `web/` (`npm ci`); without them these tests are skipped.
"""

import base64
import csv
import json
import os
import subprocess
import wave
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

import codetalker
from browser import CHROMIUM, WEB, skip_without_browser
from codetalker.animation import Animation
from codetalker.audio import Waveform
from codetalker.files.glb import glb_of
from codetalker.files.livelink import write_livelink
from codetalker.page import write_page
from codetalker.rig import bundled_head
from glb_reader import Glb

EXAMPLE = WEB.parent / "examples" / "sense_and_sensibility.flac"
RATE = 44_100
FRAMES = 1e-3
"""Two runtimes of the same graphs."""

skip_without_browser()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("web")


@pytest.fixture(scope="module")
def sound(folder):
    """A second of silence, and three of speech."""
    speech = Waveform.load(EXAMPLE).resampled(RATE).samples[: 3 * RATE]
    samples = np.concatenate([np.zeros(RATE, np.float32), speech])
    path = folder / "speech.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def motion(sound):
    return codetalker.load().animate(sound, life="full")


@pytest.fixture(scope="module")
def report(folder, sound, motion):
    site = write_page(folder / "site")
    motion.save(folder / "talk.html")
    head = folder / "other.glb"
    head.write_bytes(other_head())
    command = ["node", WEB / "tests/browser.mjs", site, sound, head, folder / "talk.html", folder]
    environment = os.environ | {"CHROMIUM": str(CHROMIUM)}
    run = subprocess.run(command, capture_output=True, text=True, timeout=400, env=environment)
    assert run.returncode == 0, run.stderr
    return json.loads((folder / "report.json").read_text())


def other_head() -> bytes:
    """The bundled head without joints, with the names that another tool gives its shapes."""
    rig = bundled_head()
    names = [n.replace("Left", "_L").replace("Right", "_R") for n in rig.blendshape_names]
    other = replace(rig, name="other", blendshape_names=tuple(f"face.{name}" for name in names))
    return glb_of(Animation(other, np.zeros((1, len(names)), np.float32), 25))


def changes(pictures):
    """How far each picture is from the first, mean over its pixels, of 255."""
    images = [
        np.asarray(Image.open(BytesIO(base64.b64decode(p))).convert("RGB"), float) for p in pictures
    ]
    return np.array([np.abs(image - images[0]).mean() for image in images])


def jaw_at(motion, times):
    column = motion.names.index("jawOpen")
    times = np.minimum(times, motion.duration - 1 / motion.fps)
    return np.interp(times, np.arange(len(motion)) / motion.fps, motion.weights[:, column])


def test_nothing_goes_wrong_and_nothing_is_asked_for_elsewhere(report):
    assert report["errors"] == []
    assert report["beyond"] == []


def test_an_uploaded_file_gives_the_frames_of_python(report, motion):
    weights = np.array(report["weights"])
    assert weights.shape == motion.weights.shape
    assert np.abs(weights - motion.weights).max() < FRAMES


def test_the_mouth_follows_the_sound(report, motion):
    jaw = jaw_at(motion, report["times"])
    for pictures in (report["mouths"], report["talk"]):
        change = changes(pictures)
        assert change[np.argmax(jaw)] > 2
        assert np.corrcoef(change, jaw)[0, 1] > 0.5


def test_the_face_keeps_to_the_clock_of_the_sound(report, motion):
    assert report["apart"] < 1 / motion.fps


def test_the_space_bar_pauses_and_strength_is_heard(report):
    assert report["paused"]
    assert report["still"] == 0


def test_ones_own_head_is_driven_whatever_its_names_look_like(report):
    other = base64.b64decode(report["own"][0])
    assert other != base64.b64decode(report["mouths"][0])
    assert np.asarray(Image.open(BytesIO(other)).convert("L")).std() > 10


def test_the_microphone_is_animated_to_its_end(report, motion):
    seconds, ready = report["spoken"]
    assert seconds > 2
    assert ready == pytest.approx(seconds, abs=1 / motion.fps)


def test_the_page_fits_a_phone(report):
    assert report["overflow"] <= 0


def test_a_saved_csv_is_that_of_python(report, folder, motion):
    write_livelink(folder / "expected.csv", motion)
    rows, expected = (
        list(csv.reader((folder / name).open())) for name in ("saved.csv", "expected.csv")
    )
    assert rows[0] == expected[0]
    assert [row[:2] for row in rows] == [row[:2] for row in expected]
    numbers = (np.array([row[2:] for row in table[1:]], float) for table in (rows, expected))
    assert np.abs(np.subtract(*numbers)).max() < FRAMES


def test_a_saved_json_holds_weights_and_head(report, folder, motion):
    saved = json.loads((folder / "saved.json").read_text())
    assert (saved["fps"], saved["names"]) == (motion.fps, list(motion.names))
    assert np.abs(np.array(saved["weights"]) - motion.weights).max() < FRAMES
    assert np.abs(np.array(saved["head"]) - motion.head).max() < FRAMES


def test_a_saved_glb_plays_the_motion(report, folder, motion):
    saved = Glb(folder / "saved.glb")
    animation = saved.json["animations"][-1]
    outputs = {
        (channel["target"]["path"], channel["target"]["node"]): saved.array(
            animation["samplers"][channel["sampler"]]["output"]
        )
        for channel in animation["channels"]
    }
    (turn,) = (values for (path, _), values in outputs.items() if path == "rotation")
    (face,) = (i for i, node in enumerate(saved.json["nodes"]) if node.get("mesh") == 0)
    assert saved.json["meshes"][0]["extras"]["targetNames"] == list(motion.names)
    weights = outputs["weights", face].reshape(motion.weights.shape)
    assert np.abs(weights - motion.weights).max() < FRAMES
    assert np.linalg.norm(turn, axis=1) == pytest.approx(1, abs=1e-5)
    assert np.abs(turn[:, 0]).max() > 1e-3


def test_a_saved_html_plays_from_disk(report):
    assert report["played"] > 0.8
