"""How long a frame of the preview video takes, by step, in milliseconds of processor time.

python benchmarks/render.py [--size 512] [--frames 50]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from codetalker.files.mp4 import write_mp4
from codetalker.motion import Motion
from codetalker.render import renderer
from codetalker.render.film import Film
from codetalker.rig import bundled_head


class Clock:
    """Adds up the processor time spent in functions."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    def watch(self, owner: Any, name: str, label: str) -> None:
        """Count the time in `owner.name` under a label."""
        function: Callable[..., Any] = getattr(owner, name)

        def timed(*args: Any, **options: Any) -> Any:
            start = time.process_time()
            try:
                return function(*args, **options)
            finally:
                self.spent[label] = self.spent.get(label, 0) + time.process_time() - start

        setattr(owner, name, timed)


def speech(frames: int) -> Motion:
    """Weights that move mouth, brows and lids as speech does."""
    names = bundled_head().blendshape_names
    t = np.arange(frames)[:, None] / 25
    weights = np.zeros((frames, len(names)), np.float32)
    for i, name in enumerate(("jawOpen", "mouthPucker", "mouthSmileLeft", "browInnerUp")):
        weights[:, names.index(name)] = 0.3 * (1 + np.sin(t[:, 0] * (9 - 2 * i)))
    return Motion(weights, names, 25.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--frames", type=int, default=50)
    options = parser.parse_args()

    head = bundled_head()
    start = time.process_time()
    draw = renderer.Renderer.of(head, options.size)
    prepared = time.process_time() - start
    vertices = speech(options.frames).on(head).vertices()
    draw.frame(vertices[0])
    whole, wall = [], []
    for frame in vertices:
        start, begun = time.process_time(), time.perf_counter()
        draw.frame(frame)
        whole.append(time.process_time() - start)
        wall.append(time.perf_counter() - begun)

    clock = Clock()
    clock.watch(renderer.Renderer, "_view", "project, normals")
    clock.watch(renderer.Renderer, "_visible", "raster, hidden surfaces")
    clock.watch(renderer.Renderer, "_shade", "shading, texture")
    clock.watch(Film, "develop", "average, tone curve")
    clock.watch(renderer.Renderer, "_draw", "all drawing")
    clock.watch(renderer.Renderer, "frame", "picture in all")
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        write_mp4(Path(folder) / "speech.mp4", speech(options.frames).on(), size=options.size)
        film = time.process_time() - start

    print(f"{options.size} x {options.size}, {options.frames} frames; ms of processor time a frame")
    for label, seconds in clock.spent.items():
        print(f"  {label:26s} {1e3 * seconds / options.frames:7.1f}")
    print(f"  {'mp4 in all, H.264 included':26s} {1e3 * film / options.frames:7.1f}")
    print(f"  {'picture, best / median':26s} {1e3 * min(whole):7.1f} {1e3 * np.median(whole):7.1f}")
    print(f"  {'the same, wall clock':26s} {1e3 * min(wall):7.1f} {1e3 * np.median(wall):7.1f}")
    print(f"  {'renderer made once in':26s} {1e3 * prepared:7.1f}")


if __name__ == "__main__":
    main()
