"""`codetalker character` and `animate --character`, as they are typed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from character_data import ShapedMesh, build_characters, character, face_file, speech
from codetalker import Character
from codetalker.characters.sheet import shape_sheet
from codetalker.cli import main
from codetalker.motion import Motion
from codetalker.render.image import decode_png
from codetalker.render.lettering import lettered
from codetalker.render.renderer import Renderer
from glb_reader import Glb

EXAMPLE = str(Path(__file__).parents[1] / "examples" / "sense_and_sensibility.flac")


def test_the_users_face_speaks(
    tmp_path: Path, bundled_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    face = str(face_file(tmp_path, "half.glb"))
    outputs = [tmp_path / "a.glb", tmp_path / "b.vrm", tmp_path / "c.npz"]
    options = [part for path in outputs for part in ("-o", str(path))]
    assert main(["animate", EXAMPLE, "--character", face, "--life", "full", *options]) == 0
    said = capsys.readouterr()
    assert "152 frames" in said.out
    assert "warning:" in said.err
    assert "lacks 26" in said.err
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    motion = Motion.load(outputs[2])
    assert motion.names[17] == "jawOpen"
    file = Glb(outputs[0])
    (clip,) = file.json["animations"]
    written = file.array(clip["samplers"][0]["output"]).reshape(152, -1)
    np.testing.assert_allclose(written, Character.load(face).weights(motion), atol=1e-5)


def test_the_users_file_is_never_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    face = face_file(tmp_path, "vroid.glb")
    before = face.read_bytes()
    assert main(["animate", EXAMPLE, "--character", str(face), "-o", str(face)]) == 2
    assert main(["character", str(face), "-o", str(face)]) == 2
    assert "would replace the input" in capsys.readouterr().err
    assert face.read_bytes() == before


def test_a_map_without_a_character_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["animate", EXAMPLE, "--names", "map.toml"]) == 2
    assert "--character" in capsys.readouterr().err


def test_what_was_found_is_listed_and_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    face = face_file(tmp_path, "skinned.glb")
    sheet = tmp_path / "sheet.png"
    assert main(["character", str(face), "-o", str(sheet)]) == 0
    said = capsys.readouterr().out
    for words in ("jawOpen", "Face, Mouth, Eyes", "44 of 44 shapes", "mixamorig:Head", "nothing"):
        assert words in said
    assert decode_png(sheet.read_bytes()).shape == (6 * 174, 8 * 160, 4)
    assert main(["character", str(face), "-o", str(tmp_path / "a.jpg")]) == 2


def test_every_shape_has_its_picture(tmp_path: Path) -> None:
    face = Character.load(face_file(tmp_path, "vroid.glb"))
    picture = shape_sheet(face, tile=64)
    tiles = [picture[:64, i * 64 : i * 64 + 64].astype(int) for i in range(8)]
    rest = tiles[0]
    changed = [np.abs(tile - rest).max() for tile in tiles[1:]]
    assert min(changed) > 30
    assert (picture[-30:, -64:] == 255).all()


def test_pictures_and_films_show_the_face_whatever_body_it_has(tmp_path: Path) -> None:
    face = build_characters.drawn_face()
    down = np.array([[0, 0, 0], [0.4, 0, 0], [0, 1.2, 0]])
    body = ShapedMesh("Body", down, np.array([[0, 1, 2]]))
    pictures = []
    for name, meshes in (("a.glb", face), ("b.glb", [*face, body])):
        (tmp_path / name).write_bytes(character(meshes))
        rig = Character.load(tmp_path / name).rig
        pictures.append(Renderer.of(rig, 64).frame(rig.template).astype(int))
    assert np.abs(pictures[0] - pictures[1]).mean() < 1
    assert np.ptp(pictures[0]) > 100
    film = speech(4).on(Character.load(tmp_path / "b.glb")).save(tmp_path / "a.mp4", size=64)
    assert film.stat().st_size > 1000


def test_names_are_written_into_pictures() -> None:
    letters = lettered("Jaw?", 40, (0, 0, 0), (255, 255, 255), size=1)
    assert letters.shape == (7, 40, 3)
    dots = letters[1:6, 1:4, 0] == 0
    assert ["".join("#."[not d] for d in row) for row in dots] == [
        "..#",
        "..#",
        "..#",
        "#.#",
        ".#.",
    ]
    np.testing.assert_array_equal(
        lettered("é", 9, (0, 0, 0), (9, 9, 9)), lettered("?", 9, (0, 0, 0), (9, 9, 9))
    )
