"""Robustness: noise is where it is said to be, and mouths that obey sound give known figures."""

from __future__ import annotations

import numpy as np
import pytest

from codetalker.audio import SAMPLE_RATE, Waveform
from codetalker.data import noise
from codetalker.evaluation.metrics import lip_motion_mm
from codetalker.evaluation.robustness import LEVELS_DB, NOISES, rows, surrounded
from codetalker.motion import Motion
from rig_motion import HEAD, MOUTH, column, motion, opened
from tiny_model import babble

FPS = 25
HOP = SAMPLE_RATE // FPS
SPEECH = babble(2.0)
PLACES = {"before", "between", "after", "zeros", "after_zeros"}


def levels(waveform: Waveform) -> np.ndarray:
    """(T,) RMS of each frame."""
    count = -(-len(waveform.samples) // HOP)
    padded = np.zeros(count * HOP)
    padded[: len(waveform.samples)] = waveform.samples
    return np.sqrt(np.square(padded.reshape(count, HOP)).mean(1))


def loud_mouth(gain_mm: float, above: float = 0.0):
    """Opens by so many mm per unit of level, where that is above a threshold."""

    def animate(waveform: Waveform) -> Motion:
        level = levels(waveform)
        return motion(opened(gain_mm * level * (level > above)), FPS)

    return animate


def by_sound(found: list[dict]) -> dict[tuple[str, float | None], dict]:
    return {(row["sound"], row["level_db"]): row for row in found}


@pytest.fixture(scope="module")
def proportional() -> dict[tuple[str, float | None], dict]:
    """Figures of a mouth that opens with the level, 100 mm at full scale."""
    return by_sound(list(rows(loud_mouth(100.0), [Waveform(SPEECH)])))


def test_noise_surrounds_speech_and_follows_zeros() -> None:
    sound, spans = surrounded(SPEECH, noise.white, 0.01)
    assert spans.keys() == PLACES
    for place, (start, end) in spans.items():
        inside = sound[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
        assert len(inside) >= 0.499 * SAMPLE_RATE
        level = np.sqrt(np.square(inside, dtype=np.float64).mean())
        assert level == pytest.approx(0 if place == "zeros" else 0.01, rel=0.05), place
    first = sound[2 * SAMPLE_RATE : 4 * SAMPLE_RATE]
    second = sound[6 * SAMPLE_RATE : 8 * SAMPLE_RATE]
    assert np.corrcoef(first, SPEECH)[0, 1] > 0.98
    assert np.corrcoef(second, SPEECH)[0, 1] > 0.98
    assert len(sound) == (2 + 2 + 2 + 2 + 2 + 1 + 2) * SAMPLE_RATE
    clean, _ = surrounded(SPEECH, noise.white, 0.0)
    quiet = np.ones(len(clean), bool)
    quiet[2 * SAMPLE_RATE : 4 * SAMPLE_RATE] = quiet[6 * SAMPLE_RATE : 8 * SAMPLE_RATE] = False
    assert not clean[quiet].any()
    assert (sound != clean)[: 10 * SAMPLE_RATE].mean() > 0.99  # beneath the speech as well


def test_every_noise_and_level_has_a_row(proportional: dict) -> None:
    expected = {(name, level) for name in NOISES for level in LEVELS_DB}
    expected |= {("speech", level) for level in (0.0, -10.0, -20.0, -30.0, -40.0)}
    expected |= {(name, -20.0) for name in ("music", "tones", "clicks")}
    expected |= {("zeros", None), ("worst of noise up to -40 dB", None), ("speech at 8 kHz", 0.0)}
    assert proportional.keys() == expected


@pytest.mark.parametrize("level", LEVELS_DB)
def test_a_mouth_that_obeys_noise_is_as_open_as_it_is_loud(level: float, proportional) -> None:
    gap = 100 * 10 ** (level / 20)
    figures = proportional["white", level]
    lips = gap * lips_per_gap()
    for place in PLACES - {"zeros"}:
        assert figures[f"{place}_mm"] == pytest.approx(lips, rel=0.1), place
        assert gap < figures[f"{place}_gap_mm"] < 1.2 * gap, place
    assert figures["zeros_mm"] == 0
    assert figures["zeros_gap_mm"] == 0


def lips_per_gap() -> float:
    """Mean distance of the lips from rest per millimetre that the jaw opens them."""
    return float(lip_motion_mm(HEAD, opened(np.array([1.0])))[0])


def test_a_mouth_that_ignores_what_is_quiet_rests_in_all_of_it() -> None:
    """A gate at -33 dB: noise is below it, and the worst row says so."""
    found = by_sound(list(rows(loud_mouth(100.0, above=10 ** (-33 / 20)), [Waveform(SPEECH)])))
    worst = found["worst of noise up to -40 dB", None]
    assert {name for name in worst if name.endswith("_mm")} == {
        f"{place}{kind}" for place in PLACES for kind in ("_mm", "_gap_mm")
    }
    assert all(worst[name] == 0 for name in worst if name.endswith("_mm"))


def test_the_worst_row_is_of_noise_up_to_40_dB_without_babble(proportional) -> None:
    worst = proportional["worst of noise up to -40 dB", None]
    names = [name for name in worst if name.endswith("_mm")]
    for name in names:
        counted = [proportional[noise, -40.0][name] for noise in NOISES if noise != "babble"]
        assert worst[name] == max(counted), name
    assert worst["before_mm"] < proportional["white", -35.0]["before_mm"]
    assert any(proportional["babble", -40.0][name] > worst[name] for name in names)


@pytest.mark.parametrize("gain", [-10.0, -40.0])
def test_quieter_speech_is_compared_with_itself(gain: float, proportional) -> None:
    """The gap is proportional to the level, so it changes by 1 - g of itself."""
    gap = 100 * levels(Waveform(SPEECH))
    change = 1 - 10 ** (gain / 20)
    figures = proportional["speech", gain]
    assert figures["gap_rms_mm"] == pytest.approx(change * np.sqrt((gap**2).mean()), rel=1e-3)
    assert figures["gap_correlation"] == pytest.approx(1, abs=1e-4)
    assert figures["jaw_of_speech"] == pytest.approx(1 - change, rel=1e-3)


def test_the_telephone_band_takes_what_is_above_4_kHz(proportional) -> None:
    figures = proportional["speech at 8 kHz", 0.0]  # the babble has little above 3 kHz
    assert 0 < figures["gap_rms_mm"] < 0.5
    high = np.sin(2 * np.pi * 5000 * np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE) * 0.1
    found = by_sound(list(rows(loud_mouth(100.0), [Waveform(high.astype(np.float32))])))
    assert found["speech at 8 kHz", 0.0]["jaw_of_speech"] < 0.05


def test_other_sounds_are_compared_with_speech_by_the_jaw(proportional) -> None:
    chin = MOUTH.chin[column("jawOpen")] / MOUTH.gap[column("jawOpen")]
    speech = 100 * levels(Waveform(SPEECH)).mean() * chin
    assert proportional["speech", 0.0]["jaw_mm"] == pytest.approx(speech, rel=1e-3)
    for name in ("music", "tones", "clicks"):
        figures = proportional[name, -20.0]
        assert figures["jaw_of_speech"] == pytest.approx(figures["jaw_mm"] / speech, rel=1e-3)
        assert 0 < figures["jaw_mm"] <= 10.5 * chin  # 100 mm at 0.1 of full scale, on average


def test_of_several_recordings_the_worst_counts_for_rest() -> None:
    """A mouth that hangs open after loud speech only."""

    threshold = 1.5 * levels(Waveform(SPEECH)).max()

    def sulking(waveform: Waveform) -> Motion:
        level = levels(waveform)
        loud = np.maximum.accumulate(level) > threshold
        return motion(opened(np.where(loud, 4.0, 0.0)), FPS)

    quiet, loud = Waveform(SPEECH * np.float32(0.5)), Waveform(SPEECH * np.float32(2))
    found = by_sound(list(rows(sulking, [quiet, loud])))
    assert found["zeros", None]["after_gap_mm"] == pytest.approx(4)
    assert found["zeros", None]["before_gap_mm"] == 0
    assert by_sound(list(rows(sulking, [quiet])))["zeros", None]["after_gap_mm"] == 0
