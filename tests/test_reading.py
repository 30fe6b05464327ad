"""What strangers write is data: JSON and texts as they should be, or one clear line."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import codetalker
from codetalker import cli
from codetalker.causal.bundle import load_bundle
from codetalker.data.corpus import read_corpus, read_takes
from codetalker.data.seen import read_seen
from codetalker.data.store import open_store
from codetalker.errors import CodeTalkerError, DataError, ModelError, OptionError, one_line
from codetalker.paper.config import from_dict, preset, to_dict
from codetalker.reading import Malformed, parse_json, read_regular, refusing
from codetalker.typed import build
from corpus_data import NAMES, write_part

NOT_JSON = {
    "twice": (b'{"a": 1, "a": 2}', "'a' occurs twice"),
    "twice inside": (b'[{"b": {"a": 1, "a": 1}}]', "'a' occurs twice"),
    "NaN": (b'{"a": NaN}', "NaN is no number"),
    "minus infinity": (b"[-Infinity]", "-Infinity is no number"),
    "too large": (b"[1e999]", "too large"),
    "long": (b"1" * 5000, "4300"),
    "deep": (b"[" * 100_000, "nested beyond reason"),
    "deep objects": (b'{"a":' * 100_000, "nested beyond reason"),
    "Latin-1": (b'"caf\xe9"', "utf-8"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "utf-8"),
    "more": (b"{} {}", "Extra data"),
    "nothing": (b"", "Expecting value"),
    "NUL": (b"\0", "Expecting value"),
}


@pytest.mark.parametrize("case", NOT_JSON)
def test_what_is_no_json_is_refused(case: str) -> None:
    content, message = NOT_JSON[case]
    with (
        pytest.raises(DataError, match=message) as caught,
        refusing(DataError, "it is bad", "mend"),
    ):
        parse_json(content)
    assert "\n" not in str(caught.value)


def test_json_is_read_with_or_without_a_byte_order_mark() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": [1, 2.5, null, "\\u00e9"]}') == {"a": [1, 2.5, None, "é"]}


@dataclass(frozen=True)
class Inner:
    names: tuple[str, ...]
    pair: tuple[float, int]


@dataclass(frozen=True)
class Outer:
    count: int
    rate: float
    yes: bool
    inner: Inner
    by_name: dict[str, float]
    maybe: Inner | None = None
    text: str = "x"
    free: dict[str, Any] | None = None


GOOD: dict[str, Any] = {
    "count": 3, "rate": 2, "yes": True, "inner": {"names": ["a"], "pair": [1, 2]},
    "by_name": {"a": 1}, "maybe": None, "free": {"x": [1, {}]},
}  # fmt: skip


def test_values_are_built_by_their_annotations() -> None:
    built = build(Outer, GOOD, "it")
    assert built.inner == Inner(("a",), (1.0, 2))
    assert (type(built.rate), built.by_name, built.free) == (float, {"a": 1.0}, {"x": [1, {}]})
    assert build(Outer, GOOD | {"maybe": GOOD["inner"]}, "it").maybe == built.inner
    assert build(Outer, GOOD | {"more": 1}, "it", strict=False) == built


ODD = {
    "count": [True, 1.0, "3", None, [], 1 << 60, -(1 << 60), 10**400],
    "rate": [True, "2", None, float("nan"), float("inf"), 1 << 60, 10**400],
    "yes": [1, 0, "true", None],
    "text": [3, None, "\x1b[31m", "\x00", "\ud800", "\u202e", "\x9b"],
    "inner": [[], None, 3, {"names": ["a"]}, {"names": "ab", "pair": [1, 2]},
              {"names": ["a"], "pair": [1]}, {"names": ["a"], "pair": [1, 2.5]}],
    "by_name": [[], None, {"a": "1"}, {"\x1b": 1.0}],
    "counts": [3],
}  # fmt: skip


@pytest.mark.parametrize("key", ODD)
def test_values_of_another_kind_are_named(key: str) -> None:
    for value in ODD[key]:
        with pytest.raises(Malformed, match="it") as caught:
            build(Outer, GOOD | {key: value}, "it")
        assert len(str(caught.value)) < 200
    with pytest.raises(Malformed, match="it lacks count, rate"):
        build(Outer, {k: v for k, v in GOOD.items() if k not in ("count", "rate")}, "it")


def test_a_file_is_read_up_to_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_regular(path, 5) == b"12345"
    with pytest.raises(Malformed, match="larger than"):
        read_regular(path, 4)
    (tmp_path / "link").symlink_to(path)
    assert read_regular(tmp_path / "link", 5) == b"12345"
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(Malformed, match="no regular file"):
            read_regular(tmp_path / "pipe", 5)
    with pytest.raises((Malformed, OSError)):
        read_regular(tmp_path, 5)
    if Path("/dev/zero").exists():
        with pytest.raises(Malformed, match="no regular file"):
            read_regular("/dev/zero", 5)


def test_a_refusal_is_one_short_line() -> None:
    with pytest.raises(DataError) as caught, refusing(DataError, "it", "mend it"):
        raise ValueError("several\nlines\n" * 1000)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 350
    with (
        pytest.raises(DataError, match=r"it \(ZeroDivisionError\); mend it"),
        refusing(DataError, "it", "mend it"),
    ):
        raise ZeroDivisionError
    with pytest.raises(ModelError, match="inside"), refusing(DataError, "it", "mend it"):
        raise ModelError("inside")
    with pytest.raises(KeyboardInterrupt), refusing(DataError, "it", "mend it"):
        raise KeyboardInterrupt


def test_no_message_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert one_line("a\nb\x1b[2J\u202ec\ud800é 話") == "a b\\x1b[2J\\u202ec\\ud800é 話"
    assert cli.main(["animate", "no\x1b]0;such\x07file.wav"]) == 2
    said = capsys.readouterr().err
    assert "\x1b" not in said and "\x07" not in said and said.count("\n") == 1


def test_notes_of_a_model_are_shown_as_they_are(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`info` shows marks as text, and a model whose notes steer a terminal is none."""
    folder = tmp_path / "m"
    folder.mkdir()
    for path in tiny_bundle.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    for note in ("[bold red]x[/]", "[/]", "[link=file:///etc]y[/link]", ":smile:", "[["):
        config["notes"] = {"by [i]": note}
        (folder / "config.json").write_text(json.dumps(config))
        assert cli.main(["info", str(folder)]) == 0
        said = capsys.readouterr().out
        assert note in said and "by [i]" in said
    for note in ("\x1b[2J", "a\x07", "\u202e", "\ud800"):
        config["notes"] = {"by": note}
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(ModelError, match="does not describe a bundle"):
            codetalker.load(folder)


