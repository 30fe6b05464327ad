"""fit-style: a speaker's clips give a style of theirs, in a copy of the model."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from codetalker.audio import Waveform
from codetalker.causal.bundle import load_bundle
from codetalker.causal.from_onnx import generator_of
from codetalker.causal.generator import State
from codetalker.causal.manner import Course, Manner
from codetalker.causal.runtime import CausalTalker
from codetalker.cli import main
from codetalker.errors import ModelError
from codetalker.model_folder import bundled_models, find_model
from corpus_data import NAMES, write_flac
from tiny_model import babble

EXAMPLE = Path(__file__).parents[1] / "examples/sense_and_sensibility.flac"


@pytest.fixture(scope="module")
def talker(tiny_bundle: Path) -> CausalTalker:
    return CausalTalker.load(tiny_bundle)


def write_corpus(
    folder: Path, talker: CausalTalker, style: np.ndarray, sounds: list[np.ndarray]
) -> Path:
    """What the model itself does in a style, of (N,) int16 sounds at 16 kHz of one length."""
    motions, names = [], [f"c{i}" for i in range(len(sounds))]
    for name, sound in zip(names, sounds, strict=True):
        write_flac(folder / "audio" / f"{name}.flac", sound)
        state = talker.start(blinks=False)
        state.course = Course.steady(Manner(style.astype(np.float32), 1.0, 0.0, 0.0))
        parts = [talker.feed(state, np.float32(sound / 32768)), talker.finish(state)]
        motions.append(np.concatenate([part.weights for part in parts]))
    np.savez(
        folder / "motion.npz",
        names=np.array(names),
        speaker=np.array(["carla"] * len(names)),
        weights=np.stack(motions),
        fps=25,
        blendshape_names=np.array(NAMES),
    )
    return folder


@pytest.fixture(scope="module")
def corpus(talker: CausalTalker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    sounds = [(babble(4, seed=i) * 20000).astype(np.int16) for i in range(10)]
    folder = tmp_path_factory.mktemp("corpus")
    return write_corpus(folder, talker, talker.bundle.styles["anna"], sounds)


@pytest.mark.parametrize("model", ["tiny", "live", "studio"])
def test_the_modules_of_a_bundle_give_its_frames(tiny_bundle: Path, model: str) -> None:
    if model != "tiny" and model not in bundled_models():
        pytest.skip("this checkout has no trained model")
    talker = CausalTalker.load(tiny_bundle if model == "tiny" else find_model(model))
    generator = generator_of(talker.bundle)
    state, modules = talker.start(), generator.start()
    noise = torch.zeros(1, len(talker.bundle.temperature), len(talker.bundle.codebook))
    random = np.random.default_rng(0)
    talker.bundle.temperature[:] = 0
    for _ in range(12):
        heard = random.standard_normal(len(state.course.at(0).style)).astype(np.float32)
        weights, codes = talker.frame(heard, state)
        inputs = (torch.from_numpy(heard)[None], torch.from_numpy(state.course.at(0).style)[None])
        motion, own, cache, context = generator(*inputs, noise, *modules)
        modules = State(cache, context, motion, modules.position + 1)
        np.testing.assert_array_equal(own[0], codes)
        np.testing.assert_allclose(motion[0], weights, atol=1e-5)


def test_a_fitted_style_comes_nearer_than_any_it_had(
    bundled_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Clips in a manner that no style has: as far again beyond one as it is from another."""
    talker = CausalTalker.load(bundled_model)
    sentence = (Waveform.load(EXAMPLE).samples * 32767).astype(np.int16)
    sounds = [np.roll(sentence, i * 9600) for i in range(9)]
    styles = talker.bundle.styles
    corpus = write_corpus(
        tmp_path / "corpus", talker, 2 * styles["s31"] - styles["neutral"], sounds
    )
    out = tmp_path / "mine"
    assert main(["fit-style", str(corpus), "-o", str(out), "--model", "live",
                 "--name", "mine", "--steps", "60"]) == 0  # fmt: skip
    assert "style 'mine', of 8 clips" in capsys.readouterr().err
    fitted = CausalTalker.load(out)
    assert fitted.styles == ("mine", *talker.bundle.styles)
    kept = np.load(corpus / "motion.npz")["weights"][7]
    mouth = fitted.bundle.articulation
    error = {
        style: np.square(fitted.animate(corpus / "audio/c7.flac", style=style).weights - kept)
        for style in fitted.styles
    }
    nearest = min(error[style][:, mouth].mean() for style in fitted.styles[1:])
    assert error["mine"][:, mouth].mean() < 0.5 * nearest


def test_the_same_clips_and_seed_give_the_same_style(
    tiny_bundle: Path, corpus: Path, tmp_path: Path
) -> None:
    rows = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        main(["fit-style", str(corpus), "-o", str(tmp_path / name), "--model", str(tiny_bundle),
              "--steps", "5", "--seed", str(seed)])  # fmt: skip
        rows.append(load_bundle(tmp_path / name).styles["carla"])
    np.testing.assert_array_equal(rows[0], rows[1])
    assert (rows[0] != rows[2]).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--name", "anna"], "has a style 'anna'"),
        (["--speaker", "zoe"], "no clips of 'zoe'"),
        (["--steps", "0"], "0 steps fit nothing"),
        (["--model", "nowhere"], "no model 'nowhere'"),
    ],
)
def test_what_cannot_be_fitted_is_said_and_nothing_is_written(
    tiny_bundle: Path, corpus: Path, tmp_path: Path, options: list[str], message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "mine"
    given = ["fit-style", str(corpus), "-o", str(out), "--model", str(tiny_bundle), *options]
    assert main(given) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_kept(tiny_bundle: Path, corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("dear")
    assert main(["fit-style", str(corpus), "-o", str(tmp_path / "mine")]) == 2
    assert (tmp_path / "mine/notes.txt").read_text() == "dear"


def test_a_bundle_without_the_names_of_its_weights_is_refused(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_bundle, tmp_path / "old"))
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"sizes"', '"was"'))
    with pytest.raises(ModelError, match="kept no names"):
        generator_of(load_bundle(folder))
