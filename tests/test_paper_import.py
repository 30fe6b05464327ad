"""Released checkpoints become a model folder, or one clear line."""

from __future__ import annotations

import json
import os
import re
import resource
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from codetalker.errors import ModelError, OptionError, OutputError  # noqa: E402
from codetalker.files.mesh import Mesh  # noqa: E402
from codetalker.paper.config import preset  # noqa: E402
from codetalker.paper.folder import read_model, write_model  # noqa: E402
from codetalker.paper.import_official import convert_official, read_checkpoint  # noqa: E402
from codetalker.paper.official import expected_shapes, export_official  # noqa: E402
from conftest import SHARED  # noqa: E402
from paper_random import PRESET_NAMES, random_model  # noqa: E402


def checkpoints(model, folder: Path) -> tuple[Path, Path]:
    """The model as the released code would have saved it."""
    paths = []
    for stage, tensors in enumerate(export_official(model.config, model.state_dict()), 1):
        paths.append(folder / f"stage{stage}.pth.tar")
        torch.save({"state_dict": tensors}, paths[-1])
    return paths[0], paths[1]


@pytest.fixture
def model():
    return random_model("vocaset")


@pytest.fixture
def stages(model, tmp_path):
    return checkpoints(model, tmp_path)


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_names_and_shapes_are_those_of_the_released_files(name):
    keys = SHARED / "paper" / "KEYS.md"
    if not keys.exists():
        pytest.skip("the list of released tensors (../shared/paper) is not here")
    released: list[dict] = []
    for line in keys.read_text().splitlines():
        if line.startswith("### "):
            released.append({"of": line.split()[1]})
        elif row := re.match(r"\| `(\S+)` \| \[([\d, ]+)\]", line):
            released[-1][row[1]] = tuple(int(size) for size in row[2].split(","))
    ours = expected_shapes(preset(name))
    theirs = [table for table in released if table.pop("of").startswith(name)]
    assert [len(table) for table in theirs] == {"vocaset": [147, 326], "biwi": [150, 434]}[name]
    assert [{k: tuple(v) for k, v in table.items()} for table in ours] == theirs


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_import_brings_every_tensor_back(name, tmp_path):
    model = random_model(name)
    convert_official(model.config, *checkpoints(model, tmp_path), tmp_path / "out")
    imported, face = read_model(tmp_path / "out")
    assert face is None
    assert imported.config == model.config
    assert not imported.training
    ours, theirs = model.state_dict(), imported.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_the_weights_open_with_safetensors_alone_under_portable_names(model, stages, tmp_path):
    from safetensors import safe_open

    convert_official(model.config, *stages, tmp_path / "out")
    with safe_open(tmp_path / "out" / "model.safetensors", "np") as file:
        names = set(file.keys())
        assert file.get_tensor("codec.quantizer.embedding.weight").shape == (32, 8)
    assert any(name.endswith("pos_conv_embed.conv.weight_g") for name in names)
    assert not any("parametrizations" in name for name in names)


def test_a_template_comes_along(model, stages, tmp_path):
    vertices = torch.randn(60, 3).numpy()
    triangles = torch.randint(60, (20, 3), dtype=torch.int32).numpy()
    convert_official(model.config, *stages, tmp_path / "out", template=Mesh(vertices, triangles))
    _, face = read_model(tmp_path / "out")
    assert face is not None
    assert (face.vertices == vertices).all()
    assert face.triangles is not None
    assert (face.triangles == triangles).all()
    with pytest.raises(OptionError, match="61 vertices"):
        convert_official(
            model.config, *stages, tmp_path / "no", template=Mesh(torch.randn(61, 3).numpy())
        )


def damage(path: Path, change) -> Path:
    """A copy of a checkpoint whose content `change` has changed in place."""
    content = torch.load(path, weights_only=True)
    change(content)
    bad = path.with_name("bad.pth.tar")
    torch.save(content, bad)
    return bad


def tensors_changed(change):
    return lambda path: damage(path, lambda content: change(content["state_dict"]))


class Code:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch pwned",)


def with_code(path: Path) -> Path:
    bad = path.with_name("bad.pth.tar")
    torch.save({"state_dict": torch.load(path)["state_dict"], "x": Code()}, bad)
    return bad


def cut(share: float):
    def truncated(path: Path) -> Path:
        bad = path.with_name("bad.pth.tar")
        data = path.read_bytes()
        bad.write_bytes(data[: int(share * len(data))])
        return bad

    return truncated


