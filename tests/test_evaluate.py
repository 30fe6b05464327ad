"""`codetalker evaluate`: rows of figures for a talker, for motions, and for vertex animations."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import codetalker
from codetalker.cli import main
from codetalker.commands.evaluate import evaluate
from codetalker.data.corpus import read_corpus
from codetalker.data.prepare import convert, open_source
from codetalker.data.splits import BIWI
from codetalker.data.store import open_store
from codetalker.errors import CodeTalkerError, DataError, ModelError, OptionError
from codetalker.evaluation.codes import CodeUsage
from codetalker.evaluation.metrics import RigMetrics, VertexMetrics
from codetalker.evaluation.report import Report, Row
from codetalker.evaluation.talkers import score_talker
from codetalker.motion import Motion
from codetalker.rig import bundled_head
from codetalker.vertex_motion import VertexMotion
from corpus_data import NAMES, write_part
from fake_talker import FakeTalker
from vertex_data import VERTICES, motion, write_official_layout

CLIPS = ("a", "b", "c")


def parrot(truth: np.ndarray) -> FakeTalker:
    """It knows the truth: it says it in style `anna`, and half of it in `mumble`."""
    rest = iter(np.concatenate([truth] * 9))
    return FakeTalker(
        lambda audio, style: next(rest) * (1.0 if style == "anna" else 0.5), ("mumble", "anna")
    )


@pytest.fixture
def corpus(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A corpus of the validation clips of two speakers, and the weights of the first."""
    val = np.array(["val"] * 3)
    weights = write_part(tmp_path / "corpus" / "anna", list(CLIPS), split=val)
    write_part(tmp_path / "corpus" / "bert", ["x", "y", "z"], split=val)
    return tmp_path / "corpus", weights


def run(*arguments, tmp_path: Path, **options) -> dict:
    """The JSON that the command writes."""
    evaluate(*arguments, json=tmp_path / "out.json", **options)
    return json.loads((tmp_path / "out.json").read_text())


