"""Building a study: films of the same sound are paired, checks are spoilt, mistakes are told."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import numpy as np
import pytest

from codetalker.audio import Waveform
from codetalker.cli import main
from codetalker.study.folder import FILMS, Study, read_study
from codetalker.vertex_motion import VertexMotion
from conftest import write_sound
from study_films import SECONDS, motion, speech, write_film, write_motions

CLIPS = 3
SMALL = ("--size", "64")


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Motions of `open`, films of `shy`."""
    folder = tmp_path_factory.mktemp("material")
    write_motions(folder / "open", 0.8, CLIPS)
    (folder / "shy").mkdir()
    for clip in range(CLIPS):
        write_film(folder / "shy" / f"{clip}.mp4", clip, 0.2)
    return folder


@pytest.fixture(scope="module")
def built(material: Path) -> Path:
    folder = material / "study"
    arguments = ["study", "build", str(material / "open"), str(material / "shy"), "-o", str(folder)]
    assert main([*arguments, *SMALL]) == 0
    return folder


def pictures(path: Path) -> np.ndarray:
    """(T, H, W) brightness."""
    with av.open(str(path)) as film:
        return np.array([f.to_ndarray(format="gray") for f in film.decode(video=0)], float)


def moving(path: Path) -> np.ndarray:
    """(T - 1,) how much each picture differs from the one before."""
    return np.abs(np.diff(pictures(path), axis=0)).mean(axis=(1, 2))


def colours(path: Path) -> list[int]:
    with av.open(str(path)) as film:
        context = film.streams.video[0].codec_context
        return [context.color_primaries, context.color_trc, context.colorspace]


def film(folder: Path, study: Study, index: int) -> Path:
    return folder / FILMS / study.films[index]


def test_every_clip_is_a_pair_of_both_systems_with_films_that_tell_no_names(built: Path) -> None:
    study = read_study(built)
    assert study.systems == ("open", "shy")
    assert [pair.clip for pair in study.pairs] == ["0", "1", "2"]
    assert {path.name for path in (built / FILMS).iterdir()} == set(study.films)
    assert not any(name in film for name in ("open", "shy") for film in study.films)
    for pair in study.pairs:
        strong, shy = (moving(film(built, study, i)).mean() for i in pair.films)
        assert strong > 1.5 * shy


def test_films_are_taken_as_they_are_and_motions_filmed_with_their_sound(
    built: Path, material: Path
) -> None:
    study = read_study(built)
    for clip, pair in enumerate(study.pairs):
        filmed, taken = (film(built, study, i) for i in pair.films)
        assert taken.read_bytes() == (material / "shy" / f"{clip}.mp4").read_bytes()
        heard = Waveform.load(filmed).samples
        assert np.corrcoef(heard[: len(speech(clip))], speech(clip)[: len(heard)])[0, 1] > 0.99


def test_checks_have_the_sound_of_the_right_film_and_other_pictures(built: Path) -> None:
    study = read_study(built)
    assert [check.spoilt for check in study.checks] == ["still", "other sentence"] * 3
    assert len({(film(built, study, c.films[1])).read_bytes() for c in study.checks}) == 6
    for check in study.checks:
        right, spoilt = (film(built, study, i) for i in check.films)
        one, other = (Waveform.load(path).samples for path in (right, spoilt))
        assert np.array_equal(one, other)
        assert len(pictures(spoilt)) == len(pictures(right))
        assert colours(spoilt) == colours(right)
        if check.spoilt == "still":
            assert moving(spoilt).max() < 0.05
            assert len(check.questions) == 3
        else:
            start = check.films[0] // CLIPS * CLIPS
            next_one = film(built, study, start + (check.films[0] + 1 - start) % CLIPS)
            assert np.corrcoef(moving(spoilt), moving(next_one))[0, 1] > 0.95
            assert np.corrcoef(moving(spoilt), moving(right))[0, 1] < 0.9
            assert check.questions == ("lip_sync",)


