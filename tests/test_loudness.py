"""Loudness: motion must not depend on the level of a recording, nor on how a stream is cut."""

from __future__ import annotations

import numpy as np
import pytest

from codetalker.causal.loudness import BLOCK, Loudness
from codetalker.windows import SpeechWindows
from tiny_model import babble

WINDOWS = SpeechWindows()


def levelled(samples: np.ndarray) -> np.ndarray:
    cut = WINDOWS.cut(samples.astype(np.float32))
    return np.stack(list(Loudness().levelled(cut, WINDOWS.lead, WINDOWS.hop_samples, np.zeros(2))))


@pytest.mark.parametrize("decibels", [-10, -20, -30])
def test_a_quieter_recording_is_heard_alike(decibels: int) -> None:
    loud = levelled(babble(4))
    quiet = levelled(babble(4) * 10 ** (decibels / 20))
    np.testing.assert_allclose(quiet, loud, rtol=1e-4, atol=1e-6)


def test_what_lies_below_the_floor_stays_quiet() -> None:
    loudness = Loudness()
    faint = 10 ** ((loudness.floor - 20) / 20) * np.random.default_rng(0).standard_normal(64000)
    heard = levelled(faint)
    assert np.sqrt(np.mean(heard[10:] ** 2)) < 10 ** ((loudness.target - 15) / 20)
    assert not levelled(np.zeros(16000)).any()


def test_windows_that_come_in_any_groups_get_the_same_gains() -> None:
    cut = WINDOWS.cut(babble(3))
    whole, loudness, level, parts = levelled(babble(3)), Loudness(), np.zeros(2), []
    for first, last in ((0, 1), (1, 2), (2, 9), (9, len(cut))):
        parts += loudness.levelled(
            cut[first:last], WINDOWS.lead, WINDOWS.hop_samples, level, begun=first > 0
        )
    np.testing.assert_array_equal(np.stack(parts), whole)


def test_the_gain_follows_at_once_upwards_and_slowly_downwards() -> None:
    loudness, level = Loudness(attack=0.2, release=2.0), np.zeros(2)
    noise = np.random.default_rng(0).standard_normal(50 * BLOCK).astype(np.float32)
    loud = loudness.follow(level, 0.1 * noise)
    after = loudness.follow(level, 0.001 * noise)
    assert 20 * np.log10(after / loud) == pytest.approx(2.0, abs=0.2)  # 40 dB less, 1 s later
    risen = loudness.follow(level, 0.5 * noise[: 15 * BLOCK])
    assert 20 * np.log10(risen / after) == pytest.approx(-15, abs=2)


def test_hum_and_offset_are_no_loudness() -> None:
    time = np.arange(16000) / 16000
    hum = 0.3 + 0.1 * np.sin(2 * np.pi * 50 * time)
    level = np.zeros(2)
    Loudness().follow(level, hum.astype(np.float32))
    assert 10 * np.log10(level[1]) < 10 * np.log10(np.mean(hum**2)) - 20
