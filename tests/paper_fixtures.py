"""The numeric fixtures that the published code made, as our configurations, models and tensors."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import Tensor

from codetalker.paper.codec import PaperCodec
from codetalker.paper.config import PaperCodecConfig, PaperConfig, SpeechConfig, preset
from codetalker.paper.model import PaperModel
from codetalker.paper.official import codec_names, talker_names

FIXTURES = Path(__file__).parents[2] / "shared" / "paper" / "fixtures"

needs_fixtures = pytest.mark.skipif(
    not FIXTURES.exists(), reason="the published code's fixtures (../shared/paper) are not here"
)

CASES = [(case, clip) for case in ("voca_like", "biwi_like") for clip in ("a", "b")]


def _official(case: str) -> dict:
    return json.loads((FIXTURES / case / "config.json").read_text())


def codec_config_of(case: str) -> PaperCodecConfig:
    """Stage 1 of the fixture's config.json in our terms."""
    official = _official(case)["config"]
    return replace(
        preset(official["dataset"].lower()).codec,
        vertices=official["in_dim"] // 3,
        components=official["face_quan_num"],
        code_width=official["zquant_dim"],
        codes=official["n_embed"],
        width=official["hidden_size"],
        layers=official["num_hidden_layers"],
        heads=official["num_attention_heads"],
        mlp_width=official["intermediate_size"],
        halvings=official["quant_factor"],
        leak=official["neg"],
    )


def config_of(case: str) -> PaperConfig:
    """The fixture's config.json in our terms."""
    official, speech = (_official(case)[key] for key in ("config", "wav2vec2"))
    base = preset(official["dataset"].lower())
    subjects = tuple(official["train_subjects"].split())
    talker = replace(
        base.talker,
        subjects=subjects,
        default_subject=subjects[0],
        period=official["period"],
        width=official["feature_dim"],
        layers=official["num_layers"],
        heads=official["n_head"],
        mlp_width=2 * official["feature_dim"],
    )
    ours = {k: v for k, v in speech.items() if k in SpeechConfig.__dataclass_fields__}
    ours = {k: tuple(v) if isinstance(v, list) else v for k, v in ours.items()}
    return replace(base, codec=codec_config_of(case), talker=talker, speech=SpeechConfig(**ours))


@lru_cache
def codec_of(case: str) -> PaperCodec:
    """The fixture's stage-1 weights in our codec, in evaluation."""
    codec = PaperCodec(codec_config_of(case))
    official = load_file(FIXTURES / case / "stage1.safetensors")
    names = codec_names(codec.config)
    codec.load_state_dict({o.removeprefix("codec."): official[k] for k, o in names.items()})
    return codec.eval()


@lru_cache
def model_of(case: str) -> PaperModel:
    """The fixture's weights in our model, in evaluation."""
    model = PaperModel(config_of(case))
    official = load_file(FIXTURES / case / "stage2.safetensors")
    names = talker_names(model.config.talker, model.state_dict())
    ours = {o: official[k] for k, o in names.items()}
    ours |= {f"codec.{k}": v for k, v in codec_of(case).state_dict().items()}
    model.load_state_dict(ours)
    return model.eval()


@lru_cache
def arrays_of(case: str, clip: str) -> dict[str, Tensor]:
    """Inputs and published outputs of one clip."""
    return load_file(FIXTURES / case / f"io_{clip}.safetensors")
