"""Stage 2, teacher-forced, against the published code's numbers, and the laws of the talker."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from codetalker.errors import ModelError  # noqa: E402
from codetalker.nn.attention import (  # noqa: E402
    biased_causal_mask,
    periodic_encoding,
    sinusoidal_encoding,
)
from codetalker.paper.model import talker_loss  # noqa: E402
from codetalker.paper.official import talker_names  # noqa: E402
from codetalker.paper.speech import SpeechEncoder, time_masks  # noqa: E402
from paper_fixtures import (  # noqa: E402
    CASES,
    FIXTURES,
    arrays_of,
    model_of,
    needs_fixtures,
)
from paper_random import one_style, random_model, waveform  # noqa: E402

TOLERANCE = {"atol": 2e-5, "rtol": 1e-4}  # the fixtures' own; they were made on another CPU


def forced(case, clip):
    arrays = arrays_of(case, clip)
    inputs = (arrays[key] for key in ("audio", "vertice", "template", "one_hot"))
    return model_of(case).teacher_forced(*inputs)


@needs_fixtures
@pytest.mark.parametrize(("case", "clip"), CASES)
def test_waveform_normalisation_and_speech_features_are_the_published_ones(case, clip):
    talker, arrays = model_of(case).talker, arrays_of(case, clip)
    close = torch.testing.assert_close
    with torch.no_grad():
        close(talker.speech.normalize(arrays["audio_raw"])[None], arrays["audio"], **TOLERANCE)
        features = talker.speech.convolve(arrays["audio"])
        close(features, arrays["s2.conv_features"], **TOLERANCE)
        aligned = talker.align(features, arrays["vertice"].shape[1])
        close(talker.speech.contextualize(aligned), arrays["s2.audio_hidden"], **TOLERANCE)
        close(talker.understand(aligned), arrays["s2.memory"], **TOLERANCE)


@needs_fixtures
@pytest.mark.parametrize(("case", "clip"), CASES)
def test_teacher_forcing_gives_the_published_codes_and_vertices(case, clip):
    arrays = arrays_of(case, clip)
    with torch.no_grad():
        output = forced(case, clip)
    assert torch.equal(output.quantized.indices.flatten(), arrays["s2.indices"].flatten())
    assert torch.equal(output.true_codes.indices.flatten(), arrays["s2.gt_indices"].flatten())
    close = torch.testing.assert_close
    close(output.features.flatten(1, 2), arrays["s2.feat_out"], **TOLERANCE)
    close(output.quantized.values.flatten(1, 2).mT, arrays["s2.feat_out_q"], **TOLERANCE)
    close(output.true_codes.values.flatten(1, 2), arrays["s2.feat_q_gt"], **TOLERANCE)
    close(output.vertices, arrays["s2.vertice_out"], **TOLERANCE)


@needs_fixtures
@pytest.mark.parametrize(("case", "clip"), CASES)
def test_talker_loss_has_the_published_value_and_gradients(case, clip):
    model, arrays = model_of(case), arrays_of(case, clip)
    loss = talker_loss(forced(case, clip))
    torch.testing.assert_close(loss.total, arrays["s2.loss"], rtol=1e-5, atol=0)
    torch.testing.assert_close(loss.motion, arrays["s2.loss_motion"], rtol=1e-5, atol=0)
    torch.testing.assert_close(loss.codes, arrays["s2.loss_reg"], rtol=1e-5, atol=0)
    names = talker_names(model.config.talker, model.state_dict())
    published = {k.removeprefix("s2.grad."): v for k, v in arrays.items() if "s2.grad." in k}
    assert len(published) > 4
    parameters = dict(model.named_parameters())
    wanted = [parameters[names[key]] for key in published]
    gradients = torch.autograd.grad(loss.total, wanted)
    for key, ours in zip(published, gradients, strict=True):
        assert (ours - published[key]).norm() <= 1e-3 * published[key].norm(), key


@needs_fixtures
@pytest.mark.parametrize("period", [25, 30])
def test_masks_and_positions_are_the_published_tables(period):
    from safetensors.torch import load_file

    tables = load_file(FIXTURES / "masks" / "arrays.safetensors")
    mask = biased_causal_mask(600, 4, period)
    assert torch.equal(mask[:, :80, :80], tables[f"biased_mask_p{period}_head80"])
    assert torch.equal(mask[:, -1], tables[f"biased_mask_p{period}_lastrow"])
    close = torch.testing.assert_close
    close(periodic_encoding(80, 48, period), tables[f"ppe_p{period}_d48"], **TOLERANCE)
    close(sinusoidal_encoding(3, 48), tables["pe_d48_rows0_3"], **TOLERANCE)


@pytest.mark.parametrize("seconds", [0.7, 1.111, 2.0])
def test_convolving_in_pieces_equals_convolving_at_once(seconds, monkeypatch):
    import codetalker.paper.speech as module

    speech = random_model().talker.speech
    samples = torch.stack([waveform(seconds, seed) for seed in (0, 1)])
    with torch.no_grad():
        at_once = speech.convolve(samples)
        monkeypatch.setattr(module, "PIECE", 17)
        torch.testing.assert_close(speech.convolve(samples), at_once, **TOLERANCE)


@pytest.mark.parametrize("frames", [5, 10, 25, 200])
def test_time_masks_are_spans_of_the_clip_and_two_at_least(frames):
    torch.manual_seed(0)
    masks = time_masks(50, frames, share=0.05, length=10)
    assert masks.shape == (50, frames)
    covered = masks.sum(1)
    assert (covered == 0).all() if frames < 10 else (covered >= 10).all()
    assert (covered <= max(20, 0.05 * frames + 10)).all()
    if frames == 200:
        assert covered.float().mean() > 15  # two spans, which seldom overlap


def test_training_freezes_what_the_paper_freezes():
    model = random_model()
    model.prepare_talker_training()
    assert model.talker.training
    assert not model.codec.training
    learned = {name for name, p in model.named_parameters() if p.requires_grad}
    assert not any(name.startswith("codec.") for name in learned)
    assert not any("feature_extractor" in name for name in learned)
    assert "talker.speech.wav2vec2.feature_projection.projection.weight" in learned
    rest = torch.zeros(1, 29, 3 * model.config.codec.vertices)
    loss = talker_loss(
        model.teacher_forced(
            waveform(1.0)[None], rest + 0.1, rest[:, 0], one_style(model.config)[None]
        )
    )
    loss.total.backward()
    lacking = {n for n, p in model.named_parameters() if p.requires_grad and p.grad is None}
    # Only a layer that LayerDrop skips has no gradient.
    assert all("wav2vec2.encoder.layers" in name for name in lacking)


def test_pretrained_speech_weights_come_from_a_local_folder(tmp_path, capfd):
    speech, other = random_model(seed=0).talker.speech, random_model(seed=1).talker.speech
    other.wav2vec2.save_pretrained(tmp_path / "ours")
    capfd.readouterr()
    speech.load_pretrained(tmp_path / "ours")
    assert capfd.readouterr() == ("", "")  # no bar of transformers in a log
    ours, theirs = speech.wav2vec2.state_dict(), other.wav2vec2.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"no wav2vec 2\.0 at"):
        speech.load_pretrained(tmp_path / "empty")
    wider = replace(speech.config, hidden_size=64)
    SpeechEncoder(wider).wav2vec2.save_pretrained(tmp_path / "wider")
    with pytest.raises(ModelError, match="another size"):
        speech.load_pretrained(tmp_path / "wider")
