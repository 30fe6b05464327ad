"""Time codes: where a take begins in the sound that was recorded beside it.

A phone's CSV and its film, or a mixer's WAV on the same clock, begin at different moments; both say
when. What says nothing begins together.
"""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

import numpy as np

from codetalker.curves import usual_rate
from codetalker.files.livelink import starting_timecode
from codetalker.media import opened, parts_of
from codetalker.motion import NTSC
from codetalker.sound_file import moving_pictures

_TIMECODE = re.compile(r"(\d+):(\d+):(\d+)([:;.])(\d+)")
_APART_S = 600.0
"""Clocks that are further apart were never set to each other."""
_NTSC_SLOW = 1000 / 1001
_PACKETS = 600
"""That tell a film's rate."""
_DAY = 24 * 3600.0


def beginning(take: Path, sound: Path) -> float:
    """Seconds of the sound before the take's first frame; negative where the take begins first.

    Raises:
        MotionError: the take cannot be read.
        AudioError: the sound cannot.
    """
    if take.suffix.lower() != ".csv":
        return 0.0
    theirs = _starts(sound)
    if theirs is None:
        return 0.0
    apart = (starting_timecode(take) - theirs + _DAY / 2) % _DAY - _DAY / 2
    return apart if abs(apart) <= _APART_S else 0.0


def true_rate(fps: float, sound: Path) -> float:
    """The rate of a take, whose time codes may count 30 or 60 to 1.001 s, as its film tells."""
    with parts_of(sound) as parts, opened(parts[0], sound, ("audio", "video")) as source:
        films = moving_pictures(source)
        packets = islice(source.demux(films[0]), _PACKETS) if films else ()
        stamps = sorted(float(p.pts * p.time_base) for p in packets if p.pts is not None)
    if len(stamps) < 2 or fps not in NTSC:
        return fps
    filmed = usual_rate(np.array(stamps))
    return fps * _NTSC_SLOW if any(abs(filmed / n - _NTSC_SLOW) < 1e-6 for n in NTSC) else fps


def _starts(sound: Path) -> float | None:
    """Seconds after midnight of the sound's beginning, if the file says."""
    with parts_of(sound) as parts, opened(parts[0], sound, ("audio", "video")) as source:
        samples = source.metadata.get("time_reference")
        if samples and samples.isdigit() and source.streams.audio:
            return int(samples) / source.streams.audio[0].sample_rate
        films = moving_pictures(source)
        rate = round(float(films[0].average_rate or 0)) if films else 0
        for told in (source.metadata, *(stream.metadata for stream in source.streams)):
            code = _TIMECODE.fullmatch(told.get("timecode", ""))
            if code and rate:
                hour, minute, second, _, frame = code.groups()
                whole = int(hour) * 3600 + int(minute) * 60 + int(second)
                return whole + int(frame) / rate
    return None
