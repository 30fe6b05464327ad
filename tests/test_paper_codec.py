"""Stage 1 against the published code's numbers, and the laws of the codec."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from codetalker.nn.quantizer import perplexity  # noqa: E402
from codetalker.paper.codec import PaperCodec, PaperCodecConfig  # noqa: E402
from codetalker.paper.config import preset, tiny  # noqa: E402
from codetalker.paper.model import codec_loss  # noqa: E402
from codetalker.paper.official import codec_names  # noqa: E402
from paper_fixtures import CASES, arrays_of, codec_of, needs_fixtures  # noqa: E402

TOLERANCE = {"atol": 2e-5, "rtol": 1e-4}  # the fixtures' own; they were made on another CPU


@needs_fixtures
@pytest.mark.parametrize(("case", "clip"), [*CASES, ("voca_like_stage1_qf1", "a")])
def test_codec_gives_the_published_codes_and_vertices(case, clip):
    codec, arrays = codec_of(case), arrays_of(case, clip)
    with torch.no_grad():
        features = codec.encode(arrays["vertice"] - arrays["template"][:, None])
        quantized = codec.quantize(features)
        output = codec(arrays["vertice"], arrays["template"])
    assert torch.equal(quantized.indices.flatten(), arrays["s1.indices"].flatten())
    assert torch.equal(output.indices, quantized.indices)
    close = torch.testing.assert_close
    close(features.flatten(-2), arrays["s1.encoder_out"], **TOLERANCE)
    close(quantized.values.flatten(1, 2).mT, arrays["s1.quant"], **TOLERANCE)
    close(output.vertices, arrays["s1.recon"], **TOLERANCE)
    close(output.code_loss, arrays["s1.emb_loss"], rtol=1e-5, atol=0)
    close(
        perplexity(quantized.indices, codec.config.codes),
        arrays["s1.perplexity"],
        rtol=1e-5,
        atol=0,
    )


@needs_fixtures
@pytest.mark.parametrize(("case", "clip"), CASES)
def test_codebook_rows_decode_to_the_published_motion(case, clip):
    codec, arrays = codec_of(case), arrays_of(case, clip)
    indices = arrays["s1.indices"].view(1, -1, codec.config.components)
    with torch.no_grad():
        motion = codec.decode(codec.quantizer.embedding(indices))
    torch.testing.assert_close(motion, arrays["s1.decode_from_indices"], **TOLERANCE)


@needs_fixtures
@pytest.mark.parametrize(("case", "clip"), CASES)
def test_codec_loss_has_the_published_value_and_gradients(case, clip):
    codec, arrays = codec_of(case), arrays_of(case, clip)
    loss = codec_loss(codec(arrays["vertice"], arrays["template"]), arrays["vertice"])
    torch.testing.assert_close(loss.total, arrays["s1.loss"], rtol=1e-5, atol=0)
    torch.testing.assert_close(loss.reconstruction, arrays["s1.rec_loss"], rtol=1e-5, atol=0)
    names = codec_names(codec.config)
    published = {k.removeprefix("s1.grad."): v for k, v in arrays.items() if "s1.grad." in k}
    assert len(published) > 4
    parameters = dict(codec.named_parameters())
    wanted = [parameters[names[key].removeprefix("codec.")] for key in published]
    gradients = torch.autograd.grad(loss.total, wanted)
    for key, ours in zip(published, gradients, strict=True):
        assert (ours - published[key]).norm() <= 1e-3 * published[key].norm(), key


def random_codec(seed: int = 0, **changes) -> PaperCodec:
    torch.manual_seed(seed)
    codec = PaperCodec(replace(tiny(preset("vocaset")).codec, **changes)).eval()
    torch.nn.init.normal_(codec.quantizer.embedding.weight, std=0.7)
    return codec


def clips(count: int, frames: int, config: PaperCodecConfig):
    generator = torch.Generator().manual_seed(1)
    width = 3 * config.vertices
    template = torch.randn(count, width, generator=generator)
    return template[:, None] + torch.randn(count, frames, width, generator=generator), template


@torch.no_grad()
def test_a_batch_of_clips_equals_the_single_clips():
    codec = random_codec()
    vertices, template = clips(3, 11, codec.config)
    together = codec(vertices, template)
    for i in range(3):
        alone = codec(vertices[i : i + 1], template[i : i + 1])
        assert torch.equal(alone.indices, together.indices[i : i + 1])
        torch.testing.assert_close(alone.vertices, together.vertices[i : i + 1], **TOLERANCE)


@torch.no_grad()
def test_one_frame_is_coded_as_the_same_frame_twice():
    codec = random_codec()
    vertices, template = clips(1, 1, codec.config)
    once, twice = codec(vertices, template), codec(vertices.expand(-1, 2, -1), template)
    assert torch.equal(once.indices, twice.indices[:, :1])
    torch.testing.assert_close(once.vertices, twice.vertices[:, :1], **TOLERANCE)


@torch.no_grad()
@pytest.mark.parametrize("frame_positions", [False, True])
def test_the_released_transformers_are_blind_to_order_and_the_option_mends_it(frame_positions):
    transformer = random_codec(frame_positions=frame_positions).encoder.transformer
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(1, 20, 32, generator=generator)
    order = torch.randperm(20, generator=generator)
    blind = torch.allclose(transformer(x[:, order]), transformer(x)[:, order], atol=1e-5)
    assert blind == (not frame_positions)


@torch.no_grad()
@pytest.mark.parametrize("frames", [1, 7, 24])
def test_last_frame_of_a_layer_alone_equals_the_whole_layer(frames):
    codec = random_codec()
    layer = codec.decoder.transformer.layers[0]
    x = torch.randn(2, frames, codec.config.width, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(layer.last(x[:, -1:], x), layer(x)[:, -1:], **TOLERANCE)


@torch.no_grad()
@pytest.mark.parametrize("halvings", [1, 2, 3])
@pytest.mark.parametrize("frames", [8, 13])
def test_halved_frame_rates_come_back_at_full_length(halvings, frames):
    codec = random_codec(halvings=halvings)
    vertices, template = clips(1, frames, codec.config)
    output = codec(vertices, template)
    assert output.vertices.shape == vertices.shape
    assert output.indices.shape[1] == -(-frames // 2**halvings)
