"""Training goes on from a bundle: its styles stay, the corpus's speakers come, and it says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")

from codetalker.causal.bundle import Bundle, load_bundle  # noqa: E402
from codetalker.causal.from_onnx import generator_of, start_of  # noqa: E402
from codetalker.causal.whisper import WhisperConfig  # noqa: E402
from codetalker.cli import main  # noqa: E402
from codetalker.training.loop import load_checkpoint  # noqa: E402
from corpus_data import NAMES, write_flac  # noqa: E402
from tiny_model import babble, tiny_talker, whisper_variables, write_model_bin  # noqa: E402

SHORT = (
    "--device", "cpu", "--plan.steps", "2", "--plan.warmup", "1", "--recipe.batch", "2",
    "--recipe.frames", "16",
)  # fmt: skip
BEFORE, AFTER = ["anna", "bert", "anna"], ["carla", "anna", "carla"]


def write_corpus(folder: Path, speakers: list[str], seed: int) -> Path:
    """Two clips to train on and one to watch, 2 s each."""
    weights = np.random.default_rng(seed).uniform(0, 0.1, (3, 50, 52)).astype(np.float32)
    for number in range(3):
        sound = babble(2, seed=seed + number)
        write_flac(folder / "audio" / f"{number}.flac", (sound * 32767).astype(np.int16))
        weights[number, :, 17] = np.abs(sound).reshape(50, 640).mean(1) * 5
    np.savez(
        folder / "motion.npz", names=["0", "1", "2"], weights=weights.clip(0, 1), fps=25,
        blendshape_names=NAMES, speaker=speakers, split=["train", "train", "val"],
    )  # fmt: skip
    return folder


def train(*arguments: str | Path) -> int:
    return main(["train", *map(str, arguments)])


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whisper") / "model.bin"
    return write_model_bin(path, whisper_variables(WhisperConfig()))


@pytest.fixture(scope="module")
def start(whisper: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of anna and bert."""
    folder = tmp_path_factory.mktemp("first")
    corpus = write_corpus(folder / "corpus", BEFORE, 0)
    codec = folder / "codec"
    assert train("codec", "--corpus", corpus, *SHORT, "-o", codec) == 0
    options = ("--codec", codec, "--whisper", whisper, "--passes", "0")
    out = ("-o", folder / "talker")
    assert train("talker", "--corpus", corpus, *SHORT, *options, *out) == 0
    return folder / "talker" / "bundle"


@pytest.fixture(scope="module")
def first(start: Path) -> Bundle:
    return load_bundle(start)


@pytest.fixture
def run(start: Path, whisper: Path, tmp_path: Path) -> Callable[..., int]:
    corpus = write_corpus(tmp_path / "corpus", AFTER, 10)

    def more(*options: str) -> int:
        given = ("--from", start, "--whisper", whisper, "--passes", "0")
        out = ("--encoder.steps", "2", "-o", tmp_path / "run")
        return train("talker", "--corpus", corpus, *SHORT, *given, *out, *options)

    return more


def weights_of(graph: bytes) -> dict[str, np.ndarray]:
    """By their names; as numbers, for a mean of zeros may lose their sign."""
    tensors = onnx.load_from_string(graph).graph.initializer
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in tensors}


def test_a_bundle_goes_on_with_its_styles_and_those_of_the_corpus(
    first: Bundle, run: Callable[..., int], tmp_path: Path
) -> None:
    """At a learning rate of nothing, it is the bundle that it began with."""
    assert run("--plan.learning-rate", "0") == 0
    made = load_bundle(tmp_path / "run" / "bundle")
    assert list(made.styles) == ["neutral", "anna", "bert", "carla"]
    for name, row in first.styles.items():
        np.testing.assert_allclose(made.styles[name], row, atol=1e-3)  # rounded to half
    np.testing.assert_array_equal(made.styles["carla"], made.styles["neutral"])
    np.testing.assert_array_equal(made.codebook, first.codebook)
    for graph, old in ((made.talker, first.talker), (made.speech, first.speech)):
        weights, before = weights_of(graph), weights_of(old)
        assert weights.keys() == before.keys()
        for name, value in weights.items():
            np.testing.assert_array_equal(value, before[name])
    assert made.windows == first.windows and made.blinks == first.blinks
    assert first.digest in made.notes["from"]
    record = json.loads((tmp_path / "run" / "run.json").read_text())["config"]
    assert record["data"]["from"] == first.digest


def test_going_on_learns_and_keeps_codebook_and_decoder(
    first: Bundle, run: Callable[..., int], tmp_path: Path
) -> None:
    assert run() == 0
    made, before = load_bundle(tmp_path / "run" / "bundle"), generator_of(first).state_dict()
    assert made.speech != first.speech and made.talker != first.talker
    after = generator_of(made).state_dict()
    for name, value in before.items():
        if name.startswith(("codec.decoders", "codec.quantizer")):
            torch.testing.assert_close(after[name], value, rtol=0, atol=0)
    assert not np.array_equal(made.styles["carla"], made.styles["neutral"])
    step = load_checkpoint(tmp_path / "run" / "last.pt")["step"]
    assert run() == 0 and load_checkpoint(tmp_path / "run" / "last.pt")["step"] == step == 2


def test_the_talker_of_a_bundle_is_the_one_that_it_was_made_of(tiny_bundle: Path) -> None:
    start = start_of(load_bundle(tiny_bundle), ("carla",), "neutral")
    assert start.styles == ("bert", "anna", "carla")  # the default one stands for the neutral
    state, made = tiny_talker().state_dict(), start.talker.state_dict()
    table = state.pop("style.weight")[[0, 1, 0]]
    torch.testing.assert_close(made.pop("style.weight"), table, rtol=1e-3, atol=1e-3)
    for name, value in made.items():
        torch.testing.assert_close(value, state[name], rtol=1e-3, atol=1e-3)
    assert start.hearing.layers == 2


REFUSALS = {
    "nothing to begin with": ([], "--codec, or a model to go on from with --from"),
    "both": (["--from", "live", "--codec", "x"], "--codec, or a model"),
    "another hearing": (["--from", "live", "--hearing", "studio"], "keeps its hearing"),
    "no model": (["--from", "lave"], "there is no model 'lave'"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_mistake_is_one_line(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options, message = REFUSALS[case]
    out = ("-o", tmp_path / "run")
    assert train("talker", "--corpus", tmp_path, *out, *options) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ") and told.count("\n") == 1 and message in told
    assert not (tmp_path / "run").exists()
