"""Training: resumes exactly, refuses what does not belong together, and learns."""

from __future__ import annotations

import json
import re
import resource
from dataclasses import asdict, replace
from itertools import combinations
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn

import codetalker
from codetalker.arkit import ARKIT_NAMES, MOUTH, MOUTH_CHANNELS, UPPER_FACE_CHANNELS
from codetalker.audio import Waveform
from codetalker.causal import train
from codetalker.causal.articulation import COLUMNS, NOTHING, OPEN, REST, SHUT, TEETH
from codetalker.causal.codec import Codec, CodecConfig
from codetalker.causal.features import FeatureSet, extract, feature_set
from codetalker.causal.generator import Generator, free_run
from codetalker.causal.hearing import HEARINGS, Hearing
from codetalker.causal.joined import joined_streams, phone_streams
from codetalker.causal.loudness import Loudness
from codetalker.causal.talker import TalkerNet
from codetalker.causal.teaching import Teacher, load_teacher, taught
from codetalker.causal.train_codec import CodecRecipe, CodecTraining, load_codec, train_codec
from codetalker.causal.train_talker import (
    Sampler,
    TalkerData,
    TalkerRecipe,
    TalkerTraining,
    Validation,
    load_talker,
    train_talker,
)
from codetalker.causal.whisper import WhisperConfig, WhisperEncoder
from codetalker.data.clip import Clip
from codetalker.data.phones import PhoneClip
from codetalker.errors import DataError, ModelError, OutputError, StyleError
from codetalker.motion import Motion
from codetalker.rig import bundled_head
from codetalker.training import loop, run_record
from codetalker.training.loop import Plan, fit, load_checkpoint, save_checkpoint
from codetalker.training.run_record import write_record
from conftest import write_sound
from tiny_model import (
    CODEC,
    TALKER,
    WINDOWS,
    babble,
    tiny_codec,
    tiny_encoder,
    whisper_variables,
    write_model_bin,
)

JAW = 17
STYLES = ("anna", "bert")
CPU = torch.device("cpu")
PLAN = Plan(23, 1e-2, evaluate_every=5)
CODEC_RECIPE = CodecRecipe(batch=4, frames=16, idle=0.5)
CODEC_PLAN = Plan(56, 3e-3, warmup=5, evaluate_every=13)
TALKER_RECIPE = TalkerRecipe(batch=4, frames=16)
TALKER_PLAN = Plan(14, 3e-3, warmup=3, evaluate_every=4)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    """Two speakers whose jaws open with the loudness; the second one's eyes are not known."""
    folder = tmp_path_factory.mktemp("corpus")
    made = []
    for number, (speaker, split) in enumerate(
        [("anna", "train")] * 5 + [("bert", "train")] * 3 + [("anna", "val")] * 2
    ):
        sound = babble(3, seed=number)
        loudness = np.abs(sound).reshape(75, 640).mean(1)
        weights = np.random.default_rng(number).uniform(0, 0.02, (75, 52))
        weights[:, JAW] = np.clip(loudness * 5, 0, 1)
        weights[:, list(UPPER_FACE_CHANNELS)] *= speaker == "anna"
        path = write_sound(folder / f"{number}.wav", (sound * 32767).astype(np.int16)[:, None])
        made.append(Clip(str(number), speaker, split, path, weights.astype(np.float32), 25))
    return made


@pytest.fixture(scope="module")
def sets(clips: list[Clip], tmp_path_factory: pytest.TempPathFactory) -> list[FeatureSet]:
    """A clean pass and an augmented one."""
    train = [clip for clip in clips if clip.split == "train"]
    encoder, made, folder = tiny_encoder(), [], tmp_path_factory.mktemp("sets")
    for seed in range(2):
        streams = joined_streams(train, np.random.default_rng(seed), 25, augment=seed > 0)
        random = np.random.default_rng((seed, 1))
        path = folder / str(seed)
        made.append(feature_set(path, streams, encoder, WINDOWS, STYLES, random))
    return made


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> list[PhoneClip]:
    """Speech whose motion is not known, but that its lips shut every 320 ms."""
    folder, made = tmp_path_factory.mktemp("phones"), []
    for number in range(3):
        sound = babble(3.2, seed=20 + number)
        path = write_sound(folder / f"{number}.wav", (sound * 32767).astype(np.int16)[:, None])
        edges = np.arange(21) * 0.16
        phones = ("a", "b") * 10
        made.append(PhoneClip(str(number), path, phones, edges[:-1], edges[1:], "en", "carla"))
    return made


@pytest.fixture(scope="module")
def phones(spoken: list[PhoneClip], tmp_path_factory: pytest.TempPathFactory) -> FeatureSet:
    random = np.random.default_rng(3)
    streams = phone_streams(spoken, random, 25, 52, STYLES[0], augment=True)
    folder = tmp_path_factory.mktemp("phones") / "set"
    return feature_set(folder, streams, tiny_encoder(), WINDOWS, STYLES, random)


