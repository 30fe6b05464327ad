"""The compared systems by the same commands as CodeTalker: they train, resume, speak and score."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import codetalker  # noqa: E402
import codetalker.training.loop as loop  # noqa: E402
from codetalker.cli import main  # noqa: E402
from codetalker.data.store import open_store  # noqa: E402
from codetalker.paper.runtime import PaperTalker  # noqa: E402
from codetalker.paper.systems import SYSTEMS  # noqa: E402
from codetalker.training.loop import load_checkpoint  # noqa: E402
from codetalker.vertex_motion import VertexMotion  # noqa: E402
from paper_run import (  # noqa: E402
    assert_refused,
    codec_command,
    one_thread,  # noqa: F401 (a fixture)
    talker_command,
    write_store,
)
from system_run import COMPARED, system_command, tiny_config, write_recognizer  # noqa: E402
from vertex_data import VERTICES, tone, write_official_layout  # noqa: E402


class Ready(NamedTuple):
    """What talkers are trained from."""

    store: Path
    wav2vec2: Path


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ready")
    torch.manual_seed(1)
    store = write_store(folder)
    (store / "lve.txt").write_text("1, 4, 7")
    (store / "fdd.txt").write_text("2, 3, 11, 12")
    return Ready(store, write_recognizer(folder / "wav2vec2"))


@pytest.fixture(scope="module")
def runs(ready, tmp_path_factory):
    """Every system, trained for two epochs."""
    folder = tmp_path_factory.mktemp("runs")
    epochs = ("--plan.epochs", "2")
    assert main(codec_command(ready.store, folder / "codec", *epochs)) == 0
    made = {"codetalker": folder / "codetalker"}
    command = talker_command(
        ready.store, folder / "codec", made["codetalker"], ready.wav2vec2, *epochs
    )
    assert main(command) == 0
    for system in COMPARED:
        made[system] = folder / system
        assert main(system_command(system, *ready[:1], made[system], ready.wav2vec2, *epochs)) == 0
    return made


def same(first, second) -> bool:
    """Whether two checkpoints are equal to the last bit."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    return first == second


def test_the_table_is_what_the_comparison_needs():
    assert {"codetalker", *COMPARED} == set(SYSTEMS)


@pytest.mark.parametrize("system", SYSTEMS)
def test_all_are_loaded_animate_and_keep_what_they_are(system, runs, ready, tmp_path, capsys):
    model = runs[system] / "model"
    talker = codetalker.load(model)
    assert isinstance(talker, PaperTalker)
    assert talker.motion_type is VertexMotion
    assert talker.config.vertices == VERTICES
    assert talker.facts["preset"] == "vocaset"
    seen = []
    sound = tone(1.0, 16000)
    motion = talker.animate(sound, rate=16000, progress=lambda *done: seen.append(done))
    assert motion.vertices.shape[1:] == (VERTICES, 3)
    assert motion.fps == 30
    assert 28 <= len(motion.vertices) <= 30
    assert np.isfinite(motion.vertices).all()
    assert seen
    assert seen == sorted(seen)
    again = talker.animate(sound, rate=16000)
    np.testing.assert_array_equal(again.vertices, motion.vertices)
    out = tmp_path / "a.npz"
    store = open_store(ready.store)
    wav = ready.store.parent / "source" / "wav" / f"{store.clips[0].name}.wav"
    assert main(["animate", str(wav), "--model", str(model), "-o", str(out)]) == 0
    assert VertexMotion.load(out).vertices.shape[1:] == (VERTICES, 3)
    assert main(["info", str(model)]) == 0
    capsys.readouterr()


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_listener_that_stops_the_work_stops_it(system, runs):
    class Cancelled(Exception):
        pass

    def cancel(*done):
        raise Cancelled

    talker = PaperTalker.load(runs[system] / "model")
    with pytest.raises(Cancelled):
        talker.animate(tone(1.0, 16000), rate=16000, progress=cancel)


def test_all_are_scored_by_the_same_command(runs, ready, tmp_path):
    figures = {}
    for system, run in runs.items():
        report = tmp_path / f"{system}.json"
        command = ["evaluate", str(run / "model"), "--against", str(ready.store)]
        assert main([*command, "--json", str(report)]) == 0
        rows = json.loads(report.read_text())["rows"]
        figures[system] = rows[0]
        assert all(np.isfinite(row[name]) for row in rows for name in ("lve", "mve", "fdd"))
    assert len({row["lve"] for row in figures.values()}) == len(SYSTEMS)


