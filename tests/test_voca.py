"""VOCA: what a frame sees, that frames do not know each other, and what training starts from."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from codetalker.data.store import open_store  # noqa: E402
from codetalker.errors import ModelError, OptionError  # noqa: E402
from codetalker.paper.clips import TrainingClips  # noqa: E402
from codetalker.paper.recipe import EpochSchedule  # noqa: E402
from codetalker.paper.speech import LetterRecognizer, SpeechEncoder  # noqa: E402
from codetalker.paper.systems import SYSTEMS  # noqa: E402
from codetalker.paper.voca import VocaPredictor  # noqa: E402
from codetalker.paper.voca_training import (  # noqa: E402
    VOCA_PLANS,
    VocaRecipe,
    VocaTraining,
    principal_shapes,
)
from paper_random import waveform  # noqa: E402
from paper_run import write_store  # noqa: E402
from system_run import SPEECH, tiny_model, write_recognizer  # noqa: E402


def lively(name: str = "vocaset"):
    """A model whose motion depends on what it hears: fresh convolutions give next to nothing."""
    model = tiny_model("voca", name)
    with torch.no_grad():
        for convolution in model.convolutions:
            convolution.weight *= 20
    return model


def published_windows(letters: np.ndarray, frames: int) -> np.ndarray:
    """The published preparation for 60 fps: (L, C) at 50 Hz -> (frames, 16, C)."""
    times = np.arange(frames) / 60
    columns = [np.interp(times, np.arange(len(letters)) / 50, column) for column in letters.T]
    padding = np.zeros((8, letters.shape[1]))
    padded = np.concatenate([padding, np.stack(columns, 1), padding])
    return np.stack([padded[i : i + 16] for i in range(frames)])


def test_a_frame_sees_the_published_window():
    """At 30 fps every second window of 60 fps is seen."""
    letters = np.random.default_rng(0).normal(size=(49, 32))
    expected = published_windows(letters, 60)
    for fps, step in ((60.0, 1), (30.0, 2)):
        model = tiny_model("voca", fps=fps)
        seen = model.windows(torch.tensor(letters)[None], 60 // step)
        np.testing.assert_allclose(seen[0], expected[::step], atol=1e-12)
    part = model.windows(torch.tensor(letters)[None], 30, 7, 19)
    assert torch.equal(part, seen[:, 7:19])


@pytest.mark.parametrize(("name", "features", "frames"), [("vocaset", 5, 3), ("biwi", 2, 1)])
def test_motion_moves_with_the_speech(name, features, frames):
    """100 ms, or 40 ms, later: the same frames, but for those that see an edge."""
    model = lively(name)
    style, edge = torch.eye(len(model.config.subjects))[:1], 12
    letters = torch.randn(1, 60 + features, 32)
    count = 30
    with torch.no_grad():
        early, late = (
            model(model.windows(letters[:, start:], count), style) for start in (features, 0)
        )
    inner = slice(edge, count - edge - frames)
    moved = late[:, edge + frames : count - edge]
    torch.testing.assert_close(early[:, inner], moved, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(early[:, inner], late[:, inner], atol=1e-3)


def test_a_frame_depends_on_its_own_window_alone():
    model = lively()
    windows, style = torch.randn(1, 9, 16, 32), torch.eye(8)[:1]
    with torch.no_grad():
        before = model(windows, style)
        windows[:, 4] += 1
        after = model(windows, style)
    changed = (before != after).any(-1)[0]
    assert changed.tolist() == [i == 4 for i in range(9)]


def test_style_reaches_the_windows_and_the_layer_after_them():
    """The published model is told who speaks twice."""
    model = tiny_model("voca")
    letters, widths = 32, [c.in_channels for c in model.convolutions]
    assert widths[0] == letters + 8
    assert model.hidden.in_features == 16 + 8


def test_the_published_sizes():
    model = SYSTEMS["voca"].presets["vocaset"]
    assert (model.window, model.feature_rate, model.filters) == (16, 60.0, (32, 32, 64, 64))
    assert (model.hidden, model.expressions) == (128, 50)
    recipe, plan = VocaRecipe(), VOCA_PLANS["vocaset"]
    assert (recipe.velocity, plan.learning_rate, plan.epochs) == (10.0, 1e-4, 100)


def test_long_speech_is_predicted_in_pieces_and_reports_them(monkeypatch):
    model, style = lively(), torch.eye(8)[:2]
    clips, seen = [waveform(1.0), waveform(0.6, seed=1)], []
    whole = VocaPredictor(model).predict(clips, style)
    monkeypatch.setattr("codetalker.paper.voca.PIECE", 7)
    pieces = VocaPredictor(model).predict(clips, style, lambda *done: seen.append(done))
    for one, other in zip(whole, pieces, strict=True):
        torch.testing.assert_close(one.motion, other.motion, atol=1e-6, rtol=1e-5)
    assert seen[-1] == (48, 48)
    assert len(seen) == 5 + 3


def test_a_window_of_another_size_is_refused():
    with pytest.raises(OptionError, match="need a window of 2 to that power"):
        tiny_model("voca", window=12)


# Training


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voca")
    store, recognizer = write_store(folder), write_recognizer(folder / "wav2vec2")
    clips = TrainingClips.of(open_store(store), torch.device("cpu"))
    model = tiny_model("voca")
    made = VocaTraining(model, clips, EpochSchedule(VOCA_PLANS["vocaset"], 3), VocaRecipe())
    made.begin(folder / "run", str(recognizer))
    return made


def test_the_recogniser_is_as_it_was_and_hears_the_same_in_training(training):
    model = training.model
    samples = waveform(1.0)[None]
    before = model.eval().recognize(samples)
    training.prepare()
    assert model.training
    assert not model.recognizer.training
    assert torch.equal(model.recognize(samples), before)
    losses = training.losses(0)
    losses["loss"].backward()
    assert all(p.grad is None for p in model.recognizer.parameters())
    assert all(p.grad is not None for p in model.convolutions.parameters())


def test_the_loss_is_that_of_positions_and_velocities(training):
    clip = training.clips.train[0]
    training.model.eval()
    with torch.no_grad():
        losses = training.loss(clip)
        samples, vertices, template, styles = training.inputs(clip)
        letters = training.model.recognize(samples)
        windows = training.model.windows(letters, vertices.shape[1])
        predicted = template[:, None] + training.model(windows, styles)
    true, made = (x.unflatten(-1, (-1, 3)) for x in (vertices, predicted))
    position = ((made - true) ** 2).sum(-1).mean()
    steps = [x[:, 1:] - x[:, :-1] for x in (true, made)]
    velocity = ((steps[1] - steps[0]) ** 2).sum(-1).mean()
    torch.testing.assert_close(losses["position"], position)
    torch.testing.assert_close(losses["velocity"], velocity)
    torch.testing.assert_close(losses["loss"], position + 10 * velocity)


def test_it_starts_from_the_principal_shapes_of_the_data(training):
    """Against an SVD of all motion."""
    rows = []
    for clip in training.clips.train:
        vertices, template = training.clips.faces(clip)
        rows.append(vertices[0] - template)
    motion = torch.cat(rows)
    _, _, axes = torch.linalg.svd(motion - motion.mean(0), full_matrices=False)
    shapes = principal_shapes(training.clips, 4)
    torch.testing.assert_close((shapes.T @ axes[:4].T).abs(), torch.eye(4), atol=1e-3, rtol=0)
    weight = training.model.shapes.weight
    assert torch.equal(weight[:, : shapes.shape[1]].abs(), shapes.abs())


def test_a_wav2vec2_without_letters_is_refused(tmp_path):
    SpeechEncoder(SPEECH).wav2vec2.save_pretrained(tmp_path / "encoder")
    with pytest.raises(ModelError, match="knows no letters"):
        LetterRecognizer(SPEECH, 32).load_pretrained(tmp_path / "encoder")