CONFIGS: dict[str, Any] = {
    "windows": [None, [], {"left": 10**9}, {"hop": -4}, {"fps": 0}, {"left": 6.5}, {"hop": True}],
    "loudness": [3, {"attack": 0}, {"attack": -1.0}, {"release": -1e308}, {"target": 1e308}],
    "blinks": [3, {"rise": -1}, {"most": 1e308}],
    "onset": [None, "0.2", -1, 1e308, 11],
    "styles": [[], ["bert"], ["bert", "bert"], "ab", [1, 2], {"bert": 1}],
    "default_style": [None, 3, "carl"],
    "state": [[], {}, {"cache": []}, {"motion": [1, 10**12]}, {"position": [2]}],
    "temperature": [[], [0, 0, -1], [0, 0, 1e30], ["0", "0", "0"], 0],
    "articulation": [[-1], [52], [0.5], "all", [10**30]],
    "blendshapes": [[], ["a"], ["jawOpen"] * 52, None, [1] * 52],
    "files": [[], {}, {"speech.onnx": 3}, None],
    "notes": [[], "x", {"a": 1}],
}


@pytest.mark.parametrize("key", CONFIGS)
def test_a_description_of_another_kind_is_refused(
    key: str, tiny_bundle: Path, tmp_path: Path
) -> None:
    for path in tiny_bundle.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    whole = json.loads((tmp_path / "config.json").read_text())
    for value in CONFIGS[key]:
        merged = isinstance(value, dict) and value and not isinstance(whole[key], list)
        parts = {**(whole[key] or {}), **value} if merged else value
        (tmp_path / "config.json").write_text(json.dumps(whole | {key: parts}))
        with pytest.raises(ModelError) as caught:
            load_bundle(tmp_path)  # before any graph could agree
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