@pytest.fixture(scope="module")
def validation(clips: list[Clip]) -> Validation:
    chosen = [clip for clip in clips if clip.split == "val"]
    features = [extract(tiny_encoder(), WINDOWS, clip.waveform().samples) for clip in chosen]
    return Validation(
        torch.from_numpy(np.stack(features)).float(),
        torch.from_numpy(np.stack([clip.weights for clip in chosen])),
        torch.zeros(len(chosen), dtype=torch.int64),
        [None] * len(chosen),
    )


class Small(nn.Module):
    """A line to be fitted, with dropout (randomness) and a buffer that training changes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        self.register_buffer("seen", torch.zeros(()))
        self.seen: torch.Tensor

    def losses(self, step: int) -> dict[str, torch.Tensor]:
        self.seen += step
        x = torch.randn(5, 3)
        return {"loss": (self.net(x) - x.sum(1, keepdim=True)).square().mean()}


def fit_small(folder: Path, plan: Plan = PLAN, kill: int = -1) -> Small:
    """Fit, or stop in the middle of that step."""
    model = Small()

    def losses(step: int) -> dict[str, torch.Tensor]:
        if step == kill:
            raise KeyboardInterrupt
        return model.losses(step)

    fit(
        model, plan, losses, lambda: {"error": float(torch.rand(()))}, folder, watch="error",
        after_step=lambda step: model.net[0].bias.data.add_(torch.rand(8) * 1e-3),
    )  # fmt: skip
    return model


def same(first: object, second: object) -> bool:
    """Whether two checkpoints are equal to the last bit."""
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(v, second[k]) for k, v in first.items())
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second


@pytest.mark.parametrize("step", [0, 1, 4, 5, 6, 14, 20, 22])
def test_a_run_killed_at_any_step_and_resumed_ends_the_same(tmp_path: Path, step: int) -> None:
    fit_small(tmp_path / "whole")
    for kill in (step, min(step + 3, 22)):
        with pytest.raises(KeyboardInterrupt):
            fit_small(tmp_path / "killed", kill=kill)
    fit_small(tmp_path / "killed")
    for name in ("last.pt", "best.pt"):
        whole, killed = (load_checkpoint(tmp_path / f / name) for f in ("whole", "killed"))
        assert same(whole, killed)


def test_a_finished_run_is_left_as_it_is(tmp_path: Path) -> None:
    fit_small(tmp_path)
    before = (tmp_path / "last.pt").read_bytes()
    fit_small(tmp_path, kill=0)
    assert (tmp_path / "last.pt").read_bytes() == before


def test_another_seed_is_another_run(tmp_path: Path) -> None:
    first = fit_small(tmp_path / "0", Plan(5, 1e-2))
    other = fit_small(tmp_path / "1", Plan(5, 1e-2, seed=1))
    assert not same(first.state_dict(), other.state_dict())


@pytest.mark.parametrize(
    "plan", [replace(PLAN, steps=24), replace(PLAN, learning_rate=2e-2), replace(PLAN, seed=1)]
)
def test_a_folder_of_another_plan_is_refused(tmp_path: Path, plan: Plan) -> None:
    fit_small(tmp_path)
    with pytest.raises(ModelError, match="name another folder"):
        fit_small(tmp_path, plan)


def test_a_folder_of_another_model_is_refused(tmp_path: Path) -> None:
    fit_small(tmp_path)
    other = nn.Linear(2, 2)
    with pytest.raises(ModelError, match="another model"):
        fit(other, PLAN, lambda step: {}, dict, tmp_path, watch="error")


@pytest.mark.parametrize("content", [b"", b"nonsense", None])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, content: bytes | None) -> None:
    fit_small(tmp_path)
    path = tmp_path / "last.pt"
    path.write_bytes(path.read_bytes()[:-500] if content is None else content)
    with pytest.raises(ModelError, match=r"last\.pt is not a readable checkpoint"):
        fit_small(tmp_path)


def test_a_checkpoint_with_code_in_it_is_not_run(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "run",))

    torch.save({"model": Hostile()}, tmp_path / "last.pt")
    with pytest.raises(ModelError):
        load_checkpoint(tmp_path / "last.pt")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(
    tmp_path: Path, bad: float
) -> None:
    model = Small()

    def losses(step: int) -> dict[str, torch.Tensor]:
        values = model.losses(step)
        return {"loss": values["loss"] * bad} if step == 7 else values

    with pytest.raises(DataError, match=r"step 7.*learning rate.*last\.pt is intact"):
        fit(model, PLAN, losses, lambda: {"error": 1.0}, tmp_path, watch="error")
    kept = load_checkpoint(tmp_path / "last.pt")
    assert kept["step"] == 5
    assert all(torch.isfinite(v).all() for v in kept["model"].values())


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint({"step": 1}, path)

    def half(state: object, target: Path) -> None:
        Path(target).write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(loop.torch, "save", half)
    with pytest.raises(OutputError, match=r"last\.pt cannot be written: No space"):
        save_checkpoint({"step": 2}, path)
    monkeypatch.undo()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"last\.pt cannot be written .* disk is full"):
            save_checkpoint({"step": torch.zeros(1000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert load_checkpoint(path) == {"step": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_the_learning_rate_rises_and_falls_to_zero() -> None:
    plan = Plan(1000, 2.0, warmup=100)
    rates = [plan.rate(step) for step in range(1000)]
    assert rates[0] == pytest.approx(0.02)
    assert max(rates) == pytest.approx(2.0, rel=0.03)
    assert 95 <= int(np.argmax(rates)) <= 105
    assert rates[-1] < 1e-5
    assert plan.rate(500) == pytest.approx(1.0)


def kill_in_losses(patch: pytest.MonkeyPatch, kind: type, at: int) -> None:
    losses = kind.losses

    def killed(self: nn.Module, step: int):
        if step == at:
            raise KeyboardInterrupt
        return losses(self, step)

    patch.setattr(kind, "losses", killed)


@pytest.mark.parametrize("step", [5, 14, 51])
def test_the_codec_resumes_exactly(
    tmp_path: Path, clips: list[Clip], monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Before the codebook starts (step 5), after it, and after idle rows were moved (step 50)."""
    options = {"config": CODEC, "recipe": CODEC_RECIPE, "plan": CODEC_PLAN, "device": CPU}

    def run(folder: str) -> dict:
        train_codec(clips, bundled_head(), tmp_path / folder, **options)
        return load_checkpoint(tmp_path / folder / "last.pt")

    with monkeypatch.context() as patch:
        kill_in_losses(patch, CodecTraining, step)
        with pytest.raises(KeyboardInterrupt):
            run("killed")
    assert same(run("killed"), run("whole"))


