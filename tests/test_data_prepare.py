"""Preparing vertex data: what comes out is what went in, once, and what is wrong is reported."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from codetalker.commands.prepare import prepare
from codetalker.data.biwi import normalised, read_scan
from codetalker.data.prepare import convert, open_source
from codetalker.data.splits import BIWI, VOCASET
from codetalker.data.store import Store, open_store
from codetalker.errors import CodeTalkerError, DataError, OptionError, OutputError
from conftest import write_sound
from vertex_data import (
    VERTICES,
    VOCA_TEST,
    VOCA_TRAIN,
    face,
    tone,
    write_official_layout,
    write_pickle,
    write_raw_biwi,
    write_raw_vocaset,
    write_wav,
)


def prepared(protocol, source: Path, out: Path) -> Store:
    convert(open_source(protocol, source), protocol, out)
    return open_store(out)


def test_raw_vocaset_is_every_second_frame_in_order(tmp_path: Path) -> None:
    clips = write_raw_vocaset(tmp_path / "src")
    store = prepared(VOCASET, tmp_path / "src", tmp_path / "out")
    assert (store.fps, store.unit_mm, store.vertices_per_face) == (30, 1000, VERTICES)
    assert {c.name: c.split for c in store.clips} == {
        f"{VOCA_TRAIN}_sentence01": "train",
        f"{VOCA_TRAIN}_sentence21": "train",
        f"{VOCA_TEST}_sentence01": "unused",
        f"{VOCA_TEST}_sentence21": "test",
    }
    for clip in store.clips:
        np.testing.assert_array_equal(store.vertices(clip), clips[clip.name][::2])
        sound = store.waveform(clip)
        assert sound.duration == pytest.approx(61 / 60, abs=1e-3)
        expected = tone(61 / 60, 16000) / 32768
        assert np.abs(sound.samples - expected)[500:-500].max() < 2e-3  # resampled from 22 kHz
    np.testing.assert_allclose(store.template(VOCA_TEST), face(1))
    assert store.styles[0] == VOCA_TRAIN
    assert len(store.styles) == 8


def test_official_layout_is_taken_as_it_is(tmp_path: Path) -> None:
    clips = write_official_layout(tmp_path / "src")
    store = prepared(BIWI, tmp_path / "src", tmp_path / "out")
    assert {c.name: c.split for c in store.clips} == {
        "F1_e37": "test-b",
        "F2_e01": "train",
        "F2_e37": "test-a",
    }
    for clip in store.clips:
        np.testing.assert_array_equal(store.vertices(clip), clips[clip.name])
    vertices = store.vertices(store.clips[0])
    assert isinstance(vertices, np.memmap)
    assert vertices.dtype == np.float32


def test_preprocessed_vocaset_is_subsampled_like_the_raw_one(tmp_path: Path) -> None:
    names = (f"{VOCA_TRAIN}_sentence01",)
    template, source = face(), tmp_path / "src"
    (source / "vertices_npy").mkdir(parents=True)
    frames = np.random.default_rng(5).normal(size=(9, VERTICES * 3)).astype(np.float32)
    np.save(source / "vertices_npy" / f"{names[0]}.npy", frames)
    write_wav(source / "wav" / f"{names[0]}.wav", tone(9 / 60, 22000), 22000)
    write_pickle(source / "templates.pkl", {VOCA_TRAIN: template})
    store = prepared(VOCASET, source, tmp_path / "out")
    np.testing.assert_array_equal(
        store.vertices(store.clips[0]).reshape(5, -1), frames[[0, 2, 4, 6, 8]]
    )


@pytest.mark.parametrize("header", ["<u4", "<u8"])
def test_raw_biwi_is_normalised_frame_by_frame(tmp_path: Path, header: str) -> None:
    """A body that only grows and moves is the same in every frame, centred, of surface area 1."""
    write_raw_biwi(tmp_path / "src", header=header)
    store = prepared(BIWI, tmp_path / "src", tmp_path / "out")
    vertices = store.vertices(store.clips[0])
    assert vertices.shape == (4, 4, 3)
    np.testing.assert_allclose(vertices, np.broadcast_to(vertices[0], vertices.shape), atol=1e-6)
    np.testing.assert_allclose(vertices.mean(1), 0, atol=1e-6)
    np.testing.assert_allclose(store.template("F2"), vertices[0], atol=1e-6)
    area = 1.5 + np.sqrt(3) / 2  # of the unit tetrahedron
    assert vertices[0, 2, 1] - vertices[0, 0, 1] == pytest.approx(-1 / np.sqrt(area))  # turned
    assert vertices[0, 1, 0] - vertices[0, 0, 0] == pytest.approx(1 / np.sqrt(area))


def test_surface_area_agrees_with_trimesh(tmp_path: Path) -> None:
    trimesh = pytest.importorskip("trimesh")
    body = trimesh.creation.icosphere(subdivisions=2, radius=3.0)
    body.export(tmp_path / "body.obj")
    vertices, triangles = read_scan(tmp_path / "body.obj")
    scaled = trimesh.Trimesh(normalised(vertices, triangles), triangles)
    assert scaled.area == pytest.approx(1, rel=1e-5)


def test_a_second_run_goes_on_where_the_first_stopped(tmp_path: Path) -> None:
    write_official_layout(tmp_path / "src")
    out = tmp_path / "out"
    source = open_source(BIWI, tmp_path / "src")

    def stop_after_one(clips):
        yield clips[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(source, BIWI, out, stop_after_one)
    with pytest.raises(DataError, match=r"no store\.json"):
        open_store(out)
    first = out / "vertices" / f"{source.clips[0].name}.npy"
    (out / "vertices" / "F2_e01.npy").write_bytes(b"half a file")
    before = first.stat().st_mtime_ns
    convert(source, BIWI, out)
    assert first.stat().st_mtime_ns == before
    assert len(open_store(out).vertices(open_store(out).select("train")[0])) == 20
    assert not [path for path in out.rglob("*") if path.name.startswith(".")]


def test_what_cannot_be_used_is_left_out_and_said(tmp_path: Path) -> None:
    source = tmp_path / "src"
    names = ("F2_e01", "F2_e02", "F2_e03", "F2_e04", "F2_e05", "F2_e06", "F3_e01", "F3_e02")
    write_official_layout(source, names)
    (source / "wav" / "F2_e02.wav").unlink()
    (source / "vertices_npy" / "F2_e03.npy").unlink()
    frames = np.load(source / "vertices_npy" / "F2_e04.npy")
    frames[7, 3] = np.nan
    np.save(source / "vertices_npy" / "F2_e04.npy", frames)
    np.save(source / "vertices_npy" / "F2_e05.npy", frames[:, :30])
    (source / "wav" / "F2_e06.wav").write_bytes(b"RIFF")
    write_wav(source / "wav" / "F3_e02.wav", tone(3.0, 16000), 16000)
    write_pickle(source / "templates.pkl", {"F2": face()})
    store = prepared(BIWI, source, tmp_path / "out")
    assert [clip.name for clip in store.clips] == ["F2_e01"]
    said = dict(problem.split(": ", 1) for problem in store.problems)
    assert said["F2_e02"] == "wav/F2_e02.wav is missing"
    assert said["F2_e03"] == "vertices_npy/F2_e03.npy is missing"
    assert said["F2_e04"] == "its vertices are NaN or infinite at frame 7"
    assert said["F2_e05"] == "it has 10 vertices, the subject's template has 20"
    assert "F2_e06.wav" in said["F2_e06"]
    assert said["F3_e01"] == "subject 'F3' has no template in templates.pkl"
    assert "official split train" in said["F2_e07"]
    assert not any("\n" in problem for problem in store.problems)


def test_a_name_that_is_not_understood_costs_its_clip_alone(tmp_path: Path) -> None:
    source = tmp_path / "official"
    write_official_layout(source, ("F2_e01", "F2_e37"))
    (source / "vertices_npy" / "F2_e37.npy").rename(source / "vertices_npy" / "neutral.npy")
    (source / "wav" / "F2_e37.wav").rename(source / "wav" / "neutral.wav")
    (source / "vertices_npy" / "._F2_e01.npy").touch()  # what macOS leaves beside files
    (source / "wav" / "._F2_e01.wav").touch()
    write_raw_vocaset(tmp_path / "vocaset")
    index = tmp_path / "vocaset" / "subj_seq_to_idx.pkl"
    stored = pickle.loads(index.read_bytes())
    stored["X"] = {"rest": {0: 0}}
    stored[VOCA_TEST]["sentence01"] = {0: 10**9}
    write_pickle(index, stored)
    write_raw_biwi(tmp_path / "biwi")
    (tmp_path / "biwi" / "faces" / "F2" / "calibration").mkdir()
    (tmp_path / "biwi" / "rigid_scans" / "F3.obj").write_text("v 0 0 zero")
    shutil.copytree(tmp_path / "biwi" / "faces" / "F2", tmp_path / "biwi" / "faces" / "F3")
    for protocol, folder, name, count in (
        (BIWI, "official", "neutral", 1),
        (VOCASET, "vocaset", "X_rest", 3),
        (BIWI, "biwi", "F2_calibration", 1),
    ):
        store = prepared(protocol, tmp_path / folder, tmp_path / f"{folder}.out")
        assert len(store.clips) == count
        (said,) = (line for line in store.problems if line.startswith(f"{name}: "))
        assert said.endswith("is not SUBJECT_SENTENCE with a number at the end, such as F2_e01")
        assert not any("._" in line for line in store.problems)
        if folder == "vocaset":
            line = f"{VOCA_TEST}_sentence01: it refers to rows that data_verts.npy does not have"
            assert line in store.problems
        if folder == "biwi":
            (line,) = (line for line in store.problems if line.startswith("F3_e01: "))
            assert "F3.obj is no readable mesh" in line


def test_a_sound_is_found_under_any_suffix_and_two_are_one_too_many(tmp_path: Path) -> None:
    source = tmp_path / "src"
    write_official_layout(source, ("F2_e01", "F2_e02", "F2_e03", "F2_e04", "F2_e05"))
    wav = source / "wav"
    (wav / "F2_e01.wav").rename(wav / "F2_e01.WAV")
    tone_at_16k = tone(0.8, 16000)[:, None]
    for name, codec in (("F2_e02.mp3", "libmp3lame"), ("F2_e03.flac", "flac")):
        (wav / name).with_suffix(".wav").unlink()
        write_sound(wav / name, tone_at_16k, codec=codec)
    write_sound(wav / "F2_e04.flac", tone_at_16k, codec="flac")
    (wav / "F2_e05.txt").write_text("what is said")
    store = prepared(BIWI, source, tmp_path / "out")
    assert [clip.name for clip in store.clips] == ["F2_e01", "F2_e02", "F2_e03", "F2_e05"]
    assert all(clip.samples == pytest.approx(12800, abs=2400) for clip in store.clips)
    line = "F2_e04: there are wav/F2_e04.flac and wav/F2_e04.wav; keep one of them"
    assert line in store.problems
    write_raw_biwi(tmp_path / "raw")
    (tmp_path / "raw" / "wav" / "F2_e01.wav").rename(tmp_path / "raw" / "wav" / "F2_e01.WAV")
    assert len(prepared(BIWI, tmp_path / "raw", tmp_path / "raw.out").clips) == 1
    write_sound(tmp_path / "raw" / "wav" / "F2_e01.flac", tone_at_16k, codec="flac")
    with pytest.raises(DataError, match=r"there are wav/F2_e01\.WAV and wav/F2_e01\.flac"):
        prepared(BIWI, tmp_path / "raw", tmp_path / "raw.out")


def test_numbers_in_another_order_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "src"
    names = ("F2_e01", "F2_e02", "F2_e03", "F2_e04", "F2_e05")
    clips = write_official_layout(source, names, frames=15)
    for name, change in {
        "F2_e02": lambda v: v.transpose(0, 2, 1),
        "F2_e03": lambda v: v.transpose(0, 2, 1).reshape(len(v), -1),
        "F2_e04": lambda v: v.transpose(1, 0, 2),
        "F2_e05": lambda v: v > 0,
    }.items():
        np.save(source / "vertices_npy" / f"{name}.npy", change(clips[name]))
    store = prepared(BIWI, source, tmp_path / "out")
    assert [clip.name for clip in store.clips] == ["F2_e01"]
    said = dict(problem.split(": ", 1) for problem in store.problems)
    layout = "not (frames, V, 3) or (frames, 3V)"
    assert said["F2_e02"] == f"vertices_npy/F2_e02.npy has shape (15, 3, 20), {layout}"
    assert said["F2_e03"].startswith("its motion or the neutral face has all x, then all y")
    assert said["F2_e04"] == "it has 15 vertices, the subject's template has 20"
    assert said["F2_e05"] == "vertices_npy/F2_e05.npy holds values of type bool, not numbers"
    template = face().T
    for path in source.glob("*/F2_e03.*"):
        path.unlink()  # nothing tells it from such a face
    for stored, message in ((template, "shape"), (template.reshape(-1), "then all z")):
        write_pickle(source / "templates.pkl", {"F2": np.ascontiguousarray(stored)})
        with pytest.raises(DataError, match=message):
            prepared(BIWI, source, tmp_path / "none")


def test_integers_are_numbers(tmp_path: Path) -> None:
    source = tmp_path / "src"
    write_official_layout(source, ("F2_e01",))
    neutral = (100 * face()).astype(np.int16)
    frames = np.stack([neutral + step for step in range(20)])
    np.save(source / "vertices_npy" / "F2_e01.npy", frames)
    write_pickle(source / "templates.pkl", {"F2": neutral.tolist()})
    store = prepared(BIWI, source, tmp_path / "out")
    np.testing.assert_array_equal(store.template("F2"), neutral)
    np.testing.assert_array_equal(store.vertices(store.clips[0]), frames)


def test_a_file_that_was_replaced_is_converted_again_and_no_other(tmp_path: Path) -> None:
    source, out = tmp_path / "src", tmp_path / "out"
    clips = write_official_layout(source, ("F2_e01", "F2_e02"))
    prepared(BIWI, source, out)
    arrays = [out / kind / f"F2_e0{n}.npy" for kind in ("vertices", "audio") for n in (1, 2)]

    def changed_by(change) -> list[str]:
        before = [path.stat().st_ino for path in arrays]
        change()
        prepared(BIWI, source, out)
        now = [path.stat().st_ino for path in arrays]
        pairs = zip(arrays, before, now, strict=True)
        return [f"{path.parent.name}/{path.stem}" for path, was, new in pairs if was != new]

    motion, sound = source / "vertices_npy" / "F2_e02.npy", source / "wav" / "F2_e02.wav"

    def quieter_as_old_as_before() -> None:
        """Other content of the same size, as a copy that keeps the time of its original."""
        write_wav(sound, tone(0.8, 44100) // 2, 44100)
        os.utime(sound, ns=(0, 1))

    def longer_at_the_same_time() -> None:
        write_wav(sound, tone(0.9, 44100), 44100)
        os.utime(sound, ns=(0, 1))

    def cut_note() -> None:
        notes = out / "made_from.jsonl"
        notes.write_bytes(notes.read_bytes()[:-9] + b"\n[[]]\n3\n")

    assert changed_by(lambda: None) == []
    assert changed_by(lambda: np.save(motion, clips["F2_e01"])) == ["vertices/F2_e02"]
    np.testing.assert_array_equal(np.load(arrays[1]), clips["F2_e01"])
    assert changed_by(quieter_as_old_as_before) == ["audio/F2_e02"]
    assert np.abs(np.load(arrays[3])).max() < 0.15
    assert changed_by(longer_at_the_same_time) == ["audio/F2_e02"]
    assert changed_by(cut_note) == ["vertices/F2_e02", "audio/F2_e02"]
    assert changed_by(lambda: None) == []
    assert changed_by((out / "made_from.jsonl").unlink) == [
        f"{path.parent.name}/{path.stem}" for path in arrays
    ]


def test_what_another_data_set_left_there_is_not_taken_for_this_one(tmp_path: Path) -> None:
    """VOCASET takes every second frame, own data all."""
    source, out = tmp_path / "src", tmp_path / "out"
    write_official_layout(source, ("F2_e01",))
    prepared(VOCASET, source, out)
    prepare("own", source, out, fps=25.0)
    assert open_store(out).clips[0].frames == 20


def test_no_file_of_the_source_is_replaced(tmp_path: Path) -> None:
    source, out = tmp_path / "src", tmp_path / "out"
    write_official_layout(source, ("F2_e01",))
    (source / "lve.txt").write_text("0,1")
    before = (source / "vertices_npy" / "F2_e01.npy").read_bytes()
    out.mkdir()
    (out / "vertices").symlink_to(source / "vertices_npy")
    with pytest.raises(OutputError, match=r"vertices/F2_e01\.npy would replace the input"):
        prepared(BIWI, source, out)
    (out / "vertices").unlink()
    (out / "audio").mkdir()
    os.link(source / "wav" / "F2_e01.wav", out / "audio" / "F2_e01.npy")
    with pytest.raises(OutputError, match=r"audio/F2_e01\.npy would replace the input"):
        prepared(BIWI, source, out)
    assert len(prepared(BIWI, source, source).clips) == 1  # other names: the store beside them
    assert (source / "vertices_npy" / "F2_e01.npy").read_bytes() == before
    assert (source / "lve.txt").read_text() == "0,1"


def test_sound_that_is_much_longer_than_its_motion_is_noted(tmp_path: Path) -> None:
    write_official_layout(tmp_path / "src")
    write_wav(tmp_path / "src" / "wav" / "F2_e01.wav", tone(3.0, 16000), 16000)
    store = prepared(BIWI, tmp_path / "src", tmp_path / "out")
    assert "F2_e01: kept, but its sound is 2.2 s longer than its motion" in store.problems
    assert len(store.clips) == 3


def test_official_splits_have_the_published_sizes() -> None:
    def sizes(protocol) -> dict[str, int]:
        names = protocol.clip_names()
        return {
            split: sum(s == split for _, s in names) for split in dict.fromkeys(s for _, s in names)
        }

    assert sizes(VOCASET) == {"train": 320, "val": 40, "test": 40}
    assert sizes(BIWI) == {"train": 192, "val": 24, "test-a": 24, "test-b": 32}
    assert BIWI.split("F1", 1) == BIWI.split("X9", 37) == "unused"


def test_the_command_prepares_and_reports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_official_layout(tmp_path / "src", ("F2_e01", "F3_e01"))
    prepare("own", tmp_path / "src", tmp_path / "out", fps=25.0, val=("F3",))
    assert "2 clips (train 1, val 1)" in capsys.readouterr().err
    store = open_store(tmp_path / "out")
    assert (store.dataset, store.fps, store.styles) == ("own", 25, ("F2",))
    assert store.select("val")[0].subject == "F3"
    prepare("biwi", tmp_path / "src", tmp_path / "out2")
    said = capsys.readouterr().err
    assert "F2_e02: not in the source, though the official split train has it" in said
    assert "more lines in" in said


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda s: (s / "subj_seq_to_idx.pkl").unlink(), DataError, "subj_seq_to_idx.pkl does not"),
        (lambda s: (s / "templates.pkl").write_bytes(b"x"), DataError, "templates.pkl was not"),
        (lambda s: (s / "data_verts.npy").write_bytes(b"x"), DataError, "data_verts.npy is not"),
        (
            lambda s: write_pickle(
                s / "subj_seq_to_idx.pkl", {VOCA_TRAIN: {"sentence01": {0: 10**9}}}
            ),
            DataError,
            "refers to rows",
        ),
        (
            lambda s: write_pickle(s / "subj_seq_to_idx.pkl", {"../../F": {"s01": {0: 0}}}),
            DataError,
            "is not SUBJECT_SENTENCE with a number",
        ),
        (lambda s: write_pickle(s / "raw_audio_fixed.pkl", {}), DataError, "no sound of"),
    ],
)
def test_broken_vocaset_is_one_clear_line(tmp_path: Path, change, error, message: str) -> None:
    write_raw_vocaset(tmp_path / "src")
    change(tmp_path / "src")
    with pytest.raises(error, match=message) as caught:
        prepared(VOCASET, tmp_path / "src", tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_broken_biwi_is_one_clear_line(tmp_path: Path) -> None:
    write_raw_biwi(tmp_path / "src")
    frame = tmp_path / "src" / "faces" / "F2" / "e01" / "frame_003.vl"
    frame.write_bytes(frame.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"frame_003\.vl is not a frame of vertices"):
        prepared(BIWI, tmp_path / "src", tmp_path / "out")
    (tmp_path / "src" / "rigid_scans" / "F2.obj").write_text("v 0 0 zero")
    with pytest.raises(DataError, match=r"F2\.obj is no readable mesh"):
        prepared(BIWI, tmp_path / "src", tmp_path / "out")
    (tmp_path / "src" / "rigid_scans" / "F2.obj").write_text("v 0 0 0")
    with pytest.raises(DataError, match=r"F2\.obj has no faces"):
        prepared(BIWI, tmp_path / "src", tmp_path / "out")


def test_options_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    write_official_layout(tmp_path / "src")
    for options, message in [
        ({"dataset": "own"}, "needs --fps"),
        ({"dataset": "own", "fps": 0.0}, "needs --fps"),
        ({"dataset": "own", "fps": 25.0, "val": ("F9",)}, "no clips of subject 'F9'"),
        ({"dataset": "biwi", "fps": 30.0}, "are fixed for biwi"),
    ]:
        with pytest.raises(OptionError, match=message):
            prepare(source=tmp_path / "src", out=tmp_path / "out", **options)
    with pytest.raises(DataError, match="does not exist"):
        prepare("biwi", tmp_path / "none", tmp_path / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(CodeTalkerError, match="cannot be made a folder"):
        prepare("biwi", tmp_path / "src", tmp_path / "file")


def test_a_damaged_store_is_refused(tmp_path: Path) -> None:
    write_official_layout(tmp_path / "src")
    store = prepared(BIWI, tmp_path / "src", tmp_path / "out")
    clip = store.select("train")[0]
    np.save(tmp_path / "out" / "vertices" / f"{clip.name}.npy", np.zeros((3, 20, 3), np.float32))
    with pytest.raises(DataError, match=r"not what store\.json says"):
        store.vertices(clip)
    with pytest.raises(DataError, match="has no clips of 'val'"):
        store.select("val")
    with pytest.raises(DataError, match=r"lve\.txt is missing"):
        store.regions()
    manifest = tmp_path / "out" / "store.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(content | {"format_version": 99}))
    with pytest.raises(DataError, match="format version 99"):
        open_store(tmp_path / "out")
    manifest.write_text("{")
    with pytest.raises(DataError, match="damaged"):
        open_store(tmp_path / "out")
