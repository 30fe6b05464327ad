"""Whole files or none: whatever the name, whoever is killed, however many write at once."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from codetalker import disk
from codetalker.disk import check_file, check_new_folder, check_parent, new_folder, replacing
from codetalker.errors import OutputError
from codetalker.motion import Motion

EXAMPLE = Path(__file__).parents[1] / "examples" / "sense_and_sensibility.flac"
LEFT = ".codetalker-0123456789abcdef"

WRITER = """
import sys, time
from pathlib import Path
from codetalker import cli, disk

def write(arguments):
    with getattr(disk, arguments[0])(Path(arguments[1])) as temporary:
        file = temporary / "part" if temporary.is_dir() else temporary
        file.write_text(arguments[2])
        print("writing", flush=True)
        sys.stdin.readline()

sys.modules["writer"] = sys.modules["__main__"]
cli.COMMANDS["write"] = cli.Command("writer:write", "", parses=True)
sys.exit(cli.main(["write", *sys.argv[1:]]))
"""


@contextmanager
def writing(
    kind: str, path: Path, text: str = "new", ignored: signal.Signals | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A process that is in the middle of writing, and ends with it at a line on its input.

    It meets signals as from a terminal, also where these tests run in the background.
    """

    def from_terminal() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN if number == ignored else signal.SIG_DFL)

    command = [sys.executable, "-c", WRITER, kind, str(path), text]
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, preexec_fn=from_terminal
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "writing\n"
            yield process
        finally:
            process.kill()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def text_of(path: Path) -> str:
    return (path / "part" if path.is_dir() else path).read_text()


def write(path: Path, text: str = "new") -> None:
    with replacing(path) as temporary:
        temporary.write_text(text)