@pytest.mark.parametrize(("part", "key", "value"), [
    ("codec", "layers", 10**9), ("codec", "width", 1 << 50), ("codec", "vertices", 0),
    ("talker", "fps", 0), ("talker", "fps", -25.0), ("talker", "period", 0),
    ("speech", "num_hidden_layers", 65), ("speech", "conv_stride", [5, 0, 2, 2, 2, 2, 2]),
    ("speech", "conv_kernel", [1] * 9), ("speech", "hidden_size", 10**40),
])  # fmt: skip
def test_a_published_model_has_a_size_that_exists(part: str, key: str, value: object) -> None:
    values = json.loads(json.dumps(to_dict(preset("biwi"))))
    values[part][key] = value
    with pytest.raises(OptionError):
        from_dict(values)


MOTIONS: dict[str, dict[str, object]] = {
    "weights in words": {"weights": np.full((2, 10, 52), "a")},
    "complex weights": {"weights": np.zeros((2, 10, 52), complex)},
    "infinite weights": {"weights": np.full((2, 10, 52), np.inf)},
    "weights that overflow": {"weights": np.full((2, 10, 52), 1e300)},
    "flat weights": {"weights": np.zeros(1040, np.float32)},
    "names in numbers": {"names": np.array([1, 2])},
    "names in bytes": {"names": np.array([b"a", b"b"])},
    "a name that leads elsewhere": {"names": np.array(["a", "../b"])},
    "a name that steers": {"names": np.array(["a", "\x1b[2J"])},
    "no name": {"names": np.array(["a", ""])},
    "names in a table": {"names": np.array([["a", "b"]])},
    "a rate for each": {"fps": np.array([25.0, 25.0])},
    "a rate in words": {"fps": np.array("25")},
    "no rate": {"fps": np.array(np.nan)},
    "columns in numbers": {"blendshape_names": np.arange(52)},
    "a column twice": {"blendshape_names": np.array(["jawOpen"] * 52)},
    "splits in numbers": {"split": np.array([0, 1])},
    "speakers in a table": {"speaker": np.array([["a", "b"]])},
}
JOINED = {"weights": np.zeros((30, 52), np.float32)}
SPANS: dict[str, tuple[object, object]] = {
    "floats": ([0.0, 12.0], [12.0, 18.0]),
    "before the first": ([-1, 12], [12, 18]),
    "nothing": ([0, 12], [12, 0]),
    "less than nothing": ([0, 12], [12, -3]),
    "beyond the last": ([0, 12], [12, 19]),
    "overflow": ([0, (1 << 63) - 1], [12, (1 << 63) - 1]),
    "one": ([0], [12]),
    "a table": ([[0, 12]], [[12, 18]]),
    "words": (["0", "12"], ["12", "18"]),
}


def refused_corpus(folder: Path) -> str:
    with pytest.raises(CodeTalkerError) as caught:
        read_corpus(folder)
    with pytest.raises(DataError):
        read_takes(folder, 25)
    assert isinstance(caught.value, DataError) and "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("case", MOTIONS)
