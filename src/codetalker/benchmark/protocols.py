"""The protocols: what is played to every system and what is asked of its motion.

docs/benchmark.md says the same for people; it was written before results were looked at.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from codetalker.audio import SAMPLE_RATE, Waveform
from codetalker.benchmark import without_truth
from codetalker.benchmark.against_truth import compare, gap_mm
from codetalker.benchmark.curves import SEGMENT, speed_spectrum
from codetalker.benchmark.observed import Measured, Observed
from codetalker.benchmark.systems import System
from codetalker.data import noise
from codetalker.data.clip import Clip, read_sound
from codetalker.data.phones import PhoneClip
from codetalker.data.seen import SeenClip
from codetalker.errors import DataError
from codetalker.motion import Motion
from codetalker.rig import bundled_head

VERSION = 2
"""Of all protocols; results of another are measured anew."""
PIECE_S = 10.0
"""What a take is cut into after it was spoken as a whole: pieces count as clips."""
SNR_DB = (20, 10)
QUIETER_DB = -20.0


@dataclass(frozen=True)
class Protocol:
    """Something that is measured of every system.

    Attributes:
        name: for files.
        title, text: for people.
        data: by which what is played is recognised.
        measure: does it.
        figures: those that systems are compared by; the others are shown.
    """

    name: str
    title: str
    text: str
    data: str
    measure: Callable[[System], Measured]
    figures: tuple[str, ...]


@dataclass(frozen=True)
class Data:
    """What protocols play.

    Attributes:
        clips: of a corpus.
        takes: of split `take`, held out of it.
        seen: free speech that a camera saw.
        phones: speech with the times of its phones.
        most: clips of a protocol with altered sound, at most.
        minutes: of the long recording.
    """

    clips: Sequence[Clip]
    takes: Sequence[Clip] = ()
    seen: Sequence[SeenClip] = ()
    phones: Sequence[PhoneClip] = ()
    most: int = 82
    minutes: float = 10.0


TRUTH = ("lve_mm2", "fdd_abs_mm2", "correlation", "closure_rate", "found_at_equal_false")


def protocols(data: Data) -> list[Protocol]:
    """All that the data allow, in the order in which they are shown.

    Raises:
        DataError: the corpus has no clips of split `val`.
    """
    main, unseen = main_clips(data.clips), _unseen(data.clips)
    few = main[:: -(-len(main) // data.most)]
    made = [
        Protocol(
            "seen-speaker", "Seen speaker",
            f"The {len(main)} validation clips of {main[0].speaker}, the speaker with the most "
            "clips, in that style.",
            _clips_digest(main), partial(_clips, main, own=True), TRUTH,
        ),
        Protocol(
            "unseen-speakers", "Unseen speakers",
            f"The {len(unseen)} clips of speakers of split `unseen` with several of them; every "
            "system in its default style.",
            _clips_digest(unseen), partial(_clips, unseen, own=False),
            ("lve_mm2", "correlation", "closure_rate", "found_at_equal_false"),
        ),
        Protocol(
            "take", "Held-out take",
            f"The last take of each speaker of long ones, {_minutes(data.takes):.1f} minutes, in "
            f"that style, in pieces of {PIECE_S:g} s. The bundled models learned from it, the "
            "systems trained here did not.",
            _clips_digest(data.takes), partial(_takes, data.takes),
            ("lve_mm2", "correlation", "found_at_equal_false"),
        ),
        Protocol(
            "free-speech", "Free speech, seen in video",
            f"{len(data.seen)} recordings of people filmed while they spoke, each at its own lag; "
            "default style.",
            _digest([_sound(c) + c.gap.tobytes().hex() for c in data.seen]),
            partial(without_truth.free_speech, data.seen),
            ("correlation", "separation", "found_at_equal_false"),
        ),
        Protocol(
            "phones", "Phone-timed speech",
            f"{len(data.phones)} recordings with the times of their phones; default style. Lips "
            "must shut in p b m and must not in the middle of vowels.",
            _digest([clip.digest() for clip in data.phones]),
            partial(without_truth.phone_timed, data.phones),
            ("found_at_equal_false", "fv_at_teeth", "pause_mm"),
        ),
        _long(main, data.minutes),
        *(_noisy(few, kind, snr) for kind in ("pink", "babble") for snr in SNR_DB),
        Protocol(
            "level", "Level",
            f"{len(few)} clips of the seen speaker {-QUIETER_DB:g} dB quieter: how far the gap is "
            "from that of the clips as they are (root mean square).",
            _clips_digest(few), partial(_quieter, few), ("gap_change_mm",),
        ),
        Protocol(
            "silence", "Silence and noise alone",
            "2 s of nothing between the words of two clips, ten times; and 10 s each of pink noise "
            "at -40 dB and of room tone at -50 dB: mean distance of the lips from rest.",
            _clips_digest(main), partial(without_truth.silence, main), ("silence_mm", "noise_mm"),
        ),
        Protocol(
            "diversity", "Diversity",
            "Mean distance of the vertices between two seeds, and of the lips between the default "
            "style and others: a model that has learned one motion per sound has none.",
            _clips_digest(few[:10]), partial(without_truth.diversity, few[:10]), (),
        ),
        Protocol(
            "speed", "Speed",
            "Seconds of computing per second of sound that was not heard before, three times a "
            "recording of 15 s, on the machine of this report.",
            _clips_digest(main[:5]), partial(without_truth.speed, main[:5]), (),
        ),
    ]  # fmt: skip
    missing = {"unseen-speakers": unseen, "take": data.takes, "free-speech": data.seen,
               "phones": data.phones}  # fmt: skip
    return [protocol for protocol in made if missing.get(protocol.name, True)]


def main_clips(clips: Sequence[Clip]) -> list[Clip]:
    """Validation clips of the speaker with the most of them."""
    held = [clip for clip in clips if clip.split == "val"]
    if not held:
        raise DataError("the corpus has no clips of split 'val'; see docs/data.md")
    speakers = [clip.speaker for clip in held]
    most = max(sorted(set(speakers)), key=speakers.count)
    return [clip for clip in held if clip.speaker == most]


def _unseen(clips: Sequence[Clip]) -> list[Clip]:
    """Of speakers with one clip, who may be a known one under another name, none."""
    held = [clip for clip in clips if clip.split == "unseen"]
    speakers = [clip.speaker for clip in held]
    return [clip for clip in held if speakers.count(clip.speaker) > 1]


def _clips(clips: Sequence[Clip], system: System, *, own: bool) -> Measured:
    """Clips as they are; curves: the gaps of the first, spectra, and how often codes occur."""
    observed, spectra, codes = [], np.zeros((2, SEGMENT // 2 + 1)), []
    curves: dict[str, list[float]] = {}
    for clip in clips:
        motion = system.animate(clip.waveform(), system.style_of(clip.speaker) if own else None, 0)
        observed.append(compare(clip, motion))
        at_rate = motion.resample(clip.fps)
        gaps = gap_mm(at_rate), gap_mm(_true(clip))
        spectra += [speed_spectrum(gap, clip.fps) for gap in gaps]
        if not curves:
            curves = {"gap": gaps[0].tolist(), "true_gap": gaps[1].tolist(), "fps": [clip.fps]}
        if motion.codes is not None:
            codes.append(motion.codes.ravel())
    curves["spectrum"], curves["true_spectrum"] = (spectra / len(clips)).tolist()
    if codes:
        counts = np.bincount(np.concatenate(codes))
        curves["codes"] = [float(count) for count in np.sort(counts)[::-1]]
    return Measured(tuple(observed), curves)


def _takes(takes: Sequence[Clip], system: System) -> Measured:
    observed = []
    for take in takes:
        motion = system.animate(take.waveform(), system.style_of(take.speaker), 0)
        motion, step = motion.resample(take.fps), round(PIECE_S * take.fps)
        for first in range(0, len(take.weights) - step // 2, step):
            observed.append(compare(*_cut(take, motion, first, first + step)))
    return Measured(tuple(observed))


def _long(main: Sequence[Clip], minutes: float) -> Protocol:
    first, middle = _halves(main, minutes)
    return Protocol(
        "long", "Long audio",
        f"Validation clips of {main[0].speaker} one after another for {minutes:g} minutes; the "
        f"last {len(first)} are the first ones again, so that both tenths are of the same speech.",
        _digest([_clips_digest(main), str(minutes)]), partial(_drift, first, middle),
        ("drift",),
    )  # fmt: skip


def _halves(clips: Sequence[Clip], minutes: float) -> tuple[list[Clip], list[Clip]]:
    """The first tenth of a long recording, and what comes between it and the last."""
    count = max(2, round(minutes * 60 / clips[0].duration))
    tenth = max(1, min(len(clips), count // 10))
    return list(clips[:tenth]), [clips[i % len(clips)] for i in range(tenth, count - tenth)]


def _drift(first: Sequence[Clip], middle: Sequence[Clip], system: System) -> Measured:
    clips = [*first, *middle, *first]
    sound = Waveform(np.concatenate([_whole(clip) for clip in clips]))
    motion = system.animate(sound, system.style_of(clips[0].speaker), 0)
    motion = motion.resample(clips[0].fps)
    errors, at = [], 0
    for clip in clips:
        errors.append(compare(*_as(clip, motion, at)).sums["lve_mm2"])
        at += len(clip.weights)
    observed = tuple(
        Observed(clip.name, {"drift": (late[0], early[0])})
        for clip, early, late in zip(first, errors, errors[-len(first) :], strict=False)
    )
    return Measured(observed, {"error": [top / bottom for top, bottom in errors]})


def _noisy(clips: Sequence[Clip], kind: str, snr: int) -> Protocol:
    return Protocol(
        f"{kind}-{snr}db", f"{kind.capitalize()} noise, {snr} dB",
        f"{len(clips)} clips of the seen speaker in {kind} noise at a ratio of {snr} dB to their "
        "speech"
        + (", six voices of other clips at once." if kind == "babble" else "."),
        _clips_digest(clips), partial(_in_noise, clips, kind, snr), TRUTH,
    )  # fmt: skip


def _in_noise(clips: Sequence[Clip], kind: str, snr: int, system: System) -> Measured:
    voices = [clip.waveform().samples for clip in clips[:12]]
    observed = []
    for number, clip in enumerate(clips):
        samples, random = clip.waveform().samples, np.random.default_rng(number)
        if kind == "babble":
            others = [v for i, v in enumerate(voices) if i != number] or voices
            sound = noise.babble(random, len(samples), SAMPLE_RATE, others)
        else:
            sound = noise.SOUNDS[kind](random, len(samples), SAMPLE_RATE)
        level = np.sqrt(np.square(samples).mean()) * 10 ** (-snr / 20)
        mixed = Waveform((samples + level * sound).astype(np.float32))
        motion = system.animate(mixed, system.style_of(clip.speaker), 0)
        observed.append(compare(clip, motion))
    return Measured(tuple(observed))


def _quieter(clips: Sequence[Clip], system: System) -> Measured:
    gain, observed = np.float32(10 ** (QUIETER_DB / 20)), []
    for clip in clips:
        samples, style = clip.waveform().samples, system.style_of(clip.speaker)
        gaps = [gap_mm(system.animate(Waveform(s), style, 0)) for s in (samples, samples * gain)]
        squares = float(np.square(gaps[1] - gaps[0]).sum())
        observed.append(Observed(clip.name, {"gap_change_mm": (squares, float(len(gaps[0])))}))
    return Measured(tuple(observed))


def _cut(clip: Clip, motion: Motion, first: int, stop: int) -> tuple[Clip, Motion]:
    """Frames of both; words do not go with them."""
    name = f"{clip.name} {first / clip.fps:.0f} s"
    part = replace(clip, name=name, weights=clip.weights[first:stop], words=())
    return part, replace(motion, weights=motion.weights[first:stop], codes=None, head=None)


def _as(clip: Clip, motion: Motion, first: int) -> tuple[Clip, Motion]:
    """A clip and its frames of a longer motion."""
    return clip, _cut(clip, motion, first, first + len(clip.weights))[1]


def _whole(clip: Clip) -> NDArray[np.float32]:
    """The sound of a clip, as long as its motion."""
    samples, wanted = clip.waveform().samples, round(clip.duration * SAMPLE_RATE)
    return np.pad(samples, (0, max(0, wanted - len(samples))))[:wanted]


def _true(clip: Clip) -> Motion:
    return Motion(clip.weights, bundled_head().blendshape_names, clip.fps)


def _minutes(clips: Sequence[Clip]) -> float:
    return sum(clip.duration for clip in clips) / 60


def _clips_digest(clips: Sequence[Clip]) -> str:
    return _digest([clip.digest(with_sound=True) for clip in clips])


def _sound(clip: SeenClip) -> str:
    return hashlib.sha256(read_sound(clip.audio)).hexdigest()


def _digest(values: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(list(values)).encode()).hexdigest()[:16]
