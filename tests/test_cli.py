"""The command line: what it lists, writes and refuses, and its exit status."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import codetalker
from codetalker import cli
from codetalker.audio import Waveform
from codetalker.cli import COMMANDS, Command, main
from codetalker.errors import CodeTalkerError, MotionError
from codetalker.mood import with_mood
from codetalker.motion import Motion
from conftest import write_sound
from fake_talker import FakeTalker, half_open

EXAMPLE = Path(__file__).parents[1] / "examples" / "sense_and_sensibility.flac"


@pytest.fixture
def talker(monkeypatch: pytest.MonkeyPatch) -> FakeTalker:
    fake = FakeTalker()
    monkeypatch.setattr(codetalker, "load", lambda model=None: fake, raising=False)
    return fake


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    path = tmp_path / "speech.flac"
    path.write_bytes(EXAMPLE.read_bytes())
    return path


def status(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def written(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_help_lists_each_command_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert status("--help") == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line[:2] == "  "]
    assert listed == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_listed_command_exists(name: str) -> None:
    module, function = COMMANDS[name].target.split(":")
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        if not COMMANDS[name].extra or (error.name or "").startswith("codetalker"):
            raise
        pytest.skip(f"needs the extra {COMMANDS[name].extra}: {error.name} is not installed")
    assert callable(getattr(found, function))


def test_neither_import_nor_help_loads_anything_heavy() -> None:
    program = (
        "import sys, codetalker, codetalker.cli; codetalker.cli.main(['--help']);"
        "print([m for m in ('torch', 'transformers', 'scipy', 'rich') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "[]"


def test_an_unknown_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert status("animte", "a.wav") == 2
    assert "did you mean animate?" in capsys.readouterr().err


def test_a_missing_extra_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "needy.py").write_text("import no_such_package.part")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(cli.COMMANDS, "needy", Command("needy:run", "", extra="train"))
    assert status("needy") == 2
    assert "pip install 'codetalker-face[train]'" in capsys.readouterr().err


def test_a_defect_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "_run", defect)
    with pytest.raises(ZeroDivisionError):  # Python prints it and exits with 1
        main([])


def test_what_the_system_refuses_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = str(tmp_path / ("n" * 256))
    for option in ("--corpus", "--against", "--seen", "--phones"):
        assert status("evaluate", option, name) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert status("animate", EXAMPLE, "--model", name, "-o", tmp_path / "a.npz") == 2
    assert (
        capsys.readouterr().err == f"error: {name}/config.json: File name too long; name another\n"
    )


def test_an_interrupt_is_not_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", interrupted)
    assert main([]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_one_pass_gives_every_file_that_is_asked_for(talker: FakeTalker, speech: Path) -> None:
    folder = speech.parent / "out"
    folder.mkdir()
    outputs = [folder / "a.npz", folder / "b.csv", folder / "c.glb"]
    options = [option for path in outputs for option in ("-o", path)]
    assert status("animate", speech, *options) == 0
    assert written(folder) == {"a.npz", "b.csv", "c.glb"}
    assert len(talker.calls) == 1
    assert len(Motion.load(folder / "a.npz")) == 152  # ceil(6.05 * 25)


def test_options_reach_the_talker(talker: FakeTalker, speech: Path) -> None:
    out = speech.with_suffix(".npz")
    options = ("--style", "s1", "--strength", 1.2, "--fps", 60, "--seed", 7)
    assert status("animate", speech, "-o", out, *options) == 0
    assert talker.calls == [{"style": "s1", "strength": 1.2, "fps": 60.0, "seed": 7}]
    assert Motion.load(out).fps == 60


def test_without_o_a_glb_and_an_mp4_appear_beside_the_recording(
    talker: FakeTalker, speech: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = speech.parent / "short.wav"
    write_sound(short, np.zeros((1600, 1), np.int16))
    assert status("animate", short) == 0
    assert written(speech.parent) == {"speech.flac", "short.wav", "short.glb", "short.mp4"}
    assert "0.12 s, 3 frames at 25 fps" in capsys.readouterr().out


def test_a_mood_is_laid_over_the_motion(
    talker: FakeTalker, speech: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, happy = (speech.with_suffix(suffix) for suffix in (".npz", ".happy.npz"))
    assert status("animate", speech, "-o", plain) == 0
    assert status("animate", speech, "-o", happy, "--mood", "happy:0.5") == 0
    expected = with_mood(Motion.load(plain), "happy", 0.5)
    np.testing.assert_allclose(Motion.load(happy).weights, expected.weights)
    assert status("animate", speech, "-o", happy, "--mood", "hapy") == 2
    assert "did you mean 'happy'" in capsys.readouterr().err


def test_several_recordings_fill_a_folder(talker: FakeTalker, speech: Path) -> None:
    other = speech.with_name("other.flac")
    other.write_bytes(speech.read_bytes())
    folder = speech.parent / "new" / "out"
    assert status("animate", speech, other, "-o", folder, "--format", "npz, .csv") == 0
    assert written(folder) == {"speech.npz", "speech.csv", "other.npz", "other.csv"}


def test_bad_recordings_among_several_do_not_stop_the_others_and_are_told_at_the_end(
    talker: FakeTalker, speech: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = speech.parent / "out"
    missing, bad, unfit = (speech.with_name(name) for name in ("no.wav", "text.wav", "silent.wav"))
    bad.write_text("hello\n" * 99)
    write_sound(unfit, np.zeros((1600, 1), np.int16))
    talker.say = _say_or_fail
    recordings = (missing, unfit, bad, speech)
    assert status("animate", *recordings, "-o", folder, "--format", "npz") == 2
    assert written(folder) == {"speech.npz"}
    captured = capsys.readouterr()
    assert captured.out.count("\n") == 1
    lines = captured.err.splitlines()
    assert len(lines) == 3
    assert f"error: {missing} does not exist" in lines[0]
    assert lines[1] == f"error: {unfit}: the motion is too short; say more"
    assert f"error: {bad} is not an audio or video file" in lines[2]


def _say_or_fail(audio: Waveform, style: str) -> np.ndarray:
    if audio.duration < 1:
        raise MotionError("the motion is too short;\nsay more")
    return half_open(audio, style)


def test_recordings_beside_which_nothing_can_be_written_do_not_stop_the_others(
    talker: FakeTalker, speech: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = speech.parent / "none" / "a.wav"
    assert status("animate", lost, speech, "--format", "npz") == 2
    assert written(speech.parent) == {"speech.flac", "speech.npz"}
    assert capsys.readouterr().err.count("\n") == 1


def test_a_style_that_no_recording_can_have_is_one_line(
    talker: FakeTalker, speech: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("animate", speech, speech.with_name("no.wav"), "--style", "s11") == 2
    assert capsys.readouterr().err == "error: there is no style 's11'; did you mean 's1'?\n"
    assert not talker.calls


def test_a_film_is_not_replaced_by_its_own_face(talker: FakeTalker, tmp_path: Path) -> None:
    film = write_sound(tmp_path / "talk.mp4", np.zeros((3200, 1), np.int16), codec="aac")
    before = film.read_bytes()
    assert status("animate", film) == 0
    assert written(tmp_path) == {"talk.mp4", "talk.glb", "talk-face.mp4"}
    assert film.read_bytes() == before


REFUSALS = {
    "no recording": ([], "no recording is given"),
    "missing file": (["no.wav", "-o", "a.npz"], "does not exist"),
    "directory": ([".", "-o", "a.npz"], "is a directory"),
    "empty file": (["empty.wav", "-o", "a.npz"], "is an empty file"),
    "not audio": (["text.wav", "-o", "a.npz"], "is not an audio or video file"),
    "unknown suffix": (["speech.flac", "-o", "a.glbb"], "did you mean .glb?"),
    "no folder": (["speech.flac", "-o", "no/a.glb"], "does not exist; create it first"),
    "a folder that is a file": (
        ["speech.flac", "-o", "speech.flac/out/x", "--format", "npz"],
        "cannot be made",
    ),
    "unknown format": (["speech.flac", "--format", "xyz"], "choose from npz, csv, glb, mp4, html"),
    "unknown style": (["speech.flac", "-o", "a.npz", "--style", "s11"], "did you mean 's1'?"),
    "fps 0": (["speech.flac", "-o", "a.npz", "--fps", "0"], "fps 0 is out of range"),
    "fps nan": (["speech.flac", "-o", "a.npz", "--fps", "nan"], "fps nan is out of range"),
    "one file for two": (["speech.flac", "b.flac", "-o", "a.glb"], "names a folder"),
    "two of one name": (
        ["speech.flac", "sub/speech.flac", "-o", "out", "--format", "npz"],
        "would both be written",
    ),
    "beside a stream": (["-"], "is no file to write beside; name the output with -o"),
    "beside a device": (["/dev/null", "--format", "npz"], "/dev/null is no file to write beside"),
    "a folder that is a device": (["speech.flac", "-o", "/dev/null"], "no format has the suffix"),
    "a long name": (["speech.flac", "-o", "n" * 252 + ".npz"], "File name too long"),
    "onto the recording": (["a.mp4", "-o", "a.mp4"], "would replace the input a.mp4"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_mistake_gives_one_line_status_2_and_no_file(
    talker: FakeTalker,
    speech: Path,
    case: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = speech.parent
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("hello\n" * 99)
    monkeypatch.chdir(folder)
    before = written(folder)
    arguments, message = REFUSALS[case]
    assert status("animate", *arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert {name for name in written(folder) if name != "out"} == before


def test_an_unknown_option_names_the_nearest(
    talker: FakeTalker, speech: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["animate", str(speech), "--stile", "s1"])
    assert caught.value.code == 2
    assert "--style" in capsys.readouterr().err


def test_the_real_model_animates_the_example(tmp_path: Path) -> None:
    if not hasattr(codetalker, "load"):
        pytest.skip("the package has no runtime yet")
    try:
        codetalker.load()
    except CodeTalkerError as error:
        pytest.skip(f"no bundled model: {error}")
    out = tmp_path / "a.npz"
    assert status("animate", EXAMPLE, "-o", out) == 0
    motion = Motion.load(out)
    assert len(motion) == 152
    jaw = motion.weights[:, motion.names.index("jawOpen")]
    assert jaw.std() > 0.02  # it talks


def test_faces_and_modes_are_for_models_of_vertices(
    bundled_model: Path, speech: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["animate", str(speech), "--model", str(bundled_model), "--mode", "fast"]) == 2
    assert "--mode" in capsys.readouterr().err
    assert sorted(p.name for p in speech.parent.iterdir()) == [speech.name]
