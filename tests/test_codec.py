"""Stage 1: the codec is causal with an exact reach, and its loss is that of the vertices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from codetalker.arkit import MOUTH_CHANNELS, UPPER_FACE_CHANNELS
from codetalker.causal.codec import Codec, CodecConfig, Part
from codetalker.causal.losses import ArticulationLoss, GeometryLoss, GeometryWeights
from codetalker.nn.quantizer import VectorQuantizer, perplexity
from codetalker.rig import bundled_head
from tiny_model import CODEC, PARTS, tiny_codec

SIZES = [(1, 2), (1, 3), (2, 3), (3, 2)]
"""Blocks and taps."""


def codec_of(blocks: int, taps: int) -> Codec:
    torch.manual_seed(0)
    return Codec(CodecConfig(PARTS, 16, 4, 8, blocks, taps)).eval()


def random_motion(frames: int, seed: int = 0) -> Tensor:
    return torch.rand(1, frames, 52, generator=torch.Generator().manual_seed(seed))


def changed_frames(before: Tensor, after: Tensor) -> list[int]:
    """Indices along dimension 1 that differ."""
    return (before - after).abs().flatten(2).amax((0, 2)).nonzero().flatten().tolist()


def test_the_parts_hold_every_blendshape_once() -> None:
    assert sorted(MOUTH_CHANNELS + UPPER_FACE_CHANNELS) == list(range(52))
    assert CodecConfig().channels == 52
    assert sorted(c for part in CodecConfig().parts for c in part.channels) == list(range(52))


def test_the_mouth_follows_the_speech_and_the_eyes_and_brows_are_sampled() -> None:
    config = CodecConfig()
    assert config.temperatures == (0.0,) * 8 + (1.0,) * 2
    assert config.articulation == tuple(sorted(MOUTH_CHANNELS))
    assert (config.queried, config.heads) == (8, 10)


@pytest.mark.parametrize(("blocks", "taps"), SIZES)
def test_decoding_is_causal_and_reaches_back_exactly(blocks: int, taps: int) -> None:
    codec = codec_of(blocks, taps)
    reach = codec.config.reach
    features = torch.randn(1, 30, 3, 4)
    other = features.clone()
    other[:, 10] += 1
    with torch.no_grad():
        changed = changed_frames(codec.decode(features), codec.decode(other))
    assert changed == list(range(10, 10 + reach))


@pytest.mark.parametrize(("blocks", "taps"), SIZES)
def test_encoding_is_causal_and_reaches_back_exactly(blocks: int, taps: int) -> None:
    codec = codec_of(blocks, taps)
    motion = random_motion(30)
    other = motion.clone()
    other[:, 10] = 1 - other[:, 10]
    with torch.no_grad():
        changed = changed_frames(codec.encode(motion), codec.encode(other))
    assert changed == list(range(10, 10 + codec.config.reach))


@pytest.mark.parametrize("part", [0, 1])
def test_parts_are_coded_apart(part: int) -> None:
    """Moving the brows changes no code of the mouth, and no mouth when they are decoded."""
    codec, motion = tiny_codec(), random_motion(8)
    moved, still = list(PARTS[part].channels), list(PARTS[1 - part].channels)
    first = sum(p.heads for p in PARTS[:part])
    own = list(range(first, first + PARTS[part].heads))
    others = [h for h in range(CODEC.heads) if h not in own]
    other = motion.clone()
    other[..., moved] = 1 - other[..., moved]
    with torch.no_grad():
        before, after = codec.encode(motion), codec.encode(other)
        assert torch.equal(before[:, :, others], after[:, :, others])
        assert not torch.equal(before[:, :, own], after[:, :, own])
        swapped = before.clone()
        swapped[:, :, own] = after[:, :, own]
        decoded = codec.decode(before), codec.decode(swapped)
    assert torch.equal(decoded[0][..., still], decoded[1][..., still])
    assert not torch.equal(decoded[0][..., moved], decoded[1][..., moved])


@given(cut=st.integers(1, 19))
def test_decoding_goes_on_from_its_context(cut: int) -> None:
    codec = codec_of(1, 3)
    features = torch.randn(2, 20, 3, 4, generator=torch.Generator().manual_seed(cut))
    rows = torch.cat([codec.context(2), features[:, :cut]], 1)
    context = rows[:, -(codec.config.reach - 1) :]
    with torch.no_grad():
        whole = codec.decode(features)
        parts = [codec.decode(features[:, :cut]), codec.decode(features[:, cut:], context)]
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=0)


def test_encoded_features_have_unit_mean_square() -> None:
    features = tiny_codec().encode(random_motion(12))
    torch.testing.assert_close(features.square().mean(-1), torch.ones(1, 12, 3))


def test_a_short_motion_keeps_its_length() -> None:
    codec = tiny_codec()
    for frames in (1, 2, 7):
        decoded, quantized = codec(random_motion(frames))
        assert decoded.shape == (1, frames, 52)
        assert quantized.indices.shape == (1, frames, 3)


@given(seed=st.integers(0, 1000))
def test_the_nearest_row_is_found(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    quantizer = VectorQuantizer(16, 4)
    quantizer.embedding.weight.data = torch.randn(16, 4, generator=random)
    features = torch.randn(2, 5, 3, 4, generator=random)
    apart = (features[..., None, :].double() - quantizer.embedding.weight.double()).norm(dim=-1)
    assert torch.equal(quantizer.nearest(features), apart.argmin(-1))
    quantized = quantizer(features)
    torch.testing.assert_close(quantized.values, quantizer.embedding(quantized.indices))


def test_gradients_pass_straight_through_to_the_encoder() -> None:
    codec = tiny_codec()
    features = codec.encode(random_motion(6)).detach().requires_grad_()
    weights = torch.randn_like(features)
    (codec.quantizer(features).values * weights).sum().backward()
    assert torch.equal(features.grad, weights)  # as if nothing had been quantised
    codec.zero_grad()
    codec.decode(codec.quantizer(codec.encode(random_motion(6))).values).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in codec.encoders.parameters())
    assert codec.quantizer.embedding.weight.grad is None  # the codebook learns by its own loss


def test_the_codebook_loss_pulls_rows_and_features_together() -> None:
    """Paper equation 2: |sg(z) - e|^2 + beta |z - sg(e)|^2."""
    quantizer = VectorQuantizer(8, 4, commitment=0.25)
    features = torch.randn(1, 9, 4, requires_grad=True)
    quantized = quantizer(features)
    rows = quantizer.embedding.weight[quantized.indices]
    apart = (features - rows).detach()
    torch.testing.assert_close(quantized.loss, 1.25 * apart.square().mean())
    quantized.loss.backward()
    torch.testing.assert_close(features.grad, 0.25 * 2 * apart / apart.numel())
    pull = torch.zeros(8, 4).index_add_(0, quantized.indices[0], -2 * apart[0] / apart.numel())
    torch.testing.assert_close(quantizer.embedding.weight.grad, pull)


def test_perplexity_counts_codes_in_even_use() -> None:
    assert perplexity(torch.arange(8).repeat(3), 16).item() == pytest.approx(8, rel=1e-5)
    assert perplexity(torch.zeros(9, dtype=torch.int64), 16).item() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("masked", [False, True])
def test_the_loss_is_that_of_the_vertices(masked: bool) -> None:
    rig, counts = bundled_head(), GeometryWeights()
    random = np.random.default_rng(0)
    predicted, true = random.uniform(0, 1, (2, 6, 52)).astype(np.float32)
    mask = np.ones((6, 52), np.float32)
    if masked:
        mask[4:], mask[:, list(UPPER_FACE_CHANNELS)] = 0, 0

    def energy(weights: np.ndarray) -> float:
        """Sum over frames, from differences of weights, of mm^2 on the posed head."""
        posed = (rig.vertices(weights.astype(np.float32)) - rig.template).astype(np.float64) * 1e3
        squared = (posed**2).sum(-1)
        upper, lower = rig.lip_gap
        gap = posed[:, upper, 1] - posed[:, lower, 1]
        frames = (
            counts.lips * squared[:, rig.regions["lips"]].mean(1)
            + counts.face * squared[:, rig.regions["face"]].mean(1)
            + counts.upper_face * squared[:, rig.regions["upper_face"]].mean(1)
            + counts.lip_gap * (gap**2).mean(1)
            + counts.weights * (weights**2).mean(1)
        )
        return float(frames.sum())

    error = (predicted - true) * mask
    expected = energy(error) + counts.velocity * energy(np.diff(error, axis=0))
    loss = GeometryLoss(rig, GeometryWeights())(*map(torch.from_numpy, (predicted, true, mask)))
    assert loss.item() == pytest.approx(expected / (4 if masked else 6), rel=1e-3)


def lips_by(gaps: list[float]) -> Tensor:
    """(1, T, 52) weights of an open jaw that put the lips these mm further apart than at rest."""
    rig = bundled_head()
    jaw = rig.blendshape_names.index("jawOpen")
    upper, lower = rig.lip_gap
    opening = 1e3 * (rig.blendshapes[jaw, upper, 1] - rig.blendshapes[jaw, lower, 1]).mean()
    motion = torch.zeros(1, len(gaps), 52)
    motion[0, :, jaw] = torch.tensor(gaps) / float(opening)
    return motion


def test_lips_that_stay_open_where_they_should_touch_cost_their_gap_squared() -> None:
    loss = ArticulationLoss(bundled_head(), 25)
    true = lips_by([3, 3, 0, 0, 3, 3, 3])
    assert loss.closure(true, true).item() == 0
    predicted = lips_by([3, 3, 1, 2, 3, 3, 3])
    expected = ((1 - loss.TARGET) ** 2 + (2 - loss.TARGET) ** 2) / 2
    assert loss.closure(predicted, true).item() == pytest.approx(expected, rel=1e-3)
    rest = lips_by([0.0] * 7)  # closed lips that follow no opening are no closure
    assert loss.closure(predicted, rest).item() == 0


def test_lips_that_do_not_stay_shut_cost_where_the_true_ones_are_known() -> None:
    loss = ArticulationLoss(bundled_head(), 25)
    true, predicted = lips_by([0, 0, 3, 0, 0, 0, 0]), lips_by([1, 0, 0, 2, 0, 0, 3])
    known = torch.tensor([[1.0, 1, 1, 1, 1, 1, 0]])
    expected = ((1 - loss.TARGET) ** 2 + (2 - loss.TARGET) ** 2) / 5
    assert loss.shut(predicted, true, known).item() == pytest.approx(expected, rel=1e-3)
    assert loss.shut(true, true, known).item() == 0


def test_motion_that_is_too_small_costs() -> None:
    loss = ArticulationLoss(bundled_head(), 25)
    true = random_motion(40)
    half = true.mean(1, keepdim=True) + 0.5 * (true - true.mean(1, keepdim=True))
    spread = [loss.spread(motion, true).item() for motion in (true, half, half * 0 + 0.3)]
    assert spread[0] == 0
    assert 0 < spread[1] < spread[2]


def test_the_number_of_heads_and_channels_follows_from_the_parts() -> None:
    parts = (Part("a", ("jawOpen", "jawLeft"), 3, 0.0), Part("b", ("browInnerUp",), 2, 1.0))
    config = CodecConfig(parts=parts)
    assert (config.heads, config.channels) == (5, 3)
