"""What phones ask of a face: targets per motion frame, and the losses that compare motion to them.

In the flow speech -> features -> **codes -> motion**, in training only. Phonetics is sure of a few
things, and of no others: lips meet in p b m and never in a vowel or in t, d, k; the lower lip is at
the upper teeth in f and v; rounding narrows the mouth and spreading widens it; open vowels are more
open than close ones; a pause is rest. Everything between is left to what real motion has taught.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from codetalker.arkit import MOUTH_CHANNELS
from codetalker.data.clip import ANTICIPATE_S, SETTLE_S
from codetalker.data.phones import (
    BILABIAL,
    LABIODENTAL,
    NEVER_SHUT,
    ROUNDED,
    SILENCE,
    SPREAD,
    VOWEL_HEIGHT,
    PhoneClip,
)  # fmt: skip
from codetalker.evaluation.mouth import Mouth
from codetalker.rig import Rig

SHUT, TEETH, OPEN, ROUND, WIDE, REST, HEIGHT = range(7)
"""Columns of targets: six flags and, where `HEIGHT` is not negative, the openness of a vowel."""
COLUMNS = 7
NOTHING = -1.0
"""A row of this asks for nothing."""
SETTLED, READY = 0.8 * SETTLE_S, 0.8 * ANTICIPATE_S
"""Seconds of a pause after speech and before it in which the mouth still moves: a little less than
what measuring allows."""


def targets_of(clip: PhoneClip | None, frames: int, fps: float) -> NDArray[np.float32]:
    """(frames, 7) float32: what the phones ask of each motion frame; without a clip, nothing.

    A phone asks the frame nearest to its middle; one that must not be shut, all frames within its
    middle half; one whose lips must touch something, those of its first three quarters, for then
    comes their release.
    """
    targets = np.full((frames, COLUMNS), NOTHING, np.float32)
    if clip is None:
        return targets
    letters = clip.letters()
    for phone, start, end in zip(letters.phones, letters.starts, letters.ends, strict=True):
        middle = round((start + end) / 2 * fps)
        if phone == SILENCE:
            before = SETTLED if start > 0 else 0.0
            after = READY if end < letters.ends[-1] else 0.0
            targets[_frames(start + before, end - after, fps), REST] = 1
        elif 0 <= middle < frames:
            _ask(targets[middle], phone)
            quarter = (end - start) / 4
            if phone in BILABIAL or phone in LABIODENTAL:
                touch = SHUT if phone in BILABIAL else TEETH
                targets[_frames(start, end - quarter, fps), touch] = 1
            elif phone in NEVER_SHUT:
                targets[_frames(start + quarter, end - quarter, fps), OPEN] = 1
    return targets


def _frames(start: float, end: float, fps: float) -> slice:
    """Those from `start` to `end` seconds, as far as there are any."""
    return slice(max(int(np.ceil(start * fps)), 0), max(int(end * fps) + 1, 0))


def _ask(target: NDArray[np.float32], phone: str) -> None:
    """Set one frame's row for the phone that it is in the middle of."""
    classes: dict[int, Collection[str]] = {
        SHUT: BILABIAL, TEETH: LABIODENTAL, OPEN: NEVER_SHUT, ROUND: ROUNDED, WIDE: SPREAD,
    }  # fmt: skip
    for column, letters in classes.items():
        target[column] = phone in letters
    target[HEIGHT] = VOWEL_HEIGHT.get(phone, -1.0)


