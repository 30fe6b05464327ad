"""`codetalker serve` as a process: how it starts, refuses to, and ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from codetalker.cli import COMMANDS, main
from served import pcm, rest, say

EXAMPLE = Path(__file__).parents[1] / "examples" / "sense_and_sensibility.flac"
TOKEN = "a-token-of-enough-letters"
SOUND = pcm(2.0).tobytes()


@contextmanager
def process(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command, and the address that it tells."""
    run = subprocess.Popen(
        [sys.executable, "-m", "codetalker", "serve", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        assert run.stdout
        line = run.stdout.readline()
        found = re.match(r"(http://\S+): serving", line)
        assert found, line + run.communicate(timeout=20)[1]
        yield run, found[1]
    finally:
        run.kill()
        run.communicate()


def test_sigterm_finishes_streams_and_recordings(bundled_model: Path) -> None:
    with process("--model", "live", "--no-page", "--grace", "0.5") as (run, url):
        assert httpx.get(f"{url}/").status_code == 404
        film = ThreadPoolExecutor(1).submit(
            httpx.post, f"{url}/v1/animate?format=mp4", content=EXAMPLE.read_bytes(), timeout=60
        )
        with connect(f"ws{url[4:]}/v1/stream") as line:
            say(line)
            line.send(SOUND)
            line.recv()
            began = time.monotonic()
            assert not film.done()
            run.send_signal(signal.SIGTERM)
            *frames, end = rest(line)
        assert (len(frames), line.close_code) == (50, 1001)
        assert end["end"]["frames"] == 50
        assert film.result().status_code == 200
        _, told = run.communicate(timeout=20)
        assert run.returncode == 0
        assert told == ""
        assert 0.5 < time.monotonic() - began < 20


def test_what_works_ends_with_the_server(bundled_model: Path) -> None:
    with process("--model", "live", "--no-page") as (run, url):
        assert httpx.post(f"{url}/v1/animate", content=b"none", timeout=30).status_code == 422
        workers = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        assert len(workers) == 1
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=20)
        assert run.returncode == 0
        assert not Path(f"/proc/{workers[0]}").exists()


def test_a_token_of_the_environment_or_a_file(bundled_model: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    for arguments, environment in (
        (["--token-file", str(tmp_path / "token")], {}),
        ([], {"CODETALKER_TOKEN": TOKEN}),
    ):
        serving = process(
            "--host", "0.0.0.0", "--model", "live", "--no-page", *arguments, **environment
        )
        with serving as (_, url):
            assert httpx.get(f"{url}/v1/models").status_code == 401
            shown = {"Authorization": f"Bearer {TOKEN}"}
            assert httpx.get(f"{url}/v1/models", headers=shown).status_code == 200


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["--host", "0.0.0.0"], "--token-file"),
        (["--host", "no.such.host.invalid"], "--host"),
        (["--port", "70000"], "--port"),
        (["--token-file", "{}/none"], "--token-file"),
        (["--token-file", "{}/short"], "openssl"),
        (["--model", "{}/none"], "model"),
        (["--streams", "-1"], "--streams"),
        (["--idle", "nan"], "--idle"),
        (["--allow-origin", "https://a.example/path"], "--allow-origin"),
    ],
)
def test_what_cannot_be_served_is_refused_with_the_remedy(
    arguments: list[str], remedy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, bundled_model: Path,
) -> None:  # fmt: skip
    monkeypatch.delenv("CODETALKER_TOKEN", raising=False)
    (tmp_path / "short").write_text("short")
    given = [argument.format(tmp_path) for argument in arguments]
    assert main(["serve", "--port", "0", *given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert remedy in line


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", "--port", str(taken.getsockname()[1])]) == 2
    assert "--port" in capsys.readouterr().err


@pytest.mark.parametrize("package", ["fastapi", "uvicorn", "websockets", "prometheus_client"])
def test_a_missing_extra_is_named(package: str) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from codetalker.cli import main\n"
        "sys.exit(main(['serve', '--help']))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.returncode == 2
    assert "pip install 'codetalker-face[serve]'" in run.stderr
    assert COMMANDS["serve"].extra == "serve"
