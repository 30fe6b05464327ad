"""The stages of `codetalker train` for the published model, from a prepared store."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import tyro

from codetalker.data.store import Store, open_store
from codetalker.errors import ModelError, OptionError
from codetalker.files.mesh import Mesh, read_mesh
from codetalker.paper.config import (
    PRESETS,
    PaperCodecConfig,
    PaperConfig,
    PaperTalkerConfig,
    SpeechConfig,
    preset,
)
from codetalker.paper.folder import read_codec, write_trained
from codetalker.paper.recipe import (
    CODEC_PLANS,
    TALKER_PLANS,
    EpochPlan,
    PaperCodecRecipe,
    PaperTalkerRecipe,
)
from codetalker.paper.training import train_paper_codec, train_paper_talker
from codetalker.places import check_run_kept
from codetalker.training import processes
from codetalker.training.run_record import WRITTEN

Folder = Annotated[Path, tyro.conf.arg(aliases=("-o",))]
HUB_NAME = "facebook/wav2vec2-base-960h"
Config = TypeVar("Config", PaperCodecConfig, PaperTalkerConfig)


@dataclass(frozen=True)
class PaperCodecStage:
    """Stage 1 of the published model: the codebook of facial motion.

    Attributes:
        data: the store that `codetalker prepare` has made.
        out: the run's folder; a run that was stopped goes on there.
        preset: vocaset or biwi, from which the options below have their defaults.
        model: the codec; the number of vertices is the store's.
        recipe: weights of the losses.
        plan: epochs, rates, seed.
        device: cpu or cuda; a GPU if there is one.
    """

    data: Path
    out: Folder
    preset: str
    model: PaperCodecConfig
    recipe: PaperCodecRecipe
    plan: EpochPlan
    device: str | None = None

    def run(self) -> None:
        """Train; the folder is what stage 2 takes as --codec."""
        check_run_kept(self.out, WRITTEN, [self.data])
        store = _store(self.data, self.preset)
        default = preset(self.preset).codec
        config = _of_store(self.model, default, vertices=store.vertices_per_face)
        with processes.joined(self.device) as device:
            train_paper_codec(
                store, self.out, config=config, plan=self.plan, recipe=self.recipe, device=device
            )
            if processes.rank() == 0:
                print(f"{self.out}: trained; give it to stage 2 as --codec {self.out}")


@dataclass(frozen=True)
class PaperTalkerStage:
    """Stage 2 of the published model: the talker that queries the codebook; writes a model folder.

    Attributes:
        data: the store that `codetalker prepare` has made.
        codec: the folder of stage 1, or best.pt or last.pt in it; or a model folder.
        out: the run's folder; a run that was stopped goes on there.
        preset: vocaset or biwi, from which the options below have their defaults.
        wav2vec2: folder or hub name of the pretrained speech encoder.
        template: mesh file of the face that the model animates by default; without it, that of
            the default subject, which has no triangles.
        use: which checkpoint becomes the model folder.
        model: the talker; frame rate, subjects and period of own data are the store's.
        speech: the speech encoder's size; as that of --wav2vec2.
        recipe: weights of the losses.
        plan: epochs, rates, seed.
        device: cpu or cuda; a GPU if there is one.
    """

    data: Path
    codec: Path
    out: Folder
    preset: str
    model: PaperTalkerConfig
    speech: SpeechConfig
    recipe: PaperTalkerRecipe
    plan: EpochPlan
    wav2vec2: str = HUB_NAME
    template: Path | None = None
    use: Literal["best", "last"] = "best"
    device: str | None = None

    def run(self) -> None:
        """Train; `model` in the folder is what `codetalker.load` opens."""
        template = [self.template] if self.template else []
        check_run_kept(self.out, WRITTEN, [self.data, self.codec, Path(self.wav2vec2), *template])
        store = _store(self.data, self.preset)
        codec_config, codec = read_codec(self.codec)
        if codec_config.vertices != store.vertices_per_face:
            raise ModelError(
                f"the codec {self.codec} is for {codec_config.vertices} vertices, {self.data} has "
                f"{store.vertices_per_face}; train a codec on these data first"
            )
        talker = self._talker(store)
        config = PaperConfig(self.preset, codec_config, talker, self.speech, store.unit_mm)
        face = self._face(store, talker.default_subject)
        with processes.joined(self.device) as device:
            train_paper_talker(
                store, self.out, config=config, codec=codec, wav2vec2=self.wav2vec2,
                plan=self.plan, recipe=self.recipe, device=device,
            )  # fmt: skip
            if processes.rank() == 0:
                folder = write_trained(self.out, config, face, f"{self.use}.pt")
                print(f"{folder}: ready for: codetalker animate --model {folder}")

    def _talker(self, store: Store) -> PaperTalkerConfig:
        """For the subjects and the frame rate of the store; for the preset's own data, as it is.

        Positions repeat once a second, as published.
        """
        default, period, subject = preset(self.preset).talker, self.model.period, store.styles[0]
        if store.fps != default.fps and period == default.period:
            period = round(store.fps)
        if self.model.default_subject in store.styles:
            subject = self.model.default_subject
        config = replace(self.model, period=period)
        return _of_store(
            config, default, fps=store.fps, subjects=store.styles, default_subject=subject
        )

    def _face(self, store: Store, subject: str) -> Mesh:
        if self.template is None:
            return Mesh(store.template(subject if subject in store.subjects else store.subjects[0]))
        face = read_mesh(self.template)
        if len(face.vertices) != store.vertices_per_face:
            raise OptionError(
                f"{self.template} has {len(face.vertices)} vertices, {self.data} has "
                f"{store.vertices_per_face}; give a face of its topology"
            )
        return face


def paper_stages(name: str) -> tuple[Any, Any]:
    """Both stages for tyro, their options with the defaults of a preset.

    Raises:
        OptionError: there is no such preset; the nearest is named.
    """
    config = preset(name)
    codec = PaperCodecStage(
        tyro.MISSING, tyro.MISSING, name, config.codec, PaperCodecRecipe(), CODEC_PLANS[name]
    )
    talker = PaperTalkerStage(
        tyro.MISSING, tyro.MISSING, tyro.MISSING, name,
        config.talker, config.speech, PaperTalkerRecipe(), TALKER_PLANS[name],
    )  # fmt: skip
    return (
        Annotated[PaperCodecStage, tyro.conf.subcommand("codec", default=codec)],
        Annotated[PaperTalkerStage, tyro.conf.subcommand("talker", default=talker)],
    )


def _store(folder: Path, name: str) -> Store:
    store = open_store(folder)
    if store.dataset != name and store.dataset in PRESETS:
        raise OptionError(
            f"{folder} was prepared from {store.dataset}; use --preset {store.dataset}"
        )
    return store


def _of_store(config: Config, default: Config, **values: Any) -> Config:
    """`config` with what the store says; an option that says otherwise is refused."""
    for name, value in values.items():
        given = getattr(config, name)
        if given not in (getattr(default, name), value):
            raise OptionError(f"--model.{name} is {given}, but the data have {value}; leave it out")
    return replace(config, **values)
