"""Visemes: shares that sum to one, closest to the frames, that move jaw and lips as they moved."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from scipy.optimize import minimize

from codetalker import visemes
from codetalker.arkit import ARKIT_NAMES
from codetalker.errors import MotionError
from codetalker.visemes import VISEMES, VOWELS, from_visemes, to_visemes, to_vowels
from conftest import SHARED
from rig_motion import MOUTH, column

CORPUS = SHARED / "corpus"
CLOSED_MM = 0.2


def as_visemes(vowels: np.ndarray) -> np.ndarray:
    """Shares of the five vowels as shares of the 15, `ee` of which is called E."""
    shares = np.zeros((len(vowels), 15), np.float32)
    shares[:, [VISEMES.index(name.replace("ee", "E")) for name in VOWELS]] = vowels
    return shares


def clips() -> Iterator[np.ndarray]:
    """Ten of eight speakers: six takes of one voice at 30 fps, filmed sentences at 25."""
    with np.load(CORPUS / "facegood" / "motion.npz") as file:
        for start, length in list(zip(file["starts"], file["lengths"], strict=True))[:3]:
            yield file["weights"][start : start + length]
    with np.load(CORPUS / "grid_speakers" / "motion.npz") as file:
        _, first = np.unique(file["speaker"], return_index=True)
        yield from file["weights"][first]


def curves(weights: np.ndarray) -> dict[str, np.ndarray]:
    """Of the jaw and of the lips."""
    return {
        "jaw": weights[:, column("jawOpen")],
        "chin": weights @ MOUTH.chin,
        "gap": weights @ MOUTH.gap,
        "width": weights @ MOUTH.width,
    }


@pytest.fixture(scope="module")
def spoken() -> list[np.ndarray]:
    if not CORPUS.is_dir():
        pytest.skip("needs the corpus beside the repository")
    return [clip.astype(np.float32) for clip in clips()]


def test_jaw_and_lips_rebuilt_from_the_visemes_move_as_they_moved(
    spoken: list[np.ndarray],
) -> None:
    assert len(spoken) == 10
    for clip in spoken:
        meant, rebuilt = curves(clip), curves(from_visemes(to_visemes(clip)))
        found = {name: np.corrcoef(meant[name], rebuilt[name])[0, 1] for name in meant}
        assert min(found.values()) >= 0.9, found


def test_vowels_open_the_mouth_as_it_opened(spoken: list[np.ndarray]) -> None:
    for clip in spoken:
        rebuilt = from_visemes(as_visemes(to_vowels(clip)))
        assert np.corrcoef(clip @ MOUTH.gap, rebuilt @ MOUTH.gap)[0, 1] > 0.98


def test_where_the_lips_were_closed_they_are_closed(spoken: list[np.ndarray]) -> None:
    clip = np.concatenate(spoken)
    closed = clip @ MOUTH.gap < CLOSED_MM
    assert closed.sum() > 1000
    for shares in (to_visemes(clip[closed]), as_visemes(to_vowels(clip[closed]))):
        rebuilt = from_visemes(shares) @ MOUTH.gap
        assert np.quantile(rebuilt, 0.95) < 0.3  # mm, a fiftieth of an open mouth's gap


def test_vowels_leave_lips_closed_over_a_low_jaw() -> None:
    shut = np.zeros((1, 52), np.float32)
    shut[0, [column("jawOpen"), column("mouthClose")]] = 0.5
    assert to_vowels(shut).sum() < 0.05


def random_weights(frames: int = 200) -> np.ndarray:
    """Sparse ones, beyond what a mouth can do."""
    random = np.random.default_rng(3)
    return (random.random((frames, 52)) * (random.random((frames, 52)) < 0.2)).astype(np.float32)


@pytest.mark.parametrize(("convert", "count"), [(to_visemes, 15), (to_vowels, 5)])
def test_shares_are_from_0_and_sum_to_1_at_most(convert, count: int) -> None:
    shares = convert(random_weights())
    assert shares.shape == (200, count)
    assert shares.dtype == np.float32
    assert shares.min() >= 0
    assert shares.sum(axis=1).max() <= 1 + 1e-6
    assert (shares.sum(axis=1) > 0.999).any()  # some would be more


def test_silence_takes_what_is_left() -> None:
    shares = to_visemes(random_weights())
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(to_visemes(np.zeros((2, 52)))[:, 0], 1)
    assert not to_vowels(np.zeros((2, 52))).any()


def test_no_other_shares_are_closer_to_the_frame() -> None:
    poses, form = visemes._poses(VISEMES[1:]), visemes._mouth_form()
    calm = visemes._CALM * np.trace(poses @ form @ poses.T) / 14
    for frame in random_weights(6).astype(np.float64):

        def off(shares: np.ndarray, frame: np.ndarray = frame) -> float:
            error = frame - shares @ poses
            return error @ form @ error + calm * shares @ shares

        best = minimize(
            off,
            np.full(14, 0.05),
            bounds=[(0, 1)] * 14,
            constraints={"type": "ineq", "fun": lambda shares: 1 - shares.sum()},
            options={"maxiter": 1000, "ftol": 1e-10},
        )
        assert off(to_visemes(frame[None])[0, 1:].astype(np.float64)) < best.fun * 1.001 + 1e-6


def test_lips_are_closed_at_pp_and_open_at_vowels() -> None:
    gap = dict(zip(VISEMES, from_visemes(np.eye(15)) @ MOUTH.gap, strict=True))
    assert gap["PP"] < 0
    assert gap["sil"] == 0
    assert gap["aa"] == max(gap.values())
    assert all(gap[name] > 2 for name in ("aa", "E", "ih", "oh", "ou"))  # mm


def test_a_pose_is_mostly_its_own_viseme() -> None:
    found = to_visemes(from_visemes(np.eye(15)))
    for name in ("sil", "PP", "FF", "CH", "SS", "aa", "E", "oh", "ou"):  # d, k, n look alike
        assert found[VISEMES.index(name), VISEMES.index(name)] > 0.5, name


def test_both_sides_of_the_face_move_alike() -> None:
    poses = from_visemes(np.eye(15))
    for i, name in enumerate(ARKIT_NAMES):
        if name.endswith("Left") and name.startswith("mouth") and name != "mouthLeft":
            other = ARKIT_NAMES.index(name.removesuffix("Left") + "Right")
            np.testing.assert_array_equal(poses[:, i], poses[:, other])


def test_eyes_and_brows_have_no_part_in_it() -> None:
    weights = random_weights()
    still = weights.copy()
    still[:, [i for i, name in enumerate(ARKIT_NAMES) if name.startswith(("eye", "brow"))]] = 0
    np.testing.assert_allclose(to_visemes(weights), to_visemes(still), atol=0.02)


def test_a_frame_is_the_same_alone_and_among_others() -> None:
    weights = random_weights()
    np.testing.assert_allclose(to_visemes(weights[7:8]), to_visemes(weights)[7:8], atol=1e-5)
    assert to_visemes(weights[:0]).shape == (0, 15)


@pytest.mark.parametrize("call", [to_visemes, to_vowels, from_visemes])
def test_other_shapes_are_refused(call) -> None:
    for shape in [(3, 51), (52,), (1, 3, 52)]:
        with pytest.raises(MotionError, match="pass"):
            call(np.zeros(shape))
