"""The tracker: a film's pictures in, the landmarks of the one who is filmed out.

In the flow **film -> landmarks** -> still head -> weights -> corpus. MediaPipe works in a process
of its own (`facemesh.py`), which may be another Python's; the rest of `capture` needs none of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import numpy as np
from numpy.typing import NDArray

from codetalker.capture.film import length, pictures
from codetalker.capture.landmarks import WITH_IRISES, Landmarks
from codetalker.capture.points import EYES
from codetalker.errors import DataError, OptionError
from codetalker.progress import Progress

_SCRIPT = Path(__file__).with_name("facemesh.py")
_MOST_FACES = 3
_FORGET_S = 1.0
"""After so long without the face that was followed, the largest is followed."""
_JUMP = 2.0
"""Eye distances that a face may move between two frames."""

Faces = NDArray[np.float32]


@dataclass(frozen=True)
class Tracker:
    """How faces are found.

    Attributes:
        python: an interpreter that has `mediapipe`; this one for None.
        model: a `face_landmarker.task` file for newer versions of it; its own FaceMesh for None.
    """

    python: Path | None = None
    model: Path | None = None

    def track(self, film: Path, progress: Progress | None = None) -> Landmarks:
        """The landmarks of the person in a film: the largest face at first, and that one from then
        on.

        Raises:
            DataError: the film cannot be read, or holds no picture.
            OptionError: the interpreter cannot be run, has no mediapipe, or it failed.
        """
        seconds = length(film)
        times: list[float] = []
        found: list[Faces] = []
        size = None
        with _Child(self) as child:
            for picture in pictures(film):
                if size is None:
                    size = picture.pixels.shape[1], picture.pixels.shape[0]
                    child.begin(*size)
                found.append(child.faces(picture.pixels))
                times.append(picture.time)
                if progress and seconds:
                    progress(min(picture.time, seconds), seconds)
        if size is None:
            raise DataError(f"{film} holds no picture; check the recording")
        return Landmarks(np.array(times), *follow(times, found), size)


def follow(
    times: list[float], found: list[Faces]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(T, 478, 3) points of one person among the (n, 478, 3) faces of each frame, NaN without; and
    (T,) the size of the largest of the others, as a share of that one's."""
    chosen = np.full((len(found), WITH_IRISES, 3), np.nan, np.float32)
    rivals = np.zeros(len(found), np.float32)
    place, seen = None, -np.inf
    for i, (time, faces) in enumerate(zip(times, found, strict=True)):
        if not len(faces):
            continue
        centres = faces[:, list(EYES), :2].mean(1)
        sizes = np.linalg.norm(np.diff(faces[:, list(EYES), :2], axis=1)[:, 0], axis=1)
        if place is None or time - seen > _FORGET_S:
            best = int(sizes.argmax())
        else:
            apart = np.linalg.norm(centres - place[0], axis=1)
            best = int(apart.argmin())
            if apart[best] > _JUMP * place[1]:
                continue
        chosen[i], place, seen = faces[best], (centres[best], sizes[best]), time
        rivals[i] = np.delete(sizes, best).max(initial=0) / sizes[best]
    return chosen, rivals


class _Child:
    """The process that finds faces."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # as long as the process
        command = [str(tracker.python or sys.executable), str(_SCRIPT)]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log
            )
        except OSError as error:
            raise OptionError(
                f"{command[0]} cannot be run ({error.strerror}); name a Python that has mediapipe"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                with suppress(OSError):
                    stream.close()
        self._process.kill()
        self._process.wait()
        self._log.close()

    def begin(self, width: int, height: int) -> None:
        model = self._tracker.model
        order = {
            "width": width,
            "height": height,
            "faces": _MOST_FACES,
            "model": None if model is None else str(model.resolve()),
        }
        self._write(json.dumps(order).encode() + b"\n")
        if self._read(len(b"ready\n")) != b"ready\n":
            self._failed()

    def faces(self, picture: NDArray[np.uint8]) -> Faces:
        """(n, 478, 3) points in pixels."""
        self._write(picture.data)
        count = self._read(1)
        points = self._read(count[0] * WITH_IRISES * 12) if count else b""
        if not count or len(points) < count[0] * WITH_IRISES * 12:
            self._failed()
        return np.frombuffer(points, np.float32).reshape(-1, WITH_IRISES, 3)

    def _write(self, content: bytes | memoryview) -> None:
        assert self._process.stdin
        try:
            self._process.stdin.write(content)
            self._process.stdin.flush()
        except OSError:
            self._failed()

    def _read(self, count: int) -> bytes:
        assert self._process.stdout
        return self._process.stdout.read(count)

    def _failed(self) -> None:
        self._process.wait()
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").strip().splitlines() or ["it is gone"]
        if "No module named" in lines[-1] and "mediapipe" in lines[-1]:
            python = self._tracker.python or sys.executable
            raise OptionError(
                f"{python} has no mediapipe; name a Python that has it with --tracker, or run: "
                f"{python} -m pip install mediapipe==0.10.14"
            )
        raise OptionError(f"the tracker failed ({lines[-1][:200]}); see docs/capture.md")
