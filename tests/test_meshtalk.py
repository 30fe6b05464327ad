"""MeshTalk: its codes are categories, its prior is causal, and what it hears and learns from."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch.nn.functional as F  # noqa: E402

from codetalker.paper.meshtalk import MeshTalkPredictor  # noqa: E402
from codetalker.paper.meshtalk_codec import Codes, level, sound_around  # noqa: E402
from codetalker.paper.meshtalk_prior import ContextLayer  # noqa: E402
from codetalker.paper.speech import mel_filters  # noqa: E402
from codetalker.paper.systems import SYSTEMS  # noqa: E402
from paper_random import waveform  # noqa: E402
from system_run import tiny_model  # noqa: E402


@pytest.fixture(scope="module")
def model():
    made = tiny_model("meshtalk")
    made.codec.measure(torch.randn(60), torch.rand(60) + 0.5)
    return made


def random_codes(frames: int, model, seed: int = 0):
    """(1, T, heads, classes) one-hot and (1, T, width)."""
    generator = torch.Generator().manual_seed(seed)
    config = model.config
    classes = torch.randint(config.classes, (1, frames, config.heads), generator=generator)
    audio = torch.randn(1, frames, config.width, generator=generator)
    return F.one_hot(classes, config.classes).float(), audio


# The codes


@pytest.mark.parametrize("training", [True, False])
def test_codes_are_categories_that_gradients_pass(model, training):
    logits = torch.randn(2, 5, 5, 7, requires_grad=True)
    model.codec.train(training)
    torch.manual_seed(0)
    one_hot = model.codec.quantize(logits)
    model.eval()
    assert set(one_hot.detach().unique().tolist()) <= {0.0, 1.0}
    assert (one_hot.sum(-1) == 1).all()
    if training:
        (one_hot * torch.randn_like(one_hot)).sum().backward()
        assert logits.grad is not None
        assert (logits.grad.abs().sum(-1) > 0).all()
    else:
        assert torch.equal(one_hot.argmax(-1), logits.argmax(-1))


def test_motion_knows_of_speech_and_expression_by_the_codes_alone(model):
    """Other codes of both modalities that give the same categories give the same motion."""
    rest = torch.randn(1, 60)
    one_hot, _ = random_codes(6, model)
    made = model.codec.decode(one_hot, rest)
    assert made.shape == (1, 6, 60)
    assert torch.equal(made, model.codec.decode(one_hot.clone(), rest))
    other, _ = random_codes(6, model, seed=1)
    assert not torch.allclose(made, model.codec.decode(other, rest))


def test_the_decoder_passes_the_face_at_rest_on(model):
    """The U-Net's outermost way: with nothing else, the face comes out as it went in."""
    import copy

    silent = copy.deepcopy(model).codec
    with torch.no_grad():
        silent.decoder.up[-1].weight.zero_()
        silent.decoder.up[-1].bias.zero_()
        silent.decoder.bias.zero_()
    rest, (one_hot, _) = torch.randn(1, 60), random_codes(4, model)
    made = silent.decode(one_hot, rest)
    torch.testing.assert_close(made, rest[:, None].expand(-1, 4, -1), atol=1e-5, rtol=1e-5)


# The prior


def reached(model, change):
    """(T, heads): which logits change when codes and speech do."""
    one_hot, audio = random_codes(9, model)
    with torch.no_grad():
        before = model.prior(one_hot, audio)
        change(one_hot, audio)
        after = model.prior(one_hot, audio)
    return ((before - after).abs() > 1e-6).any(-1)[0]


def ways(config, frame: int, head: int):
    """(9, heads): where a code can be seen, step by step through the layers."""
    seen = torch.zeros(9, config.heads, dtype=torch.bool)
    seen[frame, head] = True
    for dilation in (0, *config.dilations, 0):
        new = torch.zeros_like(seen)
        for t, h in seen.nonzero().tolist():
            new[t, h + 1 :] = True
            for back in (1, 1 + dilation) if dilation else ():
                new[t + back : t + back + 1] = True
        seen = new
    return seen


@pytest.mark.parametrize(("frame", "head"), [(0, 0), (4, 0), (4, 1), (4, 3), (4, 4), (8, 1)])
def test_a_code_reaches_later_heads_and_later_frames_only(model, frame, head):
    def change(one_hot, audio):
        one_hot[0, frame, head] = one_hot[0, frame, head].roll(1)

    changed = reached(model, change)
    assert not changed[:frame].any()
    assert not changed[frame, : head + 1].any()
    assert torch.equal(changed, ways(model.config, frame, head))


