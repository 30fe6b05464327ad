"""Training the published model: the published recipe, exact resumption, processes, warnings."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import codetalker  # noqa: E402
import codetalker.paper.training as training  # noqa: E402
import codetalker.training.loop as loop  # noqa: E402
from codetalker.cli import main  # noqa: E402
from codetalker.data.store import open_store  # noqa: E402
from codetalker.errors import OptionError  # noqa: E402
from codetalker.nn.quantizer import perplexity  # noqa: E402
from codetalker.paper.codec import PaperCodec  # noqa: E402
from codetalker.paper.config import PaperCodecConfig  # noqa: E402
from codetalker.paper.folder import read_codec, read_model  # noqa: E402
from codetalker.paper.model import PaperModel, codec_loss, talker_loss  # noqa: E402
from codetalker.paper.recipe import CODEC_PLANS, EpochPlan, EpochSchedule  # noqa: E402
from codetalker.training import processes  # noqa: E402
from codetalker.training.loop import load_checkpoint  # noqa: E402
from paper_run import (  # noqa: E402
    CLIPS,
    TINY,
    assert_refused,
    codec_command,
    one_thread,  # noqa: F401 (a fixture)
    talker_command,
    write_store,
    write_wav2vec2,
)
from vertex_data import (  # noqa: E402
    VERTICES,
    face,
    tone,
    write_official_layout,
    write_pickle,
    write_wav,
)


class Ready(NamedTuple):
    """What stage 2 is trained from."""

    store: Path
    wav2vec2: Path
    codec: Path


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ready")
    torch.manual_seed(1)
    store, wav2vec2 = write_store(folder), write_wav2vec2(folder / "wav2vec2")
    assert main(codec_command(store, folder / "codec", "--plan.epochs", "3")) == 0
    return Ready(store, wav2vec2, folder / "codec")


def command(stage: str, ready: Ready, out: Path, *more: str) -> list[str]:
    if stage == "codec":
        return codec_command(ready.store, out, *more)
    return talker_command(ready.store, ready.codec, out, ready.wav2vec2, *more)


def rows(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def same(first, second) -> bool:
    """Whether two checkpoints are equal to the last bit."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    return first == second


def same_runs(first: Path, second: Path) -> bool:
    return all(
        same(load_checkpoint(first / name), load_checkpoint(second / name))
        for name in ("last.pt", "best.pt")
    )


# The published recipe


def test_the_learning_rate_is_steplr_once_an_epoch():
    plan = replace(CODEC_PLANS["vocaset"], epochs=45)
    schedule = EpochSchedule(plan, clips=7)
    optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=1e-4)
    published = torch.optim.lr_scheduler.StepLR(optimiser, step_size=20, gamma=0.5)
    for epoch in range(45):
        for step in range(7):
            assert schedule.rate(7 * epoch + step) == published.get_last_lr()[0]
        optimiser.step()
        published.step()
    assert schedule.steps == 45 * 7
    assert CODEC_PLANS["biwi"].halve_every is None


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_an_epoch_is_every_clip_once_in_an_order_of_its_own(batch):
    schedule = EpochSchedule(EpochPlan(4, batch=batch, seed=3), clips=10, processes=2)
    shares = range(schedule.steps * schedule.shares)
    order = np.array([schedule.clip_of(share) for share in shares])[:40].reshape(4, 10)
    assert (np.sort(order) == np.arange(10)).all()
    assert len({tuple(epoch) for epoch in order.tolist()}) == 4


def clip_tensors(store, clip):
    template = torch.tensor(store.template(clip.subject)).flatten()[None]
    vertices = torch.tensor(store.vertices(clip)).flatten(1)[None]
    return vertices, template, torch.tensor(store.waveform(clip).samples)