class PhoneLoss(nn.Module):
    """mm^2 by which motion (B, T, K) falls short of targets (B, T, 7)."""

    CLOSED, OPENED, LIP_TO_TEETH = 0.2, 1.4, 0.8
    """mm: lips that meet; the least gap of a sound that needs one; a lip at the teeth."""
    OPENING = 4.0
    """mm that the most open vowel is opened more than the closest, at least ..."""
    WIDEST_S = 0.08
    """... each at its widest within so many seconds of its middle."""
    ROUNDING = 5.0
    """mm that the mouth is wider in spread sounds than in rounded ones, at least."""
    SHARPNESS = 4.0
    """per mm, of the soft minimum over the vertices of the lip."""

    def __init__(self, rig: Rig, fps: float) -> None:
        super().__init__()
        self.near = round(self.WIDEST_S * fps)
        mouth = Mouth(rig)
        lip, teeth = mouth.lower_lip, mouth.upper_teeth
        lips = rig.basis("lips").reshape(len(rig.blendshape_names), -1)
        still = 1e6 * lips.astype(np.float64) @ lips.T / (lips.shape[1] / 3)
        driven = np.isin(np.arange(len(still)), MOUTH_CHANNELS)
        still[~driven] = still[:, ~driven] = 0
        vectors = {
            "gap": mouth.central_gap,
            "width": mouth.width,
            "lip": 1e3 * rig.template[lip],
            "lip_basis": 1e3 * rig.blendshapes[:, lip],
            "teeth": 1e3 * teeth,
            "still": still + 0.5 * np.diag(driven) / driven.sum(),
        }
        for name, value in vectors.items():
            self.register_buffer(name, torch.from_numpy(value.copy()).float(), persistent=False)
        self.gap: Tensor
        self.width: Tensor
        self.lip: Tensor
        self.lip_basis: Tensor
        self.teeth: Tensor
        self.still: Tensor

    def forward(self, motion: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Each kind's mean over the frames, or pairs of frames of a sequence, that it asks."""
        gap, width = motion @ self.gap, motion @ self.width
        flags = targets[..., :HEIGHT] > 0
        vowel = targets[..., HEIGHT] >= 0
        narrow = (self.OPENED - gap).clamp(min=0).square()
        higher = (targets[..., HEIGHT, None] - targets[..., None, :, HEIGHT]).clamp(min=0)
        both = vowel[..., None] & vowel[..., None, :] & (higher > 0.1)
        rounder = flags[..., WIDE, None] & flags[..., None, :, ROUND]
        widest = F.max_pool1d(gap, 2 * self.near + 1, 1, self.near)
        opened = widest[..., None] - widest[..., None, :]
        widened = width[..., None] - width[..., None, :]
        return {
            "shut": _mean((gap - self.CLOSED).clamp(min=0).square(), flags[..., SHUT]),
            # vowels are many and easily open: consonants count by themselves, and w most of all
            "open": _mean(narrow, flags[..., OPEN])
            + 0.5 * _mean(narrow, flags[..., OPEN] & ~vowel)
            + 1.5 * _mean(narrow, flags[..., OPEN] & flags[..., ROUND] & ~vowel),
            "teeth": _mean(self._from_teeth(motion[flags[..., TEETH]]), None)
            + _mean((1.0 - gap).clamp(min=0).square(), flags[..., TEETH]),
            "height": _mean((self.OPENING * higher - opened).clamp(min=0), both),
            "round": _mean((self.ROUNDING - widened).clamp(min=0), rounder),
            "rest": _mean(((motion @ self.still) * motion).sum(-1), flags[..., REST]),
        }

    def _from_teeth(self, motion: Tensor) -> Tensor:
        """(N, K) -> (N,) squared mm beyond touching of the lower lip from the upper teeth."""
        lip = self.lip + torch.einsum("nk,kvc->nvc", motion, self.lip_basis)
        distance = torch.cdist(lip, self.teeth.expand(len(lip), -1, -1)).amin(-1)
        nearest = (distance * (-self.SHARPNESS * distance).softmax(-1)).sum(-1)
        return (nearest - self.LIP_TO_TEETH).clamp(min=0).square()


def _mean(values: Tensor, where: Tensor | None) -> Tensor:
    """Mean of the values, of those that are asked for; zero if there are none."""
    if where is None:
        return values.sum() / max(values.numel(), 1)
    return (values * where).sum() / where.sum().clamp(min=1)
