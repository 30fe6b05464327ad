"""Stage 2: a step at a time is the whole at once; causal; style, speech and past matter."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from codetalker.causal.generator import Generator, State, free_run, gumbel
from codetalker.causal.talker import SpeechAdapter, TalkerNet, TalkerState
from codetalker.windows import SpeechWindows
from tiny_model import TALKER, WINDOWS, tiny_codec, tiny_talker

FRAMES = 20
"""More than the attention window of 8 frames."""


def inputs(frames: int = FRAMES, batch: int = 1, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Speech (B, T, width), style (B, 1, width), past motion (B, T, 52)."""
    random = torch.Generator().manual_seed(seed)
    return (
        torch.randn(batch, frames, TALKER.width, generator=random),
        torch.randn(batch, 1, TALKER.width, generator=random),
        torch.rand(batch, frames, 52, generator=random),
    )


@torch.no_grad()
def stepped(talker: TalkerNet, speech: Tensor, style: Tensor, past: Tensor) -> Tensor:
    """What `forward` gives, a frame at a time with the cache."""
    state, features = talker.start(len(speech)), []
    for t in range(speech.shape[1]):
        state = TalkerState(state.cache, past[:, t], state.position)
        step, cache = talker.step(speech[:, t], style[:, 0], state)
        features.append(step)
        state = TalkerState(cache, past[:, t], state.position + 1)
    return torch.stack(features, 1)


@settings(max_examples=10)
@given(frames=st.integers(1, 30), batch=st.integers(1, 2), seed=st.integers(0, 99))
def test_steps_with_the_cache_are_the_whole_at_once(frames: int, batch: int, seed: int) -> None:
    talker, given_ = tiny_talker(), inputs(frames, batch, seed)
    with torch.no_grad():
        torch.testing.assert_close(stepped(talker, *given_), talker(*given_), atol=1e-5, rtol=0)


@pytest.mark.parametrize("which", [0, 2])
def test_features_depend_on_no_later_speech_or_motion(which: int) -> None:
    talker, given_ = tiny_talker(), inputs()
    other = [x.clone() for x in given_]
    other[which][:, 10:] *= -1
    with torch.no_grad():
        before, after = talker(*given_), talker(*other)
    assert torch.equal(before[:, :10], after[:, :10])
    assert (before[:, 10:] - after[:, 10:]).abs().amax((0, 2, 3)).min() > 0


def test_attention_reaches_back_the_window_in_each_layer() -> None:
    talker, given_ = tiny_talker().double(), [x.double() for x in inputs(40)]
    speech = given_[0].clone()
    speech[:, 3] *= -1
    with torch.no_grad():
        change = talker(*given_) - talker(speech, *given_[1:])
    touched = change.abs().amax((0, 2, 3)).nonzero().flatten().tolist()
    reach = TALKER.layers * (TALKER.window - 1)
    assert touched == list(range(3, 3 + reach + 1))


def test_style_speech_and_past_all_matter() -> None:
    talker, given_ = tiny_talker(), inputs()
    with torch.no_grad():
        base = talker(*given_)
        for which in range(3):
            other = [-x if i == which else x for i, x in enumerate(given_)]
            assert (talker(*other) - base).abs().mean() > 0.01


def test_positions_repeat_with_the_period() -> None:
    """Paper section 3.2, periodic positions: a whole period later all is the same."""
    talker, given_ = tiny_talker(), inputs()
    with torch.no_grad():
        base, shifted, later = (talker(*given_, phase=p) for p in (0, 2, 2 + TALKER.period))
    assert torch.equal(shifted, later)
    assert not torch.equal(base, shifted)


def test_the_adapter_gives_each_motion_frame_its_own_surroundings() -> None:
    """Motion frame i of a hop sees feature frames 2i - past ... 2i + 1 + look_ahead, no others."""
    windows = SpeechWindows(left=6, hop=4, look_ahead=6, past=4)
    torch.manual_seed(0)
    adapter = SpeechAdapter(TALKER, windows).eval()
    features = torch.randn(1, windows.kept, TALKER.features)
    with torch.no_grad():
        before = adapter(features)
        for frame in range(windows.kept):
            other = features.clone()
            other[:, frame] += torch.randn(TALKER.features)
            changed = (adapter(other) - before).abs().amax(2)[0] > 0
            seen = [2 * i <= frame < 2 * i + windows.past + 2 + windows.look_ahead for i in (0, 1)]
            assert changed.tolist() == seen


def test_adapting_windows_together_is_adapting_each() -> None:
    adapter, features = tiny_talker().adapter, torch.randn(2, 3, WINDOWS.kept, TALKER.features)
    with torch.no_grad():
        together = adapter(features)
        for b in range(2):
            for w in range(3):
                torch.testing.assert_close(adapter(features[b, w : w + 1])[0], together[b, w])


@torch.no_grad()
def test_the_generator_goes_round_through_the_decoder() -> None:
    """Its codes are nearest to the talker's features, its motion is the decoder's of all codes so
    far, and that motion is what the talker has as its past."""
    talker, codec = tiny_talker(), tiny_codec()
    speech, style, _ = inputs()
    motion, codes = free_run(Generator(talker, codec), speech, style[:, 0], torch.zeros(3))
    decoded = codec.decode(codec.quantizer.embedding(codes)).clamp(0, 1)
    torch.testing.assert_close(motion, decoded, atol=1e-5, rtol=0)
    past = torch.cat([torch.zeros(1, 1, 52), motion[:, :-1]], 1)
    features = talker(speech, style, past)
    assert torch.equal(codec.quantizer.nearest(features), codes)
    assert len(codes.unique()) > 5


@torch.no_grad()
def test_temperature_samples_as_often_as_the_distances_say() -> None:
    """Gumbel noise on negative distances draws from their softmax: 4000 draws of one frame."""
    talker, codec = tiny_talker(), tiny_codec()
    generator, draws = Generator(talker, codec), 4000
    speech, style, _ = inputs(1)
    start = generator.start(draws)
    noise = gumbel(torch.rand(draws, 3, 16, generator=torch.Generator().manual_seed(0)))
    repeated = speech[:, 0].expand(draws, -1), style[:, 0].expand(draws, -1)
    _, codes, _, _ = generator(*repeated, noise, *start)
    features = talker(speech, style, torch.zeros(1, 1, 52))[0, 0]
    expected = (-codec.quantizer.squared_distances(features)).softmax(-1)
    for head in range(3):
        share = torch.bincount(codes[:, head], minlength=16) / draws
        assert (share - expected[head]).abs().max() < 0.04  # five standard deviations


@torch.no_grad()
def test_streams_in_a_batch_do_not_touch_each_other() -> None:
    generator = Generator(tiny_talker(), tiny_codec())
    speech, style, _ = inputs(batch=3)
    together, _ = free_run(generator, speech, style[:, 0], torch.zeros(3))
    for b in range(3):
        alone, _ = free_run(generator, speech[b : b + 1], style[b : b + 1, 0], torch.zeros(3))
        torch.testing.assert_close(alone[0], together[b], atol=1e-5, rtol=0)


def test_the_state_does_not_grow() -> None:
    generator = Generator(tiny_talker(), tiny_codec())
    state = generator.start()
    shapes = [x.shape for x in state]
    with torch.no_grad():
        for _ in range(TALKER.window + 3):
            speech = torch.zeros(1, TALKER.width)
            motion, _, cache, context = generator(speech, speech, torch.zeros(1, 3, 16), *state)
            state = State(cache, context, motion, state.position + 1)
    assert [x.shape for x in state] == shapes