def test_a_codec_run_does_not_go_on_with_another_recipe_model_or_other_clips(
    tmp_path: Path, clips: list[Clip]
) -> None:
    def run(clips: list[Clip], **changed: Any) -> None:
        options = {"config": CODEC, "recipe": CODEC_RECIPE, "plan": Plan(2, 1e-3)} | changed
        train_codec(clips, bundled_head(), tmp_path, device=CPU, **options)

    run(clips)
    before = (tmp_path / "last.pt").read_bytes()
    with pytest.raises(ModelError, match=r"recipe\.entropy was 0\.3, not 0\.5"):
        run(clips, recipe=replace(CODEC_RECIPE, entropy=0.5))
    with pytest.raises(ModelError, match=r"model\.taps was 3, not 5"):
        run(clips, config=replace(CODEC, taps=5))
    for number in (0, 9):  # of split train, of split val
        other = [*clips]
        other[number] = replace(clips[number], weights=clips[number].weights * np.float32(0.9))
        with pytest.raises(ModelError, match=r"data\.clips was"):
            run(other)
    assert (tmp_path / "last.pt").read_bytes() == before
    run(clips)


def test_a_talker_run_does_not_go_on_with_another_recipe_other_data_or_codec(
    tmp_path: Path, sets: list[FeatureSet], validation: Validation
) -> None:
    data = TalkerData(sets, [], validation, WINDOWS, {"clips": "these"})

    def run(data: TalkerData, codec: Codec, recipe: TalkerRecipe = TALKER_RECIPE) -> None:
        train_talker(
            data,
            codec,
            bundled_head(),
            tmp_path,
            config=TALKER,
            recipe=recipe,
            plan=Plan(1, 1e-3),
            device=CPU,
        )

    run(data, tiny_codec())
    with pytest.raises(ModelError, match=r"recipe\.closure was 0\.5, not 0\.3"):
        run(data, tiny_codec(), replace(TALKER_RECIPE, closure=0.3))
    with pytest.raises(ModelError, match=r"data\.clips was 'these', not 'those'"):
        run(replace(data, source={"clips": "those"}), tiny_codec())
    other = tiny_codec()
    other.quantizer.embedding.weight.data += 1
    with pytest.raises(ModelError, match="codec was"):
        run(data, other)


