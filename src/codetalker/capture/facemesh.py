"""MediaPipe, in a process of its own: pictures come in by standard input, points go out.

It needs a Python with `mediapipe` and numpy, and nothing of this package: so it runs where the two
cannot be installed together, and its log and its memory stay with it. A line of JSON opens:
`width`, `height`, `faces` and `model` (a `face_landmarker.task` file, or null for the FaceMesh that
the wheel of 0.10.14 holds). Each picture is width * height * 3 bytes of RGB; each answer is a byte,
how many faces, and 478 * 3 float32 for each, in pixels.
"""

import json
import os
import sys

import numpy as np


def main() -> None:
    """Answer until standard input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else is printed is no answer
    order = json.loads(sys.stdin.buffer.readline())
    width, height = order["width"], order["height"]
    faces_of = _landmarker(order) if order["model"] else _face_mesh(order)
    answers.write(b"ready\n")
    answers.flush()
    size = width * height * 3
    scale = np.array([width, height, width], np.float32)
    while len(picture := sys.stdin.buffer.read(size)) == size:
        faces = faces_of(np.frombuffer(picture, np.uint8).reshape(height, width, 3))
        points = [[(p.x, p.y, p.z) for p in face] for face in faces]
        answers.write(bytes([len(points)]))
        for face in points:
            answers.write((np.array(face, np.float32) * scale).tobytes())
        answers.flush()


def _face_mesh(order: dict):
    from mediapipe.python.solutions.face_mesh import (  # pyright: ignore[reportMissingImports]
        FaceMesh,
    )

    mesh = FaceMesh(refine_landmarks=True, max_num_faces=order["faces"])

    def faces(picture):
        found = mesh.process(picture).multi_face_landmarks or []
        return [face.landmark for face in found]

    return faces


def _landmarker(order: dict):
    import mediapipe  # pyright: ignore[reportMissingImports]
    from mediapipe.tasks.python import (  # pyright: ignore[reportMissingImports]
        BaseOptions,
        vision,
    )

    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=order["model"]),
        running_mode=vision.RunningMode.IMAGE,
        num_faces=order["faces"],
    )
    landmarker = vision.FaceLandmarker.create_from_options(options)

    def faces(picture):
        image = mediapipe.Image(mediapipe.ImageFormat.SRGB, np.ascontiguousarray(picture))
        return landmarker.detect(image).face_landmarks

    return faces


if __name__ == "__main__":
    main()
