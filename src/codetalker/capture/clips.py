"""Clips: what becomes of recordings, motion with its sound and how good it is, or why not.

In the flow film -> landmarks -> still head -> weights -> **corpus**.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from codetalker.arkit import ARKIT_NAMES
from codetalker.audio import SAMPLE_RATE, Waveform
from codetalker.capture.eyes import eye_motion
from codetalker.capture.fit import fit
from codetalker.capture.landmarks import Landmarks
from codetalker.capture.neutral import neutral_faces, quiet
from codetalker.capture.points import POINTS
from codetalker.capture.quality import Quality, measure
from codetalker.capture.recordings import Recording
from codetalker.capture.sound_offset import Offset, Speaker, sound_offset
from codetalker.capture.still_head import hold_still, mean_face
from codetalker.capture.still_landmarks import read_still
from codetalker.capture.teeth import touch_teeth
from codetalker.capture.timecode import beginning, true_rate
from codetalker.data.phones import PhoneClip
from codetalker.errors import AudioError, CodeTalkerError, DataError
from codetalker.motion import Motion

SHORTEST_S = 1.0
"""Seconds of a clip, at least."""
LATE_S = 0.1
"""Seconds by which sound may be off that is surely so."""
_ALIKE, _OFTEN = 0.75, 0.2
"""A second face of this share of the first one's size, seen so often, leaves open who speaks."""


@dataclass(frozen=True, eq=False)
class Clip:
    """A captured clip.

    Attributes:
        name: unique in the corpus.
        recording: what it comes from.
        start: where in the recording it begins, seconds.
        motion: weights and the head's turn; its sound is `sound`.
        place: (T, 3) where the head is, metres.
        sound: from the first frame to the last, 16 kHz.
        quality: figures; None for weights that another program found.
        offset: how late the sound was; None where that cannot be told.
    """

    name: str
    recording: Recording
    start: float
    motion: Motion
    place: NDArray[np.float32]
    sound: Waveform
    quality: Quality | None
    offset: Offset | None = None


@dataclass(frozen=True)
class Rejected:
    """What is not usable, and why."""

    recording: Recording
    reason: str
    start: float = 0.0


@dataclass(frozen=True, eq=False)
class _Shot:
    """A part of a film in which the face is seen."""

    name: str
    recording: Recording
    start: float
    fps: float
    points: NDArray[np.float32]
    landmarks: Landmarks
    sound: Waveform


@dataclass(frozen=True, eq=False)
class _Held:
    """A face whose head is still: (T, P, 3) points, (468, 3) face at rest, (T, 6) pose."""

    name: str
    recording: Recording
    start: float
    fps: float
    points: NDArray[np.float32]
    face: NDArray[np.floating]
    pose: NDArray[np.floating]
    sound: Waveform
    lost: float = 0.0
    eyes_px: float | None = None


@dataclass
class Captured:
    """All clips of one speaker, and what was rejected."""

    clips: list[Clip] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


def clips_of(
    films: list[tuple[Recording, Landmarks]],
    others: list[Recording],
    talker: Speaker,
    align: bool = False,
    phones: Mapping[str, PhoneClip] | None = None,
    done: Callable[[], None] = lambda: None,
) -> Captured:
    """Make the clips of one speaker.

    Args:
        films: recordings with the landmarks that were seen in them.
        others: recordings that hold weights, or landmarks that were held still before.
        talker: who knows what lips do for a sound.
        align: move the sound of a recording to where the lips are.
        phones: what is said in a recording, by its name.
        done: called after each clip.
    """
    found = Captured()
    shots: list[_Shot] = []
    for recording, landmarks in films:
        try:
            shots += _shots(recording, landmarks)
        except CodeTalkerError as error:
            found.rejected.append(Rejected(recording, str(error)))
    stills = [recording for recording in others if recording.kind == "still"]
    made = _fitted([*_held(shots), *_stills(stills, found)], phones or {})
    for take in (recording for recording in others if recording.kind == "take"):
        try:
            made.append(_of_take(take))
        except CodeTalkerError as error:
            found.rejected.append(Rejected(take, str(error)))
    for clip in made:
        measured, reason = _heard(clip, talker, align)
        if any(clip.name == other.name for other in found.clips):
            reason = f"another clip is called {clip.name}; rename one"
        if reason is None:
            found.clips.append(measured)
        else:
            found.rejected.append(Rejected(clip.recording, reason, clip.start))
        done()
    return found


def _shots(recording: Recording, landmarks: Landmarks) -> list[_Shot]:
    """The parts of a film that can be fitted.

    Raises:
        DataError: there are none.
        AudioError: its sound cannot be read.
    """
    if not landmarks.seen.any():
        raise DataError("no face is seen in it; film the face from ahead, in good light")
    if (landmarks.rivals > _ALIKE).mean() > _OFTEN:
        raise DataError("two faces are seen; crop the film to the one who speaks")
    fps = landmarks.fps
    parts = landmarks.parts(fps, SHORTEST_S)
    if not parts:
        raise DataError(
            f"the face is seen in {landmarks.seen.mean():.0%} of it, never for {SHORTEST_S:g} s; "
            "film the face from ahead, in good light"
        )
    sound = _sound(recording)
    many = len(parts) > 1
    return [
        _Shot(
            f"{recording.name}_{i}" if many else recording.name,
            recording, start, fps, points, landmarks, sound,
        )
        for i, (start, points) in enumerate(parts, 1)
    ]  # fmt: skip


