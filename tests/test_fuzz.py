"""The fuzzer finds what does not end in one clear line, and nothing in what is read here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from codetalker.errors import DataError

TOOLS = Path(__file__).parents[1] / "tools"
sys.path.insert(0, str(TOOLS))

from fuzz import tried  # noqa: E402
from fuzz_mutants import mutant  # noqa: E402


def raising(error: BaseException) -> Callable[[Path], None]:
    def read(path: Path) -> None:
        raise error

    return read


def test_outcomes_are_told_apart() -> None:
    path = Path("a")
    assert tried(lambda path: None, path) == "read"
    assert tried(raising(DataError("one line")), path) == "refused"
    assert tried(raising(DataError("two\nlines")), path).startswith("fault an error of several")
    assert tried(raising(ValueError("of\n7 lines")), path).endswith("of # lines")
    for error in (MemoryError(), SystemExit(), RecursionError()):
        assert tried(raising(error), path).startswith(f"fault {type(error).__name__}")


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
def test_nothing_is_found_in_meshes_within_seconds(tmp_path: Path) -> None:
    command = [sys.executable, TOOLS / "fuzz.py", "--kind", "meshes", "--seconds", "5"]
    command += ["--seed", "3", "--findings", tmp_path / "found"]
    run = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr
    tries, faults = run.stdout.split(";")
    assert faults.strip() == "0 kinds of fault"
    assert "refused" in tries
    assert not (tmp_path / "found").exists()


def test_mutants_follow_from_the_seed() -> None:
    import random

    data = b"v 0 0 0\nv 1 0 0\nf 1 2 2\n"
    made = [mutant("a.obj", data, random.Random(seed)) for seed in range(50)]
    assert made == [mutant("a.obj", data, random.Random(seed)) for seed in range(50)]
    assert sum(one != data for one in made) > 40