@pytest.mark.parametrize("system", COMPARED)
@pytest.mark.parametrize("saves", [1, 4])
def test_a_run_that_was_stopped_ends_with_the_same_weights(
    system, saves, runs, ready, tmp_path, monkeypatch
):
    """Stopped between two checkpoints, of whichever stage."""
    command = system_command(system, ready.store, tmp_path, ready.wav2vec2, "--plan.epochs", "2")
    original, calls = loop.save_checkpoint, iter(range(1000))

    def dying(*arguments):
        if next(calls) == saves:
            raise KeyboardInterrupt
        original(*arguments)

    monkeypatch.setattr(loop, "save_checkpoint", dying)
    stopped = main(command)
    monkeypatch.setattr(loop, "save_checkpoint", original)
    assert stopped == 130 or next(calls) <= saves
    assert main(command) == 0
    for name in ("last.pt", "best.pt"):
        assert same(load_checkpoint(tmp_path / name), load_checkpoint(runs[system] / name))


@pytest.mark.parametrize("system", COMPARED)
def test_a_run_goes_on_as_what_it_is_only(system, runs, ready, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(runs[system], run)
    base = system_command(system, ready.store, run, ready.wav2vec2)
    assert main([*base, "--plan.epochs", "2", "--plan.seed", "5"]) == 2
    assert "made with other options" in capsys.readouterr().err
    assert main([*base, "--plan.epochs", "2", "--use", "last"]) == 0
    assert (run / "model" / "config.json").is_file()


OVERFIT = {
    "faceformer": (
        "--plan.epochs", "40", "--plan.learning-rate", "5e-3", "--plan.evaluate-every", "40",
        "--model.talker.dropout", "0", "--model.speech.dropout", "0",
        "--model.speech.layerdrop", "0",
    ),
    "voca": (
        "--plan.epochs", "300", "--plan.learning-rate", "3e-3", "--plan.evaluate-every", "300",
    ),
}  # fmt: skip


@pytest.mark.parametrize("system", OVERFIT)
def test_a_tiny_model_learns_one_clip_by_heart(system, ready, tmp_path):
    """What it makes of the clip is nearer to the truth than the face at rest, by far."""
    store = tmp_path / "store"
    shutil.copytree(ready.store, store)
    manifest = json.loads((store / "store.json").read_text())
    clip = next(c for c in manifest["clips"] if c["split"] == "train")
    manifest["clips"] = [clip, clip | {"split": "val"}]
    (store / "store.json").write_text(json.dumps(manifest))
    options = OVERFIT[system]
    run = tmp_path / "run"
    assert main(system_command(system, store, run, ready.wav2vec2, *options)) == 0
    opened, talker = open_store(store), PaperTalker.load(run / "model")
    (truth,) = opened.select("val")
    rest = np.array(opened.template(truth.subject))
    style = truth.subject if truth.subject in talker.styles else talker.styles[0]
    made = talker.animate(opened.waveform(truth), style=style, template=rest).vertices
    true = opened.vertices(truth)
    count = min(len(made), len(true))
    error = np.abs(made[:count] - true[:count]).mean() / np.abs(true - rest).mean()
    assert error < 0.35


@pytest.mark.parametrize("system", COMPARED)
def test_biwi_has_its_own_rate_and_mesh(system, ready, tmp_path):
    write_official_layout(tmp_path / "source", ("F2_e01", "M3_e02", "F3_e33"), frames=22)
    store, run = tmp_path / "store", tmp_path / "run"
    assert main(["prepare", "biwi", str(tmp_path / "source"), "-o", str(store)]) == 0
    one = ("--plan.epochs", "1")
    assert main(system_command(system, store, run, ready.wav2vec2, *one, of="biwi")) == 0
    talker = PaperTalker.load(run / "model")
    assert talker.fps == 25
    opened = open_store(store)
    motion = talker.animate(opened.waveform(opened.clips[0]))
    assert 21 <= len(motion.vertices) <= 22
    assert set(talker.styles) == set(tiny_config(system, "biwi").subjects)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("--model", "facefromer"), "did you mean 'faceformer'"),
        (("--preset", "vocset"), "did you mean 'vocaset'"),
        (("--preset", "biwi"), "use --preset vocaset"),
        (("--model.vertices", "7"), "the data have 20"),
        (("--plan.epochs", "0"), "epochs is 0"),
    ],
)
@pytest.mark.parametrize("system", COMPARED)
def test_a_wrong_option_gives_one_line(system, change, said, ready, tmp_path, capsys):
    arguments = system_command(
        system, ready.store, tmp_path / "run", ready.wav2vec2, "--plan.epochs", "1"
    )
    assert_refused(arguments, change, said, tmp_path / "run", capsys)


def test_a_system_without_a_codec_says_so(ready, tmp_path, capsys):
    command = system_command("faceformer", ready.store, tmp_path / "run", ready.wav2vec2)
    command[1] = "codec"
    assert main(command) == 2
    assert "has no codec to train first" in capsys.readouterr().err
