"""From released checkpoints to files by the commands alone."""

from __future__ import annotations

import wave

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from codetalker.cli import main  # noqa: E402
from codetalker.files.mesh import Mesh, write_ply  # noqa: E402
from codetalker.paper.folder import write_model  # noqa: E402
from codetalker.paper.official import export_official  # noqa: E402
from codetalker.vertex_motion import VertexMotion  # noqa: E402
from paper_random import random_model  # noqa: E402


@pytest.fixture
def workplace(tmp_path):
    """Checkpoints of a tiny model, a model folder that holds its configuration, face and speech."""
    model, random = random_model("biwi"), np.random.default_rng(0)
    for stage, tensors in enumerate(export_official(model.config, model.state_dict()), 1):
        torch.save({"state_dict": tensors}, tmp_path / f"stage{stage}.pth.tar")
    write_model(tmp_path / "trained", model.config, model.state_dict())
    triangles = random.integers(60, size=(100, 3)).astype(np.int32)
    write_ply(tmp_path / "face.ply", Mesh(random.normal(size=(60, 3)), triangles))
    with wave.open(str(tmp_path / "speech.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16_000)
        sound.writeframes(random.integers(-3000, 3000, 16_000).astype("<i2").tobytes())
    return tmp_path


def convert(folder, preset, *more, stages=(1, 2)):
    one, two = (str(folder / f"stage{stage}.pth.tar") for stage in stages)
    arguments = ["--stage1", one, "--stage2", two, "-o", str(folder / "model"), *more]
    return main(["import-official", str(preset), *arguments])


def test_import_and_animate(workplace, capsys):
    assert convert(workplace, workplace / "trained", "--template", str(workplace / "face.ply")) == 0
    speech, model = str(workplace / "speech.wav"), str(workplace / "model")
    outputs = [str(workplace / name) for name in ("a.npz", "a.glb", "a.mp4")]
    options = [word for path in outputs for word in ("-o", path)]
    assert main(["animate", speech, "--model", model, "--style", "F3:0.3,M5:0.7", *options]) == 0
    assert "24 frames at 25 fps" in capsys.readouterr().out
    motion = VertexMotion.load(outputs[0])
    assert motion.vertices.shape == (24, 60, 3)
    assert motion.triangles is not None


def test_a_mesh_sequence_is_told_by_its_folder_and_refused_before_the_computing(
    workplace, capsys, monkeypatch
):
    assert convert(workplace, workplace / "trained", "--template", str(workplace / "face.ply")) == 0
    command = ["animate", str(workplace / "speech.wav"), "--model", str(workplace / "model")]
    out = workplace / "out.obj"
    capsys.readouterr()
    assert main([*command, "-o", str(out)]) == 0
    assert capsys.readouterr().out == f"{workplace / 'out'}: 0.96 s, 24 frames at 25 fps\n"
    assert len(list((workplace / "out").iterdir())) == 24
    assert not out.exists()

    def computing(*arguments, **options):
        raise AssertionError("the output could have been refused before")

    monkeypatch.setattr("codetalker.paper.runtime.PaperTalker.animate", computing)
    (workplace / "taken").write_text("a file in the folder's place")
    two = ["-o", str(workplace / "new.obj"), "-o", str(workplace / "new.ply")]
    for outputs, message in (
        (["-o", str(out)], f"{workplace / 'out'} already exists"),
        (["-o", str(workplace / "taken.ply")], f"{workplace / 'taken'} already exists"),
        (two, f"to make the folder {workplace / 'new'}"),
    ):
        assert main([*command, *outputs]) == 2
        assert message in capsys.readouterr().err


def test_mistakes_are_one_line_and_status_two(workplace, capsys):
    trained = workplace / "trained"
    for call, message in (
        (lambda: convert(workplace, "biwi"), "not the stage 1 checkpoint of biwi"),
        (lambda: convert(workplace, "bivi"), "did you mean 'biwi'"),
        (lambda: convert(workplace, trained, stages=(2, 1)), "not the stage 1 checkpoint"),
        (lambda: convert(workplace, trained, stages=(1, 3)), "does not exist"),
    ):
        assert call() == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert not (workplace / "model").exists()


def test_a_model_without_a_face_says_what_to_do(workplace, capsys):
    assert convert(workplace, workplace / "trained") == 0
    speech, out = str(workplace / "speech.wav"), str(workplace / "a.npz")
    assert main(["animate", speech, "--model", str(workplace / "model"), "-o", out]) == 2
    assert "the model has no face of its own" in capsys.readouterr().err
