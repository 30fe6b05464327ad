"""Training runs of the published model at tiny size, by the command line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from codetalker.cli import main
from codetalker.paper.config import preset, tiny
from codetalker.paper.speech import SpeechEncoder
from vertex_data import face, motion, tone, write_pickle, write_wav

TINY = tiny(preset("vocaset"))
VAL, OTHER = "FaceTalk_170811_03275_TA", "FaceTalk_170725_00137_TA"
CLIPS = {f"{OTHER}_sentence01": 52, f"{OTHER}_sentence02": 74, "FaceTalk_170728_03272_TA_e03": 62}
"""Training clips and their frames at 60 fps; all of them of another length."""


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Sums come in the same order in every process; and small models are faster so."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def flags(name: str, given: Any, default: Any) -> list[str]:
    """Options that turn the config `default` into `given`."""
    words = []
    for field in fields(given):
        value = getattr(given, field.name)
        if value != getattr(default, field.name):
            option = f"--{name}.{field.name.replace('_', '-')}"
            words += [option, *map(str, value if isinstance(value, tuple) else (value,))]
    return words


def write_store(folder: Path) -> Path:
    """A store as `prepare vocaset` makes it: three clips for training, one for validation."""
    source = folder / "source"
    (source / "vertices_npy").mkdir(parents=True)
    clips = CLIPS | {f"{VAL}_sentence21": 58}
    subjects = sorted({name.rpartition("_")[0] for name in clips})
    templates = {subject: face(i) for i, subject in enumerate(subjects)}
    for seed, (name, frames) in enumerate(clips.items()):
        vertices = motion(seed, frames, templates[name.rpartition("_")[0]])
        np.save(source / "vertices_npy" / f"{name}.npy", vertices.reshape(frames, -1))
        write_wav(source / "wav" / f"{name}.wav", tone(frames / 60, 16000), 16000)
    write_pickle(source / "templates.pkl", templates)
    assert main(["prepare", "vocaset", str(source), "-o", str(folder / "store")]) == 0
    return folder / "store"


def write_wav2vec2(folder: Path) -> Path:
    """A pretrained speech encoder as the hub would give it, with random weights."""
    SpeechEncoder(TINY.speech).wav2vec2.save_pretrained(folder)
    return folder


def codec_command(store: Path, out: Path, *more: str, of: str = "vocaset") -> list[str]:
    """`train codec` at tiny size with the preset `of`."""
    published = preset(of).codec
    config = replace(tiny(preset(of)).codec, vertices=published.vertices)  # the store has its own
    return [
        "train", "codec", "--preset", of, "--data", str(store), "-o", str(out),
        "--device", "cpu", *flags("model", config, published), *more,
    ]  # fmt: skip


def talker_command(
    store: Path, codec: Path, out: Path, wav2vec2: Path, *more: str, of: str = "vocaset"
) -> list[str]:
    """`train talker` at tiny size with the preset `of`."""
    published, config = preset(of), tiny(preset(of))
    return [
        "train", "talker", "--preset", of, "--data", str(store), "--codec", str(codec),
        "-o", str(out), "--wav2vec2", str(wav2vec2), "--device", "cpu",
        *flags("model", config.talker, published.talker),
        *flags("speech", config.speech, published.speech),
        *more,
    ]  # fmt: skip


def assert_refused(
    arguments: list[str], change: tuple[str, str], said: str, run: Path, capsys: Any
) -> None:
    """With an option changed or added, a command says so in one line and makes no run."""
    name, value = change
    if name in arguments:
        arguments[arguments.index(name) + 1] = value
    else:
        arguments += change
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not run.exists()
