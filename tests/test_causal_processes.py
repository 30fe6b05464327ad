"""The bundled model trains in several processes, and on the device that it is given."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from codetalker.causal.bundle import load_bundle  # noqa: E402
from codetalker.causal.whisper import WhisperConfig  # noqa: E402
from codetalker.cli import main  # noqa: E402
from codetalker.training.loop import load_checkpoint  # noqa: E402
from corpus_data import NAMES, write_flac  # noqa: E402
from tiny_model import babble, whisper_variables, write_model_bin  # noqa: E402

LAUNCH = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "codetalker")
SHORT = (
    "--device", "cpu", "--plan.steps", "4", "--plan.warmup", "2", "--plan.evaluate-every", "2",
    "--recipe.batch", "2", "--recipe.frames", "16",
)  # fmt: skip
AT_ONCE = ("--recipe.continuous", "0", "--recipe.idle", "0.995")
"""The codebook starts with the first step, after which every row that it did not use is moved."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips to train on and one to watch, 2 s each; the mouth follows the loudness."""
    folder = tmp_path_factory.mktemp("corpus")
    weights = np.random.default_rng(0).uniform(0, 0.1, (3, 50, 52)).astype(np.float32)
    for number in range(3):
        sound = babble(2, seed=number)
        write_flac(folder / "audio" / f"{number}.flac", (sound * 32767).astype(np.int16))
        weights[number, :, 17] = np.abs(sound).reshape(50, 640).mean(1) * 5
    np.savez(
        folder / "motion.npz", names=["0", "1", "2"], weights=weights.clip(0, 1), fps=25,
        blendshape_names=NAMES, speaker=["anna", "bert", "anna"], split=["train", "train", "val"],
    )  # fmt: skip
    return folder


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Sums come in the same order in every process."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def train_together(*arguments: str | Path) -> str:
    """The command in two processes; what they print."""
    done = subprocess.run(
        [sys.executable, "-m", *LAUNCH, "train", *map(str, arguments)],
        env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def train_alone(*arguments: str | Path) -> None:
    """The command in this process, with as much in a step as the two have together."""
    assert main(["train", *map(str, arguments), "--plan.shares", "2"]) == 0


def assert_same_run(first: Path, second: Path) -> None:
    """Equal to the last bit: the sum of two gradients does not depend on their order."""
    best = [load_checkpoint(run / "best.pt") for run in (first, second)]
    last = [load_checkpoint(run / "last.pt") for run in (first, second)]
    torch.testing.assert_close(*best, rtol=0, atol=0)
    torch.testing.assert_close(*(run["model"] for run in last), rtol=0, atol=0)
    torch.testing.assert_close(*(run["optimiser"]["state"] for run in last), rtol=0, atol=0)
    for name in ("plan", "config", "step"):
        assert last[0][name] == last[1][name]
    logs = [[json.loads(x) for x in (run / "log.jsonl").open()] for run in (first, second)]
    assert [row["step"] for row in logs[0]] == [row["step"] for row in logs[1]] == [2, 4]
    for one, other in zip(*logs, strict=True):
        assert one.keys() == other.keys()
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-5)


def test_two_processes_make_one_run_that_equals_one_process_with_two_shares(
    corpus: Path, tmp_path: Path
) -> None:
    """Both stages: the second one's features are computed once, and it writes one bundle."""
    alone, together = tmp_path / "alone", tmp_path / "together"
    options = ("codec", "--corpus", corpus, *SHORT, *AT_ONCE)
    said = train_together(*options, "-o", together / "codec")
    assert said.count("trained; give it to stage 2") == 1
    train_alone(*options, "-o", alone / "codec")
    assert_same_run(alone / "codec", together / "codec")
    usage = load_checkpoint(alone / "codec" / "last.pt")["model"]["usage"]
    assert len(usage.unique()) > 2  # rows were counted

    whisper = write_model_bin(tmp_path / "model.bin", whisper_variables(WhisperConfig()))
    options = (
        "talker", "--corpus", corpus, "--codec", alone / "codec", *SHORT,
        "--whisper", whisper, "--passes", "1",
    )  # fmt: skip
    said = train_together(*options, "-o", together / "talker")
    assert said.count("styles neutral, anna, bert") == 1
    shutil.copytree(together / "talker" / "features", alone / "talker" / "features")
    train_alone(*options, "-o", alone / "talker")
    assert_same_run(alone / "talker", together / "talker")
    first, second = (load_bundle(run / "talker" / "bundle") for run in (alone, together))
    assert first.speech == second.speech
    assert first.talker == second.talker


def test_two_machines_of_which_a_worker_is_killed_end_with_the_same_weights(
    corpus: Path, tmp_path: Path
) -> None:
    """Two launchers that meet at an address of the loopback; both start their workers again."""
    plan = ("--plan.steps", "40", "--plan.evaluate-every", "4")
    options = ("codec", "--corpus", corpus, *SHORT, *plan, *AT_ONCE)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = f"127.0.0.1:{free.getsockname()[1]}"
    launch = (
        sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1",
        "--rdzv-backend", "c10d", "--rdzv-endpoint", meeting, "--rdzv-id", "tests",
        "--local-addr", "127.0.0.1", "--max-restarts", "3", "-m", "codetalker", "train",
        *map(str, options), "-o", str(tmp_path / "together"),
    )  # fmt: skip
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",  # see docs/scale.md
    }
    machines = [subprocess.Popen(launch, env=environment, **quiet) for _ in range(2)]
    try:
        log = tmp_path / "together" / "log.jsonl"
        for _ in range(6000):
            if log.exists() and log.read_text().count("\n"):
                break
            time.sleep(0.05)
        launcher = machines[1].pid
        worker = Path(f"/proc/{launcher}/task/{launcher}/children").read_text()
        os.kill(int(worker), signal.SIGKILL)
        assert [machine.wait(timeout=300) for machine in machines] == [0, 0]
    finally:
        for machine in machines:
            machine.kill()
    train_alone(*options, "-o", tmp_path / "alone")
    states = [load_checkpoint(tmp_path / run / "last.pt") for run in ("alone", "together")]
    assert states[0]["step"] == states[1]["step"] == 40
    torch.testing.assert_close(*(state["model"] for state in states), rtol=0, atol=0)


@pytest.mark.parametrize("options", [("--device", "abacus"), ("--plan.shares", "0")])
def test_a_wrong_device_or_number_of_shares_gives_one_line(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, str]
) -> None:
    run = tmp_path / "run"
    assert main(["train", "codec", "--corpus", str(corpus), "-o", str(run), *options]) == 2
    error = capsys.readouterr().err
    assert options[1] in error
    assert error.count("\n") == 1
    assert not run.exists()
