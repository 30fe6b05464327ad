"""The model on disk: read strictly, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import codetalker
from codetalker.causal.bundle import load_bundle, write_bundle
from codetalker.errors import ModelError, OutputError
from codetalker.model_folder import (
    BUNDLED,
    FOR_FILES,
    FORMAT_VERSION,
    bundled_models,
    find_model,
    read_config,
)
from tiny_model import PARTS, STYLES, WINDOWS, babble, tiny_codec, tiny_talker

FILES = ("config.json", "speech.onnx", "talker.onnx", "styles.npy", "codebook.npy")


@pytest.fixture
def folder(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "model"))


def refusal(folder: Path) -> str:
    """The one line with which the model is refused."""
    with pytest.raises(ModelError) as caught:
        codetalker.load(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


def replace_file(folder: Path, name: str, content: bytes) -> None:
    """With the checksum that belongs to it: the file is whole, but not what it should be."""
    (folder / name).write_bytes(content)
    edit(folder, lambda c: c["files"].update({name: hashlib.sha256(content).hexdigest()}))


def array_file(array: np.ndarray) -> bytes:
    stream = BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def test_a_bundle_holds_what_was_exported(tiny_bundle: Path) -> None:
    bundle = load_bundle(tiny_bundle)
    assert bundle.name == "tiny"
    assert bundle.windows == WINDOWS
    assert list(bundle.styles) == ["bert", "anna"]
    table = tiny_talker().style.weight.detach().half().float().numpy()
    for name, row in STYLES.items():
        np.testing.assert_array_equal(bundle.styles[name], table[row])
    codebook = tiny_codec().quantizer.embedding.weight.detach().half().float().numpy()
    np.testing.assert_array_equal(bundle.codebook, codebook)
    assert bundle.temperature.tolist() == [0, 0, 1]  # two codes of the mouth, one of the upper face
    assert bundle.articulation.tolist() == sorted(PARTS[0].channels)
    assert bundle.notes == {"weights": "random"}


def test_a_model_is_found_by_folder_and_missed_with_a_remedy(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    assert find_model(tiny_bundle) == tiny_bundle
    assert codetalker.load(str(tiny_bundle)).bundle.name == "tiny"
    for wrong in (tmp_path, tmp_path / "nowhere", "no-such-model"):
        assert "name a folder with a config.json" in refusal(Path(wrong))


def test_without_a_name_the_bundled_model_is_found_whatever_the_folder_holds(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (BUNDLED, "default"):
        (tmp_path / name).symlink_to(tiny_bundle)
    monkeypatch.chdir(tmp_path)
    assert find_model(BUNDLED) == Path(BUNDLED)  # a name that is given is a path first
    assert find_model("default") == Path("default")
    try:
        assert find_model().is_relative_to(Path(codetalker.__file__).parent)
    except ModelError as error:  # a checkout without the model: still not the folder here
        assert "none is installed" in str(error)


def test_the_package_has_models_for_streams_and_for_files(bundled_model: Path) -> None:
    assert {BUNDLED, FOR_FILES} <= set(bundled_models())
    assert find_model() == find_model("default") == bundled_model
    live, studio = codetalker.load(), codetalker.load(FOR_FILES)
    assert live.latency <= 0.2 < studio.latency
    assert live.styles == studio.styles


@pytest.mark.parametrize("name", FILES[1:])
def test_every_file_must_be_there_and_unchanged(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    assert f"{name} is damaged" in refusal(folder)
    (folder / name).write_bytes(content[: len(content) // 2])
    assert f"{name} is damaged" in refusal(folder)
    (folder / name).unlink()
    assert f"{name} cannot be read" in refusal(folder)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "null", '{"format_version": ', "\x00\xff", "[" * 100_000, '{"family": 1}'],
)
def test_what_is_no_config_is_refused(folder: Path, text: str) -> None:
    (folder / "config.json").write_bytes(text.encode("latin-1"))
    assert "is not a model's config.json" in refusal(folder)


def test_an_absurdly_large_config_is_not_read(folder: Path) -> None:
    (folder / "config.json").write_bytes(b" " * ((1 << 20) + 1))
    assert "larger than 1 MiB" in refusal(folder)


def test_every_cut_of_the_config_is_refused(folder: Path) -> None:
    text = (folder / "config.json").read_text()
    for end in range(0, len(text.rstrip()) - 1, 97):
        (folder / "config.json").write_text(text[:end])
        refusal(folder)


@pytest.mark.parametrize("version", [0, FORMAT_VERSION + 1, "1", None])
def test_another_version_is_refused_with_both_numbers(folder: Path, version: object) -> None:
    edit(folder, lambda c: c.update(format_version=version))
    message = refusal(folder)
    assert f"format version {version}" in message
    assert f"reads {FORMAT_VERSION}" in message


def test_version_1_hears_sound_as_it_is_and_adds_no_blinks(folder: Path) -> None:
    """The graphs are the same, and so is the motion: a tiny bundle has neither layer."""
    now = codetalker.load(folder).animate(babble(1), rate=16000).weights

    def older(config: dict[str, Any]) -> None:
        config.update(format_version=1)
        del config["loudness"], config["blinks"], config["windows"]["unheard"]

    edit(folder, older)
    bundle = load_bundle(folder)
    assert (bundle.loudness, bundle.blinks, bundle.windows.unheard) == (None, None, 0)
    then = codetalker.load(folder).animate(babble(1), rate=16000).weights
    np.testing.assert_array_equal(then, now)


def test_an_unknown_family_is_refused(folder: Path) -> None:
    edit(folder, lambda c: c.update(family="nonsense"))
    assert "unknown family 'nonsense'" in refusal(folder)
    assert read_config(folder)["family"] == "nonsense"


def test_every_key_is_needed(folder: Path) -> None:
    text = (folder / "config.json").read_text()
    for key in set(json.loads(text)) - {"rig", "sizes"}:
        (folder / "config.json").write_text(text)
        edit(folder, lambda c, key=key: c.pop(key))
        assert key in refusal(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["windows"].update(unknown=1),
        lambda c: c["windows"].update(hop=3),
        lambda c: c["windows"].update(left=5),
        lambda c: c["styles"].append("carl"),
        lambda c: c.update(default_style="carl"),
        lambda c: c["temperature"].pop(),
        lambda c: c["temperature"].append("warm"),
        lambda c: c["blendshapes"].pop(),
        lambda c: c["state"].pop("cache"),
        lambda c: c["state"].update(cache=[1, 2, 3]),
        lambda c: c["state"].update(motion=[1, 51]),
        lambda c: c["files"].pop("talker.onnx"),
        lambda c: c.update(loudness={"volume": 3}),
        lambda c: c.update(blinks=True),
    ],
)
def test_a_config_that_does_not_fit_the_files_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    edit(folder, change)
    assert "export" in refusal(folder)


@pytest.mark.parametrize("name", ["speech.onnx", "talker.onnx"])
@pytest.mark.parametrize("content", [b"", b"nonsense", onnx.ModelProto().SerializeToString()])
def test_a_file_that_is_no_graph_is_refused(folder: Path, name: str, content: bytes) -> None:
    replace_file(folder, name, content)
    assert f"{name} cannot be run" in refusal(folder)


def test_the_graphs_must_not_be_swapped(folder: Path) -> None:
    replace_file(folder, "speech.onnx", (folder / "talker.onnx").read_bytes())
    assert "speech.onnx takes" in refusal(folder)


@pytest.mark.parametrize("name", ["styles.npy", "codebook.npy"])
def test_pickled_and_misshapen_arrays_are_refused(folder: Path, name: str) -> None:
    for array in (np.array([{"a": 1}], object), np.zeros((3, 3), np.float32)):
        replace_file(folder, name, array_file(array))
        assert "export" in refusal(folder)
    replace_file(folder, name, b"")
    assert "export" in refusal(folder)


def test_writing_fails_whole(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = read_config(folder)
    graphs = {name: (folder / name).read_bytes() for name in ("speech.onnx", "talker.onnx")}
    arrays = {name: np.load(folder / name) for name in ("styles.npy", "codebook.npy")}
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.name == "talker.onnx":
            raise OSError(28, "No space left on device")
        return write(path, content)

    target = tmp_path / "new"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OutputError, match="No space left"):
            write_bundle(target, config, graphs, arrays)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model"]
    written = write_bundle(target, config, graphs, arrays)
    assert written.speech == graphs["speech.onnx"]
    assert sorted(p.name for p in target.iterdir()) == sorted(FILES)
    with pytest.raises(OutputError, match="already exists"):
        write_bundle(target, config, graphs, arrays)


def test_the_bundled_model_loads_and_is_small(bundled_model: Path) -> None:
    bundle = load_bundle(bundled_model)
    size = sum(path.stat().st_size for path in bundled_model.iterdir())
    assert size <= 40e6
    assert bundle.notes
    assert bundle.windows.latency <= 0.32
