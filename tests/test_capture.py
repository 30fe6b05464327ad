"""capture: landmarks and takes become a corpus that training and figures read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import av
import numpy as np
import pytest

from codetalker.arkit import ARKIT_NAMES
from codetalker.audio import Waveform
from codetalker.capture.points import face_points
from codetalker.capture.recordings import find_recordings
from codetalker.cli import main
from codetalker.data.corpus import read_corpus
from codetalker.files.html import flac
from codetalker.motion import Motion
from filmed import TRACKER, agreement, needs_tracker, pictures_of, spoken, tracked, write_film


@pytest.fixture(scope="module")
def motion() -> Motion:
    return spoken()


def write_wav(path: Path, sound: Waveform, **metadata: str) -> None:
    with av.open(str(path), "w", options={"write_bext": "1"} if metadata else {}) as file:
        file.metadata.update(metadata)
        stream = file.add_stream("pcm_s16le", rate=sound.rate, layout="mono")
        samples = (sound.samples * 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), "s16", "mono")
        frame.sample_rate = sound.rate
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def filmed(folder: Path, name: str, motion: Motion) -> Path:
    """A landmark file and its sound."""
    folder.mkdir(exist_ok=True)
    tracked(motion).save(folder / f"{name}.npz")
    assert motion.audio
    (folder / f"{name}.flac").write_bytes(flac(motion.audio))
    return folder / f"{name}.npz"


def record(folder: Path) -> dict:
    return json.loads((folder / "capture.json").read_text())


def test_landmarks_become_a_corpus_with_figures(motion: Motion, tmp_path: Path) -> None:
    points = filmed(tmp_path / "in", "hello", motion)
    assert main(["capture", str(points), "-o", str(tmp_path / "anna")]) == 0
    (clip,) = read_corpus(tmp_path / "anna")
    assert (clip.name, clip.speaker, clip.split, clip.fps) == ("hello", "anna", "train", 25)
    assert agreement(clip.weights, motion.weights, 25) >= (0.99, 0.95)
    assert clip.waveform().duration == pytest.approx(clip.duration, abs=1e-3)
    (told,) = record(tmp_path / "anna")["clips"]
    assert told["gap_correlation"] > 0.99 and told["lost"] == 0
    assert abs(told["sound_offset_ms"]) <= 20
    with np.load(tmp_path / "anna/motion.npz") as arrays:
        assert arrays["head_pose"].shape == (len(motion), 6)


def test_the_contact_sheet_leads_nowhere_else(motion: Motion, tmp_path: Path) -> None:
    points = filmed(tmp_path / "in", "a<b", motion)
    main(["capture", str(points), "-o", str(tmp_path / "anna")])
    sheet = (tmp_path / "anna/contact.html").read_text()
    assert "a&lt;b" in sheet and sheet.count("<img") == 6
    assert all(source.startswith("data:") for source in re.findall('src="([^"]*)"', sheet))
    assert "http" not in sheet


def test_a_second_run_of_the_same_writes_nothing(
    motion: Motion, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = filmed(tmp_path / "in", "a", motion)
    out = tmp_path / "anna"
    given = ["capture", str(points), "-o", str(out)]
    main(given)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    first = capsys.readouterr().err
    assert main(given) == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    assert capsys.readouterr().err == first
    (out / "audio/a.flac").unlink()
    main(given)
    assert len(read_corpus(out)) == 1
    tracked(motion, noise=0.4).save(points)
    main(given)
    assert (out / "motion.npz").stat().st_mtime_ns > before[out / "motion.npz"]


def test_what_is_not_usable_is_left_out_with_the_reason(motion: Motion, tmp_path: Path) -> None:
    good = filmed(tmp_path / "in", "good", motion)
    assert motion.audio
    shaken = filmed(tmp_path / "in", "shaken", motion)
    tracked(motion, noise=25.0).save(shaken)
    far = filmed(tmp_path / "in", "far", motion)
    tracked(motion, noise=0.05, size=80).save(far)
    turned = filmed(tmp_path / "in", "turned", motion)
    away = np.array([0, 1.0, 0], np.float32)
    tracked(Motion(motion.weights, motion.names, 25, head=motion.head + away)).save(turned)
    late = filmed(tmp_path / "in", "late", motion)
    delayed = Waveform(np.pad(motion.audio.samples, (3200, 0)), 16000)
    late.with_suffix(".flac").write_bytes(flac(delayed))
    mute = filmed(tmp_path / "in", "mute", motion)
    mute.with_suffix(".flac").unlink()
    assert main(["capture", str(tmp_path / "in"), "-o", str(tmp_path / "anna")]) == 0
    found = record(tmp_path / "anna")
    assert [clip["name"] for clip in found["clips"]] == [good.stem]
    reasons = {Path(r["source"]).stem: r["reason"] for r in found["rejected"]}
    assert "not followed" in reasons["shaken"] or "off" in reasons["shaken"]
    assert "pixels apart" in reasons["far"]
    assert "turned away" in reasons["turned"]
    assert re.match(r"its sound is (190|200|210) ms late; --align moves it", reasons["late"])
    assert "no sound is beside it" in reasons["mute"]
    assert len(reasons) == 5


@pytest.mark.parametrize("moved", [-0.12, 0.09, 0.2])
def test_sound_that_was_moved_is_found_and_moved_back(
    moved: float, motion: Motion, tmp_path: Path
) -> None:
    points = filmed(tmp_path / "in", "a", motion)
    assert motion.audio
    by = round(abs(moved) * 16000)
    samples = motion.audio.samples
    shifted = np.pad(samples, (by, 0)) if moved > 0 else samples[by:]
    points.with_suffix(".flac").write_bytes(flac(Waveform(shifted, 16000)))
    assert main(["capture", str(points), "-o", str(tmp_path / "anna"), "--align"]) == 0
    assert abs(record(tmp_path / "anna")["clips"][0]["sound_offset_ms"] - 1000 * moved) <= 20
    (clip,) = read_corpus(tmp_path / "anna")
    heard = clip.waveform().samples
    lags = np.arange(-640, 641, 40)
    middle = samples[16000:64000]
    match = [middle @ heard[16000 + lag : 64000 + lag] for lag in lags]
    assert abs(lags[int(np.argmax(match))]) <= 320  # 20 ms


def write_take(path: Path, motion: Motion, starts: float, rate: int) -> None:
    """As Live Link Face writes it, at 30 or 60 frames a second, from a time of the day."""
    motion.save(path)
    header, *rows = path.read_text().splitlines()
    rows = rows[: len(motion)]
    codes = []
    for i in range(len(rows)):
        frame = round(starts * rate) + i
        seconds = frame // rate
        clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        codes.append(f"{clock}:{frame % rate:02}.000")
    kept = [code + row[row.index(",") :] for code, row in zip(codes, rows, strict=True)]
    path.write_text("\n".join([header, *kept]) + "\n")


@pytest.mark.parametrize("rate", [30, 60])
def test_a_take_and_its_sound_meet_by_their_time_codes(
    rate: int, motion: Motion, tmp_path: Path
) -> None:
    assert motion.audio
    take = tmp_path / "MySlate_1_cal.csv"
    write_take(take, motion.resample(rate), 36001.0, rate)
    write_take(tmp_path / "MySlate_1_raw.csv", motion.resample(rate), 36001.0, rate)
    early = Waveform(np.pad(motion.audio.samples, (8000, 0)), 16000)
    write_wav(tmp_path / "MySlate_1.wav", early, time_reference=str(int(36000.5 * 16000)))
    assert main(["capture", str(tmp_path), "-o", str(tmp_path / "out")]) == 0
    (clip,) = read_corpus(tmp_path / "out")
    assert (clip.name, clip.fps) == ("MySlate_1", rate)
    (told,) = record(tmp_path / "out")["clips"]
    assert told["start"] == pytest.approx(0.5, abs=1e-3)
    assert abs(told["sound_offset_ms"]) <= 20
    true = motion.resample(rate).weights[: len(clip.weights)]
    np.testing.assert_allclose(clip.weights, true.clip(0, 1), atol=0.02)


def test_a_take_beside_a_film_of_29_97_frames_has_its_rate(motion: Motion, tmp_path: Path) -> None:
    write_take(tmp_path / "a.csv", motion.resample(30), 36000.0, 30)
    pictures = np.zeros((60, 64, 64, 3), np.uint8)
    times = np.arange(60) * 1001 / 30000
    write_film(tmp_path / "a.mov", pictures, times, motion.audio)
    assert main(["capture", str(tmp_path / "a.csv"), "-o", str(tmp_path / "out")]) == 0
    assert record(tmp_path / "out")["fps"] == pytest.approx(30000 / 1001)


def test_takes_of_other_recorders_become_clips_too(motion: Motion, tmp_path: Path) -> None:
    assert motion.audio
    folder = tmp_path / "in"
    folder.mkdir()
    motion.save(folder / "g.glb")
    frames = [
        {"time": i / 25, "blendShapes": dict(zip(ARKIT_NAMES, row.tolist(), strict=True))}
        for i, row in enumerate(motion.weights)
    ]
    (folder / "j.json").write_text(json.dumps(frames))
    for name in "gj":
        write_wav(folder / f"{name}.wav", motion.audio)
    assert main(["capture", str(folder), "-o", str(tmp_path / "out"), "--fps", "30"]) == 0
    clips = read_corpus(tmp_path / "out")
    assert [(clip.name, clip.fps) for clip in clips] == [("g", 30), ("j", 30)]
    expected = motion.resample(30).weights.clip(0, 1)
    for clip in clips:
        np.testing.assert_allclose(clip.weights, expected, atol=2e-3)


def test_a_corpuss_own_landmarks_are_fitted_again(motion: Motion, tmp_path: Path) -> None:
    points = face_points()
    moved = np.einsum("tk,kpc->tpc", motion.weights, points.shapes)
    steps = np.rint(moved / 1e-4).astype(np.int32)
    (tmp_path / "in/audio").mkdir(parents=True)
    assert motion.audio
    for name in "ab":
        (tmp_path / f"in/audio/{name}.flac").write_bytes(flac(motion.audio))
    np.savez(
        tmp_path / "in/landmarks.npz",
        names=np.array(["a", "b", "mute"]),
        first=np.stack([steps[0]] * 3).astype(np.int16),
        delta=np.stack([np.diff(steps, axis=0)] * 3).clip(-127, 127).astype(np.int8),
        scale=np.float32(1e-4),
        neutral=points.rest.astype(np.float32),
    )
    given = ["capture", str(tmp_path / "in/landmarks.npz"), "-o", str(tmp_path / "out")]
    assert main(given) == 0
    clips = read_corpus(tmp_path / "out")
    assert [clip.name for clip in clips] == ["a", "b"]
    assert agreement(clips[0].weights, motion.weights, 25) >= (0.99, 0.95)
    (told,) = record(tmp_path / "out")["rejected"]
    assert "mute.wav" in told["reason"]


def test_a_folder_gives_each_take_and_film_once(tmp_path: Path) -> None:
    for name in ("a_cal.csv", "a_raw.csv", "a.mov", "b_neutral.csv", "c.mp4", "notes.md", "c.wav",
                 "take.json", "d.json", "d.wav"):  # fmt: skip
        (tmp_path / name).touch()
    found = {(r.name, r.kind, r.motion.name) for r in find_recordings([tmp_path])}
    films, takes = {("c", "film", "c.mp4")}, {("a", "take", "a_cal.csv"), ("d", "take", "d.json")}
    assert found == films | takes


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["nowhere.mp4"], "does not exist"),
        (["notes.md"], "no film and no take"),
        (["empty"], "holds no film and no take"),
        (["a.csv", "sub/a.csv"], "two recordings are called a"),
        (["broken.csv"], "nothing can be used"),
    ],
)
def test_what_is_no_recording_is_told_in_a_line(
    names: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("empty", "sub"):
        (tmp_path / folder).mkdir()
    for name in ("notes.md", "a.csv", "sub/a.csv", "broken.csv"):
        (tmp_path / name).write_text("Timecode\n")
    given = [str(tmp_path / name) for name in names]
    assert main(["capture", *given, "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1 and error[0].startswith("error:") and message in error[0]


def test_a_tracker_that_is_not_there_is_told(
    tmp_path: Path, motion: Motion, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = np.zeros((30, 64, 64, 3), np.uint8)
    film = write_film(tmp_path / "a.mp4", pictures, np.arange(30) / 25, motion.audio)
    given = ["capture", str(film), "-o", str(tmp_path / "out"), "--tracker", "/nobody/python"]
    assert main(given) == 2
    assert "cannot be run" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["landmarks", pytest.param("films", marks=needs_tracker)])
def test_from_recordings_to_a_style_that_is_measured(
    kind: str, motion: Motion, tiny_bundle: Path, tmp_path: Path
) -> None:
    """The documented way: capture, fit-style, animate, evaluate."""
    source = tmp_path / "takes"
    source.mkdir()
    assert motion.audio
    for i in range(10):
        first = 7 * i  # frames
        samples = motion.audio.samples[first * 640 : first * 640 + 48000]
        part = Motion(motion.weights[first : first + 75], motion.names, 25, Waveform(samples),
                      head=motion.head[first : first + 75])  # fmt: skip
        if kind == "films":
            write_film(source / f"t{i}.mp4", pictures_of(part, 256), np.arange(75) / 25, part.audio)
        else:
            filmed(source, f"t{i}", part)
    corpus, model = str(tmp_path / "anna"), str(tmp_path / "mine")
    tracker = ["--tracker", TRACKER] if kind == "films" else []
    assert main(["capture", str(source), "-o", corpus, "--speaker", "zoe", *tracker]) == 0
    assert len(read_corpus(corpus)) == 10
    fit = ["fit-style", corpus, "-o", model, "--model", str(tiny_bundle), "--steps", "3"]
    assert main(fit) == 0
    sound = str(Path(corpus) / "audio/t0.flac")
    assert main(["animate", sound, "--model", model, "-o", str(tmp_path / "a.csv")]) == 0
    assert len(Motion.load(tmp_path / "a.csv")) >= 75
    figures = tmp_path / "figures.json"
    given = ["evaluate", model, "--corpus", corpus, "--split", "train", "--json", str(figures)]
    assert main(given) == 0
    assert json.loads(figures.read_text())["rows"]
