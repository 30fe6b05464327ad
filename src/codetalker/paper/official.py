"""Names and shapes of the tensors in the released checkpoints, derived from a configuration.

Our modules have their own names; each tensor of a released file is one of ours, reshaped nowhere,
or a table of positions that we compute. Checkpoints are in the key set of transformers 4.6.1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from codetalker.nn.attention import periodic_encoding, sinusoidal_encoding
from codetalker.paper.config import PaperCodecConfig, PaperConfig, PaperTalkerConfig
from codetalker.paper.faceformer import FaceFormer
from codetalker.paper.model import PaperModel

CODEC_POSITIONS = 5000
"""Rows of the position tables in stage-1 checkpoints."""

TALKER_POSITIONS = 600
"""Frames that the released talker was limited to; its table of positions is a little longer."""


def codec_names(config: PaperCodecConfig) -> dict[str, str]:
    """Official stage-1 key -> name of our tensor in `PaperModel`."""
    names = {"quantize.embedding.weight": "codec.quantizer.embedding.weight"}
    names |= _pair("encoder.vertice_mapping.0", "codec.encoder.input")
    reverse = _pair("decoder.vertice_map_reverse", "codec.decoder.output")
    if not config.output_bias:
        del reverse["decoder.vertice_map_reverse.bias"]
    names |= reverse
    if config.code_projection:
        names |= _pair("encoder.encoder_linear_embedding_post.net", "codec.encoder.output")
        names |= _pair("decoder.decoder_linear_embedding_pre.net", "codec.decoder.input")
    for side, blocks in (("encoder", "squasher"), ("decoder", "expander")):
        ours = f"codec.{side}"
        for i in range(max(1, config.halvings)):
            names |= _pair(f"{side}.{blocks}.{i}.0", f"{ours}.blocks.{i}.convolution")
        names |= _pair(f"{side}.{side}_linear_embedding.net", f"{ours}.transformer.input")
        for i in range(config.layers):
            layer = f"{ours}.transformer.layers.{i}"
            attention, mlp = (f"{side}.{side}_transformer.net.{2 * i + j}.fn" for j in (0, 1))
            names |= _pair(f"{attention}.norm", f"{layer}.attention_norm")
            names[f"{attention}.fn.to_qkv.weight"] = f"{layer}.attention_input.weight"
            names |= _pair(f"{attention}.fn.to_out", f"{layer}.attention_output")
            names |= _pair(f"{mlp}.norm", f"{layer}.mlp_norm")
            names |= _pair(f"{mlp}.fn.l1", f"{layer}.mlp_input")
            names |= _pair(f"{mlp}.fn.l2", f"{layer}.mlp_output")
    return names


def talker_names(config: PaperTalkerConfig, ours: Mapping[str, Tensor]) -> dict[str, str]:
    """Official stage-2 key -> name of our tensor in `PaperModel`, whose tensors are `ours`."""
    names = {
        "learnable_style_emb.weight": "talker.styles.weight",
        "feat_map.weight": "talker.feature_map.weight",
    }
    return names | _decoder_names(config, ours)


def faceformer_names(config: PaperTalkerConfig, ours: Mapping[str, Tensor]) -> dict[str, str]:
    """Official key -> name of our tensor in `FaceFormer`, whose tensors are `ours`."""
    names = {"obj_vector.weight": "talker.styles.weight"}
    names |= _pair("vertice_map_r", "talker.motion_head")
    return names | _decoder_names(config, ours)


def _decoder_names(config: PaperTalkerConfig, ours: Mapping[str, Tensor]) -> dict[str, str]:
    """Of the tensors of a `SpeechDecoder`, but for the styles."""
    names = _pair("audio_feature_map", "talker.speech_map")
    names |= _pair("vertice_map", "talker.motion_map")
    for i in range(config.layers):
        official, layer = f"transformer_decoder.layers.{i}", f"talker.layers.{i}"
        for theirs, attention in (
            ("self_attn", "self_attention"),
            ("multihead_attn", "cross_attention"),
        ):
            names |= {
                f"{official}.{theirs}.in_proj_{kind}": f"{layer}.{attention}.input.{kind}"
                for kind in ("weight", "bias")
            }
            names |= _pair(f"{official}.{theirs}.out_proj", f"{layer}.{attention}.output")
        names |= _pair(f"{official}.linear1", f"{layer}.mlp_input")
        names |= _pair(f"{official}.linear2", f"{layer}.mlp_output")
        for j in range(3):
            names |= _pair(f"{official}.norm{j + 1}", f"{layer}.norms.{j}")
    prefix = "talker.speech.wav2vec2."
    for name in ours:
        if name.startswith(prefix):
            names["audio_encoder." + portable_name(name.removeprefix(prefix))] = name
    return names


def position_tables(config: PaperConfig) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The buffers in official stage-1 and stage-2 checkpoints, which we compute instead."""
    codec = sinusoidal_encoding(CODEC_POSITIONS, config.codec.width)[:, None]
    stage1 = {f"{side}.{side}_pos_embedding.pe": codec for side in ("encoder", "decoder")}
    return stage1, decoder_positions(config.talker)


