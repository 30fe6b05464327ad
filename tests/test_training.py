"""Training: resumes exactly, refuses what does not belong together, and learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import codetalker
from codetalker.data.clip import Clip
from codetalker.data.phones import PhoneClip
from codetalker.errors import DataError, ModelError
from codetalker.loudness import Loudness
from codetalker.model.codec import MOUTH, UPPER, Codec
from codetalker.model.generator import Generator, free_run
from codetalker.model.talker import Talker
from codetalker.model.whisper import WhisperConfig, WhisperEncoder
from codetalker.rig import bundled_head
from codetalker.training import bundled, loop
from codetalker.training.articulation import COLUMNS, NOTHING
from codetalker.training.codec import CodecRecipe, CodecTraining, load_codec, train_codec
from codetalker.training.hearing import Hearing
from codetalker.training.joined import joined_streams
from codetalker.training.loop import Plan, fit, load_checkpoint, save_atomically
from codetalker.training.streams import FeatureSet, extract, feature_set
from codetalker.training.talker import (
    Sampler,
    TalkerRecipe,
    TalkerTraining,
    Validation,
    train_talker,
)
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
        weights[:, list(UPPER.channels)] *= speaker == "anna"
        path = write_sound(folder / f"{number}.wav", (sound * 32767).astype(np.int16)[:, None])
        made.append(Clip(str(number), speaker, split, path, weights.astype(np.float32), 25))
    return made


@pytest.fixture(scope="module")
def sets(clips: list[Clip]) -> list[FeatureSet]:
    """A clean pass and an augmented one."""
    train = [clip for clip in clips if clip.split == "train"]
    encoder, made = tiny_encoder(), []
    for seed in range(2):
        random = np.random.default_rng(seed)
        streams = joined_streams(train, random, 25, augment=seed > 0)
        made.append(feature_set(streams, encoder, WINDOWS, STYLES, random))
    return made


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
    save_atomically({"step": 1}, path)

    def half(state: object, target: Path) -> None:
        Path(target).write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(loop.torch, "save", half)
    with pytest.raises(OSError, match="No space"):
        save_atomically({"step": 2}, path)
    assert load_checkpoint(path) == {"step": 1}


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
    options = (bundled_head(), CODEC, CODEC_RECIPE, CODEC_PLAN)

    def run(folder: str) -> dict:
        rig, config, recipe, plan = options
        train_codec(clips, rig, tmp_path / folder, config, recipe, plan)
        return load_checkpoint(tmp_path / folder / "last.pt")

    with monkeypatch.context() as patch:
        kill_in_losses(patch, CodecTraining, step)
        with pytest.raises(KeyboardInterrupt):
            run("killed")
    assert same(run("killed"), run("whole"))


@pytest.mark.parametrize("step", [2, 9])
def test_the_talker_resumes_exactly(
    tmp_path: Path,
    sets: list[FeatureSet],
    validation: Validation,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
) -> None:
    def run(folder: str) -> dict:
        train_talker(
            sets, validation, tiny_codec(), bundled_head(), tmp_path / folder, TALKER, WINDOWS,
            TALKER_RECIPE, TALKER_PLAN,
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
        clips, rig, tmp_path / "codec", CODEC, replace(CODEC_RECIPE, batch=8),
        replace(CODEC_PLAN, steps=300, evaluate_every=150),
    )  # fmt: skip
    codec = load_codec(tmp_path / "codec" / "best.pt", CODEC)
    true = validation.motion
    with torch.no_grad():
        decoded, quantized = codec(true)
    spread = true[..., JAW].std()
    assert (decoded - true)[..., JAW].std() < 0.35 * spread
    assert len(quantized.indices.unique()) > 8
    assert not any(p.requires_grad for p in codec.parameters())

    plan = replace(TALKER_PLAN, steps=250, evaluate_every=125)
    train_talker(
        sets, validation, codec, rig, tmp_path / "talker", TALKER, WINDOWS,
        replace(TALKER_RECIPE, batch=8), plan,
    )  # fmt: skip
    state = load_checkpoint(tmp_path / "talker" / "best.pt")
    talker = Talker(TALKER, WINDOWS).eval()
    talker.load_state_dict({k.removeprefix("talker."): v for k, v in state.items()})
    with torch.no_grad():
        speech = talker.adapter(validation.features).flatten(1, 2)
        style = talker.style(validation.style)
    motion, _ = free_run(Generator(talker, codec), speech, style, torch.zeros(3))
    jaws = torch.stack([motion[:, :75, JAW].flatten(), true[..., JAW].flatten()])
    assert torch.corrcoef(jaws)[0, 1] > 0.6
    assert 0.5 < jaws[0].std() / jaws[1].std() < 1.5


def test_a_corpus_becomes_a_model_that_loads(
    tmp_path: Path, clips: list[Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it, with Whisper at full size and random weights; what is there is not made again."""
    monkeypatch.setattr(bundled, "RARE", 0)  # hear each clip once
    whisper = write_model_bin(tmp_path / "model.bin", whisper_variables(WhisperConfig()))
    config = replace(TALKER, features=384, styles=3)
    hearing = Hearing(WINDOWS, layers=2, noise=0.1)
    phones, ends = ("sil", "p", "a", "m", "sil"), np.array([0.5, 1.0, 1.5, 2.0, 3.0])
    starts = np.array([0, *ends[:-1]])
    spoken = PhoneClip("one", clips[0].audio, phones, starts, ends, "en", "anna")
    few = [clip for clip in clips if clip.name in "0158"]

    def run() -> None:
        bundled.train_bundled(
            few, tiny_codec(), tmp_path / "run", whisper, hearing, 1, config, TALKER_RECIPE,
            Plan(4, 1e-3, evaluate_every=2), {"corpus": "made"}, [spoken],
        )  # fmt: skip

    run()
    talker = codetalker.load(tmp_path / "run" / "bundle")
    assert talker.styles == ("neutral", "anna", "bert")
    assert talker.bundle.notes == {"corpus": "made"}
    sound = clips[9].waveform()
    neutral, anna, bert = (talker.animate(sound, style=style).weights for style in talker.styles)
    assert neutral.shape == (75, 52)
    assert not np.array_equal(neutral, anna)
    assert not np.array_equal(anna, bert)
    assert talker.bundle.loudness == hearing.loudness
    assert talker.bundle.blinks
    assert (tmp_path / "run" / "features" / "1").is_dir()
    features = tmp_path / "run" / "features" / "phones" / "features.npy"
    made = features.stat().st_mtime_ns
    run()
    assert features.stat().st_mtime_ns == made
    again = codetalker.load(tmp_path / "run" / "bundle").animate(sound)
    np.testing.assert_array_equal(again.weights, neutral)


