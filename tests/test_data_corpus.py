"""Corpus folders: clips come out as they were put in, and what is wrong is named."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from codetalker.data.clip import Clip, select
from codetalker.data.corpus import read_corpus
from codetalker.errors import DataError
from conftest import SHARED
from corpus_data import NAMES, write_part


def test_clips_are_read_as_stored(tmp_path: Path) -> None:
    split = np.array(["train", "val"])
    weights = write_part(tmp_path / "anna", ["a", "b"], split=split)
    words = {"unit": "seconds", "words": {"b": [[0, 0.1, "sil"], [0.1, 0.3, "yes"]]}}
    (tmp_path / "anna" / "align.json").write_text(json.dumps(words))
    first, second = read_corpus(tmp_path / "anna")
    assert (first.name, first.speaker, first.split, first.fps) == ("a", "anna", "train", 25)
    assert (second.split, second.words) == ("val", ((0, 0.1, "sil"), (0.1, 0.3, "yes")))
    np.testing.assert_array_equal(np.stack([first.weights, second.weights]), weights)
    sound = first.waveform()
    assert (len(sound.samples), sound.rate) == (6400, 16000)
    assert np.allclose(sound.samples, 1000 / 32768)


def test_a_corpus_may_be_several_folders_and_joined_takes(tmp_path: Path) -> None:
    write_part(tmp_path / "anna", ["a"], speaker=np.array(["s9"]))
    takes = np.random.default_rng(2).random((30, 52)).astype(np.float32)
    write_part(
        tmp_path / "bert",
        ["x", "y"],
        weights=takes,
        starts=np.array([0, 12]),
        lengths=np.array([12, 18]),
        fps=np.float32(30),
    )
    clips = read_corpus(tmp_path)
    assert [(c.name, c.speaker, c.fps) for c in clips] == [
        ("a", "s9", 25),
        ("x", "bert", 30),
        ("y", "bert", 30),
    ]
    np.testing.assert_array_equal(clips[2].weights, takes[12:])


def test_a_folders_name_says_who_speaks_where_the_arrays_do_not(tmp_path: Path) -> None:
    write_part(tmp_path / "studio_anna", ["a"])
    write_part(tmp_path / "studio_others", ["x", "y"])
    write_part(tmp_path / "others", ["z"], speaker=np.array(["s9"]), split=np.array(["val"]))
    assert {(c.name, c.speaker, c.split) for c in read_corpus(tmp_path)} == {
        ("a", "anna", "train"),
        ("x", "x", "unseen"),
        ("y", "y", "unseen"),
        ("z", "s9", "val"),
    }


def test_columns_are_brought_into_the_order_of_the_head(tmp_path: Path) -> None:
    order = np.random.default_rng(3).permutation(52)
    weights = write_part(tmp_path / "anna", ["a"])
    write_part(
        tmp_path / "anna",
        ["a"],
        weights=weights[..., order],
        blendshape_names=np.array(NAMES)[order],
    )
    np.testing.assert_array_equal(read_corpus(tmp_path)[0].weights, weights[0])


def test_silence_leaves_out_the_mouths_own_time() -> None:
    words = ((0.0, 1.0, "sil"), (1.0, 2.0, "word"), (2.0, 4.0, "sil"))
    clip = Clip("a", "s", "val", Path("a.flac"), np.zeros((100, 52), np.float32), 25.0, words)
    silence = clip.silence(settle=0.3, anticipate=0.2)
    assert silence is not None
    expected = np.r_[np.arange(0, 20), np.arange(58, 100)]  # before 0.8 s and after 2.3 s
    np.testing.assert_array_equal(np.flatnonzero(silence), expected)


def test_selecting_nothing_says_what_there_is(tmp_path: Path) -> None:
    write_part(tmp_path / "anna", ["a"])
    clips = read_corpus(tmp_path)
    assert select(clips, "train", "anna") == clips
    with pytest.raises(DataError, match="no clips of 'val anna'; the corpus has: train anna"):
        select(clips, "val", "anna")


def joined(starts: list[int], lengths: list[int]) -> dict[str, np.ndarray]:
    """Arrays of takes that lie one after another in 30 frames."""
    weights = np.zeros((30, 52), np.float32)
    return {"weights": weights, "starts": np.array(starts), "lengths": np.array(lengths)}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"weights": np.full((2, 10, 52), np.nan, np.float32)}, "NaN"),
        (
            {"weights": np.zeros((3, 10, 52), np.float32)},
            r"weights have shape \(3, 10, 52\), not \(clips = 2, ",
        ),
        ({"weights": np.zeros((2, 10, 51), np.float32)}, "weights have shape"),
        ({"blendshape_names": np.array(["jaw", *NAMES[1:]])}, "no column 'eyeBlinkLeft'"),
        ({"split": np.array(["train", "tset"])}, "clip b has split 'tset'"),
        ({"speaker": np.array(["one"])}, r"speaker has shape \(1,\), not \(clips = 2\)"),
        ({"fps": np.float32(0)}, "fps is 0"),
        ({"names": np.array(["a", "a"])}, "a clip name occurs twice"),
        ({"names": np.array(["a", "c"])}, r"lacks c\.flac"),
        ({"names": np.array([{"a": 1}, None], object)}, "not a readable npz file"),
        (joined([-1, 12], [12, 18]), "starts is -1 ... 12, not from 0"),
        (joined([0, 12], [0, 18]), "lengths is 0 ... 18, not from 1"),
        (joined([0, 12], [12, 19]), "do not divide into 2 clips"),
        (joined([0], [12]), "starts have shape"),
    ],
)
def test_malformed_motion_is_refused(tmp_path: Path, arrays: dict, message: str) -> None:
    write_part(tmp_path / "anna", ["a", "b"], **arrays)
    with pytest.raises(DataError, match=message) as caught:
        read_corpus(tmp_path)
    assert "\n" not in str(caught.value)


def test_missing_pieces_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_corpus(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"no motion\.npz"):
        read_corpus(tmp_path)
    write_part(tmp_path / "anna", ["a"])
    (tmp_path / "anna" / "align.json").write_text("{")
    with pytest.raises(DataError, match=r"align\.json"):
        read_corpus(tmp_path)
    (tmp_path / "anna" / "motion.npz").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(DataError, match="not a readable npz file"):
        read_corpus(tmp_path)
    (tmp_path / "anna" / "motion.npz").unlink()
    np.savez(tmp_path / "anna" / "motion.npz", names=np.array(["a"]))
    with pytest.raises(DataError, match="lacks blendshape_names, fps, weights"):
        read_corpus(tmp_path)


@pytest.mark.skipif(not (SHARED / "corpus").is_dir(), reason="the shared corpus is absent")
def test_the_shared_corpus_is_complete() -> None:
    clips = read_corpus(SHARED / "corpus")
    counts = Counter((clip.speaker, clip.split) for clip in clips)
    assert (counts["s1", "train"], counts["s1", "val"]) == (820, 82)
    assert (counts["s4", "unseen"], counts["s32", "unseen"], counts["s31", "train"]) == (20, 10, 19)
    assert counts["facegood", "train"] == 6
    assert counts["brbk7n", "unseen"] == 1
    assert sum(counts.values()) == 902 + 109 + 4 + 6
    for clip in (clips[0], clips[-1]):
        assert clip.waveform().duration == pytest.approx(clip.duration, abs=1 / clip.fps)