def decoder_positions(config: PaperTalkerConfig) -> dict[str, Tensor]:
    """The buffer of a `SpeechDecoder`."""
    rows = (TALKER_POSITIONS // config.period + 1) * config.period
    return {"PPE.pe": periodic_encoding(rows, config.width, config.period)[None]}


def portable_name(name: str) -> str:
    """Weight-normed tensors by their old names, `weight_g` and `weight_v`, in any torch."""
    return re.sub(
        r"parametrizations\.weight\.original([01])",
        lambda match: "weight_" + "gv"[int(match[1])],
        name,
    )


@dataclass(frozen=True)
class Official:
    """The files in which a system was released.

    Attributes:
        files: what each is called, for messages.
        model: makes the system's model of a configuration.
        entry: the one entry of a file that holds the tensors; None: the file is the tensors.
        names: of a configuration and our tensors: for each file, official key -> our name.
        tables: of a configuration: for each file, the buffers that we compute instead.
    """

    files: tuple[str, ...]
    model: Callable[[Any], nn.Module]
    entry: str | None
    names: Callable[[Any, Mapping[str, Tensor]], tuple[dict[str, str], ...]]
    tables: Callable[[Any], tuple[dict[str, Tensor], ...]]

    def export(self, config: Any, ours: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
        """Our tensors as the released code would save them, file by file."""
        for names, tables in zip(self.names(config, ours), self.tables(config), strict=True):
            yield {official: ours[name] for official, name in names.items()} | tables

    def state(self, config: Any) -> dict[str, Tensor]:
        """Our tensors without content."""
        with torch.device("meta"):
            return self.model(config).state_dict()

    def shapes(self, config: Any) -> tuple[dict[str, torch.Size], ...]:
        """Official key -> shape, for each file of a model of `config`."""
        files = self.export(config, self.state(config))
        return tuple({name: tensor.shape for name, tensor in file.items()} for file in files)


CODETALKER_FILES = Official(
    ("stage 1", "stage 2"),
    PaperModel,
    "state_dict",
    lambda config, ours: (codec_names(config.codec), talker_names(config.talker, ours)),
    position_tables,
)
FACEFORMER_FILES = Official(
    ("FaceFormer",),
    FaceFormer,
    None,
    lambda config, ours: (faceformer_names(config.talker, ours),),
    lambda config: (decoder_positions(config.talker),),
)


def export_official(config: PaperConfig, ours: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """The tensors of a `PaperModel` as the released code would save them: stage 1, then stage 2."""
    return CODETALKER_FILES.export(config, ours)


def expected_shapes(config: PaperConfig) -> tuple[dict[str, torch.Size], ...]:
    """Official key -> shape for the stage-1 and the stage-2 checkpoint of `config`."""
    return CODETALKER_FILES.shapes(config)


def _pair(official: str, ours: str) -> dict[str, str]:
    return {f"{official}.{kind}": f"{ours}.{kind}" for kind in ("weight", "bias")}
