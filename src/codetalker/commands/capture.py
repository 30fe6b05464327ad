"""`codetalker capture`: videos and takes of a speaker become a corpus folder."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

from rich.console import Console
from tyro.conf import Positional, arg

import codetalker
from codetalker.capture.clips import Captured, Rejected, clips_of
from codetalker.capture.film import length
from codetalker.capture.folder import RECORD, SHEET, CorpusFolder
from codetalker.capture.landmarks import Landmarks
from codetalker.capture.recordings import Recording, digests_of, find_recordings
from codetalker.capture.sheet import write_sheet
from codetalker.capture.tracker import Tracker
from codetalker.data.phones import read_phones
from codetalker.errors import AudioError, DataError, OutputError
from codetalker.model_folder import FOR_FILES
from codetalker.motion import check_fps
from codetalker.places import check_files_kept, same_place
from codetalker.progress import ProgressBar

_LISTED = 20
"""Lines that are printed: what one screen holds."""


def capture(
    recordings: Annotated[Positional[tuple[Path, ...]], arg(metavar="RECORDING")],
    output: Annotated[Path, arg(metavar="FOLDER", aliases=("-o",))],
    *,
    speaker: str | None = None,
    fps: float | None = None,
    align: bool = False,
    phones: Path | None = None,
    tracker: Path | None = None,
    landmarker: Path | None = None,
) -> int:
    """Make a corpus of videos of one speaker, or of takes that a phone recorded.

    What cannot be used is left out, with the reason. A run that was stopped goes on where it was;
    videos that were tracked are not tracked again.

    Args:
        recordings: videos, landmark files, takes (Live Link Face CSV, iFacialMocap text, MediaPipe
            and ARKit JSON, GLB) with their sound beside them, or folders of these.
        output: the corpus folder to make or to go on with; docs/data.md describes it.
        speaker: who speaks, by default the name of the folder.
        fps: frames per second of the corpus, by default those of the first recording.
        align: move sound that is early or late to where the lips are.
        phones: a folder that says what is said when, as docs/data.md describes it, in recordings of
            the same names: the lower lip is at the teeth in f and v.
        tracker: a Python that has mediapipe, where this one has not.
        landmarker: a face_landmarker.task file, for newer versions of mediapipe.
    """
    if fps is not None:
        check_fps(fps)
    found = find_recordings(recordings)
    if any(same_place(path, output) for path in recordings):
        raise OutputError(f"{output} holds the recordings; choose another folder for the corpus")
    folder = CorpusFolder(output)
    check_files_kept(
        folder.written([recording.name for recording in found]),
        [file for recording in found for file in recording.files],
    )
    digests = digests_of(found)
    speaker = speaker or output.resolve().name
    said = {} if phones is None else {clip.name: clip for clip in read_phones(phones)}
    heard = [said[name].digest() for name in sorted(said)]
    used = repr((sorted(digests), speaker, fps, align, heard, landmarker and landmarker.name))
    made_from = hashlib.sha256(used.encode()).hexdigest()
    console = Console(stderr=True)
    record = folder.record()
    if record is None or record["made_from"] != made_from:
        films, unread = _landmarks(found, digests, folder, Tracker(tracker, landmarker))
        others = [recording for recording in found if recording.kind in ("take", "still")]
        talker = codetalker.load(FOR_FILES)
        with ProgressBar("fitting", len(films) + len(others)) as bar:
            captured = clips_of(films, others, talker, align, said, bar.advance)
        captured.rejected[:0] = unread
        _write(captured, folder, speaker, fps, made_from)
        record = folder.record()
    assert record
    _tell(record, output, console)
    return 0


def _landmarks(
    found: list[Recording], digests: list[str], folder: CorpusFolder, tracker: Tracker
) -> tuple[list[tuple[Recording, Landmarks]], list[Rejected]]:
    """What was seen in each film, now or before; and films that cannot be read."""
    seen, unread = [], []
    left = [(r, d) for r, d in zip(found, digests, strict=True) if r.kind in ("film", "landmarks")]
    with ProgressBar("tracking") as bar:
        lengths = {r.name: _seconds(r) for r, _ in left}
        total, done = sum(lengths.values()), 0.0
        for recording, digest in left:
            key = hashlib.sha256(f"{digest} {tracker.model}".encode()).hexdigest()
            try:
                if recording.kind == "landmarks":
                    landmarks = Landmarks.load(recording.motion)
                elif (landmarks := folder.tracked(key)) is None:
                    before = done
                    landmarks = tracker.track(
                        recording.motion, lambda now, _, b=before: bar.update(b + now, total)
                    )
                    folder.keep(key, landmarks)
                seen.append((recording, landmarks))
            except (DataError, AudioError) as error:
                unread.append(Rejected(recording, str(error)))
            done += lengths[recording.name]
    return seen, unread


def _seconds(recording: Recording) -> float:
    try:
        return (length(recording.motion) or 0.0) if recording.kind == "film" else 0.0
    except (DataError, AudioError):
        return 0.0


def _write(
    captured: Captured, folder: CorpusFolder, speaker: str, fps: float | None, made_from: str
) -> None:
    if not captured.clips:
        reason = captured.rejected[0]
        raise DataError(f"nothing can be used: {reason.recording.motion.name}: {reason.reason}")
    write_sheet(folder.path / SHEET, captured)
    folder.write(captured, speaker, fps or captured.clips[0].motion.fps, made_from)


def _tell(record: dict, output: Path, console: Console) -> None:
    lines = [f"{r['source']} at {r['start']:.1f} s: {r['reason']}" for r in record["rejected"]]
    for line in lines[:_LISTED]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if len(lines) > _LISTED:
        console.print(f"... and {len(lines) - _LISTED} more in {output / RECORD}", soft_wrap=True)
    seconds = sum(clip["seconds"] for clip in record["clips"])
    console.print(
        f"{output}: {len(record['clips'])} clips of {record['speaker']!r}, {seconds / 60:.1f} "
        f"minutes; {len(lines)} rejected; {output / SHEET} shows them",
        soft_wrap=True,
        highlight=False,
    )
