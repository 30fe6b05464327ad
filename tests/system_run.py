"""The systems of the paper's comparison at tiny size, made and trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from codetalker.paper.config import preset, tiny
from codetalker.paper.speech import SpeechEncoder
from codetalker.paper.systems import SYSTEMS
from codetalker.training.loop import flat

VERTICES = 20
SPEECH = tiny(preset("vocaset")).speech
TINY_SIZES: dict[str, Callable[[Any], Any]] = {
    "faceformer": lambda config: replace(
        config, speech=SPEECH, talker=replace(config.talker, width=32, mlp_width=64)
    ),
    "voca": lambda config: replace(
        config, speech=SPEECH, filters=(8, 8, 16, 16), hidden=24, expressions=12
    ),
    "meshtalk": lambda config: replace(
        config, heads=5, classes=7, width=16, expression_width=24, fusion_width=24,
        unet=(24, 20), context=8, dilations=(1, 2),
    ),
}  # fmt: skip
"""How a preset of each system but CodeTalker becomes small."""
SHORT = {"meshtalk": ("--recipe.latent.epochs", "3")}
"""Options that make a run short, besides the epochs of its plan."""
COMPARED = tuple(TINY_SIZES)


def tiny_config(system: str, of: str = "vocaset", vertices: int = VERTICES) -> Any:
    """The tiny twin of a preset."""
    return replace(TINY_SIZES[system](SYSTEMS[system].presets[of]), vertices=vertices)


def tiny_model(system: str, of: str = "vocaset", seed: int = 0, **changes: Any) -> Any:
    """With random weights in which nothing is degenerate, in evaluation."""
    torch.manual_seed(seed)
    model = SYSTEMS[system].model(replace(tiny_config(system, of), **changes))
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1)
    return model.eval()


def system_command(
    system: str, store: Path, out: Path, wav2vec2: Path, *more: str, of: str = "vocaset"
) -> list[str]:
    """`train talker --model SYSTEM` at tiny size; the number of vertices is the store's."""
    published = SYSTEMS[system].presets[of]
    small = flat(asdict(TINY_SIZES[system](published)))
    words = []
    for name, value in flat(asdict(published)).items():
        if small[name] != value:
            values = small[name] if isinstance(small[name], tuple) else (small[name],)
            words += [f"--model.{name.replace('_', '-')}", *map(str, values)]
    return [
        "train", "talker", "--model", system, "--preset", of, "--data", str(store),
        "-o", str(out), "--wav2vec2", str(wav2vec2), "--device", "cpu",
        *words, *SHORT.get(system, ()), *more,
    ]  # fmt: skip


def write_recognizer(folder: Path) -> Path:
    """A pretrained recogniser of letters as the hub would give it, with random weights."""
    from transformers import Wav2Vec2ForCTC

    encoder = SpeechEncoder(SPEECH).wav2vec2
    encoder.config.vocab_size = 32
    recognizer = Wav2Vec2ForCTC(encoder.config)
    recognizer.wav2vec2.load_state_dict(encoder.state_dict())
    recognizer.save_pretrained(folder)
    return folder