def test_what_the_published_masks_leave_of_the_first_and_of_the_last_head(model):
    """As released: the first head's logits depend on nothing, the last head's code is unseen."""
    everything = reached(model, lambda one_hot, audio: audio.add_(one_hot.fill_(0.5).mean()))
    assert not everything[:, 0].any()
    assert everything[:, 1:].all()
    assert not reached(model, lambda one_hot, audio: one_hot[:, :, -1].fill_(0.5)).any()


def test_speech_reaches_its_own_frame_and_later_ones_only(model):
    changed = reached(model, lambda one_hot, audio: audio[0, 4].add_(1))
    assert not changed[:4].any()
    assert changed[4, 1:].all()


def test_the_prior_looks_as_far_back_as_its_dilations_say(model):
    """Each layer sees t - 1 and t - 1 - dilation: 2 + 3 frames for dilations 1 and 2."""
    one_hot, audio = random_codes(12, model)
    with torch.no_grad():
        before = model.prior(one_hot, audio)
        one_hot[0, 2] = one_hot[0, 2].roll(1, -1)
        after = model.prior(one_hot, audio)
    changed = ((before - after).abs() > 1e-6).any(-1)[0].any(-1)
    assert changed.nonzero().flatten().max() == 2 + 2 + 3


def test_sampling_follows_the_same_probabilities_code_by_code(model):
    """With the codes of a sequence forced, what is asked of each is the prior's own logits."""
    one_hot, audio = random_codes(8, model)
    expected = model.prior(one_hot, audio)[0]
    forced = iter(one_hot.argmax(-1).flatten())
    asked = []

    def choose(logits):
        asked.append(logits[0])
        return next(forced)[None]

    with torch.no_grad():
        made = torch.stack(list(model.prior.sample(audio, choose)), 1)
    assert torch.equal(made, one_hot.argmax(-1))
    got = torch.stack(asked).view(8, model.config.heads, -1)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-4)


def test_a_layer_is_the_masked_convolution_written_out():
    torch.manual_seed(0)
    layer = ContextLayer(2, 3, 4, audio=5, dilation=2)
    x, audio = torch.randn(1, 6, 2, 3), torch.randn(1, 6, 5)
    assert layer.audio is not None
    assert layer.past is not None
    assert layer.past.bias is not None
    weight = layer.own.weight.view(2, 4, 2, 3)
    for t in range(6):
        for head in range(2):
            y = layer.own.bias.view(2, 4)[head] + layer.audio(audio[0, t]).view(2, 4)[head]
            for earlier in range(head):
                y = y + weight[head, :, earlier] @ x[0, t, earlier]
            y = y + layer.past.bias.view(2, 4)[head]
            for tap, back in ((0, 3), (1, 1)):
                if t - back >= 0:
                    taps = layer.past.weight[..., tap].view(2, 4, 6)[head]
                    y = y + taps @ x[0, t - back].flatten()
            torch.testing.assert_close(layer(x, audio)[0, t, head], y, atol=1e-5, rtol=1e-4)


# What it hears


def test_a_frame_hears_the_second_around_the_middle_of_its_time():
    samples = torch.arange(1.0, 48001.0)[None]
    for fps in (25.0, 30.0):
        seen = sound_around(samples, fps, 0, int(3 * fps))
        for frame in (0, 7, 44, int(3 * fps) - 1):
            centre = round((frame + 0.5) * 16000 / fps)
            window = [samples[0, i] if 0 <= i < 48000 else 0 for i in range(centre - 8000, centre)]
            assert seen[0, frame, :8000].tolist() == [float(x) for x in window]
        assert torch.equal(sound_around(samples, fps, 5, 9), seen[:, 5:9])


def test_loudness_is_the_same_at_any_level():
    samples = waveform(0.5)
    np.testing.assert_allclose(level(samples).abs().mean(), 0.01, rtol=1e-5)
    torch.testing.assert_close(level(samples), level(samples / 100), atol=1e-6, rtol=1e-4)
    assert not level(torch.zeros(100)).any()


def test_mel_bands_are_htks():
    """Peaks at 2595 log10(1 + f / 700), evenly spaced from 0 to 8 kHz, of height about 1."""
    filters = mel_filters(1025, 80)
    mel = np.linspace(0, 2595 * math.log10(1 + 8000 / 700), 82)[1:-1]
    peaks = 700 * (10 ** (mel / 2595) - 1)
    found = filters.argmax(0).numpy() * 8000 / 1024
    assert np.abs(found - peaks).max() <= 8000 / 1024
    assert filters.max() <= 1
    assert filters[:, 20:].max(0).values.min() > 0.7


def test_a_second_of_sound_leaves_one_column(model):
    """101 columns, of which the convolutions take 100."""
    sound = torch.randn(1, 2, 16000)
    assert model.codec.audio.log_mel(sound[0]).shape == (2, 80, 101)
    assert model.codec.audio(sound).shape == (1, 2, model.config.width)


