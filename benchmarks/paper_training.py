"""Seconds per step and memory of the published model's training at full size, random clips.

python benchmarks/paper_training.py vocaset --device cpu --threads 1 --steps 3
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from codetalker.audio import SAMPLE_RATE
from codetalker.data.store import Store, StoreClip
from codetalker.paper.clips import TrainingClips
from codetalker.paper.config import preset
from codetalker.paper.model import PaperModel
from codetalker.paper.recipe import (
    CODEC_PLANS,
    TALKER_PLANS,
    EpochSchedule,
    PaperCodecRecipe,
    PaperTalkerRecipe,
)
from codetalker.paper.training import PaperCodecTraining, PaperTalkerTraining


def random_store(folder: Path, name: str, seconds: float) -> Store:
    """One clip for training and one for validation."""
    config = preset(name)
    frames, samples = round(seconds * config.talker.fps), round(seconds * SAMPLE_RATE)
    vertices, subject = config.codec.vertices, config.talker.subjects[0]
    random = np.random.default_rng(0)
    clips = tuple(
        StoreClip(split, subject, i, split, frames, samples)
        for i, split in enumerate(("train", "val"))
    )
    for part in ("vertices", "audio"):
        (folder / part).mkdir()
    for clip in clips:
        moving = 1e-3 * random.standard_normal((frames, vertices, 3), np.float32)
        np.save(folder / "vertices" / f"{clip.name}.npy", moving)
        np.save(folder / "audio" / f"{clip.name}.npy", random.standard_normal(samples, np.float32))
    np.save(folder / "templates.npy", np.zeros((1, vertices, 3), np.float32))
    return Store(
        folder, name, config.talker.fps, config.unit_mm, vertices, (subject,),
        config.talker.subjects, clips,
    )  # fmt: skip


def seconds_per_step(
    training: PaperCodecTraining | PaperTalkerTraining, optimiser: torch.optim.Optimizer, steps: int
) -> float:
    """After one step to warm up."""
    taken = []
    for _ in range(steps + 1):
        start = time.perf_counter()
        optimiser.zero_grad()
        training.losses(0)["loss"].backward()
        optimiser.step()
        if training.clips.device.type == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken[1:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("preset", choices=("vocaset", "biwi"))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a clip")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    print(f"{options.preset}, clips of {options.seconds:g} s, {device}, {options.threads} threads")
    print("| stage | s per step | peak memory GB |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        store = random_store(Path(folder), options.preset, options.seconds)
        clips = TrainingClips.of(store, device)
        model = PaperModel(preset(options.preset)).to(device)
        codec_schedule = EpochSchedule(CODEC_PLANS[options.preset], 1)
        codec = PaperCodecTraining(model.codec, clips, codec_schedule, PaperCodecRecipe())
        seconds = seconds_per_step(codec, codec_schedule.optimiser(model.codec), options.steps)
        print(f"| codec | {seconds:.2f} | {peak_gigabytes(device):.1f} |")
        model.prepare_talker_training()
        talker_schedule = EpochSchedule(TALKER_PLANS[options.preset], 1)
        talker = PaperTalkerTraining(model, clips, talker_schedule, PaperTalkerRecipe())
        seconds = seconds_per_step(talker, talker_schedule.optimiser(model), options.steps)
        print(f"| talker | {seconds:.2f} | {peak_gigabytes(device):.1f} |")
        model.eval()
        start = time.perf_counter()
        talker.evaluate()
        print(f"evaluation of the talker: {time.perf_counter() - start:.1f} s for one clip")


def peak_gigabytes(device: torch.device) -> float:
    """So far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()
