"""The page of a study in a browser: served and exported, with keys on a desk, fingers on a phone.

Two runs of `web/tests/study.mjs` are looked at from all sides. They need node, Chromium, and the
packages of `web/` (`npm ci`); without them these tests are skipped.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from browser import CHROMIUM, WEB, skip_without_browser
from codetalker.cli import main
from codetalker.study.folder import read_study
from study_films import write_film

skip_without_browser()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pairs and five checks."""
    root = tmp_path_factory.mktemp("page")
    for name, strength in (("open", 0.8), ("shy", 0.2)):
        (root / name).mkdir()
        for clip in range(2):
            write_film(root / name / f"{clip}.mp4", clip, strength)
    arguments = ["study", "build", str(root / "open"), str(root / "shy"), "--checks", "5"]
    assert main([*arguments, "-o", str(root / "study"), "--title", "Faces"]) == 0
    return root / "study"


@contextmanager
def served(folder: Path) -> Iterator[str]:
    pytest.importorskip("uvicorn")
    command = [sys.executable, "-m", "codetalker", "study", "serve", str(folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout
        found = re.match(r"http://\S+/", run.stdout.readline())
        assert found
        try:
            yield found[0]
        finally:
            run.terminate()


@contextmanager
def exported(folder: Path) -> Iterator[str]:
    site = folder.parent / "site"
    assert main(["study", "export", str(folder), "-o", str(site), "--raters", "4"]) == 0
    handler = functools.partial(SimpleHTTPRequestHandler, directory=site)
    handler.func.log_message = lambda *_: None  # type: ignore[method-assign]
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module", params=[served, exported], ids=["served", "exported"])
def seen(request: pytest.FixtureRequest, folder: Path) -> tuple[Path, dict]:
    """Where a run has written, and what it saw: both raters prefer the films that come first."""
    out = folder.parent / request.param.__name__
    out.mkdir()
    (out / "better.json").write_text(json.dumps(read_study(folder).films))
    with request.param(folder) as address:
        command = ["node", WEB / "tests/study.mjs", address, out / "better.json", out]
        environment = os.environ | {"CHROMIUM": str(CHROMIUM)}
        run = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert run.returncode == 0, run.stderr
    return out, json.loads((out / "report.json").read_text())


def test_nothing_goes_wrong_and_nothing_is_asked_for_elsewhere(seen) -> None:
    assert seen[1]["errors"] == []
    assert seen[1]["beyond"] == []


def test_nobody_answers_before_both_films_have_been_seen_whole(seen) -> None:
    assert seen[1]["early"] == [0, False]
    assert seen[1]["skipped"] == [0, 0]


def test_a_rater_goes_on_where_the_page_was_closed(seen) -> None:
    assert seen[1]["onward"] == "Go on"
    assert seen[1]["before"] == seen[1]["after"] == "3 of 7"


def test_the_page_fits_a_phone(seen) -> None:
    out, report = seen
    assert report["overflow"] <= 0
    assert Image.open(out / "phone.png").convert("L").getextrema()[0] < 80  # a film is shown


def test_what_both_raters_prefer_is_what_is_analysed(seen, folder: Path, tmp_path: Path) -> None:
    out, _ = seen
    files = [str(out / name) for name in ("desk.json", "phone.json") if (out / name).exists()]
    assert len(files) == (2 if out.name == "exported" else 0)
    (study := tmp_path / "study").mkdir()
    shutil.copy(folder / "study.json", study)
    shutil.copytree(folder / "films", study / "films")
    if not files:
        for path in folder.glob("answers.sqlite*"):
            shutil.copy(path, study)
    assert main(["study", "analyse", str(study), *files]) == 0
    figures = json.loads((study / "report.json").read_text())
    assert figures["raters"] == {
        "kept": 2,
        "excluded_failed_checks": 0,
        "excluded_too_few_checks": 0,
    }
    assert [q["shares"][0]["wins"] for q in figures["questions"]] == [4, 4, 4]


def test_a_server_leaves_a_random_token_in_the_browser_and_nothing_else(seen, folder: Path) -> None:
    out, report = seen
    if out.name == "served":
        kept = rf'{{"codetalker-study-{read_study(folder).id}":"[0-9a-f]{{32}}"}}'
        assert re.fullmatch(kept, report["kept"])
