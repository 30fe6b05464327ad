"""What sounds that are not speech, and poor recordings of speech, do to the mouth.

Needs no data but one or some recordings of speech: noise is put before, between and after them,
they are made quieter and narrower, and what is no speech at all is played instead. docs/metrics.md
defines every figure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from codetalker.audio import SAMPLE_RATE, Waveform
from codetalker.data import noise
from codetalker.data.clip import ANTICIPATE_S, SETTLE_S
from codetalker.evaluation.face_errors import ratio
from codetalker.evaluation.lipgap import correlation
from codetalker.evaluation.metrics import Result, lip_motion_mm
from codetalker.evaluation.mouth import Mouth
from codetalker.evaluation.sheet import Line
from codetalker.motion import Motion
from codetalker.rig import bundled_head

Samples = NDArray[np.float32]
Animate = Callable[[Waveform], Motion]

NOISES = ("pink", "brown", "white", "hum", "room", "babble")
LEVELS_DB = (-60.0, -50.0, -40.0, -35.0)
"""RMS of noise, relative to full scale."""
GAINS_DB = (-10.0, -20.0, -30.0, -40.0)
"""How much quieter speech is made."""
OTHERS = ("music", "tones", "clicks")
OTHERS_DB = -20.0
"""RMS of what is played instead of speech: as loud as speech."""
NOISE_S = 2.0
"""How long noise is heard alone, each time."""
ZEROS_S = 1.0
OTHERS_S = 10.0
SPEECH_S = 6.0
"""Recordings are cut to their first seconds."""
TELEPHONE_HZ = 8000
PLACES = ("before", "between", "after", "zeros", "after_zeros")

LINES = (
    *(
        line
        for place in PLACES
        for line in (
            Line(f"{place.replace('_', ' ')} mm", f"{place}_mm"),
            Line("widest", f"{place}_gap_mm"),
        )
    ),
    Line("gap RMS mm", "gap_rms_mm"),
    Line("gap corr", "gap_correlation", ".3f"),
    Line("jaw mm", "jaw_mm"),
    Line("of speech's", "jaw_of_speech"),
)


def rows(animate: Animate, recordings: Sequence[Waveform]) -> Iterator[Result]:
    """The figures of each sound, one row after another.

    Args:
        animate: gives the motion of a sound.
        recordings: of speech, at 16 kHz; at least one.
    """
    speech = [one.samples[: round(SPEECH_S * SAMPLE_RATE)] for one in recordings]
    yield {"sound": "zeros", "level_db": None, **_noise_row(animate, speech, _nothing, 0.0)}
    noisy = []
    for name in NOISES:
        make = partial(noise.babble, recordings=speech) if name == "babble" else noise.SOUNDS[name]
        for level in LEVELS_DB:
            figures = _noise_row(animate, speech, make, 10 ** (level / 20))
            noisy.append({"sound": name, "level_db": level, **figures})
            yield noisy[-1]
    yield {"sound": "worst of noise up to -40 dB", "level_db": None, **_worst(noisy)}
    yield from _speech_rows(animate, speech)


def _noise_row(
    animate: Animate, speech: Sequence[Samples], make: noise.Sound, level: float
) -> Result:
    """Mean distance of the lips from rest and widest gap in each place; worst of the recordings."""
    each = []
    for samples in speech:
        sound, spans = surrounded(samples, make, level)
        each.append(_rest(animate(Waveform(sound)), spans))
    return {name: max(one[name] for one in each) for name in each[0]}


def surrounded(
    speech: Samples, make: noise.Sound, level: float
) -> tuple[Samples, dict[str, tuple[float, float]]]:
    """Speech twice, noise before, between and after it and beneath it; zeros; the noise again.

    Args:
        speech: (N,) samples at 16 kHz.
        make: the noise, of unit RMS.
        level: what it is multiplied with.

    Returns:
        The sound, and where in it the mouth shall rest, seconds: each of `PLACES`.
    """
    alone, zeros = round(NOISE_S * SAMPLE_RATE), round(ZEROS_S * SAMPLE_RATE)
    quiet = np.zeros(alone, np.float32)
    talk = np.concatenate([quiet, speech, quiet, speech, quiet])
    sound = np.concatenate([talk, np.zeros(zeros, np.float32), quiet])
    noises = make(np.random.default_rng(0), len(talk) + alone, SAMPLE_RATE) * np.float32(level)
    sound[: len(talk)] += noises[: len(talk)]
    sound[len(talk) + zeros :] += noises[len(talk) :]
    first = NOISE_S + len(speech) / SAMPLE_RATE
    second = first + NOISE_S + len(speech) / SAMPLE_RATE
    end = second + NOISE_S
    spans = {
        "before": (0.0, NOISE_S - ANTICIPATE_S),
        "between": (first + SETTLE_S, first + NOISE_S - ANTICIPATE_S),
        "after": (second + SETTLE_S, end),
        "zeros": (end + SETTLE_S, end + ZEROS_S - ANTICIPATE_S),
        "after_zeros": (end + ZEROS_S, end + ZEROS_S + NOISE_S),
    }
    return sound, spans


def _rest(motion: Motion, spans: dict[str, tuple[float, float]]) -> Result:
    rig = bundled_head()
    weights = motion.weights_for(rig.blendshape_names)
    times = np.arange(len(motion)) / motion.fps
    gap = weights @ Mouth(rig).gap
    moved = lip_motion_mm(rig, weights)
    figures = {}
    for place, (start, end) in spans.items():
        inside = (times >= start) & (times < end)
        figures[f"{place}_mm"] = float(moved[inside].mean())
        figures[f"{place}_gap_mm"] = float(gap[inside].max())
    return figures


def _worst(noisy: Sequence[Result]) -> Result:
    """The largest figure of any noise, babble (which is speech) left out, up to -40 dB."""
    counted = [row for row in noisy if row["sound"] != "babble" and row["level_db"] <= -40]
    names = [name for name in counted[0] if name.endswith("_mm")]
    return {name: max(row[name] for row in counted) for name in names}


def _speech_rows(animate: Animate, speech: Sequence[Samples]) -> Iterator[Result]:
    rig = bundled_head()
    mouth = Mouth(rig)

    def curves(samples: Samples) -> NDArray[np.float64]:
        """(2, T) gap and jaw in mm."""
        weights = animate(Waveform(samples)).weights_for(rig.blendshape_names)
        return np.stack([weights @ mouth.gap, weights @ mouth.chin])

    as_recorded = [curves(samples) for samples in speech]
    jaw = float(np.concatenate(as_recorded, 1)[1].mean())
    yield {"sound": "speech", "level_db": 0.0, "jaw_mm": jaw, "jaw_of_speech": 1.0}
    for gain in GAINS_DB:
        changed = [curves(samples * np.float32(10 ** (gain / 20))) for samples in speech]
        yield {"sound": "speech", "level_db": gain, **_against(changed, as_recorded)}
    narrow = [
        curves(Waveform(s).resampled(TELEPHONE_HZ).resampled(SAMPLE_RATE).samples[: len(s)])
        for s in speech
    ]
    yield {"sound": "speech at 8 kHz", "level_db": 0.0, **_against(narrow, as_recorded)}
    for name in OTHERS:
        random = np.random.default_rng(0)
        sound = noise.SOUNDS[name](random, round(OTHERS_S * SAMPLE_RATE), SAMPLE_RATE)
        mean = float(curves(sound * np.float32(10 ** (OTHERS_DB / 20)))[1].mean())
        figures = {"jaw_mm": mean, "jaw_of_speech": ratio(mean, jaw)}
        yield {"sound": name, "level_db": OTHERS_DB, **figures}


def _against(
    changed: Sequence[NDArray[np.float64]], recorded: Sequence[NDArray[np.float64]]
) -> Result:
    """How far the lip gap is from that of the speech as it was recorded."""
    frames = [min(a.shape[1], b.shape[1]) for a, b in zip(changed, recorded, strict=True)]
    now, then = (
        np.concatenate([curve[:, :n] for curve, n in zip(curves, frames, strict=True)], 1)
        for curves in (changed, recorded)
    )
    return {
        "gap_rms_mm": float(np.sqrt(np.square(now[0] - then[0]).mean())),
        "gap_correlation": correlation(now[0], then[0]),
        "jaw_mm": float(now[1].mean()),
        "jaw_of_speech": ratio(float(now[1].mean()), float(then[1].mean())),
    }


def _nothing(random: np.random.Generator, samples: int, rate: int) -> Samples:
    return np.zeros(samples, np.float32)
