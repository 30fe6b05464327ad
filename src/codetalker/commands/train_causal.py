"""The stages of `codetalker train` for the bundled model, from a corpus folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from codetalker.causal.bundle import load_bundle
from codetalker.causal.codec import CodecConfig
from codetalker.causal.from_onnx import start_of
from codetalker.causal.hearing import HEARINGS
from codetalker.causal.talker import TalkerConfig, TalkerSizes
from codetalker.causal.teaching import load_teacher
from codetalker.causal.train import NEUTRAL, find_whisper, speaking_styles, train_causal
from codetalker.causal.train_codec import CODEC_PLAN, CodecRecipe, load_codec, train_codec
from codetalker.causal.train_talker import TALKER_PLAN, TalkerRecipe
from codetalker.data.corpus import read_corpus, read_takes
from codetalker.data.phones import read_phones
from codetalker.errors import OptionError
from codetalker.model_folder import find_model
from codetalker.places import check_run_kept
from codetalker.rig import bundled_head
from codetalker.training import processes
from codetalker.training.loop import Plan
from codetalker.training.run_record import WRITTEN

ENCODER_PLAN = replace(CODEC_PLAN, steps=1500)
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
        device: cpu or cuda; a GPU if there is one.
    """

    corpus: Path
    out: Folder
    takes: Path | None = None
    recipe: CodecRecipe = field(default_factory=CodecRecipe)
    plan: Plan = CODEC_PLAN
    device: str | None = None

    def run(self) -> None:
        """Train; the folder is what stage 2 takes as --codec."""
        check_run_kept(self.out, WRITTEN, [self.corpus, *([self.takes] if self.takes else [])])
        clips, config = read_corpus(self.corpus), CodecConfig()
        takes = () if self.takes is None else read_takes(self.takes, config.fps)
        with processes.joined(self.device) as device:
            train_codec(
                clips, bundled_head(), self.out, config=config,
                recipe=self.recipe, plan=self.plan, device=device, takes=takes,
            )  # fmt: skip
            if processes.rank() == 0:
                print(f"{self.out}: trained; give it to stage 2 as --codec {self.out}")


@dataclass(frozen=True)
class TalkerStage:
    """Stage 2: the talker that queries the codebook; writes the model's bundle.

    Attributes:
        corpus: folder of clips; see docs/data.md.
        out: the run's folder; a run that was stopped goes on there.
        codec: the folder of stage 1, or best.pt or last.pt in it.
        start: a model to go on from, by its folder or name, instead of --codec: its weights, its
            hearing and its styles, to which the corpus's speakers are added.
        whisper: `model.bin` of Whisper tiny.en; that of the installed package by default.
        hearing: `live` for streams, 200 ms behind, the default; `studio` for files.
        phones: folders of phone-timed speech; see docs/data.md.
        aligned: a folder with the phones of the corpus's clips, by their names.
        teachers: models whose motion is learned in phone-timed speech, which has none.
        teacher_style: the style or blend of styles in which they speak; their default one if none.
        passes: augmented passes over the corpus, beside the clean one.
        model: sizes.
        recipe: losses and batches.
        plan: steps, rates, seed.
        encoder: the same of the codec's encoder, which no model keeps: with --from, it is trained
            anew for codebook and decoder as they are.
        device: cpu or cuda; a GPU if there is one.
    """

    corpus: Path
    out: Folder
    codec: Path | None = None
    start: Annotated[str | None, tyro.conf.arg(name="from", metavar="MODEL")] = None
    whisper: Path | None = None
    hearing: Literal["live", "studio"] | None = None
    phones: tuple[Path, ...] = ()
    aligned: Path | None = None
    teachers: tuple[Path, ...] = ()
    teacher_style: str | None = None
    passes: int = 2
    model: TalkerSizes = field(default_factory=TalkerSizes)
    recipe: TalkerRecipe = field(default_factory=TalkerRecipe)
    plan: Plan = TALKER_PLAN
    encoder: Plan = ENCODER_PLAN
    device: str | None = None

    def run(self) -> None:
        """Train; `bundle` in the folder is the model."""
        if (self.codec is None) == (self.start is None):
            raise OptionError("name stage 1 with --codec, or a model to go on from with --from")
        if self.start is not None and self.hearing is not None:
            raise OptionError("a model that training goes on from keeps its hearing; leave it out")
        if self.start is not None and self.model != TalkerSizes():
            raise OptionError("a model that training goes on from keeps its sizes; leave them out")
        model = None if self.start is None else find_model(self.start)
        whisper = [self.whisper] if self.whisper else []
        given = [*whisper, *self.phones, *([self.aligned] if self.aligned else []), *self.teachers]
        given += [path for path in (self.codec, model) if path is not None]
        check_run_kept(self.out, WRITTEN, [self.corpus, *given])
        if self.passes < 0:
            raise OptionError(f"--passes is {self.passes}; name 0 or more")
        clips = read_corpus(self.corpus)
        speakers, start = speaking_styles(clips), None
        if model is not None:
            start = start_of(load_bundle(model), speakers, NEUTRAL)
            codec, hearing, config = start.codec, start.hearing, start.talker.config
        else:
            assert self.codec is not None
            codec, hearing = load_codec(self.codec), HEARINGS[self.hearing or "live"]
            config = TalkerConfig(
                styles=1 + len(speakers),
                heads=codec.config.heads,
                code_width=codec.config.code_width,
                period=codec.config.fps,
                **asdict(self.model),
            )
        timed = [clip for folder in self.phones for clip in read_phones(folder)]
        aligned = () if self.aligned is None else read_phones(self.aligned)
        style, fps = self.teacher_style, codec.config.fps
        teachers = [load_teacher(folder, fps, style) for folder in self.teachers]
        notes = {"corpus": self.corpus.name, "clips": str(sum(c.split == "train" for c in clips))}
        if timed:
            notes["phones"] = f"{sum(clip.duration for clip in timed) / 60:.0f} min without motion"
        if teachers:
            notes["teachers"] = ", ".join(teacher.digest for teacher in teachers)
        if start:
            notes["from"] = f"{start.bundle.name} {start.bundle.digest}"
        with processes.joined(self.device) as device:
            if start:
                train_codec(
                    clips, bundled_head(), self.out / "encoder", config=codec.config,
                    recipe=CodecRecipe(), plan=self.encoder, device=device, kept=codec,
                )  # fmt: skip
                codec = load_codec(self.out / "encoder")
            train_causal(
                clips, codec, find_whisper(self.whisper), self.out,
                hearing=hearing, passes=self.passes, config=config,
                recipe=self.recipe, plan=self.plan, device=device, notes=notes, phones=timed,
                aligned=aligned, teachers=teachers, start=start,
            )  # fmt: skip
            if processes.rank() == 0:
                bundle = load_bundle(self.out / "bundle")
                print(f"{self.out / 'bundle'}: styles {', '.join(bundle.styles)}")


def causal_stages() -> tuple[Any, Any]:
    """Both stages for tyro."""
    return (
        Annotated[CodecStage, tyro.conf.subcommand("codec")],
        Annotated[TalkerStage, tyro.conf.subcommand("talker")],
    )
