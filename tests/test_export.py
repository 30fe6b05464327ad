"""Export: ONNX Runtime on the bundle computes what torch computes, at half the size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from codetalker.causal.bundle import Bundle
from codetalker.causal.generator import Generator, free_run
from codetalker.causal.manner import Course, Manner
from codetalker.causal.runtime import CausalTalker
from codetalker.causal.to_onnx import SpeechGraph, Trained, export_bundle, round_to_half
from codetalker.rig import bundled_head
from tiny_model import STYLES, WINDOWS, babble, tiny_codec, tiny_encoder, tiny_talker

AGREE = 1e-4
"""The issue's bound on torch against ONNX Runtime."""

Modules = tuple[SpeechGraph, Generator]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Modules]:
    """A bundle, and the torch modules that it was made from: speech graph and generator."""
    encoder, talker, codec = tiny_encoder(), tiny_talker(), tiny_codec()
    folder = tmp_path_factory.mktemp("export") / "model"
    bundle = export_bundle(
        folder, Trained(encoder, talker, codec, WINDOWS), bundled_head(),
        styles=STYLES, default_style="anna", notes={},
    )  # fmt: skip
    return bundle, (SpeechGraph(encoder, talker.adapter, WINDOWS), Generator(talker, codec))


def test_torch_and_onnx_runtime_agree_over_free_running_frames(
    exported: tuple[Bundle, Modules],
) -> None:
    bundle, (speech_graph, generator) = exported
    cold = CausalTalker(replace(bundle, temperature=np.zeros_like(bundle.temperature)))
    sound = babble(2)
    ours = cold.animate(sound, rate=16000, style="bert")
    with torch.no_grad():
        cut = torch.from_numpy(WINDOWS.cut(sound).copy())
        speech = torch.cat([speech_graph(window[None]) for window in cut])[None]
        style = generator.talker.style.weight[STYLES["bert"]][None]
        motion, expected = free_run(generator, speech, style, torch.zeros(3))
    heard = np.concatenate([cold.hear(window.numpy()) for window in cut])
    np.testing.assert_allclose(heard, speech[0].numpy(), atol=AGREE)
    assert ours.weights.shape == (50, 52)
    np.testing.assert_array_equal(ours.codes, expected[0].numpy())
    np.testing.assert_allclose(ours.weights, motion[0].numpy(), atol=AGREE)
    assert ours.weights.std(0).mean() > 0.05  # it does move


def test_noise_and_state_mean_the_same_to_both(exported: tuple[Bundle, Modules]) -> None:
    """One warm frame from an arbitrary state, with the noise that the run time draws."""
    bundle, (_, generator) = exported
    talker = CausalTalker(bundle)
    random = np.random.default_rng(0)
    state = talker.start(seed=4)
    state.cache = random.normal(size=state.cache.shape).astype(np.float32)
    state.context = random.normal(size=state.context.shape).astype(np.float32)
    state.motion = random.uniform(size=state.motion.shape).astype(np.float32)
    state.position = np.array([3], np.int64)
    speech, style = random.normal(size=(2, 16)).astype(np.float32)
    state.course = Course.steady(Manner(style, 1.0, 0.0, 0.0))
    given = (speech[None], style[None], talker._noise(state), state.cache, state.context)
    with torch.no_grad():
        expected = generator(*map(torch.from_numpy, (*given, state.motion, state.position)))
    motion, codes = talker.frame(speech, state)
    for ours, theirs in zip(
        (motion, codes, state.cache, state.context),
        (expected[0][0], expected[1][0], *expected[2:]),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=AGREE)


def test_matrices_are_stored_in_half_and_lose_nothing_more(
    exported: tuple[Bundle, Modules],
) -> None:
    """Every matrix of the modules is in the graphs, in fp16, with the values that torch has now."""
    bundle, (speech_graph, generator) = exported
    modules = (speech_graph.encoder.layers, speech_graph.adapter), (generator.talker.layers,)
    for graph, used in zip((bundle.speech, bundle.talker), modules, strict=True):
        model = onnx.load_from_string(graph)
        onnx.checker.check_model(model, full_check=True)
        tensors = [t for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT16]
        halves = {numpy_helper.to_array(tensor).tobytes() for tensor in tensors}
        large = [p.detach() for module in used for p in module.parameters() if p.numel() >= 1024]
        assert large
        for parameter in large:
            half = parameter.half()
            assert torch.equal(half.float(), parameter)
            forms = (half.numpy().tobytes(), half.numpy().T.tobytes())
            assert any(form in halves for form in forms)


def test_rounding_is_to_the_nearest_half_and_spares_vectors() -> None:
    module = torch.nn.Linear(8, 8)
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    round_to_half(module)
    expected = before["weight"].numpy().astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(module.weight.detach().numpy(), expected)
    assert torch.equal(module.bias, before["bias"])
    assert not torch.equal(module.weight, before["weight"])


def test_the_graphs_hold_no_training_and_no_foreign_operators(tiny_bundle: Path) -> None:
    for name in ("speech.onnx", "talker.onnx"):
        model = onnx.load(tiny_bundle / name)
        assert {opset.domain for opset in model.opset_import} == {""}
        assert not {"Dropout", "RandomNormalLike"} & {node.op_type for node in model.graph.node}


def test_exporting_twice_gives_the_same_files(tmp_path: Path, tiny_bundle: Path) -> None:
    from tiny_model import export_tiny

    export_tiny(tmp_path / "again")
    for path in tiny_bundle.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()
