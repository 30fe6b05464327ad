"""Layers: what is laid over the learned motion of a stream, frame by frame. None of it is learned.

In the flow speech -> features -> codes -> **motion**: a mouth that comes out of rest, the strength
of articulation, blinks, and life.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from codetalker.causal.blinks import JAW, LIDS, draw_curve, lids
from codetalker.causal.bundle import Bundle
from codetalker.causal.life import BROWS, Life, loudness_of
from codetalker.causal.manner import Manner
from codetalker.causal.stream import StreamState
from codetalker.gaze import eye_weights
from codetalker.motion import Motion

RESTING = 0.03
"""Below this weight of the jaw, the mouth rests."""


class Layers:
    """The layers of a bundle's motion."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._fps = bundle.windows.fps
        self._column = {name: i for i, name in enumerate(bundle.blendshapes)}
        self._life = Life()

    def laid(
        self,
        weights: NDArray[np.float32],
        codes: NDArray[np.int64],
        sounds: list[NDArray[np.float32]],
        first: int,
        state: StreamState,
    ) -> Motion:
        """The motion of the next frames; the memory of the layers in the state moves on.

        Args:
            weights: (T, K) learned.
            codes: (T, H) that they were decoded from.
            sounds: T times (N,) samples of that frame, after the bundle's gain.
            first: number of the first frame.
        """
        bundle = self._bundle
        weights = weights.copy()
        onset = round(bundle.onset * self._fps)
        for number, frame in enumerate(weights[: max(onset - first, 0)], first):
            frame[bundle.articulation] *= (number / onset) ** 2
        manners = [state.course.at(number) for number in range(first, first + len(weights))]
        for frame, manner in zip(weights, manners, strict=True):
            if manner.strength != 1.0:
                frame[bundle.articulation] *= manner.strength
                frame.clip(0, 1, out=frame)
        if state.blinks and bundle.blinks:
            for number, frame in enumerate(weights, first):
                self._blink(frame, number, state)
        head = None
        if any(manner.life for manner in manners):
            head = np.zeros((len(weights), 3), np.float32)
            for i, manner in enumerate(manners):
                if manner.life:
                    head[i] = self._live(weights[i], sounds[i], first + i, manner, state)
        start = first / self._fps
        return Motion(weights, bundle.blendshapes, self._fps, codes=codes, head=head, start=start)

    def _blink(self, weights: NDArray[np.float32], frame: int, state: StreamState) -> None:
        """Replace the lids of a frame's (K,) weights, in place."""
        blinks = self._bundle.blinks
        assert blinks
        jaw, *eyes = (self._column[name] for name in (JAW, *LIDS))
        state.blink[0] += 1
        resting = bool(weights[jaw] < RESTING)
        if blinks.draw(int(state.blink[0]), resting, self._fps, state.seed, frame):
            state.blink[:] = 0, draw_curve(state.seed, frame)
        weights[eyes] = lids(int(state.blink[1]), int(state.blink[0]), weights[eyes])

    def _live(
        self,
        weights: NDArray[np.float32],
        sound: NDArray[np.float32],
        frame: int,
        manner: Manner,
        state: StreamState,
    ) -> NDArray[np.float64]:
        """Add to a frame's (K,) weights, in place; return the head's (3,) turn."""
        moment = self._life.live(
            state.memory[0], loudness_of(sound), manner.voice, self._fps, state.seed, frame
        )
        added = eye_weights(moment.eyes) | {k: v * moment.brows for k, v in BROWS.items()}
        for name, weight in added.items():
            if name in self._column:
                column = self._column[name]
                weights[column] = min(weights[column] + manner.life * weight, 1.0)
        return manner.life * moment.head
