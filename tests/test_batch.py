"""Batches: what is done once is not done again, whoever is killed; and what is wrong is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codetalker.cli import main
from codetalker.motion import Motion
from conftest import write_sound
from tiny_model import babble

pa = pytest.importorskip("pyarrow", reason="the extra `batch` is not installed")

import pyarrow.parquet as pq  # noqa: E402

from codetalker.batch import ledger as ledgers  # noqa: E402
from codetalker.batch.ledger import Ledger, table_of  # noqa: E402
from codetalker.batch.location import Location  # noqa: E402
from codetalker.batch.manifest import recordings  # noqa: E402
from codetalker.batch.pool import on_this_machine  # noqa: E402
from codetalker.batch.work import Plan, blank, digest_of, done, plain  # noqa: E402
from codetalker.rendition import Wishes  # noqa: E402

RAY = pytest.mark.skipif(not find_spec("ray"), reason="Ray is not installed")
MANY = 300


def sounds(folder: Path, count: int) -> Path:
    """Recordings 0.3 s long, each of its own sound."""
    folder.mkdir(parents=True, exist_ok=True)
    speech = babble(1 + count / 100, 16000)
    for i in range(count):
        part = (20000 * speech[160 * i : 160 * i + 4800, None]).astype(np.int16)
        write_sound(folder / f"{i:03}.wav", part)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return sounds(tmp_path / "in", 4)


@pytest.fixture
def batch(tiny_bundle: Path, tmp_path: Path) -> Callable[..., int]:
    def run(source: object, *options: object) -> int:
        given = ["batch", source, "-o", tmp_path / "out", "--model", tiny_bundle, *options]
        formats = [] if "--format" in given else ["--format", "npz"]
        return main([str(argument) for argument in (*given, *formats, "--workers", 1)])

    return run


def rows(out: Path) -> dict[str, dict[str, Any]]:
    """name -> row of the ledger, which has each once."""
    found = Ledger(Location.of(str(out))).rows().to_pylist()
    named = {row["name"]: row for row in found}
    assert len(named) == len(found)
    return named


def test_a_folder_is_animated_once_and_what_has_changed_again(
    batch: Callable[..., int], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "deep").mkdir()
    (folder / "000.wav").rename(folder / "deep" / "a.b.WAV")
    (folder / "notes.txt").write_text("not a recording")
    out = tmp_path / "out"
    assert batch(folder) == 0
    names = {"deep/a.b", "001", "002", "003"}
    assert {str(p.relative_to(out))[:-4] for p in out.rglob("*.npz")} == names
    first = rows(out)
    assert first.keys() == names and all(row["status"] == "done" for row in first.values())
    assert len(Motion.load(out / "001.npz")) == first["001"]["frames"] == 8
    assert len(list((out / "ledger").iterdir())) == 1

    (folder / "001.wav").write_bytes((folder / "002.wav").read_bytes())
    (out / "003.npz").unlink()
    assert batch(folder) == 0
    assert "2 of 4 done, 2 were there" in capsys.readouterr().out
    again = rows(out)
    assert {name for name in names if again[name] != first[name]} == {"001", "003"}
    assert again["001"]["key"] == again["002"]["key"]
    assert (out / "001.npz").read_bytes() == (out / "002.npz").read_bytes()

    assert batch(folder, "--style", "anna") == 0
    assert "4 of 4 done" in capsys.readouterr().out
    assert batch(folder, "--style", "anna", "--format", "npz,csv") == 0
    assert "4 of 4 done" in capsys.readouterr().out
    assert (out / "001.csv").is_file()


def test_a_batch_writes_what_animate_writes(
    batch: Callable[..., int], folder: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    options = ["--life", "full", "--mood", "happy", "--strength", "1.2"]
    assert batch(folder, *options, "--format", "csv,npz") == 0
    one = ["animate", folder / "002.wav", "-o", tmp_path / "a.csv", "-o", tmp_path / "a.npz"]
    assert main([*map(str, one), "--model", str(tiny_bundle), *options]) == 0
    for suffix in (".csv", ".npz"):
        made = (tmp_path / "out" / "002").with_suffix(suffix)
        assert made.read_bytes() == (tmp_path / "a").with_suffix(suffix).read_bytes()


MANIFEST = [
    {"sound": "000.wav", "name": "one", "style": "anna", "strength": "1.5"},
    {"sound": "001.wav", "name": "two/2", "style": None, "strength": None},
    {"sound": "002.wav", "name": None, "style": "bert", "strength": "2"},
]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_manifest_names_outputs_and_options_of_their_own(
    batch: Callable[..., int], folder: Path, tiny_bundle: Path, tmp_path: Path, suffix: str
) -> None:
    path = folder / f"list{suffix}"
    lines = [",".join(MANIFEST[0]), *(",".join(v or "" for v in row.values()) for row in MANIFEST)]
    if suffix == ".csv":
        path.write_text("﻿" + "\r\n".join(lines) + "\r\n")
    elif suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in MANIFEST))
    else:
        pq.write_table(pa.Table.from_pylist(MANIFEST), path)
    assert batch(path, "--strength", "0.5") == 0
    out = tmp_path / "out"
    assert rows(out).keys() == {"one", "two/2", "002"}
    for sound, name, style, strength in [("000", "one", "anna", 1.5), ("001", "two/2", None, 0.5)]:
        wanted = ["animate", folder / f"{sound}.wav", "-o", tmp_path / "a.npz"]
        own = ["--strength", strength, *(["--style", style] if style else [])]
        assert main([*map(str, [*wanted, "--model", tiny_bundle, *own])]) == 0
        assert (out / f"{name}.npz").read_bytes() == (tmp_path / "a.npz").read_bytes()


def test_what_fails_is_in_the_ledger_and_does_not_stop_the_rest(
    batch: Callable[..., int], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "bad.wav").write_text("hello\n" * 99)
    (folder / "empty.wav").touch()
    os.mkfifo(folder / "pipe.wav")
    lines = ["sound,style,strength,track", "bad.wav,,,", "empty.wav,,,", "none.wav,,,"]
    lines += ["000.wav,ana,,", "001.wav,,loud,", "002.wav,,,7", "003.wav,,,", "pipe.wav,,,"]
    (folder / "list.csv").write_text("\n".join(lines))
    assert batch(folder / "list.csv") == 2
    found = rows(tmp_path / "out")
    assert found["003"]["status"] == "done"
    told = capsys.readouterr()
    wanted = {
        "bad": "is not an audio or video file",
        "empty": "is an empty file",
        "none": "does not exist",
        "000": "did you mean 'anna'",
        "001": "strength 'loud' is not understood",
        "002": "track",
        "pipe": "it is no regular file",
    }
    for name, message in wanted.items():
        assert found[name]["status"] == "failed" and not found[name]["files"]
        assert message in found[name]["error"] and "\n" not in found[name]["error"]
        assert message in told.err
    assert told.err.count("error: ") == len(wanted)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"003.npz", "ledger"}

    write_sound(folder / "none.wav", np.zeros((4800, 1), np.int16))
    assert batch(folder / "list.csv") == 2
    assert rows(tmp_path / "out")["none"]["status"] == "done"
    assert "1 of 8 done, 1 were there, 6 failed" in capsys.readouterr().out


REFUSALS: dict[str, tuple[str, list[str], str]] = {
    "no source": ("none", [], "does not exist"),
    "no manifest": ("in/000.wav", [], "is neither a folder nor a manifest (.csv, .jsonl"),
    "an empty folder": ("empty", [], "holds no recordings"),
    "an empty manifest": ("empty.csv", [], "is not a manifest"),
    "no rows": ("sound\n", [], "holds no recordings"),
    "no sound": ("name\na\n", [], "has no column 'sound'"),
    "a row without sound": ("sound,name\na.wav,a\n,b\n", [], "names no sound in row 2"),
    "a column that is misspelt": ("sound,stile\na.wav,x\n", [], "did you mean 'style'?"),
    "two of one name": ("sound\na/x.wav\nb/x.mp3\n", [], "would both be written to 'x'"),
    "two of one name in a folder": ("twice", [], "would both be written to 'x'"),
    "a name that leads out": ("sound,name\na.wav,../b\n", [], "the name '../b'"),
    "an absolute name": ("sound,name\na.wav,/b\n", [], "the name '/b'"),
    "a format that is none": ("in", ["--format", "npx"], "did you mean npz?"),
    "a file for each frame": ("in", ["--format", "obj"], "write one as .npz"),
    "a style that is none": ("in", ["--style", "ana"], "did you mean 'anna'?"),
    "an output that is an input": ("sound\na.csv\n", ["-o", ".", "--format", "csv"], "replace"),
    "an output that is a file": ("in", ["-o", "in/000.wav"], "cannot be written"),
    "an unknown kind of URL": ("in", ["-o", "nope://x/y"], "nope"),
    "a scheme without a package": ("dropbox://x/y", [], "dropbox"),
    "no workers": ("in", ["--workers", "0"], "ask for 1 or more"),
    "no time": ("in", ["--timeout", "0"], "more than 0"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_mistake_is_one_line(
    case: str,
    folder: Path,
    tiny_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.csv").touch()
    sounds(tmp_path / "twice", 1)
    (tmp_path / "twice" / "000.wav").rename(tmp_path / "twice" / "x.wav")
    (tmp_path / "twice" / "x.mp3").touch()
    source, options, message = REFUSALS[case]
    if "\n" in source:
        (tmp_path / "a.csv").write_text(source)
        source = "a.csv"
    output = [] if "-o" in options else ["-o", "out"]
    assert main(["batch", source, *output, "--model", str(tiny_bundle), *options]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("error: ") and told.err.count("\n") == 1 and message in told.err
    assert told.out == "" and not list(tmp_path.rglob("*.npz"))


def test_what_takes_too_long_or_breaks_its_worker_down_is_a_row(
    folder: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    plan = plan_of(tiny_bundle, tmp_path / "out")
    table = with_nothing_known(folder)
    slow = list(on_this_machine(table, plan, 1, 0.001))
    assert all("takes longer than 0.001 s" in row["error"] for row in slow) and len(slow) == 4
    small = Plan(**{**vars(plan), "memory": 1 << 20})
    poor = list(on_this_machine(table[:1], small, 1, 60))
    assert poor[0]["status"] == "failed" and "--memory" in poor[0]["error"]


def plan_of(model: Path, out: object) -> Plan:
    wishes = plain(Wishes())
    return Plan(str(out), (".npz",), str(model), digest_of(model), wishes, 4 << 30)


def with_nothing_known(folder: Path) -> list[dict[str, Any]]:
    table = recordings(Location.of(str(folder)), Location.of(str(folder / "out")))
    return [row | {"known": None} for row in table.to_pylist()]


def test_sounds_and_outputs_may_be_at_urls(folder: Path, tiny_bundle: Path) -> None:
    """All but the processes, of which each would have a memory of its own."""
    there, out = Location.of("memory://clips"), Location.of("memory://faces")
    for path in folder.iterdir():
        there.system.pipe_file(f"{there.path}/{path.name}", path.read_bytes())
    there.system.pipe_file(f"{there.path}/bad.wav", b"nothing")
    table = recordings(there, out)
    assert table["sound"][0].as_py() == "memory://clips/000.wav"
    plan, ledger = plan_of(tiny_bundle, out.url), Ledger(out)
    for row in table.to_pylist():
        ledger.append([done(plan.job(row | {"known": None}))])
    ledger.merge()
    found = {row["name"]: row for row in ledger.rows().to_pylist()}
    assert found.pop("bad")["error"].startswith("memory://clips/bad.wav is not an audio")
    assert all(row["status"] == "done" for row in found.values()) and len(found) == 4
    assert len(out.system.ls(f"{out.path}/ledger")) == 1
    local = done(plan_of(tiny_bundle, folder / "out").job(with_nothing_known(folder)[1]))
    made = out.system.cat_file(f"{out.path}/001.npz")
    assert made == (folder / "out" / "001.npz").read_bytes()
    assert local["key"] == found["001"]["key"]
    known = {"known": local["key"]}
    assert done(plan.job(table.to_pylist()[1] | known))["status"] == "kept"


def test_a_ledger_is_whole_whatever_is_lost_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "_MERGED_AT_ONCE", 5)
    here = Location.of(str(tmp_path))
    ledger, other = Ledger(here), Ledger(here)
    for i in range(23):
        row = blank({"name": str(i % 20), "sound": "s"}, error=str(i))
        (other if i % 7 == 0 else ledger).append([row])
        assert len(list((tmp_path / "ledger").iterdir())) < 15
    before = Ledger(here).rows()
    assert sorted(row["error"] for row in before.to_pylist()) == sorted(map(str, range(3, 23)))

    parts, table = ledger._whole()
    ledger._write(table)  # killed before it has removed what it has merged
    assert Ledger(here).rows().sort_by("name") == before.sort_by("name")
    (tmp_path / "ledger" / ".codetalker-0.parquet").write_bytes(b"half a file")
    other.merge()
    ledger.append([blank({"name": "new", "sound": "s"})])
    ledger.merge()
    assert len(Ledger(here).rows()) == 21
    assert not any(part.exists() for part in parts)
    assert table_of(before.to_pylist()).schema == ledgers.SCHEMA


@pytest.mark.parametrize("way", ["here", pytest.param("ray", marks=RAY)])
def test_killed_workers_and_drivers_cost_no_recording_and_none_is_done_twice(
    way: str, tiny_bundle: Path, tmp_path: Path
) -> None:
    folder, out = sounds(tmp_path / "in", MANY), tmp_path / "out"
    command = [sys.executable, "-m", "codetalker", "batch", str(folder), "-o", str(out)]
    command += ["--model", str(tiny_bundle), "--format", "npz", "--workers", "2"]
    command += ["--ray", "local"] if way == "ray" else []
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as driver:
        first = _ledger_of(out, at_least=1)
        victim = int(next(iter(first.values()))["worker"].rpartition(":")[2])
        if way == "ray":  # the actor, and so its worker
            victim = int(Path(f"/proc/{victim}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(victim, signal.SIGKILL)
        before = _ledger_of(out, at_least=len(first) + (way == "ray"))
        driver.kill()
    before = _ledger_of(out, at_least=len(before))
    assert len(before) < MANY
    kept, total = len(before), f"of {MANY} done"
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    assert f"{MANY - kept} {total}, {kept} were there" in run.stdout
    after = rows(out)
    assert len(after) == MANY and all(row["status"] == "done" for row in after.values())
    assert all(after[name] == row for name, row in before.items())
    assert sorted(p.stem for p in out.glob("*.npz")) == sorted(p.stem for p in folder.iterdir())
    assert all(len(Motion.load(path)) == 8 for path in out.glob("*.npz"))
    left = [path.name for path in out.iterdir() if path.name.startswith(".")]
    assert not left and len(list((out / "ledger").iterdir())) == 1


def _ledger_of(out: Path, at_least: int) -> dict[str, dict[str, Any]]:
    """The rows, once there are so many."""
    for _ in range(1200):
        if len(found := rows(out)) >= at_least:
            return found
        time.sleep(0.05)
    raise AssertionError(f"the ledger has {len(found)} rows only")