@pytest.mark.parametrize("kind", ["replacing", "new_folder"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing_but_its_exit_status(
    tmp_path: Path, kind: str, number: signal.Signals
) -> None:
    with writing(kind, tmp_path / "a") as process:
        assert len(names(tmp_path)) == 1
        process.send_signal(number)
        _, said = process.communicate(timeout=20)
    assert (process.returncode, said, names(tmp_path)) == (128 + number, "interrupted\n", [])


def test_a_signal_that_is_ignored_stays_so(tmp_path: Path) -> None:
    """As under nohup."""
    with writing("replacing", tmp_path / "a", ignored=signal.SIGHUP) as process:
        process.send_signal(signal.SIGHUP)
        process.communicate("go on\n", timeout=20)
    assert (process.returncode, names(tmp_path)) == (0, ["a"])


def test_a_film_that_is_ended_leaves_nothing(tmp_path: Path, bundled_model: Path) -> None:
    command = ["-m", "codetalker", "animate", str(EXAMPLE), "-o", str(tmp_path / "a.mp4")]
    process = subprocess.Popen([sys.executable, *command], stderr=subprocess.PIPE, text=True)
    with process:
        while not names(tmp_path) and process.poll() is None:
            time.sleep(0.01)
        process.terminate()
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said, names(tmp_path)) == (143, "interrupted\n", [])


@pytest.mark.parametrize("kind", ["replacing", "new_folder"])
def test_what_a_killed_process_leaves_goes_with_the_next_and_what_a_live_one_writes_stays(
    tmp_path: Path, kind: str
) -> None:
    with writing(kind, tmp_path / "a") as process:
        process.kill()
        process.wait(20)
    left = names(tmp_path)
    assert len(left) == 1
    with writing(kind, tmp_path / "b") as process:
        (live,) = names(tmp_path)
        assert live not in left
        write(tmp_path / "c")
        assert names(tmp_path) == sorted([live, "c"])
        process.communicate("go on\n", timeout=20)
    assert names(tmp_path) == ["b", "c"]
    assert text_of(tmp_path / "b") == "new"


def test_of_two_that_write_one_file_at_once_the_last_is_there_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with writing("replacing", path, "first") as one, writing("replacing", path, "second") as two:
        two.communicate("go on\n", timeout=20)
        assert path.read_text() == "second"
        one.communicate("go on\n", timeout=20)
    assert (one.returncode, two.returncode, names(tmp_path)) == (0, 0, ["a"])
    assert path.read_text() == "first"


def test_of_two_that_make_one_folder_the_second_is_refused_and_the_first_stays(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a"
    with writing("new_folder", path, "first") as one, writing("new_folder", path, "second") as two:
        two.communicate("go on\n", timeout=20)
        _, said = one.communicate("go on\n", timeout=20)
    assert (one.returncode, two.returncode, names(tmp_path)) == (2, 0, ["a"])
    assert said == f"error: {path} already exists; choose another name or remove it\n"
    assert text_of(path) == "second"


def test_many_writers_of_one_place_do_not_take_each_other_for_dead(tmp_path: Path) -> None:
    """Each of them looks for leftovers while the others begin."""
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for _ in range(40):
                write(tmp_path / "a", str(number))
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert names(tmp_path) == ["a"]


def test_only_what_is_called_as_ours_is_a_leftover(tmp_path: Path) -> None:
    own = [".codetalker-notes", f"{LEFT}0.npz", f"x{LEFT}.npz", ".npz", ".codetalker-", "best.pt"]
    for name in [*own, LEFT, f"{LEFT}.mp4"]:
        (tmp_path / name).touch()
    (tmp_path / f"{LEFT}.d").mkdir()
    (tmp_path / f"{LEFT}.d" / "part").touch()
    (tmp_path / f"{LEFT}.link").symlink_to(tmp_path / "best.pt")
    os.mkfifo(tmp_path / f"{LEFT}.pipe")
    write(tmp_path / "a")
    assert names(tmp_path) == sorted([*own, "a", f"{LEFT}.link"])


def test_what_is_taken_for_a_leftover_while_it_begins_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, taken = disk._lock, []

    def late(path: Path, own: bool) -> int | None:
        if own and not taken:  # another process was between us and the lock
            taken.append(path)
            disk._remove_leftovers(path.parent)
        return lock(path, own)

    monkeypatch.setattr(disk, "_lock", late)
    with new_folder(tmp_path / "a") as temporary:
        (temporary / "part").write_text("new")
    assert taken
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("missing", ["fcntl", "locks"])
def test_systems_without_locks_write_and_keep_leftovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    if missing == "fcntl":
        monkeypatch.setattr(disk, "fcntl", None)
    else:
        monkeypatch.setattr(disk.fcntl, "flock", refuse)
    (tmp_path / LEFT).touch()
    write(tmp_path / "a")
    assert names(tmp_path) == [LEFT, "a"]


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    (tmp_path / LEFT).touch()
    before = len(names(Path("/proc/self/fd")))
    write(tmp_path / "a")
    with new_folder(tmp_path / "b"), writing("replacing", tmp_path / "c"):
        write(tmp_path / "d")
    assert len(names(Path("/proc/self/fd"))) == before


def test_a_failure_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_text("before")
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "b") as temporary:
        (temporary / "half").touch()
        raise ZeroDivisionError
    assert path.read_text() == "before"
    assert names(tmp_path) == ["a.npz"]


@pytest.mark.parametrize("name", ["a.npz", "a.NPZ", "A.Npz", "a.b.NPZ", ".npz.NPZ"])
def test_a_suffix_in_any_case_is_written(tmp_path: Path, name: str) -> None:
    motion = Motion(np.zeros((3, 1)), ("jawOpen",), 25)
    assert motion.save(tmp_path / name) == tmp_path / name
    assert names(tmp_path) == [name]
    assert len(Motion.load(tmp_path / name)) == 3


@pytest.mark.parametrize("suffix", [".npz", ".csv", ".glb"])
@pytest.mark.parametrize("letter", ["n", "é"])
def test_the_longest_name_is_written_and_a_longer_one_refused(
    tmp_path: Path, suffix: str, letter: str
) -> None:
    motion = Motion(np.zeros((3, 52)), tuple(map(str, range(52))), 25)
    if suffix == ".glb":
        motion = Motion(np.zeros((3, 1)), ("jawOpen",), 25)
    room = 255 - len(suffix)
    stem = letter * (room // len(letter.encode()))
    longest = stem.ljust(room - len(stem.encode()) + len(stem), "n") + suffix
    assert len(longest.encode()) == 255
    motion.save(tmp_path / longest)
    assert names(tmp_path) == [longest]
    with pytest.raises(OutputError, match="File name too long"):
        motion.save(tmp_path / f"n{longest}")
    assert names(tmp_path) == [longest]


def test_a_suffix_of_any_length_is_written(tmp_path: Path) -> None:
    name = "a." + "x" * 253
    write(tmp_path / name)
    assert names(tmp_path) == [name]


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    target = tmp_path / "far" / "b.txt"
    (tmp_path / "step").symlink_to("far/b.txt")
    (tmp_path / "a").symlink_to(tmp_path / "step")
    for text in ("made", "replaced"):
        write(tmp_path / "a", text)
        assert (tmp_path / "a").is_symlink()
        assert (tmp_path / "step").is_symlink()
        assert target.read_text() == text
    assert names(tmp_path / "far") == ["b.txt"]
    (tmp_path / "folder").symlink_to("far/new")
    with new_folder(tmp_path / "folder") as temporary:
        (temporary / "part").touch()
    assert (tmp_path / "folder").is_symlink()
    assert names(tmp_path / "far" / "new") == ["part"]


def test_a_link_to_itself_and_one_into_nowhere_are_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "nowhere").symlink_to("none/a")
    for write_to in (check_file, write):
        with pytest.raises(OutputError, match="loop cannot be written: Too many levels"):
            write_to(tmp_path / "loop")
    with pytest.raises(OutputError, match="none does not exist"):
        check_file(tmp_path / "nowhere")
    with pytest.raises(OutputError, match="nowhere cannot be written: No such file"):
        write(tmp_path / "nowhere")
    assert names(tmp_path) == ["loop", "nowhere"]


def test_pipes_and_devices_are_written_to(tmp_path: Path) -> None:
    pipe, device = tmp_path / "pipe.npz", tmp_path / "null.npz"
    os.mkfifo(pipe)
    device.symlink_to("/dev/null")
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    motion = Motion(np.zeros((3, 1)), ("jawOpen",), 25)
    motion.save(pipe)
    reader.join(20)
    (tmp_path / "copy.npz").write_bytes(received[0])
    assert len(Motion.load(tmp_path / "copy.npz")) == 3
    motion.save(device)
    assert pipe.is_fifo()
    assert device.is_char_device()
    assert names(tmp_path) == ["copy.npz", "null.npz", "pipe.npz"]
    with pytest.raises(OutputError, match="No space left"):
        write(Path("/dev/full"))


@pytest.mark.parametrize("suffix", [".npz", ".csv", ".glb", ".mp4", ".obj"])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    """Files may not grow beyond 100 bytes here, which fails as a full disk does."""
    motion = Motion(np.zeros((3, 1)), ("jawOpen",), 25) if suffix != ".obj" else _mesh_motion()
    path, limits = tmp_path / f"a{suffix}", resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OutputError) as caught:
            motion.save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "cannot be written" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == []


def _mesh_motion():
    from codetalker.vertex_motion import VertexMotion

    return VertexMotion(np.ones((2, 30, 3), np.float32), np.ones((30, 3), np.float32), 25)


def test_what_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, message in (
        (tmp_path, "is a directory; name a file"),
        (tmp_path / "no" / "a", "no does not exist; create it first"),
        (tmp_path / "file" / "a", "file does not exist; create it first"),
        (tmp_path / ("n" * 256), "File name too long"),
    ):
        with pytest.raises(OutputError, match=message):
            check_file(path)
    with pytest.raises(OutputError, match="already exists"):
        check_new_folder(tmp_path / "file")
    with pytest.raises(OutputError, match="already exists"):
        check_new_folder(tmp_path)
    with pytest.raises(OutputError, match="no does not exist"):
        check_parent(tmp_path / "no" / "a")
    check_file(tmp_path / "file")
    check_new_folder(tmp_path / "none")
    assert names(tmp_path) == ["file"]


@pytest.mark.skipif(not hasattr(os, "seteuid") or os.geteuid() != 0, reason="needs to be root")
def test_a_read_only_folder_is_refused_before_the_work() -> None:
    program = (
        "import os, sys; from pathlib import Path; from codetalker import cli, disk\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "disk.check_file(Path(sys.argv[1]))\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        command = [sys.executable, "-c", program, f"{folder}/a"]
        run = subprocess.run(command, capture_output=True, text=True)
    assert f"the folder {folder} is not writable; choose another one" in run.stderr