# The whole


def test_the_seed_decides_and_another_one_differs(model):
    predictor, style = MeshTalkPredictor(model), torch.ones(1, 1)
    samples = [model.normalize(waveform(0.6))]
    one, same, other = (predictor.predict(samples, style, seed=seed)[0] for seed in (1, 1, 2))
    assert one.indices is not None
    assert other.indices is not None
    assert one.indices.shape == (18, model.config.heads)
    assert torch.equal(one.motion, same.motion)
    assert not torch.equal(one.indices, other.indices)


def test_the_crossed_codes_are_the_partners():
    """Which modality of which clip makes the mouth, and which the upper face."""
    from codetalker.paper.meshtalk_training import LatentTraining, MeshTalkRecipe

    asked = []

    class Recording:
        config = tiny_model("meshtalk").config

        def train(self):
            pass

        def encode(self, sound, vertices):
            return Codes(torch.tensor([[1.0], [2.0]]), torch.tensor([[10.0], [20.0]]))

        def fuse(self, codes):
            asked.append((codes.expression.flatten().tolist(), codes.audio.flatten().tolist()))
            return codes

        def quantize(self, logits):
            return logits

        def decode(self, codes, template):
            return torch.tensor([[[1.0, 0, 0, 0, 2, 0]]])

    class Segments:
        class clips:
            train = ("a", "b")

        def pair(self, clips, frames):
            assert clips == ("a", "b")
            assert frames == 32
            return None, torch.zeros(1, 1, 6), None

    class Schedule:
        def clip_of(self, share):
            return share - 4

    mouth, upper = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    training = LatentTraining(
        Recording(),  # pyright: ignore[reportArgumentType]
        Segments(),  # pyright: ignore[reportArgumentType]
        Schedule(),  # pyright: ignore[reportArgumentType]
        MeshTalkRecipe(),
        mouth,
        upper,
    )
    losses = training.losses(4)
    own, others = ([1.0, 2.0], [10.0, 20.0]), ([2.0, 1.0], [20.0, 10.0])
    assert asked == [own, (others[0], own[1]), (own[0], others[1])]
    million = 1e6  # of mm^2 to the m^2
    assert losses["reconstruction"].item() == pytest.approx(5 / 6 * million)
    assert losses["crossing"].item() == pytest.approx((1 / 3 + 4 / 3) * million)
    assert losses["loss"] == losses["reconstruction"] + losses["crossing"]


def test_the_published_sizes():
    config = SYSTEMS["meshtalk"].presets["vocaset"]
    assert (config.heads, config.classes, config.width) == (16, 128, 128)
    assert (config.unet, config.context, config.dilations) == ((512, 256), 64, (1, 2, 4, 8))


def test_masks_are_the_stores_or_the_halves_of_the_face(tmp_path):
    from codetalker.data.store import open_store
    from codetalker.paper.meshtalk_training import regions
    from paper_run import write_store

    store = open_store(write_store(tmp_path))
    mouth, upper = regions(store)
    height = np.mean([store.template(s)[:, 1] for s in store.subjects], 0)
    assert torch.equal(mouth + upper, torch.ones(20))
    assert height[upper.bool().numpy()].min() > height[mouth.bool().numpy()].max()
    (store.folder / "lve.txt").write_text("1, 4, 7")
    (store.folder / "fdd.txt").write_text("2, 3")
    mouth, upper = regions(store)
    assert mouth.nonzero().flatten().tolist() == [1, 4, 7]
    assert upper.nonzero().flatten().tolist() == [2, 3]


def test_the_codes_learn_a_few_frames_by_heart():
    """The reconstruction is nearer to the truth than the face at rest."""
    codec = tiny_model("meshtalk").codec.train()
    time = torch.arange(8.0)[:, None]
    rest = torch.randn(1, 60)
    truth = rest[:, None] + torch.sin(time + 6 * torch.rand(60))
    codec.measure(truth.mean((0, 1)), truth.std((0, 1)))
    sound = sound_around(level(waveform(8 / 30))[None], 30.0, 0, 8)
    optimiser = torch.optim.Adam(codec.parameters(), lr=1e-2)
    for step in range(150):
        torch.manual_seed(step)
        logits = codec.fuse(codec.encode(sound, truth))
        error = F.mse_loss(codec.decode(codec.quantize(logits), rest), truth)
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
    with torch.no_grad():
        codec.eval()
        made = codec.decode(codec.quantize(codec.fuse(codec.encode(sound, truth))), rest)
    assert F.mse_loss(made, truth) < 0.3 * F.mse_loss(rest[:, None].expand_as(truth), truth)
