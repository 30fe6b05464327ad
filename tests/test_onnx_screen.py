"""A graph in a bundle is arithmetic on weights that it holds: whatever else it asks for is refused,
also where ONNX Runtime would do it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import codetalker
from codetalker.causal.bundle import load_bundle
from codetalker.causal.onnx_screen import check_arithmetic
from codetalker.errors import CodeTalkerError, ModelError
from codetalker.reading import Malformed
from tiny_model import babble

SECRET = np.arange(4, dtype=np.float32)
X, Y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy")


def elsewhere(name: str = "w", location: str = "secret.bin") -> TensorProto:
    """A tensor whose data are in a file."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[4], data_location=1)
    for key, value in (("location", location), ("length", "16")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return tensor


def weights(values: object = (1, 2, 3, 4), name: str = "w") -> TensorProto:
    return numpy_helper.from_array(np.array(values, np.float32), name)


def model(nodes: list[onnx.NodeProto], initializers: list[TensorProto] | None = None) -> bytes:
    graph = helper.make_graph(nodes, "g", [X], [Y], initializers or [])
    opsets = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


ADD = helper.make_node("Add", ["x", "w"], ["y"])


def runs(content: bytes) -> np.ndarray:
    """With ONNX Runtime as it is."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": np.zeros(4, np.float32)})[0])


def test_a_graph_that_holds_its_weights_is_arithmetic() -> None:
    content = model([ADD], [weights()])
    check_arithmetic(content)
    assert runs(content).tolist() == [1, 2, 3, 4]


def constant(tensor: TensorProto) -> onnx.NodeProto:
    return helper.make_node("Constant", [], ["w"], value=tensor)


def sparse() -> bytes:
    whole = onnx.load_from_string(model([ADD]))
    values = elsewhere("w")
    indices = numpy_helper.from_array(np.arange(4), "i")
    whole.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4]))
    return whole.SerializeToString()


@pytest.mark.parametrize("make", [
    lambda: model([ADD], [elsewhere()]),
    lambda: model([ADD], [elsewhere(location="../folder/secret.bin")]),
    lambda: model([constant(elsewhere()), ADD]),
])  # fmt: skip
def test_no_graph_reads_a_file(
    make: Callable[[], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime does, beside the working folder and above it; the screen does not let it."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "secret.bin").write_bytes(SECRET.tobytes())
    monkeypatch.chdir(tmp_path / "folder")
    content = make()
    with pytest.raises(Malformed, match="data in another file"):
        check_arithmetic(content)
    try:
        read = runs(content)
    except Exception:
        return  # a release that refuses, too
    np.testing.assert_array_equal(read, SECRET)  # so the test is of what it says


def test_sparse_weights_elsewhere_are_seen() -> None:
    indices = numpy_helper.from_array(np.arange(4), "i")
    inside = helper.make_sparse_tensor(elsewhere(), indices, [4])
    node = helper.make_node("Constant", [], ["w"], sparse_value=inside)
    for content in (sparse(), model([node, ADD])):
        with pytest.raises(Malformed, match="data in another file"):
            check_arithmetic(content)


def test_a_place_elsewhere_is_refused_even_if_it_is_not_to_be_read() -> None:
    named = elsewhere()
    named.ClearField("data_location")
    for content in (model([ADD], [named]), model([constant(named), ADD])):
        with pytest.raises(Malformed, match="data in another file"):
            check_arithmetic(content)


def test_a_location_is_seen_however_it_is_written() -> None:
    """Protocol Buffers keep 32 of 64 bits of an enumeration."""
    long = bytes([14 << 3]) + b"\x81\x80\x80\x80\x10"  # 2^32 + 1
    tensor = weights().SerializeToString() + long
    assert TensorProto.FromString(tensor).data_location == TensorProto.EXTERNAL
    graph = onnx.GraphProto(node=[ADD], name="g", input=[X], output=[Y]).SerializeToString()
    graph += bytes([5 << 3 | 2, len(tensor)]) + tensor
    whole = onnx.ModelProto(ir_version=8, opset_import=[helper.make_opsetid("", 18)])
    content = whole.SerializeToString() + bytes([7 << 3 | 2]) + varint(len(graph)) + graph
    assert onnx.load_from_string(content).graph.initializer[0].data_location == 1
    with pytest.raises(Malformed, match="data in another file"):
        check_arithmetic(content)


def varint(number: int) -> bytes:
    return bytes([number & 0x7F | 0x80, number >> 7]) if number > 127 else bytes([number])


def loop() -> onnx.NodeProto:
    """It adds for ever."""
    true = helper.make_node("Constant", [], ["go"], value=helper.make_tensor("t", 9, [], [True]))
    body = helper.make_graph(
        [true, helper.make_node("Add", ["v", "v"], ["v_out"])], "body",
        [helper.make_tensor_value_info("i", 7, []), helper.make_tensor_value_info("c", 9, []),
         helper.make_tensor_value_info("v", 1, [4])],
        [helper.make_tensor_value_info("go", 9, []),
         helper.make_tensor_value_info("v_out", 1, [4])],
    )  # fmt: skip
    return helper.make_node("Loop", ["", "", "x"], ["y"], body=body)


def branch() -> list[onnx.NodeProto]:
    """Its branches hold weights that are elsewhere."""
    graph = helper.make_graph([constant(elsewhere())], "b", [], [Y])
    graph.node[0].output[0] = "y"
    yes = helper.make_node("Constant", [], ["c"], value=helper.make_tensor("t", 9, [], [True]))
    return [yes, helper.make_node("If", ["c"], ["y"], then_branch=graph, else_branch=graph)]


def with_function() -> bytes:
    whole = onnx.load_from_string(model([ADD], [weights()]))
    function = helper.make_function("own", "f", ["a"], ["b"],
                                    [helper.make_node("Relu", ["a"], ["b"])],
                                    [helper.make_opsetid("", 18)])  # fmt: skip
    whole.functions.append(function)
    return whole.SerializeToString()


def with_training() -> bytes:
    whole = onnx.load_from_string(model([ADD], [weights()]))
    whole.training_info.add().initialization.name = "i"
    return whole.SerializeToString()


ASKS = {
    "a graph in a graph": [lambda: model([loop()]), lambda: model(branch())],
    "operators of 'com.microsoft'": [
        lambda: model([helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")])
    ],
    "functions of its own": [with_function],
    "training": [with_training],
}


@pytest.mark.parametrize("asked", ASKS)
def test_what_is_more_than_arithmetic_is_refused(asked: str) -> None:
    for make in ASKS[asked]:
        with pytest.raises(Malformed, match=asked):
            check_arithmetic(make())


def stored_in(field: str, value: float) -> TensorProto:
    kind = TensorProto.DOUBLE if field == "double_data" else TensorProto.FLOAT
    tensor = TensorProto(name="w", data_type=kind, dims=[4])
    if field == "raw_data":
        tensor.raw_data = np.array([1, value, 1, 1], np.float32).tobytes()
    else:
        getattr(tensor, field).extend([1, value, 1, 1])
    return tensor


@pytest.mark.parametrize("field", ["raw_data", "float_data", "double_data"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_refused(field: str, value: float) -> None:
    check_arithmetic(model([ADD], [stored_in(field, 1e30)]))
    with pytest.raises(Malformed, match="not finite"):
        check_arithmetic(model([ADD], [stored_in(field, value)]))
    half = numpy_helper.from_array(np.array([value], np.float16), "w")
    with pytest.raises(Malformed, match="not finite"):
        check_arithmetic(model([ADD], [half]))


def test_constants_of_a_mask_may_be_infinite_but_not_nothing() -> None:
    check_arithmetic(model([constant(weights([0, -np.inf, 0, np.inf])), ADD]))
    with pytest.raises(Malformed, match="not finite"):
        check_arithmetic(model([constant(weights([0, np.nan, 0, 0])), ADD]))


def test_every_cut_of_a_graph_and_every_other_file_is_refused() -> None:
    content = model([ADD], [weights()])
    for end in range(1, len(content)):
        try:
            check_arithmetic(content[:end])
        except Malformed:
            continue
        onnx.ModelProto.FromString(content[:end])  # at the end of a field: it is one, shorter
    for other in (b"\x00", b"\x0b", b"\xff" * 20, b"abcdORTM" + bytes(40)):
        with pytest.raises(Malformed):
            check_arithmetic(other)


def replaced(bundle: Path, folder: Path, name: str, content: bytes) -> Path:
    """A copy of a bundle with another file, and its checksum."""
    shutil.copytree(bundle, folder)
    (folder / name).unlink()
    (folder / name).write_bytes(content)
    config = json.loads((folder / "config.json").read_text())
    config["files"][name] = hashlib.sha256(content).hexdigest()
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_bundle_of_such_a_graph_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    graph = onnx.load(tiny_bundle / "talker.onnx")
    graph.graph.initializer.append(elsewhere("more"))
    folder = replaced(tiny_bundle, tmp_path / "m", "talker.onnx", graph.SerializeToString())
    with pytest.raises(ModelError, match=r"talker.onnx cannot be run \(it asks for data in anoth"):
        load_bundle(folder)


def renamed(graph: onnx.ModelProto) -> None:
    for node in graph.graph.node:
        node.output[:] = ["other" if name == "codes" else name for name in node.output]
    graph.graph.output[1].name = "other"


def swapped(graph: onnx.ModelProto) -> None:
    first, second, *rest = list(graph.graph.output)
    del graph.graph.output[:]
    graph.graph.output.extend([second, first, *rest])


def one_less(graph: onnx.ModelProto) -> None:
    del graph.graph.output[-1]


def wider(graph: onnx.ModelProto) -> None:
    graph.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2


def half(graph: onnx.ModelProto) -> None:
    graph.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16


def whole(graph: onnx.ModelProto) -> None:
    position = next(port for port in graph.graph.input if port.name == "position")
    position.type.tensor_type.elem_type = TensorProto.INT32


@pytest.mark.parametrize("change", [renamed, swapped, one_less, wider, half, whole])
def test_inputs_and_outputs_are_those_of_the_bundle(
    change: Callable[[onnx.ModelProto], None], tiny_bundle: Path, tmp_path: Path
) -> None:
    graph = onnx.load(tiny_bundle / "talker.onnx")
    change(graph)
    folder = replaced(tiny_bundle, tmp_path / "m", "talker.onnx", graph.SerializeToString())
    with pytest.raises(ModelError, match=r"talker.onnx (takes|gives|cannot be run)") as caught:
        codetalker.load(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("odd", ["infinite", "another shape"])
def test_what_a_graph_gives_is_checked(odd: str, tiny_bundle: Path, tmp_path: Path) -> None:
    """It declares one thing and gives another."""
    graph = onnx.load(tiny_bundle / "talker.onnx")
    node = next(node for node in graph.graph.node if "motion_out" in node.output)
    node.output[:] = ["inner" if name == "motion_out" else name for name in node.output]
    if odd == "infinite":
        graph.graph.initializer.append(weights([0], "zero"))
        graph.graph.node.append(helper.make_node("Div", ["inner", "zero"], ["motion_out"]))
    else:
        flat = numpy_helper.from_array(np.array([-1]), "flat")  # none of the weights is that large
        graph.graph.initializer.extend([flat, weights([1e6], "large")])
        graph.graph.node.append(helper.make_node("Reshape", ["inner", "flat"], ["row"]))
        graph.graph.node.append(helper.make_node("Greater", ["row", "large"], ["chosen"]))
        chosen = helper.make_node("Compress", ["inner", "chosen"], ["motion_out"], axis=1)
        graph.graph.node.append(chosen)
    folder = replaced(tiny_bundle, tmp_path / "m", "talker.onnx", graph.SerializeToString())
    with pytest.raises(
        CodeTalkerError, match=r"talker\.onnx (fails|gives|cannot be run)"
    ) as caught:
        codetalker.load(folder).animate(babble(0.5), rate=16000)
    assert "\n" not in str(caught.value)
    assert {"infinite": "not finite", "another shape": "has the shape (1, 0)"}[odd] in str(
        caught.value
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
@pytest.mark.parametrize("name", ["config.json", "speech.onnx", "styles.npy"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_a_model_is_regular_files(name: str, kind: str, tiny_bundle: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_bundle, tmp_path / "m"))
    (folder / name).unlink()
    if kind == "pipe":
        os.mkfifo(folder / name)
    elif kind == "device":
        (folder / name).symlink_to("/dev/zero")
    else:
        (folder / name).mkdir()
    with pytest.raises(ModelError):
        codetalker.load(folder)


def test_links_to_regular_files_are_followed(tiny_bundle: Path, tmp_path: Path) -> None:
    """As in caches that keep a file once: the checksum says what it is."""
    folder = tmp_path / "m"
    folder.mkdir()
    for path in tiny_bundle.iterdir():
        (folder / path.name).symlink_to(path)
    assert codetalker.load(folder).styles == ("bert", "anna")
