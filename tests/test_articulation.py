"""What phones ask of a face: the losses fall exactly where lips do what phonetics is sure of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from codetalker.arkit import UPPER_FACE_CHANNELS
from codetalker.causal.articulation import (
    HEIGHT,
    NOTHING,
    OPEN,
    REST,
    ROUND,
    SHUT,
    TEETH,
    WIDE,
    PhoneLoss,
    targets_of,
)  # fmt: skip
from codetalker.data.phones import PhoneClip
from codetalker.rig import bundled_head

NAMES = bundled_head().blendshape_names


@pytest.fixture(scope="module")
def loss() -> PhoneLoss:
    return PhoneLoss(bundled_head(), 25)


def pose(**weights: float) -> torch.Tensor:
    """(K,) weights."""
    return torch.tensor([weights.get(name, 0.0) for name in NAMES])


def asked(*columns: int, height: float = NOTHING) -> torch.Tensor:
    """A row of targets with these flags."""
    row = torch.full((7,), NOTHING)
    row[list(columns)] = 1.0
    row[HEIGHT] = height
    return row


def of(loss: PhoneLoss, poses: list[torch.Tensor], rows: list[torch.Tensor]) -> dict[str, float]:
    values = loss(torch.stack(poses)[None], torch.stack(rows)[None])
    return {name: float(value) for name, value in values.items()}


REST_POSE, DROPPED = pose(), pose(jawOpen=0.3)


@pytest.mark.parametrize(
    ("name", "column", "good", "bad"),
    [
        ("shut", SHUT, REST_POSE, DROPPED),
        ("shut", SHUT, pose(jawOpen=0.3, mouthClose=0.3), DROPPED),
        ("open", OPEN, DROPPED, REST_POSE),
        ("rest", REST, REST_POSE, pose(mouthPucker=0.5)),
        (
            "teeth", TEETH,
            pose(mouthRollLower=1.0, jawOpen=0.08, mouthUpperUpLeft=0.3, mouthUpperUpRight=0.3),
            REST_POSE,
        ),
    ],
)  # fmt: skip
def test_each_loss_is_low_where_lips_obey_and_high_where_not(
    loss: PhoneLoss, name: str, column: int, good: torch.Tensor, bad: torch.Tensor
) -> None:
    obeyed, not_obeyed = (of(loss, [p], [asked(column)])[name] for p in (good, bad))
    assert obeyed < 0.2
    assert not_obeyed > 10 * max(obeyed, 0.1)


def test_nothing_is_asked_of_frames_without_targets(loss: PhoneLoss) -> None:
    values = of(loss, [DROPPED, REST_POSE], [asked(), asked()])
    assert not any(values.values())


def test_open_vowels_are_more_open_than_close_ones_and_spread_sounds_wider(
    loss: PhoneLoss,
) -> None:
    between = [asked()] * 5
    rows = [asked(height=0.0), *between, asked(height=1.0)]
    closer, wider = [pose(jawOpen=0.1)], [pose(jawOpen=0.4)]
    assert of(loss, closer * 3 + wider * 4, rows)["height"] == 0
    assert of(loss, wider * 3 + closer * 4, rows)["height"] > 3
    late = of(loss, closer * 4 + wider + closer * 2, rows)  # widest within 80 ms of its middle
    assert late["height"] == 0 < of(loss, closer * 3 + wider + closer * 3, rows)["height"]
    narrow, wide = pose(mouthPucker=0.5), pose(mouthSmileLeft=0.5, mouthSmileRight=0.5)
    right = of(loss, [narrow, wide], [asked(ROUND), asked(WIDE)])
    wrong = of(loss, [wide, narrow], [asked(ROUND), asked(WIDE)])
    assert right["round"] == 0 < wrong["round"]


def test_rest_is_of_the_mouth_alone(loss: PhoneLoss) -> None:
    blink = torch.zeros(len(NAMES))
    blink[list(UPPER_FACE_CHANNELS)] = 0.7
    assert of(loss, [blink], [asked(REST)])["rest"] == 0


def test_gradients_lead_to_obedience(loss: PhoneLoss) -> None:
    """Descent on the weights themselves closes, opens and rests as asked."""
    rows = [asked(SHUT), asked(OPEN), asked(TEETH), asked(REST)]
    motion = torch.full((1, 4, len(NAMES)), 0.1).requires_grad_()
    optimiser = torch.optim.Adam([motion], 0.01)
    targets = torch.stack(rows)[None]
    with torch.no_grad():
        before = sum(loss(motion, targets).values())
    for _ in range(150):
        optimiser.zero_grad()
        total = sum(loss(motion.clamp(0, 1), targets).values())
        assert isinstance(total, torch.Tensor)
        total.backward()
        optimiser.step()
    with torch.no_grad():
        after = sum(loss(motion.clamp(0, 1), targets).values())
    assert float(after) < 0.1 * float(before)


def test_phones_ask_the_frames_that_they_fill() -> None:
    phones = ("sil", "m", "ɑ", "f", "u", "s", "sil")
    edges = np.array([0, 1.0, 1.2, 1.5, 1.6, 1.9, 2.1, 3.0])
    clip = PhoneClip("one", Path("one.flac"), phones, edges[:-1], edges[1:], "en", "anna")
    targets = targets_of(clip, 75, 25)
    frames = {c: np.flatnonzero(targets[:, c] > 0) for c in (SHUT, TEETH, ROUND, WIDE, REST)}
    assert frames[SHUT].tolist() == [25, 26, 27, 28]  # but not its end, where it is released
    assert frames[TEETH].tolist() == [38, 39]  # and no more while the next one begins
    assert frames[ROUND].tolist() == [44]
    assert frames[WIDE].tolist() == [50]
    assert set(range(22)) <= set(frames[REST]) <= {*range(22), *range(59, 75)}
    heights = targets[targets[:, HEIGHT] >= 0][:, HEIGHT]
    assert heights.tolist() == [1.0, 0.0]
    assert not (targets[frames[SHUT], OPEN] > 0).any()
    assert (targets_of(None, 5, 25) == NOTHING).all()