def test_a_checkpoint_of_another_stage_is_no_codec(tmp_path: Path) -> None:
    save_atomically({"talker.past.weight": torch.zeros(3)}, tmp_path / "best.pt")
    with pytest.raises(ModelError, match="codec"):
        load_codec(tmp_path / "best.pt", CODEC)
    with pytest.raises(ModelError, match="train that stage first"):
        load_codec(tmp_path / "nowhere" / "best.pt", CODEC)


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
    upper, mouth = list(UPPER.channels), list(MOUTH.channels)
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
    starts = np.cumsum([0, *windows_per_stream])
    targets = np.full((2 * count, COLUMNS), NOTHING, np.float32)
    targets[:, 0] = frames
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
        assert torch.equal(batch.targets[i, :, 0], frames.clamp(min=0).float())
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


def test_features_of_another_corpus_are_not_taken_for_this_one(tmp_path: Path) -> None:
    encoder = WhisperEncoder(WhisperConfig(width=8, heads=2, layers=1))
    hearing = Hearing(WINDOWS, layers=1, noise=0.1)
    listener = bundled.Listener(encoder, hearing, ("a",), tmp_path, seed=0)
    for _ in range(2):
        bundled._check_source(tmp_path / "source.txt", listener, [("one", "a", 3)])
    for other, clips in (
        (replace(listener, seed=1), [("one", "a", 3)]),
        (replace(listener, hearing=replace(hearing, loudness=Loudness(floor=-60))), []),
        (listener, [("two", "a", 3)]),
    ):
        with pytest.raises(DataError, match="another corpus"):
            bundled._check_source(tmp_path / "source.txt", other, clips)
