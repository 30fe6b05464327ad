"""Protocols that need no true motion: free speech, phones, silence, diversity and speed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from codetalker.audio import SAMPLE_RATE, Waveform
from codetalker.benchmark.observed import Measured, Observed, detection
from codetalker.benchmark.systems import System
from codetalker.data import noise
from codetalker.data.clip import Clip
from codetalker.data.phones import BILABIAL, VOWEL_HEIGHT, PhoneClip, symbols
from codetalker.data.seen import SeenClip
from codetalker.evaluation.lipgap import PREDICTED_S
from codetalker.evaluation.metrics import lip_motion_mm
from codetalker.evaluation.phones import AT_TEETH_MM, Curves, observe
from codetalker.evaluation.seen import align, score_clip
from codetalker.evaluation.silence import inserted_silence_mm
from codetalker.motion import Motion
from codetalker.rig import bundled_head

_PAIRS = 10
_NOISES = {"pink": -40.0, "room": -50.0}
_NOISE_S = 10.0
_OTHER_STYLES = 3
_TIMED_S = 15.0
_SEEN = (
    "correlation", "separation", "shut_found", "false_shut", "spread", "width_correlation",
)  # fmt: skip
_PHONES = {
    "closure_rate": "closed",
    "vowels_falsely_shut": "vowel_shut",
    "tk_falsely_shut": "tk_shut",
    "pause_mm": "pause_mm",
}
"""Figure -> the observations that it is the mean of."""


def free_speech(clips: Sequence[SeenClip], system: System) -> Measured:
    """Each clip alike; frames seen shut and open count as closures and openings."""
    observed, curves = [], {}
    for clip in clips:
        motion = system.animate(clip.waveform(), None, 0)
        figures, found = score_clip(clip, motion), align(clip, motion)
        sums = {name: (figures[name], 1.0) for name in _SEEN if figures[name] is not None}
        observed.append(
            Observed(clip.name, sums, detection(found.gap[found.shut], found.gap[found.open]))
        )
        if not curves:
            curves = {
                "gap": found.gap.tolist(),
                "true_gap": found.seen_gap.tolist(),
                "fps": [motion.fps],
            }
    return Measured(tuple(observed), curves)


def phone_timed(clips: Sequence[PhoneClip], system: System) -> Measured:
    """Each phone alike; the least gap in p b m against the widest in the middle of vowels."""
    observed = []
    for clip in clips:
        motion = system.animate(clip.waveform(), None, 0)
        seen = observe(clip, motion)
        sums = {
            name: (float(seen[kind].sum()), float(len(seen[kind])))
            for name, kind in _PHONES.items()
            if kind in seen
        }
        if "teeth" in seen:
            sums["fv_at_teeth"] = float((seen["teeth"] <= AT_TEETH_MM).sum()), len(seen["teeth"])
        curves = Curves(motion)
        observed.append(Observed(clip.name, sums, detection(*_gaps(clip, curves))))
    return Measured(tuple(observed))


def silence(clips: Sequence[Clip], system: System) -> Measured:
    """Lips between two clips, and in noise."""
    speaker = system.style_of(clips[0].speaker)
    spoken = [clip for clip in clips if clip.speech][: _PAIRS + 1]
    observed = []
    for pair in pairwise(spoken):
        moved = inserted_silence_mm(_Seeded(system), pair, speaker)
        if moved is not None:
            observed.append(Observed(pair[0].name, {"silence_mm": (moved, 1.0)}))
    for number, (kind, level) in enumerate(_NOISES.items()):
        random = np.random.default_rng(number)
        sound = noise.SOUNDS[kind](random, round(_NOISE_S * SAMPLE_RATE), SAMPLE_RATE)
        motion = system.animate(Waveform(sound * np.float32(10 ** (level / 20))), None, 0)
        observed.append(Observed(kind, {"noise_mm": (float(_lips(motion).mean()), 1.0)}))
    return Measured(tuple(observed))


def diversity(clips: Sequence[Clip], system: System) -> Measured:
    """How far two seeds and two styles are apart."""
    others = system.styles[1 : 1 + _OTHER_STYLES]
    observed = []
    for clip in clips:
        sound = clip.waveform()
        own, again = (_weights(system.animate(sound, None, seed)) for seed in (0, 1))
        sums = {
            "between_seeds_upper_mm": (_apart(own, again, "upper_face"), 1.0),
            "between_seeds_lips_mm": (_apart(own, again, "lips"), 1.0),
        }
        if others:
            styled = [_weights(system.animate(sound, style, 0)) for style in others]
            far = np.mean([_apart(own, other, "lips") for other in styled])
            sums["between_styles_lips_mm"] = float(far), 1.0
        observed.append(Observed(clip.name, sums))
    return Measured(tuple(observed))


def speed(clips: Sequence[Clip], system: System) -> Measured:
    """Seconds of computing over seconds of sound, after a first second that warms it up."""
    samples = np.concatenate([clip.waveform().samples for clip in clips])
    sound = Waveform(samples[: round(_TIMED_S * SAMPLE_RATE)])
    if system.remembers:
        return Measured(())
    animate = system.cold or system.animate
    animate(Waveform(sound.samples[:SAMPLE_RATE]), None, 0)
    observed = []
    for number in range(3):
        start = time.perf_counter()
        animate(sound, None, 0)
        spent = time.perf_counter() - start
        observed.append(Observed(str(number), {"rtf": (spent, sound.duration)}))
    return Measured(tuple(observed))


class _Seeded:
    """A system as `inserted_silence_mm` calls it."""

    def __init__(self, system: System) -> None:
        self._system = system

    def animate(self, audio: Waveform, *, style: str | None = None) -> Motion:
        return self._system.animate(audio, style, 0)


def _gaps(clip: PhoneClip, curves: Curves) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Least gaps in and beside each p b m; widest gaps in the middle of each vowel."""
    shut, wide = [], []
    for phone, start, end in zip(
        clip.phones, clip.starts.tolist(), clip.ends.tolist(), strict=True
    ):
        first = symbols(phone)[:1]
        if BILABIAL & {*first}:
            near = curves.during(curves.gap, max(start - PREDICTED_S, 0), end + PREDICTED_S)
            shut.append(near.min())
        elif VOWEL_HEIGHT.keys() & {*first}:
            wide.append(curves.middle(curves.gap, start, end).max())
    return np.array(shut), np.array(wide)


def _weights(motion: Motion) -> NDArray[np.float32]:
    return motion.weights_for(bundled_head().blendshape_names)


def _lips(motion: Motion) -> NDArray[np.float32]:
    return lip_motion_mm(bundled_head(), _weights(motion))


def _apart(one: NDArray[np.float32], other: NDArray[np.float32], region: str) -> float:
    """Mean distance of a region's vertices, mm."""
    basis = bundled_head().basis(region) * np.float32(1000)
    offsets = (one - other) @ basis.reshape(len(basis), -1)
    return float(np.linalg.norm(offsets.reshape(len(offsets), -1, 3), axis=-1).mean())
