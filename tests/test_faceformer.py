"""FaceFormer against torch's own decoder with whole masks, its laws, and its released layout."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from torch import nn  # noqa: E402

from codetalker.cli import main  # noqa: E402
from codetalker.paper.faceformer import FaceFormerPredictor  # noqa: E402
from codetalker.paper.folder import read_model, write_model  # noqa: E402
from codetalker.paper.official import FACEFORMER_FILES  # noqa: E402
from codetalker.paper.systems import SYSTEMS  # noqa: E402
from paper_random import PRESET_NAMES, waveform  # noqa: E402
from system_run import tiny_model  # noqa: E402

FRAMES = 70
"""More than two periods."""


def slope(head: int) -> float:
    """Of four heads, written out."""
    return (1 / 4, 1 / 16, 1 / 64, 1 / 256)[head]


def masks(frames: int, period: int, per_frame: int):
    """The paper's two masks, cell by cell: biased causal (heads, T, T), alignment (T, S)."""
    biased = torch.full((4, frames, frames), -torch.inf)
    blocked = torch.ones(frames, frames * per_frame, dtype=torch.bool)
    for i in range(frames):
        for j in range(i + 1):
            for head in range(4):
                biased[head, i, j] = -slope(head) * ((i - j) // period)
        for j in range(per_frame):
            blocked[i, per_frame * i + j] = False
    return biased, blocked


def positions(frames: int, width: int, period: int):
    """The paper's periodic positions, cell by cell."""
    table = torch.empty(frames, width, dtype=torch.float64)
    for t in range(frames):
        for column in range(width):
            angle = torch.tensor((t % period) / 10000 ** (column // 2 * 2 / width))
            table[t, column] = angle.cos() if column % 2 else angle.sin()
    return table.float()


def published(model, samples, style, frames: int | None = None):
    """The published loop of prediction, with the official tensors and nothing of our decoder.

    With `frames`, speech is fitted to so many, as in training. Gives motion (1, T, 3V).
    """
    config = model.config.talker
    (weights,) = FACEFORMER_FILES.export(model.config, model.state_dict())
    layer = nn.TransformerDecoderLayer(
        config.width, config.heads, config.mlp_width, batch_first=True
    )
    decoder = nn.TransformerDecoder(layer, config.layers).eval()
    prefix = "transformer_decoder."
    decoder.load_state_dict(
        {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    )

    def linear(name, x):
        return x @ weights[f"{name}.weight"].T + weights.get(f"{name}.bias", 0)

    per_frame = 2 if config.fps == 25 else 1
    speech = model.talker.hear(samples[None], frames).flatten(1, 2)
    count = speech.shape[1] // per_frame
    biased, blocked = masks(count, config.period, per_frame)
    table = positions(count, config.width, config.period)
    own = linear("obj_vector", style[None])[:, None]
    tokens, motion = own, torch.empty(0)
    for i in range(1, count + 1):
        hidden = decoder(
            tokens + table[:i],
            speech,
            tgt_mask=biased[:, :i, :i],
            memory_mask=blocked[:i, : speech.shape[1]],
        )
        motion = linear("vertice_map_r", hidden)
        tokens = torch.cat([tokens, linear("vertice_map", motion[:, -1:]) + own], 1)
    return motion


def seconds(model) -> float:
    return (FRAMES + 1) / model.config.fps


@pytest.mark.parametrize("mode", ["exact", "fast"])
@pytest.mark.parametrize("name", PRESET_NAMES)
def test_prediction_is_the_published_loop(name, mode):
    model = tiny_model("faceformer", name)
    samples = waveform(seconds(model))
    style = torch.eye(len(model.config.subjects))[2]
    with torch.no_grad():
        expected = published(model, samples, style)
    (predicted,) = FaceFormerPredictor(model, mode).predict([samples], style[None])
    assert predicted.motion.shape[0] >= FRAMES - 1
    assert predicted.motion.std() > 0.01
    torch.testing.assert_close(predicted.motion, expected[0], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_training_on_its_own_frames_is_the_published_loop(name):
    """In evaluation, so that nothing is dropped; with the gradient through what is fed back."""
    model = tiny_model("faceformer", name)
    samples, frames = waveform(1.0), 20
    style, truth = torch.eye(len(model.config.subjects))[1], torch.randn(1, frames, 60)
    ours = model(samples[None], truth, style[None], teacher_forcing=False)
    theirs = published(model, samples, style, frames)
    torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=1e-4)
    weight = model.talker.motion_map.weight
    (gradient,) = torch.autograd.grad(ours.square().mean(), weight)
    assert gradient.abs().max() > 0  # the only way there is through past frames


def test_teacher_forcing_on_its_own_frames_gives_the_same():
    """Where training and prediction start from the same token."""
    config = tiny_model("faceformer").config
    model = tiny_model("faceformer", talker=replace(config.talker, first_token_bias=True))
    samples, style = waveform(1.0)[None], torch.eye(8)[:1]
    with torch.no_grad():
        free = model(samples, torch.zeros(1, 25, 60), style, teacher_forcing=False)
        forced = model(samples, free, style, teacher_forcing=True)
    torch.testing.assert_close(forced, free, atol=1e-5, rtol=1e-4)


def test_clips_of_other_lengths_do_not_change_a_prediction():
    model, style = tiny_model("faceformer"), torch.eye(8)[:2]
    clips = [waveform(0.6), waveform(1.1, seed=1)]
    predictor = FaceFormerPredictor(model)
    together = predictor.predict(clips, style)
    for i, clip in enumerate(clips):
        (alone,) = predictor.predict([clip], style[i : i + 1])
        torch.testing.assert_close(alone.motion, together[i].motion, atol=1e-6, rtol=1e-5)


def test_a_frame_does_not_depend_on_later_true_frames():
    model, style = tiny_model("faceformer"), torch.eye(8)[:1]
    truth = torch.randn(1, 30, 60)
    other = truth.clone()
    other[:, 12:] += 1
    with torch.no_grad():
        one, two = (model(waveform(1.0)[None], m, style, True) for m in (truth, other))
    assert torch.equal(one[:, :13], two[:, :13])
    assert not torch.equal(one[:, 13:], two[:, 13:])


# The released checkpoints


def test_the_released_layout():
    """96,415,645 parameters were counted in the published VOCASET model."""
    for name, rows, width, subjects in (("vocaset", 630, 64, 8), ("biwi", 625, 128, 6)):
        config = SYSTEMS["faceformer"].presets[name]
        (shapes,) = FACEFORMER_FILES.shapes(config)
        sizes = {k: tuple(v) for k, v in shapes.items()}
        flat = 3 * {"vocaset": 5023, "biwi": 23370}[name]
        assert sizes["PPE.pe"] == (1, rows, width)
        assert sizes["obj_vector.weight"] == (width, subjects)
        assert sizes["vertice_map.weight"] == (width, flat)
        assert sizes["vertice_map_r.weight"] == (flat, width)
        assert sizes["transformer_decoder.layers.0.linear1.weight"] == (2 * width, width)
        assert sizes["audio_encoder.encoder.pos_conv_embed.conv.weight_g"] == (1, 1, 128)
        assert not any("layers.1." in k for k in sizes if k.startswith("transformer"))
        if name == "vocaset":
            own = (shape.numel() for key, shape in shapes.items() if key != "PPE.pe")
            assert sum(own) == 96_415_645


@pytest.fixture
def released(tmp_path):
    """A tiny model as the released code would have saved it, and a folder of its configuration."""
    model = tiny_model("faceformer", "biwi")
    (tensors,) = FACEFORMER_FILES.export(model.config, model.state_dict())
    torch.save(tensors, tmp_path / "biwi.pth")
    write_model(tmp_path / "trained", model.config, model.state_dict())
    return tmp_path, model


def import_it(folder, *arguments) -> int:
    return main(["import-official", *map(str, arguments), "-o", str(folder / "model")])


def test_import_brings_every_tensor_back(released):
    folder, model = released
    assert import_it(folder, folder / "trained", folder / "biwi.pth") == 0
    imported, _ = read_model(folder / "model")
    assert imported.config == model.config
    ours, theirs = model.state_dict(), imported.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


CHANGES = {
    "lacking": (lambda t: t.pop("obj_vector.weight"), "1 missing (obj_vector.weight)"),
    "extra": (lambda t: t.update(more=torch.zeros(1)), "1 unexpected (more)"),
    "misshapen": (
        lambda t: t.update({"vertice_map_r.bias": torch.zeros(3)}),
        "1 misshapen (vertice_map_r.bias (3,) instead of (60,))",
    ),
    "wrapped": (lambda t: t.update(state_dict=dict(t)), "'state_dict' is no tensor of floats"),
    "positions": (lambda t: t["PPE.pe"].add_(1e-3), "not the published table of positions"),
    "nan": (lambda t: t["vertice_map.bias"].fill_(torch.nan), "vertice_map.bias holds NaN"),
    "DataParallel": (
        lambda t: [t.update({f"module.{k}": t.pop(k)}) for k in list(t)],
        "all its names begin with 'module.'",
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_wrong_checkpoint_gives_one_line_and_no_folder(case, released, capsys):
    folder, _ = released
    change, message = CHANGES[case]
    tensors = torch.load(folder / "biwi.pth", weights_only=True)
    change(tensors)
    torch.save(tensors, folder / "bad.pth")
    assert import_it(folder, folder / "trained", folder / "bad.pth") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (folder / "model").exists()


def test_commands_that_name_other_files_than_were_released_say_which(released, capsys):
    folder, _ = released
    file = folder / "biwi.pth"
    for arguments, message in (
        (("faceformer-vocaset",), "vocaset.pth -o DIR"),
        (("faceformer-vocaset", "--stage1", file), "vocaset.pth -o DIR"),
        (("faceformer-vocaset", file, "--stage1", file, "--stage2", file), "vocaset.pth -o DIR"),
        (("faceformer-vocaset", "--stage1", file, "--stage2", file), "give that"),
        (("vocaset", file), "--stage1 FILE and --stage2 FILE; give that, not one FILE"),
        (("faceformer-vocset", file), "did you mean 'faceformer-vocaset'"),
        (("faceformer-biwi", file), "not the FaceFormer checkpoint of biwi"),
    ):
        assert import_it(folder, *arguments) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


def test_codetalkers_checkpoint_and_the_other_data_are_named(tmp_path, monkeypatch):
    """Released sizes, from tensors without storage behind them."""
    import codetalker.paper.import_official as module
    from codetalker.errors import ModelError
    from codetalker.paper.official import CODETALKER_FILES

    shapes = {
        "faceformer-biwi": FACEFORMER_FILES.shapes(SYSTEMS["faceformer"].presets["biwi"])[0],
        "stage 2 of vocaset": CODETALKER_FILES.shapes(SYSTEMS["codetalker"].presets["vocaset"])[1],
    }
    for whose, table in shapes.items():
        tensors = {key: torch.zeros(1).expand(shape) for key, shape in table.items()}
        monkeypatch.setattr(module, "read_checkpoint", lambda path, entry, t=tensors: t)
        with pytest.raises(ModelError, match=f"it is that of .*{whose}"):
            module.convert("faceformer-vocaset", [tmp_path / "x.pth"], tmp_path / "out")
