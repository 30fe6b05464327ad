"""`codetalker evaluate` without true motion, by the command: tables, JSON, clear refusals."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import codetalker
from codetalker.cli import main
from codetalker.data.phones import PhoneClip, write_flac, write_phones
from codetalker.evaluation.phone_figures import COUNTS, EXTREMES, FIGURES
from codetalker.evaluation.robustness import LEVELS_DB, NOISES
from conftest import write_sound
from rig_motion import MOUTH, motion, opened
from tiny_model import babble

SEEN_KEYS = {
    "style", "clip", "lag_ms", "correlation", "separation", "shut_found", "false_shut", "spread",
    "width_correlation", "width_spread", "frames",
}  # fmt: skip
PHONE_KEYS = {
    "style", "language", "clips", "seconds", "intervals", *FIGURES, *EXTREMES, *COUNTS,
}  # fmt: skip


@pytest.fixture
def seen(tmp_path: Path) -> Path:
    """Two clips of 4 s whose lips open and shut once a second."""
    folder = tmp_path / "seen"
    for name in "ab":
        write_flac(folder / "audio" / f"{name}.flac", babble(4.0))
    times = np.arange(100) / 25
    gap = np.tile(0.04 * (1 + np.sin(2 * np.pi * times)), 2)
    np.savez(
        folder / "lip_gap.npz", names=np.array(["a", "b"]), starts=np.array([0, 100]),
        lengths=np.array([100, 100]), time=np.tile(times, 2), gap=gap, width=0.5 + gap,
    )  # fmt: skip
    return folder


@pytest.fixture
def phones(tmp_path: Path) -> Path:
    """One clip in each of two languages."""
    folder, clips = tmp_path / "phones", []
    for name, language in (("eins", "de"), ("one", "en"), ("two", "en")):
        audio = folder / "audio" / f"{name}.flac"
        write_flac(audio, babble(2.0))
        edges = np.array([0, 0.5, 0.7, 0.9, 1.1, 1.3, 2.0])
        spoken = ("sil", "m", "a", "t", "u", "sil")
        clips.append(PhoneClip(name, audio, spoken, edges[:-1], edges[1:], language, "anna"))
    write_phones(folder, clips)
    return folder


def evaluated(*arguments: object, out: Path) -> list[dict]:
    assert main(["evaluate", *map(str, arguments), "--json", str(out)]) == 0
    report = json.loads(out.read_text())
    assert report.keys() == {"format_version", "model", "against", "rows", "notes"}
    return report["rows"]


def test_a_model_on_lip_gap_seen(tiny_bundle: Path, seen: Path, tmp_path: Path, capsys) -> None:
    rows = evaluated(tiny_bundle, "--seen", seen, out=tmp_path / "out.json")
    assert [(row["style"], row["clip"]) for row in rows] == [
        ("bert", "a"), ("bert", "b"), ("bert", "all"),
    ]  # fmt: skip
    assert rows[0].keys() == SEEN_KEYS
    assert rows[2].keys() == (SEEN_KEYS - {"lag_ms"}) | {"clips", "intervals"}
    shown = capsys.readouterr().out
    lines = [line for line in shown.splitlines() if "bert" in line]
    assert [line.split("│")[2].strip() for line in lines] == ["a", "b", "all"]
    assert "separation" in shown


def test_each_style_gets_its_rows(tiny_bundle: Path, phones: Path, tmp_path: Path) -> None:
    rows = evaluated(tiny_bundle, "--phones", phones, "--style", "each", out=tmp_path / "out.json")
    assert [(row["style"], row["language"]) for row in rows] == [
        (style, language) for style in ("bert", "anna") for language in ("all", "de", "en")
    ]
    assert all(row.keys() == PHONE_KEYS for row in rows)
    assert [row["clips"] for row in rows[:3]] == [3, 1, 2]
    by_name = {(row["style"], row["language"]): row for row in rows}
    assert by_name["anna", "all"] != by_name["bert", "all"] | {"style": "anna"}


def test_folders_of_phones_are_measured_together(phones: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    for part in ("first", "second"):
        (made / part).mkdir(parents=True)
        shutil.copytree(phones, tmp_path / "sets" / part)
        for name in ("eins", "one", "two"):
            gap = np.full(50, 3.0 if part == "second" else 0.0)
            motion(opened(gap)).save(made / part / f"{name}.npz")
    rows = evaluated(made, "--phones", tmp_path / "sets", out=tmp_path / "out.json")
    assert [(row["language"], row["clips"]) for row in rows] == [("all", 6), ("de", 2), ("en", 4)]
    assert rows[0]["closure_rate"] == 0.5


def test_motions_made_before_are_scored_alike(
    tiny_bundle: Path, seen: Path, phones: Path, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    made.mkdir()
    talker = codetalker.load(tiny_bundle)
    for option, folder in (("--seen", seen), ("--phones", phones)):
        for audio in (folder / "audio").iterdir():
            talker.animate(audio, style="anna").save(made / f"{audio.stem}.npz")
        ours = evaluated(made, option, folder, out=tmp_path / "made.json")
        style = ("--style", "anna")
        theirs = evaluated(tiny_bundle, option, folder, *style, out=tmp_path / "model.json")
        assert [row | {"style": "anna"} for row in ours] == theirs


def test_a_known_mouth_has_known_figures_by_the_command(
    seen: Path, phones: Path, tmp_path: Path, capsys
) -> None:
    made = tmp_path / "made"
    made.mkdir()
    times = np.arange(100) / 25
    perfect = 0.04 * 87.88 * (1 + np.sin(2 * np.pi * times))
    for name in "ab":
        motion(opened(perfect, MOUTH.central_gap)).save(made / f"{name}.npz")
    total = evaluated(made, "--seen", seen, out=tmp_path / "out.json")[-1]
    assert total["correlation"] == pytest.approx(1, abs=1e-3)
    assert (total["separation"], total["shut_found"], total["false_shut"]) == (1, 1, 0)
    times = np.arange(50) / 25
    gap = np.where((times > 0.7) & (times < 1.35), 5.0, 0.0)
    for name in ("eins", "one", "two"):
        motion(opened(gap)).save(made / f"{name}.npz")
    total = evaluated(made, "--phones", phones, out=tmp_path / "out.json")[0]
    assert (total["closure_rate"], total["bilabials"], total["vowels_falsely_shut"]) == (1, 3, 0)
    assert total["pause_mm"] == total["first_frames_mm"] == 0
    assert "closures on p b m" in capsys.readouterr().out


def test_robustness_is_one_table_by_one_command(
    tiny_bundle: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codetalker.evaluation.robustness.NOISE_S", 1.0)
    sound = write_sound(tmp_path / "talk.wav", (babble(1.0) * 32767).astype(np.int16)[:, None])
    rows = evaluated(tiny_bundle, "--robustness", sound, out=tmp_path / "out.json")
    assert {row["style"] for row in rows} == {"bert"}
    assert len(rows) == 1 + len(NOISES) * len(LEVELS_DB) + 1 + 1 + 4 + 1 + 3
    shown = capsys.readouterr().out
    assert "talk.wav" in shown
    assert "after zeros mm" in shown
    assert "worst of noise up to -40 dB" in shown


def test_robustness_takes_the_examples_of_the_repository(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    asked = []

    def score(subject, talker, recordings, style, tick):
        asked.extend(path.name for path in recordings)
        raise codetalker.CodeTalkerError("enough")

    monkeypatch.setattr("codetalker.evaluation.recordings.score_robustness", score)
    assert main(["evaluate", str(tiny_bundle), "--robustness"]) == 2
    assert asked == ["sense_and_sensibility.flac"]


def test_misuse_is_one_clear_line(
    tiny_bundle: Path, seen: Path, phones: Path, tmp_path: Path, capsys
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for arguments, message in [
        ([tiny_bundle], "name one thing to measure with: --corpus, --against, --seen"),
        ([tiny_bundle, "--seen", seen, "--phones", phones], "name one thing to measure with"),
        ([tiny_bundle, "--seen", phones], "has no lip_gap.npz"),
        ([tiny_bundle, "--phones", seen], "has no phones.json"),
        ([empty, "--seen", seen], "lacks 2 of 2 predictions, first a.npz"),
        ([empty, "--phones", phones], "lacks 3 of 3 predictions, first eins.npz"),
        ([empty, "--robustness"], "is no model"),
        ([tiny_bundle, "--seen", seen, "--style", "ana"], "did you mean 'anna'?"),
        ([tiny_bundle, "--robustness", tmp_path / "no.wav"], "does not exist"),
    ]:
        assert main(["evaluate", *map(str, arguments)]) == 2
        said = capsys.readouterr().err.strip()
        assert message in said
        assert said.startswith("error:")
        assert "\n" not in said
