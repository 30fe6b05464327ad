"""The systems of the paper's comparison, CodeTalker first: one table of what each is made of.

Whoever trains, keeps, imports or runs a model asks this table, and never which system it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from codetalker.errors import OptionError, did_you_mean
from codetalker.paper.config import PRESETS, PaperConfig
from codetalker.paper.decoding import Predicting
from codetalker.paper.faceformer import (
    FACEFORMER_PRESETS,
    FaceFormer,
    FaceFormerConfig,
    FaceFormerPredictor,
)
from codetalker.paper.faceformer_training import (
    FACEFORMER_PLANS,
    FaceFormerRecipe,
    FaceFormerTraining,
)
from codetalker.paper.inference import Predictor
from codetalker.paper.meshtalk import MeshTalk, MeshTalkPredictor
from codetalker.paper.meshtalk_codec import MESHTALK_PRESETS, MeshTalkConfig
from codetalker.paper.meshtalk_training import (
    MESHTALK_PLANS,
    MeshTalkRecipe,
    MeshTalkTraining,
)
from codetalker.paper.model import PaperModel
from codetalker.paper.official import (
    CODETALKER_FILES,
    FACEFORMER_FILES,
    Official,
)
from codetalker.paper.recipe import TALKER_PLANS, EpochPlan, PaperTalkerRecipe, TalkerRecipe
from codetalker.paper.talker_training import TalkerTraining
from codetalker.paper.training import PaperTalkerTraining
from codetalker.paper.voca import VOCA_PRESETS, Voca, VocaConfig, VocaPredictor
from codetalker.paper.voca_training import VOCA_PLANS, VocaRecipe, VocaTraining


class SystemConfig(Protocol):
    """What the configuration of any system says."""

    @property
    def name(self) -> str:
        """Of the preset that it started from."""
        ...

    @property
    def vertices(self) -> int:
        """Of the mesh, V."""
        ...

    @property
    def fps(self) -> float:
        """Frames per second of the motion."""
        ...

    @property
    def subjects(self) -> tuple[str, ...]:
        """Speaking styles, in the order of the style table."""
        ...

    @property
    def default_subject(self) -> str:
        """The style where the user names none."""
        ...

    @property
    def facts(self) -> dict[str, str]:
        """What there is to say of the model beyond its styles and its rate."""
        ...

    def frames(self, samples: int) -> int:
        """How many frames so many samples at 16 kHz give."""
        ...


class SystemModel(Protocol):
    """What any system's model, an `nn.Module`, can do."""

    @property
    def config(self) -> SystemConfig: ...

    def normalize(self, samples: Tensor) -> Tensor:
        """(..., N) waveform at 16 kHz -> as the model hears it."""
        ...


@dataclass(frozen=True)
class System:
    """What a system is made of.

    Attributes:
        title: as its paper calls it.
        presets: its configurations by the name of the data they are for.
        config, model: their types.
        predictor: makes what predicts, from a model in evaluation and a mode.
        plans: the published ones for its talker, by the name of the data.
        recipe: what else there is to choose of its training, a dataclass with defaults.
        training: how its talker is trained.
        official: the files in which it was released, if they can be imported.
    """

    title: str
    presets: Mapping[str, Any]
    config: type
    model: Callable[[Any], nn.Module]
    predictor: Callable[[Any, str], Predicting]
    plans: Mapping[str, EpochPlan]
    recipe: Callable[[], TalkerRecipe]
    training: type[TalkerTraining[Any, Any]]
    official: Official | None = None


CODETALKER = "codetalker"
SYSTEMS = {
    CODETALKER: System(
        "CodeTalker",
        PRESETS,
        PaperConfig,
        PaperModel,
        Predictor,
        TALKER_PLANS,
        PaperTalkerRecipe,
        PaperTalkerTraining,
        CODETALKER_FILES,
    ),
    "faceformer": System(
        "FaceFormer",
        FACEFORMER_PRESETS,
        FaceFormerConfig,
        FaceFormer,
        FaceFormerPredictor,
        FACEFORMER_PLANS,
        FaceFormerRecipe,
        FaceFormerTraining,
        FACEFORMER_FILES,
    ),
    "voca": System(
        "VOCA",
        VOCA_PRESETS,
        VocaConfig,
        Voca,
        VocaPredictor,
        VOCA_PLANS,
        VocaRecipe,
        VocaTraining,
    ),
    "meshtalk": System(
        "MeshTalk",
        MESHTALK_PRESETS,
        MeshTalkConfig,
        MeshTalk,
        MeshTalkPredictor,
        MESHTALK_PLANS,
        MeshTalkRecipe,
        MeshTalkTraining,
    ),
}
"""By the names that commands and model folders use."""


def system_named(name: str) -> System:
    """OptionError names the nearest system if there is none."""
    if name not in SYSTEMS:
        raise OptionError(f"no model {name!r}; {did_you_mean(name, SYSTEMS)}")
    return SYSTEMS[name]


def name_of(config: SystemConfig) -> str:
    """Of the system that a configuration is for."""
    return next(name for name, system in SYSTEMS.items() if type(config) is system.config)


def system_of(config: SystemConfig) -> System:
    """The system that a configuration is for."""
    return SYSTEMS[name_of(config)]


def released() -> dict[str, Any]:
    """The configurations of all released checkpoints by the names that `import-official` takes."""
    return {
        preset if name == CODETALKER else f"{name}-{preset}": config
        for name, system in SYSTEMS.items()
        if system.official is not None
        for preset, config in system.presets.items()
    }
