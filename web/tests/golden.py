"""What the Python package gives, for the tests of its port: `golden.py FOLDER` writes npy files.

The same is tested in node and in a browser; see `golden.ts` for the cases.
"""

import json
import sys
from pathlib import Path

import numpy as np

import codetalker
from codetalker.audio import StreamResampler, Waveform
from codetalker.causal.draws import CODES, draws, uniform
from codetalker.causal.loudness import Loudness
from codetalker.files.livelink import write_livelink

EXAMPLE = Path(__file__).parents[2] / "examples" / "sense_and_sensibility.flac"
RATES = (8000, 11025, 16000, 22050, 44100, 48000, 96000, 17921)
CASES = {
    "plain": {"rate": 16000, "seconds": 8.0},
    "lively": {
        "rate": 44100, "seconds": 5.03, "style": "s1:0.3,s3:0.7", "strength": 1.3, "life": "full",
        "seed": 1234567890123456789,
    },
    "idle": {"rate": 48000, "seconds": 0.3, "life": "idle", "blinks": False, "seed": 3},
    "short": {"rate": 16000, "seconds": 1 / 16000},
}  # fmt: skip


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)

    def save(name: str, array: np.ndarray) -> None:
        np.save(folder / f"{name}.npy", np.ascontiguousarray(array, np.float32))

    sound = Waveform.load(EXAMPLE)
    noise = np.random.default_rng(1).normal(0, 0.1, 5000).astype(np.float32)
    save("noise", noise)
    for rate in RATES:
        stream = StreamResampler(rate)
        save(f"resampled-{rate}", np.concatenate([stream.feed(noise), stream.finish()]))
    level = np.zeros(2)
    loudness = Loudness()
    pieces = sound.samples[: 1280 * 60].reshape(60, -1)
    save("gains", np.array([loudness.follow(level, piece) for piece in pieces]))
    numbers = {
        "uniform": [uniform(seed, 12345, 2, 9).tolist() for seed in (0, 7, 2**63 - 1)],
        "gumbel": draws(99, 4, CODES).gumbel(size=11).tolist(),
    }
    talker = codetalker.load()
    for name, case in CASES.items():
        manner = dict(case)
        rate, seconds = manner.pop("rate"), manner.pop("seconds")
        samples = sound.resampled(rate).samples[: round(seconds * rate)]
        motion = talker.animate(samples, rate=rate, **manner)
        save(f"{name}-samples", samples)
        save(f"{name}-weights", motion.weights)
        if motion.head is not None:
            save(f"{name}-head", motion.head)
        if name == "lively":
            write_livelink(folder / "lively.csv", motion)
    cases = {k: {**v, "seed": str(v.get("seed", 0))} for k, v in CASES.items()}
    (folder / "golden.json").write_text(json.dumps({"cases": cases, "rates": RATES, **numbers}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
