"""The stages of `codetalker train` for the published models, from a prepared store."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

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
    TalkerRecipe,
)
from codetalker.paper.system_training import train_talker
from codetalker.paper.systems import system_named
from codetalker.paper.training import train_paper_codec, train_paper_talker
from codetalker.places import check_run_kept
from codetalker.training import processes
from codetalker.training.loop import flat
from codetalker.training.run_record import WRITTEN

Folder = Annotated[Path, tyro.conf.arg(aliases=("-o",))]
HUB_NAME = "facebook/wav2vec2-base-960h"
Config = TypeVar("Config", bound=Any)
Recipe = TypeVar("Recipe", bound=TalkerRecipe)


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
        told = replace(self.model, vertices=store.vertices_per_face)
        config = _as_told(self.model, default, told)
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
        face = _face(self.template, store, talker.default_subject)
        with processes.joined(self.device) as device:
            train_paper_talker(
                store, self.out, config=config, codec=codec, wav2vec2=self.wav2vec2,
                plan=self.plan, recipe=self.recipe, device=device,
            )  # fmt: skip
            if processes.rank() == 0:
                _write_model(self.out, config, face, self.use)

    def _talker(self, store: Store) -> PaperTalkerConfig:
        """For the subjects and the frame rate of the store; for the preset's own data, as it is."""
        told = self.model.for_data(store.fps, store.styles)
        return _as_told(self.model, preset(self.preset).talker, told)


@dataclass(frozen=True)
class TalkerStage(Generic[Config, Recipe]):
    """The talker of a system that has no stage before it; writes a model folder.

    Attributes:
        data: the store that `codetalker prepare` has made.
        out: the run's folder; a run that was stopped goes on there.
        system: which it is.
        preset: vocaset or biwi, from which the options below have their defaults.
        model: the whole model; what the data say of it is the store's.
        recipe: how it is trained.
        plan: epochs, rates, seed.
        wav2vec2: folder or hub name of the pretrained speech encoder, for systems that have one.
        template: mesh file of the face that the model animates by default; without it, that of
            the default subject, which has no triangles.
        use: which checkpoint becomes the model folder.
        device: cpu or cuda; a GPU if there is one.
    """

    data: Path
    out: Folder
    system: tyro.conf.Suppress[str]
    preset: str
    model: Config
    recipe: Recipe
    plan: EpochPlan
    wav2vec2: str = HUB_NAME
    template: Path | None = None
    use: Literal["best", "last"] = "best"
    device: str | None = None

    def run(self) -> None:
        """Train; `model` in the folder is what `codetalker.load` opens."""
        template = [self.template] if self.template else []
        check_run_kept(self.out, WRITTEN, [self.data, Path(self.wav2vec2), *template])
        store, system = _store(self.data, self.preset), system_named(self.system)
        model: Any = self.model
        told = model.for_data(store.vertices_per_face, store.unit_mm, store.fps, store.styles)
        config = _as_told(model, system.presets[self.preset], told)
        face = _face(self.template, store, config.default_subject)
        with processes.joined(self.device) as device:
            train_talker(
                config, store, self.out, wav2vec2=self.wav2vec2,
                plan=self.plan, recipe=self.recipe, device=device,
            )  # fmt: skip
            if processes.rank() == 0:
                _write_model(self.out, config, face, self.use)


def _write_model(run: Path, config: Any, face: Any, use: str) -> None:
    """The model folder of the run's best or last checkpoint, and a line that says so."""
    folder = write_trained(run, config, face, f"{use}.pt")
    print(f"{folder}: ready for: codetalker animate --model {folder}")


def paper_stages(name: str) -> tuple[Any, Any]:
    """Both stages of CodeTalker for tyro, their options with the defaults of a preset.

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


def talker_stage(name: str, data: str) -> tuple[Any, TalkerStage[Any, Any]]:
    """The one stage of another system for tyro: its type, and the defaults of its options.

    Raises:
        OptionError: there is no such system, or no such preset; the nearest is named.
    """
    system, config = system_named(name), preset(data)
    config, recipe, plan = system.presets[data], system.recipe(), system.plans[data]
    default = TalkerStage(tyro.MISSING, tyro.MISSING, name, data, config, recipe, plan)
    return TalkerStage[type(config), type(recipe)], default


def _face(template: Path | None, store: Store, subject: str) -> Mesh:
    if template is None:
        return Mesh(store.template(subject if subject in store.subjects else store.subjects[0]))
    face = read_mesh(template)
    if len(face.vertices) != store.vertices_per_face:
        raise OptionError(
            f"{template} has {len(face.vertices)} vertices, {store.folder} has "
            f"{store.vertices_per_face}; give a face of its topology"
        )
    return face


def _store(folder: Path, name: str) -> Store:
    store = open_store(folder)
    if store.dataset != name and store.dataset in PRESETS:
        raise OptionError(
            f"{folder} was prepared from {store.dataset}; use --preset {store.dataset}"
        )
    return store


def _as_told(given: Config, default: Config, told: Config) -> Config:
    """`told`, what the data make of the options; an option that says otherwise is refused."""
    options, defaults, data = (flat(asdict(config)) for config in (given, default, told))
    for name, value in options.items():
        if value not in (defaults[name], data[name]):
            raise OptionError(
                f"--model.{name} is {value}, but the data have {data[name]}; leave it out"
            )
    return told
