"""The published model's whole way, by the commands alone: data set, two trainings, official files,
model folder, motion, figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import trimesh  # noqa: E402

from codetalker.cli import main  # noqa: E402
from codetalker.files.mesh import Mesh, write_obj, write_ply  # noqa: E402
from codetalker.paper.folder import read_model  # noqa: E402
from codetalker.paper.official import export_official  # noqa: E402
from codetalker.vertex_motion import VertexMotion  # noqa: E402
from paper_run import (  # noqa: E402
    VAL,
    codec_command,
    one_thread,  # noqa: F401 (a fixture)
    talker_command,
    write_wav2vec2,
)
from vertex_data import (  # noqa: E402
    VERTICES,
    VOCA_TRAIN,
    face,
    tone,
    write_raw_vocaset,
    write_wav,
)


def logged(run: Path, name: str) -> list[float]:
    rows = map(json.loads, (run / "log.jsonl").read_text().splitlines())
    return [row[name] for row in rows if name in row]


def figures(model: Path, store: Path, report: Path) -> dict:
    command = ["evaluate", str(model), "--against", str(store), "--style", VOCA_TRAIN]
    assert main([*command, "--json", str(report)]) == 0
    (row,) = json.loads(report.read_text())["rows"]
    return row


def test_from_the_published_data_to_motion_and_figures(tmp_path):
    source, store = tmp_path / "vocaset", tmp_path / "store"
    write_raw_vocaset(source, (VOCA_TRAIN, VAL))
    (source / "regions").mkdir()
    (source / "regions" / "lve.txt").write_text("1, 4, 7")
    (source / "regions" / "fdd.txt").write_text("2, 3, 11, 12")
    assert main(["prepare", "vocaset", str(source), "-o", str(store)]) == 0

    codec, talker = tmp_path / "codec", tmp_path / "talker"
    plan = ("--plan.learning-rate", "1e-3", "--plan.evaluate-every", "1", "--plan.epochs")
    assert main(codec_command(store, codec, *plan, "60")) == 0
    error = logged(codec, "val_reconstruction")
    assert error[-1] < 0.8 * error[0]  # it learns
    triangles = np.random.default_rng(0).integers(VERTICES, size=(30, 3), dtype=np.int32)
    write_obj(tmp_path / "face.obj", Mesh(face(0), triangles))
    template = ("--template", str(tmp_path / "face.obj"))
    torch.manual_seed(0)
    wav2vec2 = write_wav2vec2(tmp_path / "wav2vec2")
    assert main(talker_command(store, codec, talker, wav2vec2, *plan, "20", *template)) == 0
    free = logged(talker, "free_lve")
    assert free[-1] < 0.7 * free[0]

    model, _ = read_model(talker / "model")
    stages = []
    for number, tensors in enumerate(export_official(model.config, model.state_dict()), 1):
        stages += [f"--stage{number}", str(tmp_path / f"stage{number}.pth.tar")]
        torch.save({"state_dict": tensors}, stages[-1])
    imported = tmp_path / "imported"
    command = ["import-official", str(talker / "model"), *stages, "-o", str(imported)]
    assert main([*command, *template]) == 0

    speech = tmp_path / "speech.wav"
    write_wav(speech, tone(1.5, 16000), 16000)
    motions = []
    for folder in (talker / "model", imported):
        outputs = [str(tmp_path / f"{folder.name}.{kind}") for kind in ("npz", "glb")]
        command = ["animate", str(speech), "--model", str(folder), "--style", VOCA_TRAIN]
        assert main([*command, "-o", outputs[0], "-o", outputs[1]]) == 0
        motions.append(VertexMotion.load(outputs[0]))
        scene = trimesh.load_scene(outputs[1])
        assert sum(len(mesh.faces) for mesh in scene.geometry.values()) == len(triangles)
    ours, theirs = motions
    assert ours.vertices.shape == (44, VERTICES, 3)  # 74 features at 50 Hz, at 30 fps
    assert np.ptp(ours.vertices, axis=0).max() > 0
    np.testing.assert_array_equal(ours.vertices, theirs.vertices)
    np.testing.assert_array_equal(ours.template, face(0))

    write_ply(tmp_path / "larger.ply", Mesh(2 * face(0), triangles))
    fast = ["--template", str(tmp_path / "larger.ply"), "--mode", "fast", "-o"]
    assert main([*command, *fast, str(tmp_path / "frames.obj")]) == 0
    frames = sorted((tmp_path / "frames").iterdir())
    assert len(frames) == 44
    lines = frames[0].read_text().splitlines()
    first = np.array([line.split()[1:4] for line in lines if line.startswith("v ")], float)
    assert np.abs(first - 2 * face(0)).max() < np.abs(face(0)).max()

    row = figures(talker / "model", store, tmp_path / "ours.json")
    other = figures(imported, store, tmp_path / "theirs.json")
    assert (row["clips"], row["frames"]) == (1, 30)
    assert row["lve"] > 0
    names = [name for name in row if name != "rtf"]
    assert {name: row[name] for name in names} == {name: other[name] for name in names}
    assert row["lve"] == pytest.approx(min(free), rel=1e-4)
