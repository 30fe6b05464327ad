"""A corpus whose jaws open with the loudness, and what trains on it within seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from codetalker.arkit import UPPER_FACE_CHANNELS
from codetalker.causal.compared import Budget, Ear, Workshop
from codetalker.causal.hearing import Hearing
from codetalker.causal.train_codec import CodecRecipe
from codetalker.causal.train_talker import TalkerRecipe
from codetalker.data.clip import Clip
from conftest import write_sound
from tiny_model import CODEC, TALKER, WINDOWS, babble, tiny_encoder

JAW = 17
BUDGET = Budget(
    steps=12, codec_steps=24, recipe=TalkerRecipe(batch=4, frames=16, averaging=0.0),
    codec_recipe=CodecRecipe(batch=4, frames=16, idle=0.5), config=TALKER, codec=CODEC,
)  # fmt: skip


def clips_in(folder: Path) -> list[Clip]:
    """Speaker anna to learn from and to be held out, cara who is never learned from."""
    made = []
    for number, (speaker, split) in enumerate(
        [("anna", "train")] * 4 + [("anna", "val")] * 3 + [("cara", "unseen")] * 2
    ):
        sound = babble(3, seed=number)
        loudness = np.abs(sound).reshape(75, 640).mean(1)
        weights = np.random.default_rng(number).uniform(0, 0.02, (75, 52)).astype(np.float32)
        weights[:, JAW] = np.clip(loudness * 5, 0, 1)
        weights[:, list(UPPER_FACE_CHANNELS)] *= 0.5
        path = write_sound(folder / f"{number}.wav", (sound * 32767).astype(np.int16)[:, None])
        made.append(Clip(f"{speaker}{number}", speaker, split, path, weights, 25))
    return made


def workshop(clips: list[Clip], folder: Path, budget: Budget = BUDGET) -> Workshop:
    """What trains on them."""
    hearing = Hearing(WINDOWS, layers=2)
    return Workshop(clips, Ear(tiny_encoder(), hearing, folder / "heard"), folder, budget)
