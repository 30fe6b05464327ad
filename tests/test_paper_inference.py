"""Prediction against the published code's numbers, against the naive loop, and its laws."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from codetalker.errors import OptionError  # noqa: E402
from codetalker.paper.config import preset  # noqa: E402
from codetalker.paper.decoding import CachedDecoder, Limits, in_windows  # noqa: E402
from codetalker.paper.inference import Predictor  # noqa: E402
from paper_fixtures import CASES, arrays_of, model_of, needs_fixtures  # noqa: E402
from paper_oracle import NaiveLoop  # noqa: E402
from paper_random import PRESET_NAMES, one_style, random_model, waveform  # noqa: E402

TOLERANCE = {"atol": 2e-5, "rtol": 1e-4}  # the fixtures' own; they were made on another CPU
LIMITED = Limits(keep=True, attention=44, overlap=8)


def published(case, clip, blended):
    arrays = arrays_of(case, clip)
    weights, name = arrays["one_hot"], "predict"
    if blended:
        weights, name = 0.3 * weights + 0.7 * arrays["one_hot2"], "predict_mix"
    return arrays, weights, f"s2.{name}."


@needs_fixtures
@pytest.mark.parametrize(("case", "clip"), CASES)
@pytest.mark.parametrize("blended", [False, True])
def test_exact_prediction_is_the_published_one(case, clip, blended):
    arrays, weights, key = published(case, clip, blended)
    predicted = Predictor(model_of(case)).predict([arrays["audio"][0]], weights)[0]
    assert torch.equal(predicted.indices.flatten(), arrays[key + "indices"].flatten())
    close = torch.testing.assert_close
    close(predicted.features.flatten(0, 1), arrays[key + "feat_out"][0], **TOLERANCE)
    close(predicted.motion + arrays["template"], arrays[key + "vertices"][0], **TOLERANCE)


@needs_fixtures
@pytest.mark.parametrize(("case", "clip"), CASES)
@pytest.mark.parametrize("blended", [False, True])
def test_fast_prediction_has_the_published_codes_for_two_seconds(case, clip, blended):
    """Not a law: longer clips part at some frame, as random weights carry a difference on."""
    arrays, weights, key = published(case, clip, blended)
    predicted = Predictor(model_of(case), "fast").predict([arrays["audio"][0]], weights)[0]
    assert torch.equal(predicted.indices.flatten(), arrays[key + "indices"].flatten())


@needs_fixtures
@pytest.mark.parametrize("case", ["voca_like", "biwi_like"])
@torch.inference_mode()
def test_fast_feedback_is_off_by_a_fiftieth_of_its_spread_at_most(case):
    """Ten seconds of the same codes, so that no difference is carried on."""
    model = model_of(case)
    exact, fast = Predictor(model), Predictor(model, "fast")
    predicted = exact.predict([waveform(10)], one_style(model.config)[None])[0]
    codes = model.codec.quantize(predicted.features).values.flatten(1)[:, None]
    states = [p.feedback.start(1, len(codes)) for p in (exact, fast)]
    right, near = (
        torch.cat([p.feedback.step(frame, state) for frame in codes])
        for p, state in zip((exact, fast), states, strict=True)
    )
    off = (near - right).square().mean().sqrt() / right.std(0).square().mean().sqrt()
    assert 0 < off < 0.02


@pytest.mark.parametrize("name", PRESET_NAMES)
@pytest.mark.parametrize("seconds", [0.085, 0.12, 1.3])  # two, three and many frames
def test_exact_prediction_is_that_of_the_naive_loop(name, seconds):
    model = random_model(name)
    samples, style = waveform(seconds), one_style(model.config)
    naive = NaiveLoop(model).predict(samples, style)
    exact = Predictor(model).predict([samples], style[None])[0]
    assert torch.equal(exact.indices, naive.indices)
    torch.testing.assert_close(exact.features, naive.features, **TOLERANCE)
    torch.testing.assert_close(exact.motion, naive.motion, **TOLERANCE)


def test_clips_longer_than_the_published_limit_are_predicted(monkeypatch):
    """617 frames: all tokens at once give the same features, a full decode the same tokens."""
    model = random_model("vocaset")
    samples, style = waveform(20.6), one_style(model.config)[None]
    tokens, step = [], CachedDecoder.step
    monkeypatch.setattr(
        CachedDecoder, "step", lambda self, token: tokens.append(token) or step(self, token)
    )
    exact = Predictor(model).predict([samples], style)[0]
    assert len(exact.motion) == len(tokens) == 617
    talker, codec = model.talker, model.codec
    with torch.no_grad():
        hidden = talker.decode(torch.stack(tokens, 1), talker.hear(samples[None]))
        torch.testing.assert_close(exact.features, talker.to_features(hidden)[0], **TOLERANCE)
        codes = codec.quantize(exact.features[None]).values
        for frame in (1, 300, 615):
            motion = codec.decode(codes[:, : frame + 1])[:, frame]
            token = talker.motion_map(motion) + talker.style(style)
            torch.testing.assert_close(tokens[frame + 1], token, **TOLERANCE)


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_one_frame_is_predicted_as_the_first_of_two(name):
    """The published code raises; its own first step, on a doubled frame, says what is meant."""
    model = random_model(name)
    samples, style = waveform(720 / 16_000), one_style(model.config)
    one = Predictor(model).predict([samples], style[None])[0]
    assert one.motion.shape[0] == 1
    with torch.no_grad():
        doubled = model.codec.quantize(one.features[None].repeat(1, 2, 1, 1)).values
        torch.testing.assert_close(one.motion, model.codec.decode(doubled)[0, :1], **TOLERANCE)


@pytest.mark.parametrize("name", PRESET_NAMES)
@pytest.mark.parametrize("limits", ["exact", LIMITED])
def test_clips_of_different_lengths_in_a_batch_equal_the_single_clips(name, limits):
    model = random_model(name)
    clips = [waveform(seconds, seed) for seed, seconds in enumerate((1.2, 0.3, 2.5))]
    styles = torch.stack([one_style(model.config, index) for index in (2, 0, 1)])
    predictor = Predictor(model, limits)
    together = predictor.predict(clips, styles)
    for samples, style, ours in zip(clips, styles, together, strict=True):
        alone = predictor.predict([samples], style[None])[0]
        assert torch.equal(ours.indices, alone.indices)
        torch.testing.assert_close(ours.motion, alone.motion, **TOLERANCE)


@pytest.mark.parametrize("name", PRESET_NAMES)
@torch.no_grad()
def test_the_decoder_is_causal_and_reads_its_own_speech_only(name):
    talker = random_model(name).talker
    generator = torch.Generator().manual_seed(4)
    width, per_frame = talker.config.width, talker.config.features_per_frame
    tokens = torch.randn(1, 20, width, generator=generator)
    speech = torch.randn(1, 20, per_frame, width, generator=generator)
    before = talker.decode(tokens, speech)
    changed_tokens, changed_speech = tokens.clone(), speech.clone()
    changed_tokens[:, 11] += 1
    changed_speech[:, 11] += 1
    for after in (talker.decode(changed_tokens, speech), talker.decode(tokens, changed_speech)):
        torch.testing.assert_close(after[:, :11], before[:, :11], **TOLERANCE)
        assert (after[:, 11:] - before[:, 11:]).abs().amax(-1).min() > 1e-4


@pytest.mark.parametrize("name", PRESET_NAMES)
@torch.no_grad()
def test_decoding_token_by_token_equals_decoding_at_once(name):
    model = random_model(name)
    config = model.config.talker
    generator = torch.Generator().manual_seed(5)
    tokens = torch.randn(2, 70, config.width, generator=generator)  # beyond two periods
    speech = torch.randn(2, 70, config.features_per_frame, config.width, generator=generator)
    decoder = CachedDecoder(model.talker, speech, window=None)
    stepped = torch.cat([decoder.step(tokens[:, i]) for i in range(70)], 1)
    torch.testing.assert_close(stepped, model.talker.decode(tokens, speech), **TOLERANCE)


@torch.no_grad()
def test_a_window_forgets_what_lies_before_it():
    model = random_model()
    generator = torch.Generator().manual_seed(6)
    tokens = torch.randn(1, 40, 32, generator=generator)
    speech = torch.randn(1, 40, 1, 32, generator=generator)

    def last(tokens):
        decoder = CachedDecoder(model.talker, speech, window=5)
        return [decoder.step(tokens[:, i]) for i in range(40)][-1]

    # Each of the two layers hands on what it saw: ten frames back nothing is left.
    forgotten, remembered = tokens.clone(), tokens.clone()
    forgotten[:, : 39 - 2 * 4] += 1
    remembered[:, 36] += 1
    torch.testing.assert_close(last(forgotten), last(tokens), **TOLERANCE)
    assert (last(remembered) - last(tokens)).abs().max() > 1e-4


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_limits_that_the_clip_does_not_reach_change_nothing(name):
    model = random_model(name)
    samples, style = waveform(1.0), one_style(model.config)[None]
    exact = Predictor(model).predict([samples], style)[0]
    limited = Predictor(model, Limits(attention=64)).predict([samples], style)[0]
    assert torch.equal(limited.indices, exact.indices)
    torch.testing.assert_close(limited.motion, exact.motion, **TOLERANCE)


def test_windows_blend_without_a_seam():
    ramp = torch.arange(50.0)[None, :, None].repeat(1, 1, 2)
    for frames in (50, 47, 23, 12):
        x = ramp[:, :frames]
        torch.testing.assert_close(in_windows(lambda piece: piece, x, 12, 4), x)
    lengths = []
    in_windows(lambda piece: lengths.append(piece.shape[1]) or piece, ramp, 12, 4)
    assert max(lengths) == 12
    assert min(lengths) > 4


def test_first_token_bias_makes_prediction_begin_as_training_does():
    for option in (False, True):
        model = random_model(first_token_bias=option)
        samples, style = waveform(0.5), one_style(model.config)[None]
        first = Predictor(model).predict([samples], style)[0].features[0]
        with torch.no_grad():
            rest = torch.zeros(1, 14, 3 * model.config.codec.vertices)
            trained = model.teacher_forced(samples[None], rest, rest[:, 0], style).features[0, 0]
        assert torch.allclose(first, trained, atol=1e-5) == option


def test_published_frame_counts_lose_a_frame_that_exact_ones_keep():
    from dataclasses import replace

    published = preset("vocaset").talker
    exact = replace(published, exact_frame_count=True)
    short = [n for n in range(1000) if published.frames(n) != exact.frames(n)]
    assert short == [205, 410, 820, 845]  # 4.1 s, 8.2 s, ...
    assert (published.frames(205), exact.frames(205)) == (122, 123)
    assert [preset("biwi").talker.frames(n) for n in (1, 2, 99, 100)] == [0, 1, 49, 50]


def test_style_blends_are_sums_of_the_styles():
    model = random_model()
    rows = torch.stack([one_style(model.config, 0), one_style(model.config, 3)])
    with torch.no_grad():
        one, other = model.talker.style(rows)
        blend = model.talker.style(0.3 * rows[:1] + 0.7 * rows[1:])[0]
    torch.testing.assert_close(blend, 0.3 * one + 0.7 * other)


def test_progress_counts_every_frame_once():
    model = random_model()
    calls = []
    Predictor(model).predict(
        [waveform(0.4)], one_style(model.config)[None], lambda *call: calls.append(call)
    )
    assert calls == [(i + 1, len(calls)) for i in range(len(calls))]


def test_an_unknown_mode_is_the_users_mistake():
    with pytest.raises(OptionError, match="exact, fast"):
        Predictor(random_model(), "quick")


def test_what_fast_keeps_does_not_grow_with_the_clip():
    model = random_model()
    fast = Predictor(model, "fast")
    frames, width = 5000, model.config.talker.width
    decoder = CachedDecoder(model.talker, torch.zeros(1, frames, 1, width), fast.limits.attention)
    state = fast.feedback.start(1, frames)
    kept = [*decoder.caches, *state.caches]
    assert {cache.keys.shape[2] for cache in kept} == {600}
    assert state.seen.shape[1] == 600
