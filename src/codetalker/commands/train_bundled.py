"""The stages of `codetalker train` for the bundled model, from a corpus folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from codetalker.data.corpus import read_corpus, read_takes
from codetalker.data.phones import read_phones
from codetalker.errors import OptionError
from codetalker.model.codec import CodecConfig
from codetalker.model.talker import TalkerConfig
from codetalker.rig import bundled_head
from codetalker.training import codec as stage1
from codetalker.training import talker as stage2
from codetalker.training.bundled import find_whisper, speaking_styles, train_bundled
from codetalker.training.codec import CodecRecipe, load_codec, train_codec
from codetalker.training.hearing import HEARINGS
from codetalker.training.loop import Plan
from codetalker.training.talker import TalkerRecipe

Folder = Annotated[Path, tyro.conf.arg(aliases=("-o",))]


@dataclass(frozen=True)
class CodecStage:
    """Stage 1: the codebook of facial motion.

    Attributes:
        corpus: folder of clips; see docs/data.md.
        out: the run's folder; a run that was stopped goes on there.
        takes: a folder with the `motion.npz` of takes without sound, of the whole range of motion.
        recipe: losses and batches.
        plan: steps, rates, seed.
    """

    corpus: Path
    out: Folder
    takes: Path | None = None
    recipe: CodecRecipe = field(default_factory=CodecRecipe)
    plan: Plan = stage1.PLAN

    def run(self) -> None:
        """Train; `best.pt` in the folder is what stage 2 takes."""
        train_codec(
            read_corpus(self.corpus),
            bundled_head(),
            self.out,
            CodecConfig(),
            self.recipe,
            self.plan,
            () if self.takes is None else read_takes(self.takes, stage1.FPS),
        )


@dataclass(frozen=True)
class TalkerStage:
    """Stage 2: the talker that queries the codebook; writes the model's bundle.

    Attributes:
        corpus: folder of clips; see docs/data.md.
        codec: the folder of stage 1.
        out: the run's folder; a run that was stopped goes on there.
        whisper: `model.bin` of Whisper tiny.en; that of the installed package by default.
        hearing: `live` for streams, 200 ms behind; `studio` for files.
        phones: a folder of phone-timed speech; see docs/data.md.
        passes: augmented passes over the corpus, beside the clean one.
        recipe: losses and batches.
        plan: steps, rates, seed.
    """

    corpus: Path
    codec: Path
    out: Folder
    whisper: Path | None = None
    hearing: Literal["live", "studio"] = "live"
    phones: tuple[Path, ...] = ()
    passes: int = 2
    recipe: TalkerRecipe = field(default_factory=TalkerRecipe)
    plan: Plan = stage2.PLAN

    def run(self) -> None:
        """Train; `bundle` in the folder is the model."""
        if self.passes < 0:
            raise OptionError(f"--passes is {self.passes}; name 0 or more")
        clips = read_corpus(self.corpus)
        codec, hearing = load_codec(self.codec / "best.pt"), HEARINGS[self.hearing]
        config = TalkerConfig(
            styles=1 + len(speaking_styles(clips)),
            heads=codec.config.heads,
            code_width=codec.config.code_width,
            speech_noise=hearing.noise,
        )
        timed = [clip for folder in self.phones for clip in read_phones(folder)]
        notes = {"corpus": self.corpus.name, "clips": str(sum(c.split == "train" for c in clips))}
        bundle = train_bundled(
            clips, codec, self.out, find_whisper(self.whisper), hearing,
            self.passes, config, self.recipe, self.plan, notes, timed,
        )  # fmt: skip
        print(f"{self.out / 'bundle'}: styles {', '.join(bundle.styles)}")


def stages() -> tuple[Any, Any]:
    """Both stages for tyro."""
    return (
        Annotated[CodecStage, tyro.conf.subcommand("codec")],
        Annotated[TalkerStage, tyro.conf.subcommand("talker")],
    )