def test_the_record_of_a_run_holds_its_options_and_every_commit_that_worked_on_it(
    tmp_path: Path, clips: list[Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(commit: str | None) -> dict[str, Any]:
        monkeypatch.setattr(run_record, "code_commit", lambda: commit)
        train_codec(
            clips,
            bundled_head(),
            tmp_path,
            config=CODEC,
            recipe=CODEC_RECIPE,
            plan=CODEC_PLAN,
            device=CPU,
        )
        return json.loads((tmp_path / "run.json").read_text())

    for commit, step in (("first", 2), ("first", 20), ("second", 40)):
        with monkeypatch.context() as patch:
            kill_in_losses(patch, CodecTraining, step)
            with pytest.raises(KeyboardInterrupt):
                run(commit)
    record = run(None)
    assert record["commits"] == ["first", "second"]
    assert run("third") == record  # it is finished: that code did nothing
    assert record["plan"]["learning_rate"] == CODEC_PLAN.learning_rate
    config = record["config"]
    assert config["stage"] == "codec"
    assert config["recipe"] == asdict(CODEC_RECIPE)
    assert config["model"]["codes"] == 16
    assert config["model"]["parts"][0]["blendshapes"] == list(MOUTH)
    assert config["data"]["clips"]


def test_the_commit_of_the_code_is_known_in_a_repository_only(tmp_path: Path) -> None:
    if not (Path(__file__).parents[1] / ".git").exists():
        assert run_record.code_commit() is None
        return
    commit = run_record.code_commit()
    assert commit is not None
    assert re.fullmatch("[0-9a-f]{40}(-dirty)?", commit)


@pytest.mark.parametrize("step", [2, 9])
def test_the_talker_resumes_exactly(
    tmp_path: Path,
    sets: list[FeatureSet],
    phones: FeatureSet,
    validation: Validation,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
) -> None:
    def run(folder: str) -> dict:
        train_talker(
            TalkerData(sets, [phones], validation, WINDOWS, {}), tiny_codec(), bundled_head(),
            tmp_path / folder,
            config=TALKER, recipe=TALKER_RECIPE, plan=TALKER_PLAN, device=CPU,
        )  # fmt: skip
        return load_checkpoint(tmp_path / folder / "last.pt")

    with monkeypatch.context() as patch:
        kill_in_losses(patch, TalkerTraining, step)
        with pytest.raises(KeyboardInterrupt):
            run("killed")
    assert same(run("killed"), run("whole"))


def test_both_stages_learn(tmp_path: Path, clips: list[Clip], sets, validation) -> None:
    """From loudness to a jaw that opens with it, on recordings that were not trained on."""
    rig = bundled_head()
    train_codec(
        clips, rig, tmp_path / "codec", config=CODEC, recipe=replace(CODEC_RECIPE, batch=8),
        plan=replace(CODEC_PLAN, steps=300, evaluate_every=150), device=CPU,
    )  # fmt: skip
    codec = load_codec(tmp_path / "codec")
    true = validation.motion
    with torch.no_grad():
        decoded, quantized = codec(true)
    spread = true[..., JAW].std()
    assert (decoded - true)[..., JAW].std() < 0.35 * spread
    assert len(quantized.indices.unique()) > 8
    assert not any(p.requires_grad for p in codec.parameters())

    plan = replace(TALKER_PLAN, steps=250, evaluate_every=125)
    train_talker(
        TalkerData(sets, [], validation, WINDOWS, {}), codec, rig, tmp_path / "talker",
        config=TALKER, recipe=replace(TALKER_RECIPE, batch=8), plan=plan, device=CPU,
    )  # fmt: skip
    talker, windows = load_talker(tmp_path / "talker")
    assert windows == WINDOWS
    with torch.no_grad():
        speech = talker.adapter(validation.features).flatten(1, 2)
        style = talker.style(validation.style)
    motion, _ = free_run(Generator(talker, codec), speech, style, torch.zeros(3))
    jaws = torch.stack([motion[:, :75, JAW].flatten(), true[..., JAW].flatten()])
    assert torch.corrcoef(jaws)[0, 1] > 0.6
    assert 0.5 < jaws[0].std() / jaws[1].std() < 1.5


def test_a_corpus_becomes_a_model_that_loads(
    tmp_path: Path,
    clips: list[Clip],
    spoken: list[PhoneClip],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All of it, with Whisper at full size and random weights; what is there is not made again."""
    monkeypatch.setattr(train, "RARE", 0)  # hear each clip once
    whisper = write_model_bin(tmp_path / "model.bin", whisper_variables(WhisperConfig()))
    config = replace(TALKER, features=384, styles=3)
    few = [clip for clip in clips if clip.name in "0158"]

    def run(hearing: str = "live", phones: list[PhoneClip] = spoken) -> None:
        train.train_causal(
            few, tiny_codec(), whisper, tmp_path / "run",
            hearing=HEARINGS[hearing], passes=1, config=config, recipe=TALKER_RECIPE,
            plan=Plan(4, 1e-3, evaluate_every=2), device=CPU, notes={"corpus": "made"},
            phones=phones,
        )  # fmt: skip

    run()
    talker = codetalker.load(tmp_path / "run" / "bundle")
    assert talker.styles == ("neutral", "anna", "bert")
    assert talker.bundle.notes == {"corpus": "made"}
    assert talker.bundle.loudness == HEARINGS["live"].loudness
    assert talker.bundle.blinks is not None
    sound = clips[9].waveform()
    neutral, anna, bert = (talker.animate(sound, style=style).weights for style in talker.styles)
    assert neutral.shape == (75, 52)
    assert not any(np.array_equal(a, b) for a, b in combinations((neutral, anna, bert), 2))
    features = [tmp_path / "run" / "features" / name / "features.npy" for name in ("1", "phones")]
    made = [path.stat().st_mtime_ns for path in features]
    run()
    assert [path.stat().st_mtime_ns for path in features] == made
    again = codetalker.load(tmp_path / "run" / "bundle").animate(sound)
    np.testing.assert_array_equal(again.weights, neutral)
    with pytest.raises(DataError, match="features of another corpus"):
        run(hearing="studio")
    with pytest.raises(ModelError, match=r"data\.phones was"):
        run(phones=[])
    write_sound(tmp_path / "other.wav", np.zeros((48000, 1), np.int16))
    few[-1] = replace(few[-1], audio=tmp_path / "other.wav")
    with pytest.raises(ModelError, match=r"data\.clips was"):
        run()


def test_a_checkpoint_of_another_stage_is_no_codec(tmp_path: Path) -> None:
    save_checkpoint({"talker.past.weight": torch.zeros(3)}, tmp_path / "best.pt")
    with pytest.raises(ModelError, match=r"run\.json does not describe a codec"):
        load_codec(tmp_path / "best.pt")
    with pytest.raises(ModelError, match="train that stage first"):
        load_codec(tmp_path / "nowhere" / "best.pt")
    write_record(tmp_path, {"config": {"stage": "talker"}})
    with pytest.raises(ModelError, match="is the run of a talker; name the run of its codec"):
        load_codec(tmp_path)


@pytest.mark.parametrize(
    "config",
    [
        replace(CODEC, codes=24, code_width=6, width=12, blocks=2, taps=5),
        replace(CODEC, parts=(replace(CODEC.parts[0], heads=3), replace(CODEC.parts[1], heads=2))),
    ],
)
def test_a_codec_of_any_size_loads_from_its_run_alone(
    tmp_path: Path, clips: list[Clip], config: CodecConfig
) -> None:
    train_codec(
        clips,
        bundled_head(),
        tmp_path,
        config=config,
        recipe=CODEC_RECIPE,
        plan=Plan(2, 1e-3),
        device=CPU,
    )
    last = load_checkpoint(tmp_path / "last.pt")["model"]
    for path in (tmp_path, tmp_path / "best.pt", tmp_path / "last.pt"):
        codec = load_codec(path)
        assert codec.config == config
        assert same({f"codec.{k}": v for k, v in codec.state_dict().items()} | {
            "usage": last["usage"]}, last)  # fmt: skip
        assert not codec.training


@pytest.mark.parametrize(
    "change", [{"codes": 17}, {"codes": "16"}, {"parts": 3}, {"vertices": 5023}, {"width": -1}]
)
def test_a_record_that_does_not_fit_its_codec_is_refused(
    tmp_path: Path, clips: list[Clip], change: dict[str, Any]
) -> None:
    train_codec(
        clips,
        bundled_head(),
        tmp_path,
        config=CODEC,
        recipe=CODEC_RECIPE,
        plan=Plan(1, 1e-3),
        device=CPU,
    )
    record = json.loads((tmp_path / "run.json").read_text())
    record["config"]["model"] |= change
    (tmp_path / "run.json").write_text(json.dumps(record))
    with pytest.raises(ModelError, match=r"run\.json does not describe a codec"):
        load_codec(tmp_path)


def test_codec_batches_follow_from_seed_and_step_and_hide_what_is_not_known(
    clips: list[Clip],
) -> None:
    def batch(seed: int, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        plan = replace(CODEC_PLAN, seed=seed)
        return CodecTraining(Codec(CODEC), bundled_head(), clips, CODEC_RECIPE, plan).batch(step)

    motion, mask = batch(0, 3)
    assert motion.shape == mask.shape == (4, 16, 52)
    assert motion.min() >= 0
    assert motion.max() <= 1
    assert torch.equal(motion, batch(0, 3)[0])
    assert not torch.equal(motion, batch(0, 4)[0])
    assert not torch.equal(motion, batch(1, 3)[0])
    upper, mouth = list(UPPER_FACE_CHANNELS), list(MOUTH_CHANNELS)
    moves = motion[..., upper].amax((1, 2)) > 0
    assert torch.equal(mask[..., upper].amin((1, 2)) > 0, moves)
    assert mask[..., mouth].all()


def numbered(windows_per_stream: list[int], styles: list[int]) -> FeatureSet:
    """Features and motion that hold the number of their window and frame."""
    count = sum(windows_per_stream)
    features = np.zeros((count, WINDOWS.kept, TALKER.features), np.float16)
    features[:, 0, 0] = np.arange(count)
    frames = np.arange(2 * count)
    weights = np.random.default_rng(0).uniform(0, 1, (2 * count, 52)).astype(np.float32)
    weights[:, 0] = frames
    mask = np.ones((2 * count, 52), bool)
    mask[:, 1] = frames % 3 == 0
    targets = np.repeat(frames[:, None], COLUMNS, 1).astype(np.float32)
    starts = np.cumsum([0, *windows_per_stream])
    return FeatureSet(features, weights, mask, targets, starts, np.array(styles))


def test_sampled_sequences_line_up() -> None:
    """Features, motion, mask and codes of the same instants; nothing from before a stream."""
    data = numbered([30, 12, 25], [0, 1, 0])
    codec = tiny_codec()
    sample = Sampler([data], codec, WINDOWS, replace(TALKER_RECIPE, batch=40), seed=0)
    batch, lead = sample(0), codec.config.reach
    assert batch.motion.shape == (40, lead + 16, 52)
    before = 0
    for i in range(40):
        window = batch.features[i, :, 0, 0]
        assert torch.equal(window, window[0] + torch.arange(8))
        stream = int(np.searchsorted(data.starts, window[0].item(), "right")) - 1
        begin, end = (int(2 * w) for w in data.starts[stream : stream + 2])
        assert 2 * window[-1] + 2 <= end
        assert batch.style[i] == data.styles[stream]
        frames = (2 * window[0] - lead + torch.arange(lead + 16)).long()
        known = frames >= begin
        before += int((~known).sum())
        assert torch.equal(batch.known[i], known)
        rows = torch.from_numpy(data.weights)[frames.clamp(min=0)]
        assert torch.equal(batch.motion[i], rows * known[:, None])
        assert torch.equal(batch.mask[i, :, 1], ((frames % 3 == 0) & known).float())
        assert torch.equal(batch.targets[i, :, SHUT], frames.clamp(min=0).float())
        with torch.no_grad():
            own = codec.encode(torch.from_numpy(data.weights[begin:end])[None])
        codes = codec.quantizer.nearest(own)[0]
        assert torch.equal(batch.codes[i, known], codes[frames[known] - begin])
    assert before > 0  # some begin where a recording does


def test_sampling_follows_from_seed_and_step_and_keeps_its_shares(sets: list[FeatureSet]) -> None:
    recipe = replace(TALKER_RECIPE, batch=200, main_share=0.7)
    first, again, other = (
        Sampler(sets, tiny_codec(), WINDOWS, recipe, seed)(2) for seed in (0, 0, 1)
    )
    assert torch.equal(first.features, again.features)
    assert not torch.equal(first.features, other.features)
    assert 0.55 < (first.style == 0).float().mean() < 0.85


def test_one_speaker_is_enough_to_train_the_talker() -> None:
    sample = Sampler([numbered([30], [0])], tiny_codec(), WINDOWS, TALKER_RECIPE, seed=0)
    for step in range(5):
        assert (sample(step).style == 0).all()


def test_sequences_with_phones_come_last_and_line_up(sets: list[FeatureSet]) -> None:
    recipe = replace(TALKER_RECIPE, phone_batch=3)
    data = numbered([20, 12], [0, 0])
    batch = Sampler(sets, tiny_codec(), WINDOWS, recipe, seed=0, phones=[data])(0)
    lead = tiny_codec().config.reach
    assert batch.motion.shape[0] == 4 + 3
    for i in range(4, 7):
        window = batch.features[i, :, 0, 0]
        frames = (2 * window[0] - lead + torch.arange(lead + 16)).clamp(min=0)
        assert torch.equal(batch.targets[i, :, SHUT], frames)
    asked = (batch.targets[:4] > 0).any(dim=(0, 1))
    assert [column for column in range(len(asked)) if asked[column]] in ([], [REST])


def test_what_phones_ask_for_counts_as_the_recipe_weighs_it(
    sets: list[FeatureSet], phones: FeatureSet
) -> None:
    """Phones that ask for nothing add the distance to the codes alone."""
    codec, recipe = tiny_codec(), replace(TALKER_RECIPE, forget=0.0)

    def losses(data: FeatureSet) -> dict[str, float]:
        torch.manual_seed(0)
        sampler = Sampler(sets, codec, WINDOWS, recipe, seed=0, phones=[data])
        training = TalkerTraining(
            TalkerNet(TALKER, WINDOWS), codec, bundled_head(), sampler, recipe
        )
        return {name: float(value.detach()) for name, value in training.losses(0).items()}

    kinds = ("shut", "open", "teeth", "height", "round", "rest")
    asked = losses(phones)
    assert any(asked[name] > 0 for name in kinds)
    silent = losses(replace(phones, targets=np.full_like(phones.targets, NOTHING)))
    assert not any(silent[name] for name in kinds)
    assert silent["commitment"] > 0
    weights = asdict(recipe) | {"motion": 1.0}
    total = sum(weights[name] * value for name, value in asked.items() if name != "loss")
    assert asked["loss"] == pytest.approx(total, rel=1e-5)


def training_of(sets: list[FeatureSet], phones: FeatureSet, recipe: TalkerRecipe) -> TalkerTraining:
    torch.manual_seed(0)
    codec = tiny_codec()
    sampler = Sampler(sets, codec, WINDOWS, recipe, seed=0, phones=[phones])
    return TalkerTraining(TalkerNet(TALKER, WINDOWS), codec, bundled_head(), sampler, recipe)


def test_a_corpus_is_asked_for_the_lip_at_the_teeth_alone_in_the_neutral_style_alone(
    sets: list[FeatureSet], phones: FeatureSet
) -> None:
    """There its own mouth is not compared, nor beside; elsewhere it is as it was."""
    training = training_of(sets, phones, replace(TALKER_RECIPE, phone_batch=2))
    lead = training.sample.lead
    batch = training.sample(0)
    targets = batch.targets.clone()
    targets[:, lead + 8] = 1.0  # every flag
    batch = replace(batch, targets=targets, mask=torch.ones_like(batch.mask))
    neutral = torch.tensor([True, False, True, False, True, True])
    asked = training._asked(batch, neutral)
    compared = training._compared(batch, neutral, asked)
    assert (asked[[0, 2], 8, TEETH] == 1).all()
    others = [column for column in range(COLUMNS) if column != TEETH]
    assert (asked[:4, :, others] == NOTHING).all()
    assert (asked[[1, 3]] == NOTHING).all()
    mouth = list(MOUTH_CHANNELS)
    assert (compared[[0, 2], 7:10][:, :, mouth] == 0).all()
    assert (compared[[0, 2], 7:10][:, :, list(UPPER_FACE_CHANNELS)] == 1).all()
    assert (compared[:4, :7] == 1).all() and (compared[[1, 3]] == 1).all()


def test_phones_ask_from_the_first_frame_of_a_recording_on_and_later_once_the_past_is_known(
    sets: list[FeatureSet], phones: FeatureSet
) -> None:
    training = training_of(sets, phones, replace(TALKER_RECIPE, phone_batch=2))
    lead, batch = training.sample.lead, training.sample(0)
    targets, known = torch.full_like(batch.targets, NOTHING), torch.ones_like(batch.known)
    targets[..., SHUT] = 1
    known[4, :lead] = False  # this one begins with its recording
    batch = replace(batch, targets=targets, known=known, mask=torch.ones_like(batch.mask))
    everybody = torch.ones(6, dtype=torch.bool)
    asked = training._asked(batch, everybody)
    compared = training._compared(batch, everybody, asked)
    assert (asked[4] == targets[4, lead:]).all() and (compared[4] == 1).all()
    assert (asked[5, :lead] == NOTHING).all() and (asked[5, lead:] == targets[5, 2 * lead :]).all()
    assert (compared[5, :lead] == 0).all() and (compared[5, lead:] == 1).all()
    nobody = training._compared(batch, ~everybody, asked)
    assert not nobody[4:].any()  # a teacher speaks in the neutral style


@pytest.mark.parametrize(("column", "gap", "followed"), [(TEETH, 1, 0), (OPEN, 0, 0), (OPEN, 1, 1)])
def test_a_teacher_is_not_followed_against_phones(
    sets: list[FeatureSet], phones: FeatureSet, column: int, gap: float, followed: float
) -> None:
    """Not its mouth where the lip belongs to the teeth, nor shut lips where they must be open; in
    the frame itself and in its neighbours."""
    training = training_of(sets, phones, replace(TALKER_RECIPE, phone_batch=1))
    batch, lead = training.sample(0), training.sample.lead
    targets, motion = torch.full_like(batch.targets, NOTHING), torch.zeros_like(batch.motion)
    targets[-1, 2 * lead + 3, column] = 1
    motion[..., JAW] = 0.5 * gap
    batch = replace(batch, targets=targets, motion=motion, mask=torch.ones_like(batch.mask))
    everybody = torch.ones(len(batch.style), dtype=torch.bool)
    compared = training._compared(batch, everybody, training._asked(batch, everybody))
    mouth = compared[-1][:, list(MOUTH_CHANNELS)]
    assert (mouth[lead + 2 : lead + 5] == followed).all()
    assert (mouth[lead : lead + 2] == 1).all() and (mouth[lead + 5 :] == 1).all()


def test_a_teachers_motion_counts_where_there_is_one(
    sets: list[FeatureSet], phones: FeatureSet
) -> None:
    recipe = replace(TALKER_RECIPE, phone_neutral_share=1.0)
    untaught = replace(phones, mask=np.zeros_like(phones.mask))
    assert training_of(sets, untaught, recipe).losses(0)["taught"] == 0
    mouth = np.isin(np.arange(52), MOUTH_CHANNELS)
    mask = np.broadcast_to(mouth, phones.mask.shape)
    taught = replace(phones, mask=mask, weights=np.full_like(phones.weights, 0.5) * mask)
    training = training_of(sets, taught, recipe)
    losses = training.losses(0)
    assert losses["taught"] > 1
    losses["taught"].backward()
    assert training.talker.query.weight.grad is not None
    assert training.talker.query.weight.grad.abs().max() > 0


class Nodding:
    """Its jaw opens with the number of the frame, more or less by style; its lids are shut."""

    def animate(self, audio: Waveform, *, style: float, blinks: bool) -> Motion:
        assert not blinks
        frames = int(np.ceil(audio.duration * 25))
        weights = np.zeros((frames - 1, 52), np.float32)  # one less than there could be
        weights[:, JAW] = style * np.arange(frames - 1) / frames
        weights[:, 0] = 1.0
        return Motion(weights, ARKIT_NAMES, 25)


def test_streams_are_taught_the_mean_mouth_of_the_teachers(spoken: list[PhoneClip]) -> None:
    random = np.random.default_rng(3)
    streams = list(phone_streams(spoken, random, 25, 52, STYLES[0], augment=False))
    teachers: Any = [Teacher(cast(Any, Nodding()), cast(Any, style)) for style in (0.2, 0.6)]
    made = list(taught(streams, teachers))
    assert len(made) == len(streams)
    for before, after in zip(streams, made, strict=True):
        frames = len(before.weights)
        assert after.weights.shape == before.weights.shape
        expected = 0.4 * np.minimum(np.arange(frames), frames - 2) / frames
        np.testing.assert_allclose(after.weights[:, JAW], expected, atol=1e-5)
        assert not after.weights[:, list(UPPER_FACE_CHANNELS)].any()
        assert after.mask[:, list(MOUTH_CHANNELS)].all()
        assert not after.mask[:, list(UPPER_FACE_CHANNELS)].any()
        np.testing.assert_array_equal(after.targets, before.targets)
        np.testing.assert_array_equal(after.samples, before.samples)


def test_only_a_bundle_of_the_same_frame_rate_can_teach(bundled_model: Path) -> None:
    assert load_teacher(bundled_model, 25, "s1:1,s3:1").talker.fps == 25
    with pytest.raises(StyleError, match="s99"):
        load_teacher(bundled_model, 25, "s99")
    with pytest.raises(ModelError, match=r"gives 25 frames per second; name one of 30"):
        load_teacher(bundled_model, 30)
    with pytest.raises(ModelError):
        load_teacher(Path("nowhere"), 25)


@pytest.mark.parametrize("changed", ["hearing", "styles", "seed", "encoder", "sound", "words"])
def test_features_of_another_corpus_are_not_taken_for_this_one(
    tmp_path: Path, clips: list[Clip], changed: str
) -> None:
    torch.manual_seed(0)
    sizes = WhisperConfig(width=8, heads=2, layers=1)
    listener = train.Listener(
        WhisperEncoder(sizes), Hearing(WINDOWS, layers=1), STYLES, tmp_path, seed=0
    )

    def check(listener: train.Listener, first: Clip) -> None:
        digests = [clip.digest(with_sound=True) for clip in (first, *clips[1:])]
        listener._check_source("source.txt", digests)

    check(listener, clips[0])
    check(listener, clips[0])
    louder = replace(listener.hearing, loudness=Loudness(target=-20.0))
    listeners = {
        "hearing": replace(listener, hearing=louder),
        "styles": replace(listener, styles=("anna",)),
        "seed": replace(listener, seed=1),
        "encoder": replace(listener, encoder=WhisperEncoder(sizes)),
    }
    others = {
        "sound": replace(clips[0], audio=clips[1].audio),
        "words": replace(clips[0], words=((0.5, 1.0, "bin"),)),
    }
    with pytest.raises(DataError, match="another corpus"):
        check(listeners.get(changed, listener), others.get(changed, clips[0]))
