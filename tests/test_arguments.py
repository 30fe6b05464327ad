"""Numbers of callers: any type that is one is taken, what is none is one clear line."""

from __future__ import annotations

import decimal
import fractions
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codetalker.arguments import as_number, as_whole
from codetalker.audio import Waveform
from codetalker.causal.runtime import CausalTalker
from codetalker.errors import AudioError, CodeTalkerError, OptionError, StyleError
from tiny_model import babble


@pytest.fixture(scope="module")
def talker(tiny_bundle: Path) -> CausalTalker:
    return CausalTalker.load(tiny_bundle)


NONE: list[Any] = [
    None, "16000", "", b"1", True, False, np.True_, float("nan"), np.nan, float("inf"), -np.inf,
    [16000], (1,), {}, 1j, np.array([16000]), object(), 10**400, "1" * 9999, decimal.Decimal(1),
]  # fmt: skip


@pytest.mark.parametrize("value", NONE, ids=lambda value: repr(value)[:20])
def test_what_is_no_number_is_refused_everywhere(talker: CausalTalker, value: Any) -> None:
    assert as_number(value) is None
    calls = {
        AudioError: [lambda: talker.stream(value), lambda: Waveform.of(np.zeros(9), value)],
        OptionError: [
            lambda: talker.stream(seed=value),
            lambda: talker.stream(strength=value),
            lambda: talker.animate(babble(0.1), rate=16000, seed=value),
        ],
        StyleError: [lambda: talker.stream(style={"anna": value, "bert": 1.0})],
    }
    if value is not None:
        calls[OptionError].append(lambda: talker.animate(babble(0.1), rate=16000, fps=value))
    for kind, own in calls.items():
        for call in own:
            with pytest.raises(kind) as caught:
                call()
            assert "\n" not in str(caught.value) and len(str(caught.value)) < 250


@pytest.mark.parametrize("kind", [int, float, np.int16, np.int64, np.uint32, np.float32, np.array,
                                  fractions.Fraction])  # fmt: skip
def test_every_type_of_number_does(talker: CausalTalker, kind: Any) -> None:
    sound = babble(0.5)
    plain = talker.animate(sound, rate=16000, seed=3, strength=2, fps=50)
    other = talker.animate(sound, rate=kind(16000), seed=kind(3), strength=kind(2), fps=kind(50))
    np.testing.assert_array_equal(plain.weights, other.weights)
    live = talker.stream(kind(16000), seed=kind(3), strength=kind(2))
    assert talker.resume(live.state.to_bytes()).state.seed == 3


@pytest.mark.parametrize("value", [0.5, -1, -1.0, 1 << 63, 1 << 64, 1e30, 10**30])
def test_a_seed_is_a_whole_number_of_63_bits(talker: CausalTalker, value: float) -> None:
    with pytest.raises(OptionError, match="choose a whole number from 0"):
        talker.stream(seed=value)  # type: ignore[arg-type]
    assert talker.stream(seed=(1 << 63) - 1).state.seed == (1 << 63) - 1


def test_whole_numbers_are_kept_exactly() -> None:
    assert as_whole(np.int64((1 << 63) - 1)) == (1 << 63) - 1
    assert as_whole((1 << 63) - 1) == (1 << 63) - 1
    assert as_whole(2.5) is None
    assert as_whole(np.float32(7)) == 7


@pytest.mark.parametrize("value", [-0.1, 3.1, 1e300])
def test_strength_is_from_0_to_3(talker: CausalTalker, value: float) -> None:
    with pytest.raises(OptionError, match="choose from 0 to 3, where 1 is as trained"):
        talker.stream(strength=value)


@pytest.mark.parametrize("style", [3, 3.5, ["anna"], True, b"anna"])
def test_a_style_is_a_name_or_a_blend(talker: CausalTalker, style: Any) -> None:
    with pytest.raises(StyleError):
        talker.stream(style=style)


CHUNKS: dict[str, Any] = {
    "a list": [0.0] * 1000,
    "whole numbers": np.zeros(1000, np.int16),
    "doubles": np.zeros(1000),
    "big-endian": np.zeros(1000, ">f4"),
    "two channels": np.zeros((1000, 2)),
    "every other": np.zeros(2000, np.float32)[::2],
    "read only": np.broadcast_to(np.float32(0), 1000),
    "bytes of 8 bits": np.full(1000, 128, np.uint8),
}
WRONG: dict[str, Any] = {
    "nothing": None,
    "a number": 0.0,
    "text": "sound",
    "bytes": b"\0\0",
    "words": ["a", "b"],
    "three axes": np.zeros((9, 2, 2)),
    "no channel": np.zeros((9, 0)),
    "NaN": np.array([np.nan]),
    "infinity": np.array([np.inf], np.float32),
    "objects": np.array([0.0, None]),
    "complex": np.zeros(9, complex),
    "truth": np.zeros(9, bool),
    "lists of two lengths": [[0.0], [0.0, 0.0]],
    "dates": np.zeros(9, "M8[s]"),
    "too loud": np.array([1e9]),
}


def test_chunks_of_any_kind_of_number_are_the_same_sound(talker: CausalTalker) -> None:
    wanted = talker.stream().feed(np.zeros(1000, np.float32)).weights
    for name, chunk in CHUNKS.items():
        live = talker.stream()
        np.testing.assert_array_equal(live.feed(chunk).weights, wanted, name)
        assert live.state.received == 1000, name
    live = talker.stream()
    assert len(live.feed([])) == len(live.feed(np.empty((0, 2)))) == 0


@pytest.mark.parametrize("case", WRONG)
def test_a_chunk_that_is_no_sound_is_refused_and_changes_nothing(
    talker: CausalTalker, case: str
) -> None:
    live = talker.stream()
    before = live.state.to_bytes()
    with pytest.raises(CodeTalkerError) as caught:
        live.feed(WRONG[case])
    assert "\n" not in str(caught.value)
    assert live.state.to_bytes() == before
