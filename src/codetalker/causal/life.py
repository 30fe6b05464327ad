"""Life: eyes that look about, a head that is never quite still, accents with the voice.

In the flow speech -> features -> codes -> **motion**. Procedural: nothing here is learned, though
its figures are measured. How far and how fast a head moves is from 902 clips of one speaker of
GRID; his nose rises with the voice's loudness (correlation 0.45), his brows half a second later
(0.33). How eyes jump follows Lee, Badler and Badler, *Eyes Alive*, 2002; that they stay on what
they look at while the head turns is the vestibulo-ocular reflex.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, exp, pi
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from codetalker.causal.draws import LIFE, normal, uniform
from codetalker.errors import OptionError, did_you_mean

Liveliness = Literal["off", "idle", "full"]
"""`idle`: eyes and head, as of one who listens; `full`: and what goes with one's own voice."""

SWAY, SWAY_HZ = np.radians([1.9, 2.2, 1.1]), 0.1
"""The slow part of pitch, yaw, roll: standard deviation from clip to clip, minutes apart."""
STIR, STIR_HZ = np.radians([0.66, 0.35, 0.18]), 1.6
"""The quick part: standard deviation within three seconds of speech, and where it falls off."""
EYE_TURN, EYE_TURN_UP = np.radians(35.0), np.radians(25.0)
"""Of an eyeLook weight of 1: ARKit's weights against its eye angles, in 6.5 minutes of takes."""
NOD_HZ = 2.0
"""Where the head stops to follow the voice: syllables are quicker."""
BROWS = {"browInnerUp": 1.0, "browOuterUpLeft": 0.8, "browOuterUpRight": 0.8}
"""The blendshapes of raised brows, and their shares."""
QUIET, LOUD = -42.0, -18.0
"""dB of full scale after the bundle's gain: silence, and stressed vowels."""

MEMORY = np.dtype(
    [
        ("sway", "f8", (3, 3)),  # low-pass stages x axes
        ("stir", "f8", (3, 3)),
        ("nod", "f8", (3, 1)),
        ("loudness", "f8"),
        ("usual", "f8"),
        ("look", "f8", 2),
        ("looked", "f8", 2),
        ("look_age", "f8"),
        ("look_until", "f8"),
        ("brows", "f8"),
        ("brows_age", "f8"),
    ]
)
"""What one frame leaves to the next."""


@dataclass(frozen=True, eq=False)
class Moment:
    """What is added in one frame.

    Attributes:
        head: (3,) pitch, yaw, roll in radians; see `codetalker.head_pose`.
        eyes: (2,) how far the eyes are turned in the head, down and to the subject's left, radians.
        brows: 0..1, how far the brows are raised.
    """

    head: NDArray[np.float64]
    eyes: NDArray[np.float64]
    brows: float