def test_no_two_checks_are_the_same_while_there_is_material(material: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for clip in range(2):
            write_film(tmp_path / name / f"{clip}.mp4", clip, 0.2 if name == "one" else 0.5)
    folders = [str(tmp_path / name) for name in ("one", "two")]
    assert main(["study", "build", *folders, "-o", str(tmp_path / "s"), "--checks", "8"]) == 0
    study = read_study(tmp_path / "s")
    assert len({(check.spoilt, check.films[0]) for check in study.checks}) == 8


def test_the_command_says_what_it_takes(material: Path, tmp_path: Path, capsys) -> None:
    folders = [str(material / name) for name in ("open", "shy")]
    arguments = ["study", "build", *folders, "-o", str(tmp_path / "s"), *SMALL, "--checks", "0"]
    assert main([*arguments, "--pairs", "2"]) == 0
    said = capsys.readouterr().out
    assert "3 pairs of open, shy; a rater judges 2 and 0 checks" in said
    assert "to show a share of 0.7: 27 raters, 54 answers" in said


def test_vertices_are_filmed_and_sound_may_lie_elsewhere(tmp_path: Path, capsys) -> None:
    (tmp_path / "sounds").mkdir()
    write_sound(tmp_path / "sounds/0.flac", speech(0), codec="flac")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        face = motion(0, 0.5).on()
        vertices = face.vertices()
        VertexMotion(vertices, face.rig.template, 25, face.rig.triangles).save(
            tmp_path / name / "0.npz"
        )
    arguments = ["study", "build", str(tmp_path / "a"), str(tmp_path / "b"), *SMALL]
    assert main([*arguments, "-o", str(tmp_path / "s")]) == 2
    assert "a/0.npz has no sound 0.wav or .flac in" in capsys.readouterr().err
    arguments += ["--audio", str(tmp_path / "sounds")]
    assert main([*arguments, "-o", str(tmp_path / "s")]) == 0
    study = read_study(tmp_path / "s")
    assert moving(film(tmp_path / "s", study, 0)).mean() > 0.1
    assert {check.spoilt for check in study.checks} == {"still"}  # there is no other sentence


def test_a_clip_that_not_everybody_has_is_left_out_and_told(
    material: Path, tmp_path: Path, capsys
) -> None:
    shutil.copytree(material / "shy", tmp_path / "few")
    (tmp_path / "few/1.mp4").unlink()
    folders = [str(material / "shy"), str(tmp_path / "few")]
    assert main(["study", "build", *folders, "-o", str(tmp_path / "s"), "--checks", "0"]) == 0
    assert "left out, since not in every folder: 1" in capsys.readouterr().err
    assert [pair.clip for pair in read_study(tmp_path / "s").pairs] == ["0", "2"]


def other_sound(folder: Path) -> None:
    write_film(folder / "0.mp4", 1, 0.3)


def other_length(folder: Path) -> None:
    write_film(folder / "0.mp4", 0, 0.3, seconds=1.2)


def no_film(folder: Path) -> None:
    (folder / "0.mp4").write_bytes(b"film" * 1000)


def no_sound(folder: Path) -> None:
    motion(0, 0.3).save(folder / "0.mp4", size=64)


def other_codec(folder: Path) -> None:
    with av.open(str(folder / "0.mp4"), "w") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        sound = out.add_stream("aac", rate=16000)
        out.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        frame = av.AudioFrame.from_ndarray(speech(0)[None, :1024], "s16", "mono")
        frame.sample_rate = 16000
        out.mux(sound.encode(frame))
        out.mux(stream.encode(None) + sound.encode(None))


def long_motion(folder: Path) -> None:
    (folder / "0.mp4").unlink()
    motion(0, 0.3, 2 * SECONDS).save(folder / "0.npz")
    write_sound(folder / "0.wav", speech(0))


def no_motion(folder: Path) -> None:
    (folder / "0.mp4").unlink()
    (folder / "0.npz").write_bytes(b"motion")
    write_sound(folder / "0.wav", speech(0))


def nothing(folder: Path) -> None:
    (folder / "0.mp4").unlink()


def gone(folder: Path) -> None:
    shutil.rmtree(folder)


def other_name(folder: Path) -> None:
    (folder / "0.mp4").rename(folder / "zero.mp4")


WRONG = {
    other_sound: "sound different; give films of the same recording the same name",
    other_length: "other/0.mp4 1.22 s; give films of the same recording",
    no_film: "other/0.mp4 is no film that can be read",
    no_sound: "it lacks pictures or sound",
    other_codec: "is of mpeg4 and aac, not of H.264 and AAC",
    long_motion: "give the sound that it was made from",
    no_motion: "other/0.npz is no motion file",
    nothing: "other holds no film .mp4 and no motion .npz",
    gone: "other does not exist",
    other_name: "name films of the same recording alike",
}


@pytest.mark.parametrize("spoil", WRONG, ids=lambda spoil: spoil.__name__)
def test_material_that_does_not_go_together_is_told_in_a_line(
    spoil, material: Path, tmp_path: Path, capsys
) -> None:
    (tmp_path / "other").mkdir()
    shutil.copy(material / "shy/0.mp4", tmp_path / "other")
    spoil(tmp_path / "other")
    folders = [str(material / "shy"), str(tmp_path / "other")]
    assert main(["study", "build", *folders, "-o", str(tmp_path / "s"), "--checks", "0"]) == 2
    error = capsys.readouterr().err.removeprefix("left out, since not in every folder: 1, 2\n")
    assert error.startswith("error: ")
    assert WRONG[spoil] in error
    assert error.count("\n") == 1
    assert not (tmp_path / "s").exists()
    assert not list(tmp_path.glob(".codetalker*"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["shy"], "two or more"),
        (["shy", "shy"], "two folders are called 'shy'"),
        (["shy", "open", "--pairs", "4"], "--pairs is 4; choose from 1 to 3"),
        (["shy", "open", "--pairs", "0"], "--pairs is 0; choose from 1 to 3"),
        (["shy", "open", "--checks", "4"], "--checks is 4; choose 5 to 50"),
        (["shy", "open", "--seed", "-1"], "--seed is -1"),
        (["shy", "open", "--size", "63"], "size 63 does not make a video"),
        (["shy", "open", "--title", "\x1b[2J"], "--title cannot be shown"),
    ],
)
def test_options_that_cannot_be_are_told_in_a_line(
    arguments: list[str], told: str, material: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(material)
    assert main(["study", "build", *arguments, "-o", str(tmp_path / "s")]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not (tmp_path / "s").exists()


def test_a_folder_with_content_is_not_written_over(material: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "mine").touch()
    folders = [str(material / name) for name in ("shy", "open")]
    assert main(["study", "build", *folders, "-o", str(tmp_path)]) == 2
    assert "already exists" in capsys.readouterr().err
