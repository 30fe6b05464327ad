"""Reads files that are wrong, and tells of every one that does not end in one clear line.

    python tools/fuzz.py --kind all --seconds 600 --seed 0

A worker process per kind (`fuzz_seeds.py`) changes one of its files (`fuzz_mutants.py`) and reads
it, again and again. Anything but success and a codetalker error is found: a traceback, a crash,
more than 20 seconds, more than 1.5 GB. What is found is kept below `--findings`, with its reason.
Needs the `test` extra, and Linux.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

SECONDS, BYTES = 20.0, 1536 << 20
"""What reading may take."""


def main() -> int:
    """Watch a worker of each kind; the exit status is 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", default="all")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--start", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.kind, options.seed, options.start, options.worker)
        return 0
    from fuzz_seeds import KINDS

    kinds = list(KINDS) if options.kind == "all" else options.kind.split(",")
    found = [watch(kind, options.seed, options.seconds, options.findings / kind) for kind in kinds]
    return int(any(found))


def watch(kind: str, seed: int, seconds: float, findings: Path) -> int:
    """Let workers try for a while; returns how many kinds of fault were found."""
    outcomes: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    end, number = time.monotonic() + seconds, 0
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end:
            command = [sys.executable, __file__, "--kind", kind, "--seed", str(seed)]
            command += ["--start", str(number), "--worker", folder]
            pipe = subprocess.PIPE
            worker = subprocess.Popen(command, stdin=pipe, stdout=pipe, bufsize=0)
            assert worker.stdin and worker.stdout
            limit = 120.0  # for the imports and seeds
            fault = ""
            while not fault and time.monotonic() < end:
                ready, _, _ = select.select([worker.stdout], [], [], limit)
                line = worker.stdout.readline().decode() if ready else ""
                event, _, rest = line.rstrip("\n").partition(" ")
                if not ready:
                    fault = f"no end in {limit:g} s"
                elif not line:
                    fault = f"it died ({worker.wait()})"
                elif event == "try":
                    number, limit = int(rest), SECONDS
                else:
                    outcome, _, why = rest.partition(" ")
                    outcomes[outcome] += 1
                    if outcome == "fault":
                        keep(Path(folder), findings, number, why, faults)
                        worker.stdin.write(b"go on\n")
            if fault:
                keep(Path(folder), findings, number, fault, faults)
            worker.send_signal(signal.SIGKILL)
            worker.wait()
            number += 1
    tries = " ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    print(f"{kind}: {tries or 'none'}; {len(faults)} kinds of fault", flush=True)
    for fault, count in faults.most_common():
        print(f"  {count} x {fault}", flush=True)
    return len(faults)


def keep(folder: Path, findings: Path, number: int, fault: str, faults: Counter[str]) -> None:
    """Copy the input of a fault that is new."""
    faults[fault] += 1
    if faults[fault] == 1:
        shutil.copytree(folder / "try", findings / f"{number:06d}", dirs_exist_ok=True)
        (findings / f"{number:06d}" / "fault.txt").write_text(fault + "\n")


def work(kind: str, seed: int, number: int, folder: Path) -> None:
    """Try one mutant after another, and say so on standard output."""
    from fuzz_mutants import mutant
    from fuzz_seeds import KINDS

    warnings.simplefilter("ignore")
    said = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # libraries say things, too
    make, pattern, read = KINDS[kind]
    seeds = folder / "seeds"
    if not seeds.exists():
        seeds.mkdir()
        make(seeds)
    limit = _pages("VmSize") + BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    trial = folder / "try"
    shutil.rmtree(trial, ignore_errors=True)
    shutil.copytree(seeds, trial)
    names = sorted(path.relative_to(seeds) for path in seeds.glob(pattern) if path.is_file())
    while True:
        chance = random.Random(f"{kind} {seed} {number}")
        name = chance.choice(names)
        original = (seeds / name).read_bytes()
        (trial / name).write_bytes(mutant(name.name, original, chance))
        print("try", number, file=said)
        Path("/proc/self/clear_refs").write_text("5")
        before = _pages("VmRSS")
        outcome = tried(read, trial / name)
        if _pages("VmHWM") - before > BYTES:
            outcome = "fault more than 1.5 GB"
        print("done", outcome, file=said)
        if outcome.startswith("fault"):
            sys.stdin.readline()  # once the file is kept
        (trial / name).write_bytes(original)
        number += 1


def tried(read, path: Path) -> str:
    """How reading a file ends."""
    from codetalker.errors import CodeTalkerError

    try:
        read(path)
    except CodeTalkerError as error:
        if "more memory than there is" in str(error):
            return "fault it asks for more than 1.5 GB"
        return "fault an error of several lines" if "\n" in str(error) else "refused"
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}:{last.lineno}"
        why = re.sub("[0-9]+", "#", " ".join(str(error).split()))[:80]
        return f"fault {type(error).__name__} at {place}: {why}"
    return "read"


def _pages(what: str) -> int:
    """Bytes of memory of this process."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{what}:")[1].split()[0]) << 10


if __name__ == "__main__":
    sys.exit(main())