@dataclass(frozen=True)
class Life:
    """How lively. Angles in radians, times in seconds.

    Attributes:
        sway, stir: share of the measured slow and quick motion of the head.
        rest: share of its quick motion that is left in silence.
        nod: how far the nose rises from silence to a loud syllable.
        fixation: the shortest and the mean time that the eyes stay.
        face: standard deviation of where they look in the face of the other.
        away: share of looks that leave it, and their standard deviation.
        stress: loudness over the last second's, of 1, at which the brows may rise.
        pause: time after an accent of the brows without another one.
    """

    sway: float = 1.0
    stir: float = 1.2
    rest: float = 0.3
    nod: float = 0.03
    fixation: tuple[float, float] = (0.3, 1.3)
    face: float = 0.03
    away: tuple[float, float] = (0.15, 0.14)
    stress: float = 0.2
    pause: float = 1.4

    def start(self) -> NDArray[np.void]:
        """(1,) of `MEMORY`, before the first frame: head and eyes straight."""
        memory = np.zeros(1, MEMORY)
        memory["look_until"] = self.fixation[1]
        return memory

    def live(
        self, memory: np.void, loudness: float, spoken: bool, fps: float, seed: int, frame: int
    ) -> Moment:
        """One frame.

        Args:
            memory: of `MEMORY`; moves on.
            loudness: of the frame's sound, 0 (silence) to 1 (a stressed vowel).
            spoken: whether the sound is one's own voice.
            fps: frames per second.
            seed, frame: of all that is drawn.
        """
        chance = uniform(seed, frame, LIFE, 19)
        own = loudness if spoken else 0.0
        memory["loudness"] += _share(0.08, fps) * (own - memory["loudness"])
        memory["usual"] += _share(1.0, fps) * (own - memory["usual"])
        noise = normal(chance[:12]).reshape(2, 3)
        quick = self.stir * (self.rest + (1 - self.rest) * min(1.0, 2 * memory["usual"]))
        head = self.sway * SWAY * _Smooth(SWAY_HZ, fps).noise(memory["sway"], noise[0])
        head += quick * STIR * _Smooth(STIR_HZ, fps).noise(memory["stir"], noise[1])
        head[0] -= self.nod * _Smooth(NOD_HZ, fps).follow(memory["nod"], np.array([own]))[0]
        look = self._look(memory, chance[12:18], fps)
        return Moment(head, look - head[:2], self._brows(memory, chance[18], fps))

    def _look(self, memory: np.void, chance: NDArray[np.float64], fps: float) -> NDArray:
        """(2,) where the eyes look, whatever the head does."""
        memory["look_age"] += 1 / fps
        if memory["look_age"] > memory["look_until"]:
            share, far = self.away
            memory["looked"] = memory["look"]
            spread = (0.6 * far, far) if chance[4] < share else self.face
            memory["look"] = normal(chance[:4]) * spread
            shortest, mean = self.fixation
            memory["look_until"] = shortest - np.log1p(-chance[5]) * (mean - shortest)
            memory["look_age"] = 0
        # A saccade of such a size takes 30 to 60 ms.
        done = min(1.0, (memory["look_age"] + 1 / fps) / 0.06)
        return memory["looked"] + done * (memory["look"] - memory["looked"])

    def _brows(self, memory: np.void, chance: float, fps: float) -> float:
        """How far the brows are raised: up in 0.2 s, down in 0.6 s."""
        memory["brows_age"] += 1 / fps
        stressed = memory["loudness"] - memory["usual"] > self.stress
        if stressed and memory["brows_age"] > self.pause:
            memory["brows"], memory["brows_age"] = 0.12 + 0.28 * chance, 0
        age = memory["brows_age"]
        phase = age / 0.2 if age < 0.2 else 1 + (age - 0.2) / 0.6
        return float(memory["brows"] * (1 - cos(pi * min(phase, 2.0))) / 2)


def eye_weights(eyes: NDArray[np.float64]) -> dict[str, float]:
    """The eyeLook weights of eyes turned (2,) down and to the subject's left, radians."""
    down, left = eyes
    weights = {}
    for side, outward in (("Left", left), ("Right", -left)):
        weights[f"eyeLookDown{side}"] = max(down, 0) / EYE_TURN
        weights[f"eyeLookUp{side}"] = max(-down, 0) / EYE_TURN_UP
        weights[f"eyeLookOut{side}"] = max(outward, 0) / EYE_TURN
        weights[f"eyeLookIn{side}"] = max(-outward, 0) / EYE_TURN
    return weights


def loudness_of(samples: NDArray[np.float32]) -> float:
    """0..1 of a frame's (N,) samples, after the bundle's gain."""
    decibel = 10 * np.log10(np.square(samples, dtype=np.float64).mean() + 1e-12)
    return float(np.clip((decibel - QUIET) / (LOUD - QUIET), 0, 1))


def check_liveliness(life: str) -> None:
    """See that life can be asked for.

    Raises:
        OptionError: it is not one of `Liveliness`.
    """
    if life not in get_args(Liveliness):
        raise OptionError(f"there is no life {life!r}; {did_you_mean(life, get_args(Liveliness))}")


class _Smooth:
    """Three one-pole low-passes in a row: position, speed and acceleration are continuous."""

    def __init__(self, hertz: float, fps: float) -> None:
        self._keep = exp(-2 * pi * hertz / fps)

    def follow(self, stages: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray:
        """The next (N,) values, smoothed; `stages` (3, N) move on in place."""
        for stage in stages:
            stage += (1 - self._keep) * (values - stage)
            values = stage.copy()
        return values

    def noise(self, stages: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray:
        """The same of white noise, brought to a standard deviation of 1."""
        a = self._keep**2
        # The impulse response is (1 - k)^3 (n + 1)(n + 2) / 2 k^n; its sum of squares:
        power = (1 - self._keep) ** 6 * (1 + 4 * a + a**2) / (1 - a) ** 5
        return self.follow(stages, values) / power**0.5


def _share(seconds: float, fps: float) -> float:
    """Of the way to a new value that a one-pole low-pass goes in a frame."""
    return 1 - exp(-1 / (seconds * fps))