def _sound(recording: Recording) -> Waveform:
    if recording.sound is None:
        raise AudioError(
            f"no sound is beside it; put {recording.name}.wav, or a film of that name, there"
        )
    return Waveform.load(recording.sound)


def _held(shots: list[_Shot]) -> list[_Held]:
    """Parts of films of one speaker, by one mean face and one neutral."""
    if not shots:
        return []
    mean = mean_face([shot.points for shot in shots])
    still = [hold_still(s.points, mean, s.fps, s.landmarks.size) for s in shots]
    silent = [
        quiet(
            _cut(s.sound, s.start, len(s.points) / s.fps).samples, SAMPLE_RATE, s.fps, len(s.points)
        )
        for s in shots
    ]
    faces = neutral_faces([s.points[:, :POINTS] for s in still], silent)
    return [
        _Held(
            s.name, s.recording, s.start, s.fps, held.points, face, held.pose, s.sound,
            float(1 - s.landmarks.seen.mean()), s.landmarks.eyes_px,
        )
        for s, held, face in zip(shots, still, faces, strict=True)
    ]  # fmt: skip


def _stills(recordings: list[Recording], found: Captured) -> Iterator[_Held]:
    """Clips whose landmarks were held still before."""
    wanted = {(recording.motion, recording.name): recording for recording in recordings}
    for path in dict.fromkeys(recording.motion for recording in recordings):
        for clip in read_still(path):
            recording = wanted[path, clip.name]
            try:
                sound = _sound(recording)
            except AudioError as error:
                found.rejected.append(Rejected(recording, str(error)))
                continue
            points = clip.neutral + clip.displacements
            pose = np.zeros((len(points), 6))
            yield _Held(clip.name, recording, 0.0, clip.fps, points, clip.neutral, pose, sound)


def _fitted(held: list[_Held], phones: Mapping[str, PhoneClip]) -> list[Clip]:
    """The clips of one speaker."""
    if not held:
        return []
    eyes = eye_motion([h.points for h in held], [h.fps for h in held])
    clips = []
    for h, lids in zip(held, eyes, strict=True):
        moved = h.points[:, :POINTS] - h.face
        weights = fit(moved, h.fps)
        quality = measure(moved, weights, h.pose, h.lost, h.eyes_px)
        if h.recording.name in phones:
            weights = touch_teeth(weights, h.fps, phones[h.recording.name], h.start)
        pose = h.pose.astype(np.float32)
        motion = Motion(weights + lids, ARKIT_NAMES, h.fps, head=pose[:, :3])
        sound = _cut(h.sound, h.start, motion.duration)
        clips.append(Clip(h.name, h.recording, h.start, motion, pose[:, 3:], sound, quality))
    return clips


def _of_take(take: Recording) -> Clip:
    """Raises: MotionError, AudioError: it cannot be read; DataError: it is too short."""
    motion = Motion.load(take.motion)
    sound = _sound(take)
    assert take.sound
    motion = replace(motion, fps=true_rate(motion.fps, take.sound))
    start = beginning(take.motion, take.sound)
    early = max(0, int(np.ceil(-start * motion.fps - 1e-6)))  # frames before the sound
    late = max(0, int((start + motion.duration - sound.duration) * motion.fps))
    motion = motion[early : len(motion) - late]
    start += early / motion.fps
    if motion.duration < SHORTEST_S:
        raise DataError("motion and sound have no second in common; check their time codes")
    weights = motion.weights_for(ARKIT_NAMES).clip(0, 1)
    motion = Motion(weights, ARKIT_NAMES, motion.fps, head=motion.head)
    place = np.zeros((len(motion), 3), np.float32)
    return Clip(take.name, take, start, motion, place, _cut(sound, start, motion.duration), None)


def _heard(clip: Clip, talker: Speaker, align: bool) -> tuple[Clip, str | None]:
    """The clip with its sound's offset measured, or taken away; why it is not usable."""
    offset = sound_offset(talker, clip.sound, clip.motion)
    reason = clip.quality.refused() if clip.quality else None
    if offset is None:
        return clip, reason
    clip = replace(clip, offset=offset)
    if align and offset.off:
        whole = _sound(clip.recording)
        start = clip.start + offset.seconds
        clip = replace(clip, sound=_cut(whole, start, clip.motion.duration))
    elif offset.off and abs(offset.seconds) > LATE_S and reason is None:
        side = "late" if offset.seconds > 0 else "early"
        reason = f"its sound is {abs(offset.seconds) * 1000:.0f} ms {side}; --align moves it"
    return clip, reason


def _cut(sound: Waveform, start: float, seconds: float) -> Waveform:
    """A stretch of a sound; what it lacks is silence."""
    first, count = round(start * sound.rate), round(seconds * sound.rate)
    part = sound.samples[max(first, 0) : max(first + count, 0)]
    before = min(max(-first, 0), count)
    return Waveform(np.pad(part, (before, count - before - len(part))), sound.rate)