BAD = {
    "missing": (lambda path: path.with_name("none.pth.tar"), "does not exist"),
    "folder": (lambda path: path.parent, "is a directory"),
    "empty": (cut(0), "damaged or cut off"),
    "truncated": (cut(0.6), "damaged or cut off"),
    "code": (with_code, "(posix|nt).system and not tensors alone"),
    "epoch": (lambda path: damage(path, lambda content: content.update(epoch=3)), "epoch"),
    "bare": (lambda path: damage(path, lambda c: c.update(c.pop("state_dict"))), "one entry"),
    "number": (tensors_changed(lambda t: t.update(step=3)), "'step' is no tensor"),
    "nan": (
        tensors_changed(lambda t: t["quantize.embedding.weight"].fill_(torch.nan)),
        "quantize.embedding.weight holds NaN",
    ),
    "lacking": (
        tensors_changed(lambda t: t.pop("quantize.embedding.weight")),
        r"1 missing \(quantize.embedding.weight\)$",
    ),
    "extra": (
        tensors_changed(lambda t: t.update(more=torch.zeros(1))),
        r"1 unexpected \(more\)$",
    ),
    "misshapen": (
        tensors_changed(lambda t: t.update({"quantize.embedding.weight": torch.zeros(3, 8)})),
        r"1 misshapen \(quantize.embedding.weight \(3, 8\) instead of \(32, 8\)\)$",
    ),
    "prefixed": (
        tensors_changed(lambda t: [t.update({f"module.{k}": t.pop(k)}) for k in list(t)]),
        r"begin with 'module\.', as DataParallel saves them; take that off the names",
    ),
    "positions": (
        tensors_changed(lambda t: t["encoder.encoder_pos_embedding.pe"].add_(1e-3)),
        "not the published table of positions",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_checkpoint_gives_one_clear_line_and_no_folder(
    case, model, stages, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    make, message = BAD[case]
    bad = make(stages[0])
    with pytest.raises(ModelError, match=message) as caught:
        convert_official(model.config, bad, stages[1], tmp_path / "out")
    assert str(bad) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "pwned").exists()


def test_the_wrong_data_set_and_swapped_stages_are_named(tmp_path, monkeypatch):
    """Released sizes, from tensors without storage behind them."""
    import codetalker.paper.import_official as module

    def released(path, entry):
        name, stage = path.stem.split("_")
        shapes = expected_shapes(preset(name))[int(stage) - 1]
        return {key: torch.zeros(1).expand(shape) for key, shape in shapes.items()}

    monkeypatch.setattr(module, "read_checkpoint", released)
    paths = {n: tmp_path / f"{n}.x" for n in ("vocaset_1", "vocaset_2", "biwi_1", "biwi_2")}
    for wrong, whose in (
        (("biwi_1", "vocaset_2"), "it is that of stage 1 of biwi"),
        (("vocaset_2", "vocaset_1"), "it is that of stage 2 of vocaset"),
    ):
        with pytest.raises(ModelError, match=whose):
            convert_official("vocaset", *(paths[name] for name in wrong), tmp_path / "out")


def test_checkpoints_in_the_format_before_zip_are_read(model, stages, tmp_path):
    content = torch.load(stages[0], weights_only=True)
    old = tmp_path / "old.pth.tar"
    torch.save(content, old, _use_new_zipfile_serialization=False)
    assert read_checkpoint(old).keys() == content["state_dict"].keys()


def test_an_existing_folder_is_left_alone(model, stages, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match="already exists"):
        convert_official(model.config, *stages, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_an_unknown_preset_names_the_nearest(stages, tmp_path):
    with pytest.raises(OptionError, match="did you mean 'vocaset'"):
        convert_official("vocset", *stages, tmp_path / "out")


def edited(folder: Path, **changes) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


FOLDER_DAMAGE = {
    "no config": (lambda f: (f / "config.json").unlink(), "config.json"),
    "no json": (lambda f: (f / "config.json").write_text("{"), "not a model"),
    "other family": (lambda f: edited(f, family="bundled"), "family 'bundled'"),
    "newer": (lambda f: edited(f, format_version=99), "format version 99"),
    "unknown key": (lambda f: edited(f, config={"codex": 1}), "did you mean 'codec'"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "cannot be read"),
    "other weights": (
        lambda f: (f / "model.safetensors").write_bytes(
            (f / "model.safetensors").read_bytes()[:-1] + b"!"
        ),
        "is damaged: its checksum is not that of config.json",
    ),
}


@pytest.mark.parametrize("case", FOLDER_DAMAGE)
def test_a_damaged_model_folder_gives_one_clear_line(case, model, tmp_path):
    folder = tmp_path / "model"
    write_model(folder, model.config, model.state_dict())
    change, message = FOLDER_DAMAGE[case]
    change(folder)
    with pytest.raises(ModelError, match=message) as caught:
        read_model(folder)
    assert "\n" not in str(caught.value)


def test_weights_of_another_configuration_are_refused(model, tmp_path):
    folder = tmp_path / "model"
    other = replace(model.config, codec=replace(model.config.codec, layers=1))
    write_model(folder, other, model.state_dict())
    with pytest.raises(ModelError, match="does not fit"):
        read_model(folder)


def test_a_full_disk_is_one_line_and_leaves_no_folder(model, tmp_path):
    """Files may not grow beyond 100 bytes here, which fails as a full disk does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"made cannot be written .* disk is full"):
            write_model(tmp_path / "made", model.config, model.state_dict())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_tables_of_positions_may_differ_by_the_rounding_of_another_machine(model, stages, tmp_path):
    def rounded(tensors):
        table = tensors["encoder.encoder_pos_embedding.pe"]
        table[:1] += 5e-6
        table[1:] += 1e-3  # far rows are not used

    convert_official(model.config, tensors_changed(rounded)(stages[0]), stages[1], tmp_path / "m")
    assert (tmp_path / "m" / "config.json").is_file()


def test_a_folder_with_content_is_refused_before_the_reading(tmp_path):
    (tmp_path / "kept").touch()
    with pytest.raises(OutputError, match="already exists"):
        convert_official("vocaset", tmp_path / "none", tmp_path / "none", tmp_path)