def test_every_speaker_gets_a_row_in_its_own_style(
    corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, weights = corpus
    monkeypatch.setattr(codetalker, "load", lambda model: parrot(weights))
    report = run("default", folder, tmp_path=tmp_path)
    anna, bert = report["rows"]
    assert (anna["speaker"], anna["style"], anna["clips"], anna["frames"]) == (
        "anna",
        "anna",
        3,
        30,
    )
    assert anna["lve_mm2"] == 0
    assert anna["motion_std_ratio"]["lips"] == pytest.approx(1)
    assert anna["rtf"] > 0
    assert (anna["codes_used"], anna["code_perplexity"]) == (2, pytest.approx(2))
    assert (bert["speaker"], bert["style"]) == ("bert", "default")
    assert bert["motion_std_ratio"]["lips"] == pytest.approx(0.5, rel=1e-4)
    assert (report["split"], report["format_version"]) == ("val", 1)
    shown = capsys.readouterr().out
    assert "LVE mm²" in shown
    assert "anna" in shown


def test_best_names_the_style_with_the_least_lip_error(corpus) -> None:
    folder, weights = corpus
    (row,) = score_talker(parrot(weights), read_corpus(folder / "anna"), "best")
    assert row.style == "anna"
    assert row.figures["lip_error_mm"] == 0
    tried = row.figures["styles_tried"]
    assert tried.keys() == {"anna", "mumble"}
    assert tried["mumble"]["lip_error_mm"] > 0


def test_a_folder_of_motions_scores_like_the_metrics_alone(corpus, tmp_path: Path) -> None:
    folder, weights = corpus
    predictions = tmp_path / "predictions"
    predictions.mkdir()
    metrics = RigMetrics(bundled_head())
    for name, true in zip(CLIPS, weights, strict=True):
        predicted = true * np.float32(0.8)
        Motion(predicted, NAMES, 25.0).save(predictions / f"{name}.npz")
        metrics.add(name, predicted, true, 25.0)
    (row,) = run(str(predictions), folder, speaker="anna", tmp_path=tmp_path)["rows"]
    expected = metrics.result()
    assert {name: row[name] for name in expected} == expected
    (predictions / "b.npz").unlink()
    with pytest.raises(DataError, match=r"lacks 1 of 3 predictions, first b\.npz"):
        evaluate(str(predictions), folder, speaker="anna")


def test_motions_of_another_frame_rate_are_resampled(corpus, tmp_path: Path) -> None:
    folder, _ = corpus
    smooth = np.linspace(0, 0.5, 10, dtype=np.float32)[:, None] * np.ones(52, np.float32)
    write_part(folder / "anna", list(CLIPS), weights=np.stack([smooth] * 3))
    predictions = tmp_path / "predictions"
    predictions.mkdir()
    for name in CLIPS:
        Motion(smooth, NAMES, 25.0).resample(50.0).save(predictions / f"{name}.npz")
    (row,) = run(str(predictions), folder / "anna", split="train", tmp_path=tmp_path)["rows"]
    assert row["frames"] == 30
    assert row["lip_error_mm"] < 0.3


# --- vertex animations ---------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A prepared BIWI of two Test-A clips, with region files."""
    source = tmp_path / "biwi"
    write_official_layout(source, ("F2_e37", "F3_e38", "F1_e37"))
    (source / "regions").mkdir()
    (source / "regions" / "lve.txt").write_text("2, 6, 7, 9")
    (source / "regions" / "fdd.txt").write_text("0, 1, 11, 12, 13")
    convert(open_source(BIWI, source), BIWI, tmp_path / "store")
    return tmp_path / "store"


def test_official_predictions_are_scored_by_style(store: Path, tmp_path: Path) -> None:
    predictions = tmp_path / "predictions"
    predictions.mkdir()
    opened = open_store(store)
    metrics = VertexMetrics(np.array([2, 6, 7, 9]), np.array([0, 1, 11, 12, 13]))
    for seed, clip in enumerate(opened.select("test-a")):
        template = opened.template(clip.subject)
        own = motion(50 + seed, clip.frames + 1, template)  # the official decoder may run over
        metrics.add(clip.name, own, opened.vertices(clip), template)
        np.save(predictions / f"{clip.name}_condition_{clip.subject}.npy", own.reshape(21, -1))
        other = motion(60 + seed, clip.frames, template)
        np.save(predictions / f"{clip.name}_condition_M4.npy", other)
    np.save(predictions / "F1_e37_condition_M4.npy", np.zeros(3))  # of another split
    report = run(str(predictions), against=store, split="test-a", tmp_path=tmp_path)
    own, other = report["rows"]
    assert (own["style"], other["style"], other["clips"]) == ("own", "M4", 2)
    expected = metrics.result()
    assert {name: own[name] for name in expected} == expected
    assert own["length_differences"] == {"F2_e37": 1, "F3_e38": 1}
    assert "lve_mm2" not in own  # BIWI has no physical unit
    assert "coordinates of biwi" in report["notes"][0]


class Statue(FakeTalker):
    """A vertex model that knows one style and holds still."""

    styles, motion_type = ("F2",), VertexMotion

    def __init__(self) -> None: ...

    def animate(self, audio, *, style, fps, template) -> VertexMotion:
        assert style == "F2"
        frames = round(audio.duration * fps)
        return VertexMotion(np.repeat(template[None], frames, 0), template, fps)


def test_a_vertex_model_speaks_in_its_own_styles(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codetalker, "load", lambda model: Statue())
    report = run("statue", against=store, split="test-a", tmp_path=tmp_path)
    own, foreign = report["rows"]
    assert [(row["style"], row["clips"]) for row in (own, foreign)] == [("own", 1), ("F2", 1)]
    opened = open_store(store)
    clip = opened.select("test-a", "F2")[0]
    offsets = opened.vertices(clip) - opened.template("F2")
    lips = np.square(offsets[:, [2, 6, 7, 9]].astype(float)).sum(-1)
    assert own["lve"] == pytest.approx(lips.max(1).mean())
    assert own["motion_std_ratio"] == {"lips": 0, "upper_face": 0}
    assert own["rtf"] > 0


def test_models_are_compared_with_their_own_kind(
    corpus, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, weights = corpus
    monkeypatch.setattr(codetalker, "load", lambda model: Statue())
    with pytest.raises(OptionError, match="animates vertices"):
        evaluate("statue", folder)
    monkeypatch.setattr(codetalker, "load", lambda model: parrot(weights))
    with pytest.raises(OptionError, match="animates blendshapes"):
        evaluate("parrot", against=store, split="test-a")


def test_vertex_motion_files_are_read(store: Path, tmp_path: Path) -> None:
    predictions = tmp_path / "predictions"
    predictions.mkdir()
    opened = open_store(store)
    for clip in opened.select("test-b"):
        arrays = {"vertices": opened.vertices(clip), "fps": np.float32(25)}
        np.savez(predictions / f"{clip.name}.npz", **arrays)
        (row,) = run(str(predictions), against=store, split="test-b", tmp_path=tmp_path)["rows"]
        assert (row["lve"], row["mve"], row["clips"]) == (0, 0, 1)
        np.savez(predictions / f"{clip.name}.npz", **(arrays | {"fps": np.float32(30)}))
        with pytest.raises(DataError, match="has 30 frames per second, the data has 25"):
            evaluate(str(predictions), against=store, split="test-b")


def test_bad_vertex_predictions_are_one_clear_line(store: Path, tmp_path: Path) -> None:
    predictions = tmp_path / "predictions"
    predictions.mkdir()
    with pytest.raises(DataError, match=r"lacks 1 of 1 predictions, first F1_e37\.npy"):
        evaluate(str(predictions), against=store, split="test-b")
    opened = open_store(store)
    true = np.asarray(opened.vertices(opened.select("test-b")[0]))
    by_axis = true.transpose(0, 2, 1).reshape(len(true), -1)
    for content, message in [
        (np.zeros((20, VERTICES * 3 - 3)), "19 vertices predicted for 20 true ones"),
        (np.zeros((17, VERTICES * 3)), "17 frames predicted for 20 true ones"),
        (np.full((20, VERTICES * 3), np.nan), "not finite at frame 0"),
        (np.zeros(60), "has shape"),
        (np.zeros((20, 3, VERTICES)), r"has shape \(20, 3, 20\), not \(frames, V, 3\)"),
        (np.zeros((20, VERTICES, 3), bool), "holds values of type bool, not numbers"),
        (np.array([{}], object), "is not a readable npy file"),
        (by_axis, "has all x, then all y, then all z"),
    ]:
        np.save(predictions / "F1_e37.npy", content)
        with pytest.raises(DataError, match=message):
            evaluate(str(predictions), against=store, split="test-b")
    (store / "lve.txt").write_text("2, 99")
    with pytest.raises(DataError, match=r"lve\.txt does not fit a mesh of 20 vertices"):
        evaluate(str(predictions), against=store, split="test-b")


def test_misuse_is_one_clear_line(corpus, tmp_path: Path) -> None:
    folder, _ = corpus
    for options, error in [
        ({}, OptionError),
        ({"corpus": folder, "against": folder}, OptionError),
        ({"corpus": folder, "split": "tset"}, DataError),
        ({"corpus": tmp_path / "none"}, DataError),
        ({"model": str(tmp_path / "none"), "corpus": folder}, ModelError),
        ({"model": str(tmp_path), "against": folder}, DataError),
    ]:
        with pytest.raises(error) as caught:
            evaluate(**options)
        assert isinstance(caught.value, CodeTalkerError)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("figures", "headings"),
    [
        ({"fdd": 2.0, "fdd_mm2": 2.0}, {"FDD mm²"}),  # of a rig: once is enough
        ({"fdd": 2e-6, "fdd_mm2": 2.0}, {"FDD mm²", "FDD"}),
        ({"fdd": 2e-6}, {"FDD"}),
    ],
)
def test_a_table_names_the_unit_of_fdd_and_shows_no_figure_twice(figures, headings) -> None:
    stream = io.StringIO()
    report = Report("model", "corpus", "val", (Row("s1", "s1", figures),))
    report.show(Console(file=stream))
    shown = {cell.strip() for cell in re.split("[┃│]", stream.getvalue())}
    assert {cell for cell in shown if "FDD" in cell} == headings


def test_code_usage_is_that_of_all_codes_together() -> None:
    usage = CodeUsage()
    assert (usage.used, usage.perplexity) == (0, None)
    usage.add(np.array([[0, 0], [1, 1]]))
    usage.add(np.array([5, 5]))
    usage.add(np.array([0, 1, 5, 5, 1, 0]))
    assert usage.used == 3
    assert usage.perplexity == pytest.approx(3)


def test_the_commands_work_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Prepare, predict, evaluate, by the command line; a mistake is one line and status 2."""
    source, store = tmp_path / "own", tmp_path / "store"
    clips = write_official_layout(source, ("F2_s1", "F3_s1"))
    for name in ("lve.txt", "fdd.txt"):
        (source / name).write_text("0 1 2")
    assert (
        main(["prepare", "own", str(source), "-o", str(store), "--fps", "25", "--val", "F3"]) == 0
    )
    np.save(tmp_path / "F3_s1.npy", clips["F3_s1"])
    command = ["evaluate", str(tmp_path), "--against", str(store)]
    assert main([*command, "--json", str(tmp_path / "out.json")]) == 0
    (row,) = json.loads((tmp_path / "out.json").read_text())["rows"]
    assert (row["clips"], row["lve"]) == (1, 0)
    capsys.readouterr()
    assert main([*command, "--split", "test"]) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("error:")
    assert "has no clips of 'test'" in said
    assert "\n" not in said
    assert main([*command, "--json", str(tmp_path / "none" / "out.json")]) == 2
