"""Phone measures: mouths that do the right and the wrong thing at known phones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from codetalker.data.phones import VOWEL_HEIGHT, PhoneClip
from codetalker.errors import DataError
from codetalker.evaluation.phone_figures import EXTREMES, FIGURES, summary
from codetalker.evaluation.phones import observe
from codetalker.motion import Motion
from rig_motion import HEAD, MOUTH, column, motion, opened

FPS = 50.0
OPEN_MM = 5.0


def clip(*phones: tuple[str, float]) -> PhoneClip:
    """Phones with their lengths in seconds, one after another."""
    edges = np.cumsum([0.0, *(length for _, length in phones)])
    spoken = tuple(phone for phone, _ in phones)
    return PhoneClip("clip", Path("clip.flac"), spoken, edges[:-1], edges[1:], "en", "anna")


def mouth(spoken: PhoneClip, gap: dict[str, float], otherwise: float = OPEN_MM) -> np.ndarray:
    """(T, 52) weights of a mouth that is so far open, in mm, in these phones."""
    times = np.arange(np.ceil(spoken.duration * FPS - 1e-9)) / FPS
    phone = [spoken.phones[i] for i in spoken.at(times + 1e-9)]
    return opened(np.array([gap.get(p, otherwise) for p in phone]))


def figures(spoken: PhoneClip, weights: np.ndarray) -> dict:
    return summary([observe(spoken, motion(weights, FPS))])


SENTENCE = clip(
    ("sil", 0.6), ("m", 0.1), ("a", 0.2), ("p", 0.1), ("i", 0.2), ("t", 0.1), ("a", 0.2),
    ("b", 0.1), ("u", 0.2), ("w", 0.1), ("a", 0.2), ("f", 0.1), ("i", 0.2), ("p", 0.1), ("sil", 1),
)  # fmt: skip
SHUT = {"sil": 0.0, "m": 0.0, "p": 0.0, "b": 0.0}


def test_a_mouth_that_closes_where_it_must_is_perfect() -> None:
    found = figures(SENTENCE, mouth(SENTENCE, SHUT))
    rates = [found[f"closure_rate{part}"] for part in ("", "_p", "_b", "_m", "_in_speech")]
    assert rates == [1, 1, 1, 1, 1]
    assert (found["bilabials"], found["vowels"], found["tk"], found["fv"]) == (4, 6, 1, 1)
    for name in ("vowels", "tk", "w", "fv"):
        assert found[f"{name}_falsely_shut"] == 0


def test_closures_are_counted_by_phone_and_within_speech() -> None:
    """p stays open within speech (the other one is at the pause), b is closed, m opens."""
    found = figures(SENTENCE, mouth(SENTENCE, {"sil": 0.0, "b": 0.69, "p": 0.71}))
    assert (found["closure_rate_p"], found["closure_rate_b"]) == (0.5, 1)
    assert found["closure_rate_m"] == 1  # the pause before it is within 40 ms
    assert found["closure_rate"] == 0.75
    assert found["closure_rate_in_speech"] == 0.5


@pytest.mark.parametrize(("early_s", "closed"), [(0.0, 1), (0.03, 1), (0.07, 0)])
def test_a_closure_may_be_40_ms_early(early_s: float, closed: int) -> None:
    spoken = clip(("a", 1.0), ("p", 0.1), ("a", 0.9))
    gap = np.full(200, OPEN_MM)
    at = 1.0 - early_s
    gap[round((at - 0.02) * 100) : round(at * 100) + 1] = 0
    found = summary([observe(spoken, motion(opened(gap), 100.0))])
    assert found["closure_rate"] == closed


@pytest.mark.parametrize("phone", ["a", "t", "w", "f"])
def test_what_is_shut_where_it_must_not_be_is_found(phone: str) -> None:
    found = figures(SENTENCE, mouth(SENTENCE, SHUT | {phone: 0.0}))
    name = {"a": "vowels", "t": "tk", "w": "w", "f": "fv"}[phone]
    assert found[f"{name}_falsely_shut"] == (0.5 if phone == "a" else 1)
    others = {"vowels", "tk", "w", "fv"} - {name}
    assert all(found[f"{other}_falsely_shut"] == 0 for other in others)


def test_a_vowel_that_opens_at_all_is_not_shut_but_a_consonant_that_closes_is() -> None:
    """Between 0.2 and 0.4 s of a phone of 0.4 s the lips open, or close, for 60 ms."""
    times = np.arange(80) / 100
    pulse = (times > 0.32) & (times < 0.38)
    for phone, name, gap in (("a", "vowels", pulse * 5.0), ("w", "w", ~pulse * 5.0)):
        spoken = clip(("s", 0.2), (phone, 0.4), ("s", 0.2))
        found = summary([observe(spoken, motion(opened(gap), 100.0))])
        assert found[f"{name}_falsely_shut"] == (phone == "w")


def test_t_and_k_beside_closed_lips_do_not_count() -> None:
    for before, after, counted in (("a", "s", 1), ("p", "a", 0), ("a", "m", 0), ("sil", "a", 0)):
        spoken = clip(("a", 0.3), (before, 0.1), ("t", 0.1), (after, 0.1), ("a", 0.3))
        assert figures(spoken, mouth(spoken, {}))["tk"] == counted


def test_affricates_and_diphthongs_are_phones_of_their_own() -> None:
    spoken = clip(("a", 0.3), ("tʃ", 0.2), ("aɪ", 0.3), ("eɪ", 0.2), ("s", 0.2))
    found = figures(spoken, mouth(spoken, {}))
    assert (found["tk"], found["vowels"]) == (0, 3)


def test_height_is_the_rank_correlation_of_the_widest_gap() -> None:
    random = np.random.default_rng(4)
    vowels = random.choice(list("iɪeəɛæaɑ"), 40)
    spoken = clip(*[part for v in vowels for part in ((v, 0.1), ("s", 0.1))])
    noisy = [3 * VOWEL_HEIGHT[v] + random.normal(0, 1) + 4 for v in vowels]
    gap = np.interp(np.arange(800) / 100, np.arange(40) / 5 + 0.05, noisy)
    seen = observe(spoken, motion(opened(gap), 100.0))
    widest = [gap[20 * i : 20 * i + 11].max() for i in range(40)]
    np.testing.assert_allclose(seen["vowel_gap"], widest, atol=1e-4)
    expected = spearmanr(seen["vowel_gap"], [VOWEL_HEIGHT[v] for v in vowels]).statistic
    assert summary([seen])["height_correlation"] == pytest.approx(expected, abs=1e-9)
    assert figures(spoken, mouth(spoken, {}))["height_correlation"] is None  # all alike


def test_a_diphthong_is_as_open_as_its_most_open_part() -> None:
    spoken = clip(("s", 0.1), ("eɪ", 0.2), ("aɪ", 0.2), ("iː", 0.2))
    seen = observe(spoken, motion(mouth(spoken, {}), FPS))
    assert seen["vowel_height"].tolist() == [VOWEL_HEIGHT[v] for v in "eai"]


def test_f_and_v_want_the_lower_lip_at_the_teeth() -> None:
    spoken = clip(("a", 0.3), ("v", 0.2), ("a", 0.3), ("f", 0.2), ("a", 0.3))
    weights = mouth(spoken, {"v": 0.0, "f": 0.0})
    seen = observe(spoken, motion(weights, FPS))
    rest = MOUTH.lip_to_teeth_mm(np.zeros((1, 52)))[0]
    assert seen["teeth"] == pytest.approx([rest, rest], abs=1e-6)
    assert seen["fv_shut"].tolist() == [1, 1]
    weights[15:25] = 0
    weights[15:25, column("mouthRollLower")] = 1  # the gap is below rest, and the lip at the teeth
    found = figures(spoken, weights)
    assert found["fv_at_teeth"] == 0.5
    assert found["fv_falsely_shut"] == 0.5


def test_width_is_that_of_rounded_and_of_spread_phones() -> None:
    spoken = clip(("u", 0.2), ("i", 0.2), ("w", 0.2), ("s", 0.2), ("a", 0.2))
    weights = np.zeros((50, 52), np.float32)
    for phone, name, value in ((0, "mouthPucker", 0.5), (1, "mouthStretchLeft", 0.6)):
        weights[10 * phone : 10 * phone + 10, column(name)] = value
        weights[10 * phone + 20 : 10 * phone + 30, column(name)] = value
    found = figures(spoken, weights)
    rounded = 0.5 * MOUTH.width[column("mouthPucker")]
    spread = 0.6 * MOUTH.width[column("mouthStretchLeft")]
    assert found["width_uw_mm"] == pytest.approx(rounded, rel=1e-4)
    assert found["width_is_mm"] == pytest.approx(spread, rel=1e-4)
    assert found["width_contrast_mm"] == pytest.approx(spread - rounded, rel=1e-4)


REST = clip(
    ("sil", 1.0), ("a", 0.4), ("sil", 0.6), ("a", 0.4), ("sil", 0.4), ("a", 0.2), ("sil", 1)
)
PAUSES = {"before": (0.0, 0.8), "first": (1.7, 1.8), "last": (3.3, 4.0)}
"""Where the mouth shall rest: 300 ms after speech, until 200 ms before it."""


def lips_mm(gap_mm: float) -> float:
    """Mean distance of the lips from rest where the jaw opens so far."""
    offsets = np.tensordot(opened(np.array([gap_mm])), HEAD.basis("lips"), 1)[0]
    return float(np.linalg.norm(offsets, axis=1).mean() * 1000)


@pytest.mark.parametrize("place", PAUSES)
def test_rest_is_judged_where_the_mouth_has_had_time(place: str) -> None:
    times = np.arange(200) / FPS
    resting = np.any([(times >= a) & (times <= b) for a, b in PAUSES.values()], 0)
    still = opened(np.where(resting, 0, OPEN_MM))
    found = figures(REST, still)
    for name in ("pause_mm", "pause_worst_mm", "before_speech_mm", "first_frames_worst_mm"):
        assert found[name] == pytest.approx(0, abs=1e-6), name
    assert (found["pauses"], found["beginnings"]) == (2, 1)
    start, end = PAUSES[place]
    inside = (times >= start - 1e-9) & (times <= end + 1e-9)
    restless = still.copy()
    restless[inside] = opened(np.array([2.0]))
    found = figures(REST, restless)
    if place == "before":
        assert found["before_speech_mm"] == pytest.approx(lips_mm(2), rel=1e-3)
        assert found["first_frames_mm"] == pytest.approx(lips_mm(2), rel=1e-3)
        assert found["first_frames_gap_worst_mm"] == pytest.approx(2, rel=1e-3)
        assert found["pause_mm"] == pytest.approx(0, abs=1e-6)
    else:
        assert found["pause_worst_mm"] == pytest.approx(lips_mm(2), rel=1e-3)
        assert found["pause_mm"] == pytest.approx(lips_mm(2) / 2, rel=1e-3)
        assert found["pause_gap_worst_mm"] == pytest.approx(2, rel=1e-3)
        assert found["before_speech_mm"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("seconds", "counted"), [(0.4, 0), (0.6, 1)])
def test_a_short_silence_at_the_end_is_no_pause(seconds: float, counted: int) -> None:
    spoken = clip(("a", 0.4), ("sil", seconds))
    assert figures(spoken, mouth(spoken, {}))["pauses"] == counted


def test_first_frames_are_the_worst_of_half_a_second() -> None:
    weights = opened(np.zeros(200))
    weights[[10, 30]] = opened(np.array([3.0, 5.0]))  # 0.2 s and 0.6 s
    found = figures(REST, weights)
    assert found["first_frames_worst_mm"] == pytest.approx(lips_mm(3), rel=1e-3)
    at_once = clip(("sil", 0.1), ("a", 1.0))
    assert figures(at_once, opened(np.full(55, 5.0)))["first_frames_mm"] is None


def test_jitter_is_acceleration_at_rest() -> None:
    """A gap of a sin(wt) accelerates by a w² |sin(wt)|, 2/π of the peak on average."""
    times = np.arange(200) / FPS
    hertz, far = 3.0, lips_mm(0.5)
    found = figures(REST, opened(0.5 * np.sin(2 * np.pi * hertz * times)))
    expected = far * (2 * np.pi * hertz) ** 2 * 2 / np.pi
    assert found["jitter_mm_s2"] == pytest.approx(expected, rel=0.15)
    assert figures(REST, opened(np.full(200, 3.0)))["jitter_mm_s2"] == pytest.approx(0, abs=1e-3)


def test_blinks_are_counted_over_all_clips() -> None:
    weights = np.zeros((200, 52), np.float32)
    for frame, frames in ((20, 10), (100, 20)):
        weights[frame : frame + frames, column("eyeBlinkLeft")] = 1
        weights[frame : frame + frames, column("eyeBlinkRight")] = 1
    still = np.zeros((200, 52), np.float32)
    found = summary([observe(REST, motion(w, FPS)) for w in (weights, still, still)])
    assert found["blinks_per_minute"] == pytest.approx(2 / 12 * 60)
    assert found["blink_median_s"] == pytest.approx(0.3 + 0.6 / FPS)
    assert found["blink_longest_s"] == pytest.approx(0.4 + 0.6 / FPS)
    assert found["lids_lowered"] == pytest.approx(30 / 600)


def test_phones_of_all_clips_count_alike() -> None:
    short, long = clip(("a", 0.3), ("p", 0.1), ("a", 0.3)), SENTENCE
    found = summary(
        [
            observe(short, motion(mouth(short, {}), FPS)),
            observe(long, motion(mouth(long, SHUT), FPS)),
        ]
    )
    assert found["closure_rate"] == pytest.approx(4 / 5)
    low, high = found["intervals"]["closure_rate"]
    assert (low, high) == (0, 1)  # one clip of two may be drawn twice
    assert not EXTREMES.keys() & found["intervals"].keys()
    assert FIGURES.keys() | EXTREMES.keys() <= found.keys()


def test_nothing_that_the_clips_lack_is_invented() -> None:
    spoken = clip(("s", 0.5))
    found = figures(spoken, np.zeros((25, 52), np.float32))
    undefined = {name for name in FIGURES | EXTREMES if found[name] is None}
    assert undefined == (FIGURES | EXTREMES).keys() - {
        "width_is_mm", "blinks_per_minute", "lids_lowered",
    }  # fmt: skip


def test_frame_rate_does_not_matter() -> None:
    smooth = np.interp(np.arange(400) / 100, [0, 0.6, 1.1, 1.5, 2.0, 4.0], [0, 0, 6, 0, 4, 0])
    at_100 = motion(opened(smooth), 100.0)
    at_50 = motion(opened(smooth[::2]), 50.0)
    one, other = (summary([observe(REST, made)]) for made in (at_100, at_50))
    for name in ("vowels_falsely_shut", "pause_mm", "before_speech_mm", "first_frames_mm"):
        assert one[name] == pytest.approx(other[name], abs=0.02), name


def test_the_motion_of_another_recording_is_refused() -> None:
    with pytest.raises(DataError, match=r"1\.00 s of motion for 4\.00 s of phones"):
        observe(REST, Motion(np.zeros((25, 52), np.float32), HEAD.blendshape_names, 25))


def test_a_phone_after_the_last_frame_has_its_shape() -> None:
    spoken = clip(("a", 0.4), ("f", 0.05))
    weights = mouth(spoken, {})[:20]  # 0.4 s
    seen = observe(spoken, motion(weights, FPS))
    assert seen["teeth"] == pytest.approx(MOUTH.lip_to_teeth_mm(weights[-1:]))


def test_silence_may_be_in_parts_or_unknown_signs() -> None:
    parts = replace(REST, phones=tuple(p.replace("sil", "?") for p in REST.phones))
    weights = opened(np.linspace(0, 3, 200))
    one, other = (summary([observe(c, motion(weights, FPS))]) for c in (REST, parts))
    assert one["pause_mm"] == other["pause_mm"]