def test_every_array_of_a_corpus_is_of_its_kind(case: str, tmp_path: Path) -> None:
    write_part(tmp_path, ["a", "b"])
    assert len(read_corpus(tmp_path)) == 2
    write_part(tmp_path, ["a", "b"], **MOTIONS[case])
    refused_corpus(tmp_path)


@pytest.mark.parametrize("case", SPANS)
def test_clips_lie_within_the_takes(case: str, tmp_path: Path) -> None:
    starts, lengths = (np.array(values) for values in SPANS[case])
    write_part(tmp_path, ["a", "b"], **JOINED, starts=np.array([0, 12]), lengths=np.array([12, 18]))
    assert [len(clip.weights) for clip in read_corpus(tmp_path)] == [12, 18]
    write_part(tmp_path, ["a", "b"], **JOINED, starts=starts, lengths=lengths)
    refused_corpus(tmp_path)


@pytest.mark.parametrize("words", [
    [], None, 3, {"a": 3}, {"a": [[0, 1]]}, {"a": [["0", 1, "x"]]}, {"a": [[0, 1, 3]]},
    {"a": [[0, True, "x"]]}, {"a": [[0, 1, "\x1b"]]}, {"a": {"b": 1}}, {"a": [[0, 1e400, "x"]]},
])  # fmt: skip
def test_words_of_another_kind_are_refused(words: object, tmp_path: Path) -> None:
    write_part(tmp_path, ["a"])
    (tmp_path / "align.json").write_text(json.dumps({"words": words}))
    with pytest.raises(DataError, match=r"align\.json does not hold words"):
        read_corpus(tmp_path)


@pytest.mark.parametrize(("name", "value"), [
    ("names", np.array(["../a"])), ("names", np.array([3])), ("starts", np.array([0.0])),
    ("starts", np.array([-1])), ("lengths", np.array([1])), ("lengths", np.array([1 << 62])),
    ("time", np.full(9, np.nan)), ("time", np.array(["0"] * 9)), ("gap", np.zeros((9, 2))),
    ("width", np.zeros(9, complex)),
])  # fmt: skip
def test_every_array_of_seen_lips_is_of_its_kind(
    name: str, value: np.ndarray, tmp_path: Path
) -> None:
    write_part(tmp_path, ["a"])
    arrays = {
        "names": np.array(["a"]), "starts": np.array([0]), "lengths": np.array([9]),
        "time": np.arange(9.0), "gap": np.ones(9), "width": np.ones(9),
    }  # fmt: skip
    np.savez(tmp_path / "lip_gap.npz", **arrays)
    assert len(read_seen(tmp_path)) == 1
    np.savez(tmp_path / "lip_gap.npz", **arrays | {name: value})
    with pytest.raises(DataError) as caught:
        read_seen(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", [
    {"fps": "25"}, {"fps": 0}, {"fps": True}, {"vertices_per_face": 0}, {"vertices_per_face": 2.5},
    {"subjects": "ab"}, {"clips": [{}]}, {"clips": {}}, {"clips": [3]}, {"problems": [3]},
    {"more": 1}, {"unit_mm": "1"}, {"format_version": "1"}, {"format_version": 10**40},
    {"clips": [{"name": "../x", "subject": "a", "sentence": 1, "split": "train", "frames": 1,
                "samples": 1}]},
])  # fmt: skip
def test_a_manifest_of_another_kind_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    whole: dict[str, Any] = {
        "format_version": 1, "dataset": "own", "fps": 25, "unit_mm": None, "vertices_per_face": 3,
        "subjects": ["a"], "styles": ["a"], "clips": [], "problems": [],
    }  # fmt: skip
    (tmp_path / "store.json").write_text(json.dumps(whole))
    assert open_store(tmp_path).fps == 25
    (tmp_path / "store.json").write_text(json.dumps(whole | change))
    with pytest.raises(DataError) as caught:
        open_store(tmp_path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_the_names_of_the_head_are_what_the_tests_write() -> None:
    assert len(set(NAMES)) == 52
