"""No input is overwritten, whatever it is called."""

from __future__ import annotations

import io
import os
import wave
from pathlib import Path

import pytest

import codetalker
from codetalker.cli import main
from codetalker.errors import OutputError
from codetalker.places import check_inputs_kept, check_run_kept, place, same_place
from fake_talker import FakeTalker

EXAMPLE = Path(__file__).parents[1] / "examples" / "sense_and_sensibility.flac"


def short_sound() -> bytes:
    """A WAV file of a fifth of a second; what it is called does not matter to a decoder."""
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(6400))
    return content.getvalue()


SOUND = short_sound()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `real` with a recording, other names of both, and the working directory there."""
    real = tmp_path / "real"
    (real / "sub").mkdir(parents=True)
    (real / "talk.mp4").write_bytes(SOUND)
    (tmp_path / "linked").symlink_to("real")
    (real / "link.mp4").symlink_to("talk.mp4")
    os.link(real / "talk.mp4", real / "hard.mp4")
    monkeypatch.chdir(real)
    monkeypatch.setattr(codetalker, "load", lambda model=None: FakeTalker(), raising=False)
    return real


NAMES = (
    "talk.mp4",
    "./talk.mp4",
    "sub/../talk.mp4",
    "../real/talk.mp4",
    "../linked/talk.mp4",
    "../linked/sub/../talk.mp4",
    "link.mp4",
    "hard.mp4",
    "../linked/hard.mp4",
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("recording", ["talk.mp4", "link.mp4", "hard.mp4", "../linked/talk.mp4"])
def test_no_name_of_a_recording_is_written_to(
    desk: Path, name: str, recording: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["animate", recording, "-o", name]) == 2
    assert "would replace the input" in capsys.readouterr().err
    assert main(["animate", "../none.wav", recording, "-o", "a.npz", "-o", name]) == 2
    assert (desk / "talk.mp4").read_bytes() == SOUND
    assert sorted(path.name for path in desk.iterdir()) == [
        "hard.mp4", "link.mp4", "sub", "talk.mp4"
    ]  # fmt: skip


@pytest.mark.parametrize("folder", [".", "../linked", "sub/..", "../real/"])
@pytest.mark.parametrize("recording", ["talk.mp4", "../linked/talk.mp4", "link.mp4"])
def test_a_folder_for_all_gives_a_film_another_name_or_refuses(
    desk: Path, folder: str, recording: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["animate", recording, "-o", folder, "--format", "mp4"]) == 0
    face = Path(recording).stem + "-face.mp4"
    assert (desk / face).stat().st_size > 0
    assert (desk / "link.mp4").is_symlink()
    assert (desk / "talk.mp4").read_bytes() == SOUND


def test_a_recording_is_kept_from_the_output_of_another(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk / "talk.flac").write_bytes(SOUND)
    assert main(["animate", "talk.flac", "talk.mp4"]) == 2
    assert "would replace the input talk.mp4" in capsys.readouterr().err
    (desk / "talk-face.mp4").symlink_to("talk.flac")
    assert main(["animate", "talk.mp4", "talk.flac", "-o", ".", "--format", "mp4"]) == 2
    for kept in ("talk.flac", "talk.mp4"):
        assert (desk / kept).read_bytes() == SOUND


@pytest.mark.parametrize("second", ["a.npz", "./a.npz", "sub/../a.npz", "../linked/a.npz", "b.csv"])
def test_one_place_is_not_written_twice(
    desk: Path, second: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk / "b.csv").symlink_to("a.npz")
    assert main(["animate", "talk.mp4", "-o", "a.npz", "-o", second]) == 2
    assert f"{Path(second)} is not the only -o to make the file" in capsys.readouterr().err
    assert not (desk / "a.npz").exists()


def test_two_recordings_that_differ_by_their_folder_are_not_one_output(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk / "sub" / "talk.wav").write_bytes(SOUND)
    assert main(["animate", "talk.mp4", "sub/talk.wav", "-o", "new", "--format", "npz"]) == 2
    assert "would both be written to" in capsys.readouterr().err
    assert not (desk / "new").exists()


def test_a_face_and_the_files_of_a_model_are_kept(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = desk / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "codebook.npz").write_bytes(b"of the model")
    (desk / "face.npz").write_bytes(b"a face")
    monkeypatch.setattr(FakeTalker, "options", ("template",))
    for output in ("face.npz", "../linked/face.npz", "model/codebook.npz"):
        arguments = ["--model", "../linked/model", "--template", "face.npz", "-o", output]
        assert main(["animate", "talk.mp4", *arguments]) == 2
        assert "input" in capsys.readouterr().err
    assert (model / "codebook.npz").read_bytes() == b"of the model"
    assert (desk / "face.npz").read_bytes() == b"a face"


def test_a_report_replaces_nothing_that_is_measured(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk / "corpus" / "anna" / "audio").mkdir(parents=True)
    (desk / "far").mkdir()
    (desk / "corpus" / "bob").symlink_to("../far")
    (desk / "corpus" / "round").symlink_to(".")
    for kept in ("corpus/anna/align.json", "far/align.json", "far/old.json"):
        (desk / kept).write_text("{}")
    (desk / "report.json").symlink_to("corpus/anna/align.json")
    for output in ("corpus/anna/align.json", "far/align.json", "report.json", "corpus"):
        for option in ("--corpus", "--against", "--seen", "--phones", "--robustness"):
            assert main(["evaluate", "--json", output, option, "../linked/corpus"]) == 2
            assert "would replace" in capsys.readouterr().err
        assert main(["evaluate", "corpus", "--json", output, "--corpus", "sub"]) == 2
        assert "would replace" in capsys.readouterr().err
    assert (desk / "corpus" / "anna" / "align.json").read_text() == "{}"
    assert main(["evaluate", "--json", "no/a.json", "--corpus", "corpus"]) == 2
    assert "no does not exist; create it first" in capsys.readouterr().err
    (desk / "example.json").symlink_to(EXAMPLE)
    assert main(["evaluate", "--json", "example.json", "--robustness"]) == 2
    assert "would replace the input" in capsys.readouterr().err
    check_inputs_kept(desk / "corpus" / "new.json", [desk / "corpus"])


def test_a_run_replaces_nothing_that_it_learns_from(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "bundle" / "corpus").mkdir(parents=True)
    (run / "corpus").mkdir()
    (run / "best.pt").touch()
    (tmp_path / "linked").symlink_to("run")
    written = ("best.pt", "bundle")
    for source in ("linked", "run", "linked/best.pt", "run/bundle", "linked/bundle/corpus"):
        with pytest.raises(OutputError, match="holds the input"):
            check_run_kept(run, written, [tmp_path / "other", tmp_path / source])
    check_run_kept(run, written, [run / "corpus", tmp_path, tmp_path / "none"])


@pytest.mark.parametrize("stage", ["codec", "talker"])
@pytest.mark.parametrize("options", [[], ["--preset", "biwi"]])
def test_no_stage_is_trained_into_its_input(
    tmp_path: Path, stage: str, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("transformers")
    data = "--data" if options else "--corpus"
    arguments = ["train", stage, *options, data, str(tmp_path), "-o", str(tmp_path / ".")]
    codec = ["--codec", str(tmp_path / "c")] if stage == "talker" else []
    assert main([*arguments, *codec]) == 2
    assert "holds the input" in capsys.readouterr().err
    if codec:
        arguments[-3:-2] = [str(tmp_path / "corpus")]
        assert main([*arguments, "--codec", str(tmp_path / "best.pt")]) == 2
        assert f"holds the input {tmp_path / 'best.pt'}" in capsys.readouterr().err


def test_a_name_is_its_place_before_and_after_anything_is_there(tmp_path: Path) -> None:
    path, other = tmp_path / "a" / "b", tmp_path / "a" / "c" / ".." / "b"
    assert same_place(path, other)
    assert not same_place(path, tmp_path / "a" / "c")
    path.parent.mkdir()
    path.touch()
    assert same_place(path, other)
    assert place(Path("/none/a")) != place(Path("/none/b"))
    assert place(Path("/")) == place(Path("/.."))


def test_case_tells_names_apart_where_the_file_system_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "Folder"
    folder.mkdir()
    assert not same_place(folder / "A.npz", folder / "a.npz")
    (tmp_path / "fOLDER").symlink_to("Folder")  # as if both were its name
    assert same_place(folder / "A.npz", folder / "a.npz")
    assert not same_place(folder / "A.npz", folder / "b.npz")