@pytest.mark.parametrize("batch", [1, 2])
def test_stage_1_is_the_published_loop(ready, tmp_path, batch):
    options = ("--plan.epochs", "5", "--plan.halve-every", "2", "--plan.batch", str(batch))
    assert main(codec_command(ready.store, tmp_path, *options, "--plan.seed", "7")) == 0
    store = open_store(ready.store)
    clips = store.select("train")
    torch.manual_seed(7)
    codec = PaperCodec(replace(TINY.codec, vertices=VERTICES)).train()
    optimiser = torch.optim.AdamW(codec.parameters(), lr=1e-4)
    order = EpochSchedule(EpochPlan(5, seed=7), len(clips))
    for share in range(-(-5 * len(clips) // batch) * batch):
        if share in (6, 12):  # epochs 2 and 4 begin
            optimiser.param_groups[0]["lr"] /= 2
        torch.manual_seed(7 * 1_000_003 + share)
        vertices, template, _ = clip_tensors(store, clips[order.clip_of(share)])
        (codec_loss(codec(vertices, template), vertices).total / batch).backward()
        if share % batch == batch - 1:
            optimiser.step()
            optimiser.zero_grad()
    assert same(load_checkpoint(tmp_path / "last.pt")["model"], dict(codec.state_dict()))


def test_stage_2_is_the_published_loop(ready, tmp_path):
    assert main(command("talker", ready, tmp_path, "--plan.epochs", "4")) == 0
    store = open_store(ready.store)
    clips = store.select("train")
    config = read_model(tmp_path / "model")[0].config
    torch.manual_seed(0)
    model = PaperModel(config)
    model.codec.load_state_dict(load_checkpoint(ready.codec / "best.pt"))
    model.talker.speech.load_pretrained(ready.wav2vec2)
    model.prepare_talker_training()
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    order = EpochSchedule(EpochPlan(4), len(clips))
    skipped = 0
    for share in range(4 * len(clips)):
        clip = clips[order.clip_of(share)]
        vertices, template, samples = clip_tensors(store, clip)
        style = torch.eye(8)[[model.config.talker.subjects.index(clip.subject)]]
        torch.manual_seed(share)
        samples = model.talker.speech.normalize(samples)[None]
        loss = talker_loss(model.teacher_forced(samples, vertices, template, style)).total
        optimiser.zero_grad(set_to_none=False)  # as torch 1.9 does, which the release pins
        loss.backward()
        layers = model.talker.speech.wav2vec2.encoder.layers
        skipped += sum(not layer.final_layer_norm.weight.grad.any() for layer in layers)
        optimiser.step()
    assert skipped  # LayerDrop has left layers out, whose momentum must go on
    assert same(load_checkpoint(tmp_path / "last.pt")["model"], dict(model.state_dict()))


def test_only_what_the_recipe_trains_changes(ready, tmp_path):
    assert main(command("talker", ready, tmp_path, "--plan.epochs", "1")) == 0
    state = load_checkpoint(tmp_path / "last.pt")["model"]
    codec = load_checkpoint(ready.codec / "best.pt")
    assert same({k: state[f"codec.{k}"] for k in codec}, codec)
    from safetensors.torch import load_file

    start = load_file(ready.wav2vec2 / "model.safetensors")
    now = {k: state[f"talker.speech.wav2vec2.{k}"] for k in start}
    changed = {k.split(".")[0] for k in start if not torch.equal(start[k], now[k])}
    assert changed == {"feature_projection", "encoder", "masked_spec_embed"}


# Resumption


@pytest.mark.parametrize("stage", ["codec", "talker"])
def test_a_run_killed_at_any_step_and_resumed_gives_the_same_weights(
    stage, ready, tmp_path, monkeypatch
):
    options = ("--plan.epochs", "4", "--plan.evaluate-every", "2")
    assert main(command(stage, ready, tmp_path / "whole", *options)) == 0
    original = getattr(training, f"{stage}_loss")
    for kill_at in (0, 2, 3, 5, 8, 11):
        calls = iter(range(1000))

        def dying(*arguments, calls=calls, kill_at=kill_at):
            if next(calls) == kill_at:
                raise KeyboardInterrupt
            return original(*arguments)

        out = tmp_path / f"killed {kill_at}"
        monkeypatch.setattr(training, f"{stage}_loss", dying)
        assert main(command(stage, ready, out, *options)) == 130
        monkeypatch.setattr(training, f"{stage}_loss", original)
        assert main(command(stage, ready, out, *options)) == 0
        assert same_runs(tmp_path / "whole", out)
        steps = [row["step"] for row in rows(out)]
        assert steps == sorted(set(steps)) == [row["step"] for row in rows(tmp_path / "whole")]


def test_a_run_killed_by_the_system_goes_on_exactly(ready, tmp_path):
    options = ("--plan.epochs", "40", "--plan.learning-rate", "1e-3")
    arguments = codec_command(ready.store, tmp_path / "killed", *options)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-m", "codetalker", *arguments], env=environment)
    deadline = time.monotonic() + 60
    while not (tmp_path / "killed" / "last.pt").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert load_checkpoint(tmp_path / "killed" / "last.pt")["step"] < 120
    assert main(arguments) == 0
    assert main(codec_command(ready.store, tmp_path / "whole", *options)) == 0
    assert same_runs(tmp_path / "whole", tmp_path / "killed")


def test_a_finished_run_goes_on_when_it_gets_more_epochs(ready, tmp_path):
    for epochs in ("1", "3"):
        assert main(codec_command(ready.store, tmp_path, "--plan.epochs", epochs)) == 0
    assert same(
        load_checkpoint(tmp_path / "last.pt")["optimiser"],
        load_checkpoint(ready.codec / "last.pt")["optimiser"],
    )


def test_a_run_does_not_go_on_with_other_options_data_or_codec(ready, tmp_path, capsys):
    def fails(stage, out, *more, **changed):
        assert main(command(stage, ready._replace(**changed), out, *more)) == 2
        return capsys.readouterr().err

    one = ("--plan.epochs", "1")
    shutil.copytree(ready.codec, tmp_path / "codec")
    assert "learning_rate was 0.0001, not 0.1" in fails(
        "codec", tmp_path / "codec", *one, "--plan.learning-rate", "0.1"
    )
    assert "model.dropout was 0.1, not 0.3" in fails(
        "codec", tmp_path / "codec", *one, "--model.dropout", "0.3"
    )
    assert main(command("talker", ready, tmp_path / "talker", *one)) == 0
    weights = load_checkpoint(tmp_path / "codec" / "best.pt")
    weights["quantizer.embedding.weight"] += 1
    torch.save(weights, tmp_path / "codec" / "best.pt")
    assert "codec was" in fails("talker", tmp_path / "talker", *one, codec=tmp_path / "codec")
    shutil.copytree(ready.store, tmp_path / "store")
    manifest = json.loads((tmp_path / "store" / "store.json").read_text())
    manifest["clips"].reverse()
    (tmp_path / "store" / "store.json").write_text(json.dumps(manifest))
    assert "data.clips was" in fails("codec", ready.codec, *one, store=tmp_path / "store")


# Several processes


def test_two_processes_with_one_clip_each_equal_one_process_with_two(ready, tmp_path):
    """The run starts in one process and goes on in two, over clips of three different lengths."""
    assert len(set(CLIPS.values())) == 3
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    two = ("--plan.batch", "2")
    assert main(command("talker", ready, shared, "--plan.epochs", "2", *two)) == 0
    shutil.copytree(shared, alone)
    more = ("--plan.epochs", "6", "--plan.evaluate-every", "2")
    arguments = command("talker", ready, shared, *more, "--plan.batch", "1")
    launch = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "codetalker"]
    done = subprocess.run(
        [sys.executable, "-m", *launch, *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("ready for") == 1
    assert main(command("talker", ready, alone, *more, *two)) == 0
    first, second = (load_checkpoint(run / "last.pt") for run in (alone, shared))
    assert first["step"] == second["step"] == 9
    assert same(first, second)
    of_alone, of_shared = rows(alone), rows(shared)
    assert [row["step"] for row in of_alone] == [row["step"] for row in of_shared]
    assert of_shared[-1]["loss"] == pytest.approx(of_alone[-1]["loss"], rel=1e-5)
    assert of_shared[-1]["free_lve"] == pytest.approx(of_alone[-1]["free_lve"], rel=1e-5)


def test_what_one_process_computes_at_a_time_is_not_shared(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "count", lambda: 2)
    with pytest.raises(OptionError, match="2 processes"):
        loop.fit(torch.nn.Linear(1, 1), loop.Plan(1, 1.0), dict, dict, tmp_path, watch="x")


# What is kept and told


def test_best_is_the_checkpoint_with_the_lowest_logged_validation(ready, tmp_path):
    options = ("--plan.epochs", "8", "--plan.evaluate-every", "1", "--plan.learning-rate", "0.1")
    assert main(codec_command(ready.store, tmp_path, *options)) == 0
    config, state = read_codec(tmp_path)
    codec = PaperCodec(config).eval()
    codec.load_state_dict(state)
    store = open_store(ready.store)
    clip = store.select("val")[0]
    vertices, template, _ = clip_tensors(store, clip)
    with torch.no_grad():
        output = codec(vertices, template)
    best = min(rows(tmp_path), key=lambda row: row["val_loss"])
    assert best["val_loss"] == pytest.approx(float(codec_loss(output, vertices).total), rel=1e-5)
    assert best["val_reconstruction"] == pytest.approx(
        float((output.vertices - vertices).abs().mean()), rel=1e-5
    )
    assert best["codes_used"] == len(output.indices.unique())
    assert best["code_perplexity"] == pytest.approx(float(perplexity(output.indices, 32)), rel=1e-5)
    assert best["step"] < rows(tmp_path)[-1]["step"]


def test_free_running_figures_are_those_of_evaluate(ready, tmp_path):
    """The log's last row against `codetalker evaluate`, which knows nothing of the training."""
    store = tmp_path / "store"
    shutil.copytree(ready.store, store)
    (store / "lve.txt").write_text("1, 4, 7")
    (store / "fdd.txt").write_text("2, 3, 11, 12")
    options = ("--plan.epochs", "4", "--plan.learning-rate", "1e-3", "--use", "last")
    run = tmp_path / "run"
    assert main(command("talker", ready._replace(store=store), run, *options)) == 0
    style = TINY.talker.subjects[0]  # the one validation clip is of another subject
    report = tmp_path / "report.json"
    arguments = ["evaluate", str(run / "model"), "--against", str(store), "--style", style]
    assert main([*arguments, "--json", str(report)]) == 0
    last = rows(run)[-1]
    (figures,) = json.loads(report.read_text())["rows"]
    for name in ("lve", "lip_error", "mve", "fdd"):
        assert last[f"free_{name}"] == pytest.approx(figures[name], rel=1e-4), name
    for region, value in figures["motion_std_ratio"].items():
        assert last[f"free_{region}_std_ratio"] == pytest.approx(value, rel=1e-4)


def test_tensorboard_shows_the_log_and_both_show_every_row_once(ready, tmp_path, monkeypatch):
    """Also where a run was killed between a row and the checkpoint that belongs to it."""
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    options = ("--plan.epochs", "4", "--plan.evaluate-every", "2")
    original, calls = loop.save_checkpoint, iter(range(1000))

    def dying(*arguments):
        if next(calls) == 2:
            raise KeyboardInterrupt
        original(*arguments)

    monkeypatch.setattr(loop, "save_checkpoint", dying)
    assert main(codec_command(ready.store, tmp_path, *options)) == 130
    assert load_checkpoint(tmp_path / "last.pt")["step"] < rows(tmp_path)[-1]["step"]
    monkeypatch.setattr(loop, "save_checkpoint", original)
    assert main(codec_command(ready.store, tmp_path, *options)) == 0
    assert [row["step"] for row in rows(tmp_path)] == [3, 6, 9, 12]
    board = events.EventAccumulator(str(tmp_path))
    board.Reload()
    for name, tag in (("loss", "train/loss"), ("val_loss", "evaluation/val_loss")):
        logged = [(row["step"], row[name]) for row in rows(tmp_path) if name in row]
        shown = board.Scalars(tag)
        assert [event.step for event in shown] == [step for step, _ in logged]
        assert [event.value for event in shown] == pytest.approx([v for _, v in logged], rel=1e-5)


def test_a_dead_codebook_is_told_and_a_lively_one_is_not(ready, tmp_path, capsys):
    assert not any("warnings" in row for row in rows(ready.codec))
    options = ("--plan.epochs", "1", "--model.codes", "512")
    assert main(codec_command(ready.store, tmp_path, *options)) == 0
    (row,) = rows(tmp_path)
    said = f"{row['codes_used']:.0f} of 512 codes used, perplexity {row['code_perplexity']:.1f}"
    assert said in row["warnings"][0]
    assert f"warning: step 3: the codebook is nearly dead: {said}" in capsys.readouterr().err


def test_a_face_that_does_not_move_by_itself_is_told(ready, tmp_path, capsys):
    """A talker that has hardly learnt predicts one code throughout."""
    still = ("--plan.epochs", "1", "--plan.learning-rate", "1e-12")
    assert main(command("talker", ready, tmp_path / "still", *still)) == 0
    assert "warning: step 3: the face hardly moves by itself: 0%" in capsys.readouterr().err
    lively = ("--plan.epochs", "4", "--plan.learning-rate", "1e-3")
    assert main(command("talker", ready, tmp_path / "lively", *lively)) == 0
    assert "hardly moves" not in capsys.readouterr().err
    assert rows(tmp_path / "lively")[-1]["free_lips_std_ratio"] > 0.25


def test_values_that_are_not_finite_stop_the_run_and_leave_the_checkpoint(ready, tmp_path, capsys):
    store, run = tmp_path / "store", tmp_path / "run"
    shutil.copytree(ready.store, store)
    assert main(codec_command(store, run, "--plan.epochs", "1")) == 0
    before = (run / "last.pt").read_bytes()
    path = store / "vertices" / f"{next(iter(CLIPS))}.npy"
    np.save(path, np.load(path) * np.float32(1e37))
    assert main(codec_command(store, run, "--plan.epochs", "2")) == 2
    assert f"{run / 'last.pt'} is intact" in capsys.readouterr().err
    assert (run / "last.pt").read_bytes() == before


def test_a_finished_talker_gives_its_last_model_too_and_needs_no_speech_encoder(ready, tmp_path):
    assert main(command("talker", ready, tmp_path, "--plan.epochs", "2")) == 0
    log = (tmp_path / "log.jsonl").read_text()
    gone = ready._replace(wav2vec2=tmp_path / "gone")
    for which in ("last", "best"):
        assert main(command("talker", gone, tmp_path, "--plan.epochs", "2", "--use", which)) == 0
        state = load_checkpoint(tmp_path / f"{which}.pt")
        model, mesh = read_model(tmp_path / "model")
        assert same(dict(model.state_dict()), dict(state.get("model", state)))
        assert mesh.vertices.shape == (VERTICES, 3)
    assert (tmp_path / "log.jsonl").read_text() == log


# Options


def test_an_unknown_option_is_refused_with_the_nearest(ready, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(codec_command(ready.store, tmp_path, "--plan.epoch", "3"))
    assert stopped.value.code == 2
    assert "--plan.epochs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("--preset", "vocset"), "did you mean 'vocaset'"),
        (("--preset", "biwi"), "use --preset vocaset"),
        (("--plan.epochs", "0"), "epochs is 0"),
        (("--plan.learning-rate", "nan"), "learning_rate is nan"),
        (("--model.vertices", "7"), "the data have 20"),
        (("--data", "nowhere"), "codetalker prepare"),
        (("--device", "abacus"), "no device 'abacus'"),
    ],
)
def test_a_wrong_option_gives_one_line(change, said, ready, tmp_path, capsys):
    arguments = codec_command(ready.store, tmp_path / "run", "--plan.epochs", "1")
    assert_refused(arguments, change, said, tmp_path / "run", capsys)


def test_data_without_a_preset_asks_for_one(ready, tmp_path, capsys):
    assert main(["train", "codec", "--data", str(ready.store), "-o", str(tmp_path)]) == 2
    assert "--preset vocaset" in capsys.readouterr().err


@pytest.mark.parametrize("of", ["talker", "nothing", "other mesh"])
def test_stage_2_needs_a_codec_of_the_same_mesh(of, ready, tmp_path, capsys):
    codec, said = tmp_path / "codec", "train that stage first"
    shutil.copytree(ready.codec, codec)
    record = json.loads((codec / "run.json").read_text())
    if of == "talker":
        record["config"]["stage"], said = "talker", "is the run of a talker"
    elif of == "nothing":
        shutil.rmtree(codec)
        codec.mkdir()
    else:
        record["config"]["model"]["vertices"], said = 7, "for 7 vertices"
    (codec / "run.json").write_text(json.dumps(record))
    assert main(command("talker", ready._replace(codec=codec), tmp_path / "run")) == 2
    assert said in capsys.readouterr().err


def test_stage_2_takes_a_codec_by_run_file_or_model_folder(ready, tmp_path):
    assert main(command("talker", ready, tmp_path, "--plan.epochs", "1")) == 0
    config, best = read_codec(ready.codec)
    assert isinstance(config, PaperCodecConfig)
    assert same(best, read_codec(ready.codec / "best.pt")[1])
    assert same(best, dict(read_codec(tmp_path / "model")[1]))
    last = load_checkpoint(ready.codec / "last.pt")["model"]
    assert same(last, read_codec(ready.codec / "last.pt")[1])


def test_biwi_has_its_own_recipe_and_architecture(tmp_path):
    """Speech is not stretched there: it has two features per frame, and fewer than the motion."""
    write_official_layout(tmp_path / "source", ("F2_e01", "M3_e02", "F3_e33"), frames=22)
    store, codec, run = (tmp_path / name for name in ("store", "codec", "run"))
    assert main(["prepare", "biwi", str(tmp_path / "source"), "-o", str(store)]) == 0
    torch.manual_seed(0)
    wav2vec2, short = write_wav2vec2(tmp_path / "wav2vec2"), ("--plan.epochs", "21")
    assert main(codec_command(store, codec, *short, of="biwi")) == 0
    assert {row["learning_rate"] for row in rows(codec)} == {1e-4}
    assert main(talker_command(store, codec, run, wav2vec2, *short, of="biwi")) == 0
    talker = codetalker.load(run / "model")
    assert talker.styles == ("F2", "F3", "F4", "M3", "M4", "M5")
    motion = talker.animate(open_store(store).waveform(open_store(store).clips[0]), style="M3")
    assert motion.vertices.shape == (21, VERTICES, 3)
    assert motion.fps == 25


def test_own_data_set_the_frame_rate_the_styles_and_the_face(tmp_path):
    source = tmp_path / "source"
    (source / "vertices_npy").mkdir(parents=True)
    people = ("anna", "bert", "cleo")
    for seed, person in enumerate(people):
        frames = face(seed) + 0.1 * np.random.default_rng(seed).normal(size=(20, VERTICES, 3))
        np.save(source / "vertices_npy" / f"{person}_s01.npy", frames.reshape(20, -1))
        write_wav(source / "wav" / f"{person}_s01.wav", tone(20 / 24, 16000), 16000)
    write_pickle(source / "templates.pkl", {p: face(i) for i, p in enumerate(people)})
    store = tmp_path / "store"
    assert (
        main(["prepare", "own", str(source), "-o", str(store), "--fps", "24", "--val", "cleo"]) == 0
    )
    torch.manual_seed(0)
    own = Ready(store, write_wav2vec2(tmp_path / "wav2vec2"), tmp_path / "codec")
    one = ("--plan.epochs", "1")
    assert main(codec_command(store, own.codec, *one)) == 0
    assert main(command("talker", own, tmp_path / "talker", *one)) == 0
    model, mesh = read_model(tmp_path / "talker" / "model")
    talker = model.config.talker
    assert (talker.fps, talker.period, talker.subjects) == (24, 24, ("anna", "bert"))
    np.testing.assert_array_equal(mesh.vertices, face(0))
