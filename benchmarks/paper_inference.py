"""The published model at full size with random weights: the naive loop against exact and fast.

    python benchmarks/paper_inference.py                    # 2, 5, 10 s, and 60 s in fast mode
    python benchmarks/paper_inference.py --seconds 2 --naive-up-to 0 --long 0

Each row is one clip of noise, from normalised waveform to vertices. Seconds are wall-clock time
with `--threads` threads, in brackets CPU time. The naive loop is the tests' oracle, which does what
the published code does; it takes minutes for 10 s. `codes` is the share of codes that fast has in
common with exact and `off` the distance of their vertices over the motion's size: with random
weights a code that differs sends the loop another way, so that they say little about trained ones.
`feedback` does: it is how far the motion that fast feeds back is off at each step, on the codes of
exact.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from codetalker.paper.config import PRESETS, preset
from codetalker.paper.inference import Predictor
from codetalker.paper.model import PaperModel
from paper_oracle import NaiveLoop
from paper_random import one_style, randomized, waveform

COLUMNS = (
    "audio frames        naive        exact         fast   exact x   fast x  codes    off feedback"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=PRESETS, default="vocaset")
    parser.add_argument("--seconds", type=float, nargs="*", default=[2, 5, 10])
    parser.add_argument("--naive-up-to", type=float, default=10, help="seconds of audio")
    parser.add_argument("--long", type=float, default=60, help="seconds, in fast mode only")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model = randomized(PaperModel(preset(options.preset)))
    exact, fast = Predictor(model, "exact"), Predictor(model, "fast")
    run(fast, 0.5)  # so that no row pays for the first use
    print(f"{options.preset}, {options.threads} threads, torch {torch.__version__}")
    print(COLUMNS)
    for seconds in options.seconds:
        naive = NaiveLoop(model) if seconds <= options.naive_up_to else None
        compare(seconds, naive, exact, fast)
    if options.long:
        predicted, taken = run(fast, options.long)
        print(f"{options.long:4.0f}s {len(predicted.motion):6} {NOTHING} {NOTHING} {taken}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MiB")


NOTHING = 12 * " "


class Taken:
    """Wall-clock and CPU seconds since it was made."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def stop(self) -> Taken:
        self.wall, self.cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu
        return self

    def __str__(self) -> str:
        return f"{self.wall:6.1f} ({self.cpu:.0f})".rjust(12)


def run(predictor, seconds: float):
    """One prediction by a `Predictor` or the `NaiveLoop`, and what it took."""
    samples, style = waveform(seconds), one_style(predictor.model.config)
    taken = Taken()
    if isinstance(predictor, NaiveLoop):
        return predictor.predict(samples, style), taken.stop()
    return predictor.predict([samples], style[None])[0], taken.stop()


def compare(seconds: float, naive: NaiveLoop | None, exact: Predictor, fast: Predictor) -> None:
    """Print a row; the exact codes must be those of the naive loop."""
    published, first = run(naive, seconds) if naive else (None, None)
    right, second = run(exact, seconds)
    near, third = run(fast, seconds)
    if published is not None:
        assert torch.equal(published.indices, right.indices)
        torch.testing.assert_close(published.motion, right.motion, atol=2e-5, rtol=1e-4)
    same = (near.indices == right.indices).float().mean()
    off = (near.motion - right.motion).square().mean().sqrt() / right.motion.std()
    gains = [f"{first.wall / other.wall:8.1f}" if first else 8 * " " for other in (second, third)]
    print(
        f"{seconds:4.0f}s {len(right.motion):6} {first or NOTHING} {second} {third} "
        f" {' '.join(gains)} {same:6.1%} {off:6.3f} {feedback_error(exact, fast, right):8.4f}"
    )


@torch.inference_mode()
def feedback_error(exact: Predictor, fast: Predictor, prediction) -> float:
    """Root mean square of fast's feedback minus exact's over exact's spread, on the same codes."""
    codes = exact.model.codec.quantize(prediction.features).values.flatten(1)[:, None]
    tokens = []
    for feedback in (exact.feedback, fast.feedback):
        state = feedback.start(1, len(codes))
        tokens.append(torch.cat([feedback.step(frame, state) for frame in codes]))
    right, near = tokens
    spread = (right - right.mean(0)).square().mean().sqrt()
    return float((near - right).square().mean().sqrt() / spread)


if __name__ == "__main__":
    main()
