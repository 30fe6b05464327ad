"""Makes the bundled models from a corpus folder and packages: data, codec, teachers, models.

    apt-get install espeak-ng flite
    pip install 'codetalker-face[train]' pocketsphinx
    python tools/train_bundled.py --corpus CORPUS --takes TAKES -o runs

Steps run as soon as what they need is there, `--at-once` of them, each with a log in the folder. A
run that was stopped goes on where it was; runs/steps.json says how long each step took. What the
steps are for: docs/training.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from codetalker.disk import replacing

TOOLS = Path(__file__).parent
LANGUAGES = ("de", "es", "fr", "hi", "it", "tr")
TEACHERS = (0, 1)
TEACHER = {
    "model.bottleneck": 32, "model.width": 128, "model.layers": 1, "model.feedforward": 512,
    "model.window": 4, "model.dropout": 0.2, "model.speech-noise": 1.0, "plan.steps": 600,
    "recipe.batch": 16, "recipe.phone-batch": 8,
    "recipe.neutral-share": 0.3, "recipe.blend-share": 0.15, "recipe.phone-neutral-share": 0.0,
    "recipe.shut": 1.2, "recipe.kept-shut": 0.3, "recipe.open": 0.25, "recipe.height": 0.4,
    "recipe.round": 0.15,
}  # fmt: skip
"""A teacher learns from little, and from phones in all styles: it is small and hears noise, lest it
learn by heart."""
FIRST = "first"
"""The talker that the teachers teach, which then teaches the models."""
SHUTTING = "s1:1,s3:1,s30:1,s26:1"
"""The style in which it does: of the corpus's speakers, those who shut their lips most surely."""


@dataclass(frozen=True)
class Step:
    """A command; it may begin once the steps that it `needs` are done."""

    name: str
    command: list[str]
    needs: tuple[str, ...] = ()


def steps(corpus: Path, takes: Path | None, out: Path) -> list[Step]:
    """Everything, from data to bundles."""
    python, train = [sys.executable], [sys.executable, "-m", "codetalker", "train"]
    speak, align = [*python, str(TOOLS / "speak")], [*python, str(TOOLS / "align_phones.py")]
    made = [
        Step("phones/en", [*speak, str(out / "phones/en"), "--minutes", "80"]),
        Step("codec", [*train, "codec", f"--corpus={corpus}", f"-o={out / 'codec'}"]),
        Step("aligned", [*align, str(corpus), f"-o={out / 'aligned'}"]),
    ]
    if takes is not None:
        made[1].command.append(f"--takes={takes}")
    for name in LANGUAGES:
        folder = str(out / "phones" / name)
        # one after another: they share a cache of packages
        command = [*speak, folder, "--language", name, "--minutes", "2"]
        made.append(Step(f"phones/{name}", command, (made[0].name,)))
    data = tuple(step.name for step in made)
    talker = [
        *train, "talker", f"--corpus={corpus}", f"--codec={out / 'codec'}",
        f"--aligned={out / 'aligned'}", "--phones",
        *(str(out / step.name) for step in made if step.name.startswith("phones/")),
    ]  # fmt: skip
    options = [f"--{name}={value}" for name, value in TEACHER.items()]
    for seed in TEACHERS:
        run = f"teacher{seed}"
        own = [f"-o={out / run}", "--hearing=studio", f"--plan.seed={seed}"]
        made.append(Step(run, [*talker, *own, *options], data))
    teachers = tuple(f"teacher{seed}" for seed in TEACHERS)
    bundles = [str(out / name / "bundle") for name in teachers]
    own = [f"-o={out / FIRST}", "--hearing=studio", "--teachers", *bundles]
    made.append(Step(FIRST, [*talker, *own], teachers))
    taught = ["--teachers", str(out / FIRST / "bundle"), f"--teacher-style={SHUTTING}"]
    for hearing in ("studio", "live"):
        own = [f"-o={out / hearing}", f"--hearing={hearing}", *taught]
        made.append(Step(hearing, [*talker, *own], (FIRST,)))
    return made


def run(todo: list[Step], out: Path, at_once: int) -> None:
    """Run what is not done.

    Raises:
        SystemExit: a step has failed.
    """
    record = out / "steps.json"
    done: dict[str, float] = json.loads(record.read_text()) if record.exists() else {}
    todo, running = [step for step in todo if step.name not in done], {}
    while todo or running:
        ready = [step for step in todo if set(step.needs) <= done.keys()]
        for step in ready[: at_once - len(running)]:
            todo.remove(step)
            log = out / f"{step.name.replace('/', '-')}.log"
            with log.open("a") as stream:
                process = subprocess.Popen(step.command, stdout=stream, stderr=subprocess.STDOUT)
            running[step.name] = process, time.monotonic(), log
            print(f"{time.strftime('%H:%M:%S')} {step.name} begins", flush=True)
        for name, (process, began, log) in list(running.items()):
            if process.poll() is None:
                continue
            del running[name]
            if process.returncode:
                for other, *_ in running.values():
                    other.terminate()
                raise SystemExit(f"{name} failed, see {log}; after mending, start this again")
            done[name] = done.get(name, 0) + round(time.monotonic() - began, 1)
            print(f"{time.strftime('%H:%M:%S')} {name}: {done[name]:.0f} s", flush=True)
            with replacing(record) as temporary:
                temporary.write_text(json.dumps(done, indent=1))
        time.sleep(0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--takes", type=Path, help="face-capture takes, for the codec")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--at-once", type=int, default=2, help="steps at a time")
    arguments = parser.parse_args()
    out: Path = arguments.out
    (out / "phones").mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    run(steps(arguments.corpus, arguments.takes, out), out, max(1, arguments.at_once))
    print(f"{out / 'studio/bundle'}, {out / 'live/bundle'}: {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
