"""Configurations of the published model: one architecture, everything that differs is a field here.

The presets `vocaset` and `biwi` are the released models. Fields named under "Options" mend
defects of the published code; they are off by default because the released weights were trained
without them (see docs/paper.md).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeVar, overload

from codetalker.errors import OptionError, did_you_mean
from codetalker.reading import Malformed
from codetalker.typed import build

SPEECH_RATE = 50
"""Hz; wav2vec 2.0 makes one feature of 320 samples at 16 kHz."""
_MOST_LAYERS, _LARGEST_SIZE = 64, 1 << 20

Config = TypeVar("Config")


@dataclass(frozen=True)
class PaperCodecConfig:
    """Stage 1, the VQ autoencoder of facial motion.

    Attributes:
        vertices: vertices of the mesh, V.
        components: codes per frame (the paper's H).
        code_width: width of one code.
        codes: rows of the codebook.
        width: channels of the convolutions and of the transformers.
        layers, heads, mlp_width: of the encoder's and of the decoder's transformer.
        halvings: how many times the encoder halves the frame rate; 0 in the released models.
        leak: slope of the LeakyReLU for negative values.
        commitment: weight of the encoder's side of the codebook loss.
        dropout: after the positions, in training.
        code_projection: linear maps between `width` and `components * code_width` around the
            quantiser; without them the two must be equal.
        output_bias: whether the last linear map has a bias.
        frame_positions: Option. The published code looks the positions up by batch element and
            not by frame, so that every frame gets row 0; True gives frame t row t.
    """

    vertices: int
    components: int
    code_width: int
    codes: int = 256
    width: int = 1024
    layers: int = 6
    heads: int = 8
    mlp_width: int = 1536
    halvings: int = 0
    leak: float = 0.2
    commitment: float = 0.25
    dropout: float = 0.1
    code_projection: bool = False
    output_bias: bool = True
    frame_positions: bool = False

    def __post_init__(self) -> None:
        if not self.code_projection and self.width != self.frame_code_width:
            raise OptionError(
                f"codec: width {self.width} must equal components x code_width = "
                f"{self.frame_code_width} unless code_projection is set"
            )
        _need_divisor("codec", self.width, self.heads)
        need_sizes("codec", self)

    @property
    def frame_code_width(self) -> int:
        """Width of all codes of one frame side by side."""
        return self.components * self.code_width


@dataclass(frozen=True)
class SpeechConfig:
    """wav2vec 2.0, by the names that transformers' Wav2Vec2Config uses; defaults are base-960h."""

    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    conv_dim: tuple[int, ...] = (512,) * 7
    conv_kernel: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_stride: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    num_conv_pos_embeddings: int = 128
    num_conv_pos_embedding_groups: int = 16
    dropout: float = 0.1
    layerdrop: float = 0.1
    mask_time_prob: float = 0.05
    mask_time_length: int = 10
    variance_epsilon: float = 1e-5
    """Added to the waveform's variance; newer releases of transformers use 1e-7."""

    def __post_init__(self) -> None:
        _need_divisor("speech", self.hidden_size, self.num_attention_heads)
        need_sizes("speech", self)
        lengths = {len(self.conv_dim), len(self.conv_kernel), len(self.conv_stride)}
        if len(lengths) > 1 or not 0 < max(lengths) <= _MOST_LAYERS:
            raise OptionError("speech: conv_dim, conv_kernel and conv_stride differ in length")

    @property
    def hop(self) -> int:
        """Samples from one feature to the next."""
        return math.prod(self.conv_stride)

    @property
    def reach(self) -> int:
        """Samples that one feature depends on."""
        reach = 1
        for kernel, stride in zip(self.conv_kernel[::-1], self.conv_stride[::-1], strict=True):
            reach = (reach - 1) * stride + kernel
        return reach

    def features(self, samples: int) -> int:
        """How many features `samples` samples at 16 kHz give; 0 if too few."""
        for kernel, stride in zip(self.conv_kernel, self.conv_stride, strict=True):
            samples = max(0, (samples - kernel) // stride + 1)
        return samples


@dataclass(frozen=True)
class PaperTalkerConfig:
    """Stage 2, the autoregressive model that queries the codebook from speech.

    Attributes:
        fps: frames per second of the motion.
        subjects: speaking styles, in the order of the style table.
        default_subject: the style where the user names none.
        period: frames after which positions repeat and attention's bias steps down.
        width, layers, heads, mlp_width: of the transformer decoder.
        dropout: everywhere in the decoder, in training.
        stretch_speech: True interpolates the speech features to one per frame; False leaves them
            at 50 Hz, where a frame has 50 / fps of them.
        first_token_bias: Option. Prediction starts from the style alone, training from the style
            plus the bias of the motion embedding; True adds the bias in prediction too.
        exact_frame_count: Option. The published frame count comes from float arithmetic that
            loses a frame at some lengths (4.1 s gives 122 and not 123 at 30 fps); True counts
            in integers.
    """

    fps: float
    subjects: tuple[str, ...]
    default_subject: str
    period: int
    width: int = 1024
    layers: int = 6
    heads: int = 4
    mlp_width: int = 2048
    dropout: float = 0.1
    stretch_speech: bool = True
    first_token_bias: bool = False
    exact_frame_count: bool = False

    def __post_init__(self) -> None:
        _need_divisor("talker", self.width, self.heads)
        need_sizes("talker", self)
        if not 0 < self.fps <= 1000:
            raise OptionError(f"talker: fps {self.fps} is none")
        if self.heads & (self.heads - 1):
            raise OptionError(f"talker: heads must be a power of two, not {self.heads}")
        if self.default_subject not in self.subjects:
            raise OptionError(f"talker: default_subject {self.default_subject!r} is no subject")
        if not self.stretch_speech and SPEECH_RATE % self.fps:
            raise OptionError(f"talker: fps {self.fps} does not divide {SPEECH_RATE}: stretch")

    def for_data(self, fps: float, subjects: tuple[str, ...]) -> Self:
        """The same for other data; a period of one second stays one."""
        default = self.default_subject if self.default_subject in subjects else subjects[0]
        period = round(fps) if self.period == round(self.fps) else self.period
        return replace(self, fps=fps, subjects=subjects, default_subject=default, period=period)

    @property
    def features_per_frame(self) -> int:
        """Speech features that one frame attends to."""
        return 1 if self.stretch_speech else int(SPEECH_RATE // self.fps)

    def frames(self, features: int) -> int:
        """How many frames are predicted from `features` speech features at 50 Hz."""
        if not self.stretch_speech:
            return features // self.features_per_frame
        if self.exact_frame_count:
            return int(features * self.fps // SPEECH_RATE)
        return int(features / float(SPEECH_RATE) * self.fps)  # in this order: the rounding counts


class SpokenConfig:
    """What the world asks of the configuration of a system that hears by wav2vec 2.0 and predicts
    by a `SpeechDecoder`; see `codetalker.paper.systems.SystemConfig`."""

    talker: PaperTalkerConfig
    speech: SpeechConfig

    @property
    def fps(self) -> float:
        return self.talker.fps

    @property
    def subjects(self) -> tuple[str, ...]:
        return self.talker.subjects

    @property
    def default_subject(self) -> str:
        return self.talker.default_subject

    def frames(self, samples: int) -> int:
        """How many frames so many samples at 16 kHz give."""
        return self.talker.frames(self.speech.features(samples))


@dataclass(frozen=True)
class PaperConfig(SpokenConfig):
    """The published model as a whole.

    Attributes:
        name: of the preset that it started from; a label, nothing depends on it.
        unit_mm: millimetres per unit of the vertices; None where the data have no such scale.
    """

    name: str
    codec: PaperCodecConfig
    talker: PaperTalkerConfig
    speech: SpeechConfig = field(default_factory=SpeechConfig)
    unit_mm: float | None = None

    def __post_init__(self) -> None:
        if self.codec.halvings:
            raise OptionError("the talker predicts codes at the frame rate: halvings must be 0")

    @property
    def vertices(self) -> int:
        return self.codec.vertices

    @property
    def facts(self) -> dict[str, str]:
        """What there is to say of the model beyond its styles and its rate."""
        return {
            "preset": self.name,
            "vertices": f"{self.codec.vertices}",
            "codebook": f"{self.codec.codes} codes of width {self.codec.code_width}",
            "codes per frame": f"{self.codec.components}",
        }


def need_sizes(where: str, config: object) -> None:
    """See that whole numbers can be those of a model that fits on a disk."""
    for name, value in vars(config).items():
        most = _MOST_LAYERS if "layers" in name or name == "halvings" else _LARGEST_SIZE
        for size in value if isinstance(value, tuple) else (value,):
            if type(size) is int and not (name != "halvings") <= size <= most:
                raise OptionError(f"{where}: {name} is {size}; choose from 1 to {most}")


def _need_divisor(where: str, width: int, heads: int) -> None:
    if heads < 1 or width % heads:
        raise OptionError(f"{where}: {heads} heads do not divide width {width}")


_VOCASET_SUBJECTS = (
    "FaceTalk_170728_03272_TA",
    "FaceTalk_170904_00128_TA",
    "FaceTalk_170725_00137_TA",
    "FaceTalk_170915_00223_TA",
    "FaceTalk_170811_03274_TA",
    "FaceTalk_170913_03279_TA",
    "FaceTalk_170904_03276_TA",
    "FaceTalk_170912_03278_TA",
)

PRESETS = {
    "vocaset": PaperConfig(
        name="vocaset",
        codec=PaperCodecConfig(vertices=5023, components=16, code_width=64),
        talker=PaperTalkerConfig(
            fps=30.0,
            subjects=_VOCASET_SUBJECTS,
            default_subject="FaceTalk_170725_00137_TA",
            period=30,
        ),
        unit_mm=1000.0,
    ),
    "biwi": PaperConfig(
        name="biwi",
        codec=PaperCodecConfig(
            vertices=23370,
            components=8,
            code_width=128,
            code_projection=True,
            output_bias=False,
        ),
        talker=PaperTalkerConfig(
            fps=25.0,
            subjects=("F2", "F3", "F4", "M3", "M4", "M5"),
            default_subject="F2",
            period=25,
            layers=12,
            stretch_speech=False,
        ),
    ),
}
"""The released models by name."""


def preset(name: str) -> PaperConfig:
    """The released model's configuration; OptionError names the nearest preset if there is none."""
    if name not in PRESETS:
        raise OptionError(f"no preset {name!r}; {did_you_mean(name, PRESETS)}")
    return PRESETS[name]


def tiny(config: PaperConfig, vertices: int = 60) -> PaperConfig:
    """A twin of `config` small enough for tests: same structure, narrow, shallow, few vertices."""
    width = 48 if config.codec.code_projection else 32
    return replace(
        config,
        codec=replace(
            config.codec,
            vertices=vertices,
            components=4,
            code_width=8,
            codes=32,
            width=width,
            layers=2,
            heads=4,
            mlp_width=48,
        ),
        talker=replace(config.talker, width=32, layers=2, mlp_width=64),
        speech=replace(
            config.speech,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            conv_dim=(16,) * 7,
            num_conv_pos_embeddings=16,
            num_conv_pos_embedding_groups=4,
        ),
    )


def to_dict(config: Any) -> dict[str, Any]:
    """Plain dictionaries, ready for JSON; the inverse of `from_dict`."""
    return dataclasses.asdict(config)


@overload
def from_dict(values: Mapping[str, Any]) -> PaperConfig: ...
@overload
def from_dict(values: Mapping[str, Any], kind: type[Config]) -> Config: ...
def from_dict(values: Mapping[str, Any], kind: type = PaperConfig) -> Any:
    """Build a configuration of some kind from plain dictionaries.

    Raises:
        OptionError: a key is unknown (the nearest valid one is named), missing, or of the
            wrong type.
    """
    try:
        return build(kind, values, "config")
    except Malformed as error:
        raise OptionError(str(error)) from None
