"""Preparing vertex data: what comes out is what went in, once, and what is wrong is reported."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from codetalker.commands.prepare import prepare
from codetalker.data.biwi import normalised, read_scan
from codetalker.data.prepare import convert, open_source
from codetalker.data.splits import BIWI, VOCASET
from codetalker.data.store import Store, open_store
from codetalker.errors import CodeTalkerError, DataError, OptionError
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
            lambda s: write_pickle(s / "subj_seq_to_idx.pkl", {"F": {"sentence01": {0: 10**9}}}),
            DataError,
            "refers to rows",
        ),
        (
            lambda s: write_pickle(s / "subj_seq_to_idx.pkl", {"../../F": {"s01": {0: 0}}}),
            DataError,
            "is not SUBJECT_SENTENCE",
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
