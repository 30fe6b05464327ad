"""The `codetalker` command: finds the subcommand, runs it, turns users' mistakes into one line.

Exit status: 0 done, 2 the user's mistake, 128 + n ended by signal n (130 by Ctrl-C), 1 (with a
traceback) a defect of ours.
"""

from __future__ import annotations

import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version

from codetalker.errors import (
    CodeTalkerError,
    MissingExtraError,
    OptionError,
    SoundWarning,
    did_you_mean,
    one_line,
)


@dataclass(frozen=True)
class Command:
    """A subcommand.

    Attributes:
        target: `module:function`, imported when the command runs; tyro makes its options from the
            function's parameters, and what it returns is the exit status (None is 0).
        help: one line for `codetalker --help`.
        extra: the optional dependencies that it needs, as in `pip install codetalker-face[extra]`.
        parses: the function takes the list of arguments instead and parses them itself.
    """

    target: str
    help: str
    extra: str = ""
    parses: bool = False


COMMANDS = {
    "animate": Command("codetalker.commands.animate:animate", "speech to GLB, MP4, CSV and more"),
    "batch": Command(
        "codetalker.commands.batch:batch", "many recordings, on all cores or a cluster", "batch"
    ),
    "stream": Command(
        "codetalker.commands.stream:stream", "a voice as it is spoken, to games and avatars", "live"
    ),
    "serve": Command(
        "codetalker.commands.serve:serve", "files and live streams over HTTP", "serve"
    ),
    "character": Command("codetalker.commands.character:character", "what a face of your own has"),
    "page": Command("codetalker.commands.page:page", "the web page that runs the model"),
    "blender": Command("codetalker.commands.blender:blender", "the add-on for Blender"),
    "evaluate": Command("codetalker.commands.evaluate:evaluate", "how good a model is, in figures"),
    "benchmark": Command(
        "codetalker.commands.benchmark:benchmark", "who is better where, in one report", "benchmark"
    ),
    "study": Command(
        "codetalker.commands.study:study", "ask people which face is better", "study", parses=True
    ),
    "info": Command("codetalker.commands.info:info", "what a model is"),
    "train": Command(
        "codetalker.commands.train:train", "train a model, stage by stage", "train", parses=True
    ),
    "capture": Command(
        "codetalker.commands.capture:capture", "videos and takes of a speaker to a corpus"
    ),
    "fit-style": Command(
        "codetalker.commands.fit_style:fit_style_command", "a new speaker's style", "train"
    ),
    "import-official": Command(
        "codetalker.commands.import_official:import_official",
        "convert released checkpoints",
        extra="paper",
    ),
    "prepare": Command(
        "codetalker.commands.prepare:prepare", "convert VOCASET, BIWI or own meshes"
    ),
}
"""What `codetalker --help` lists, in this order."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (sys.argv for None); returns the exit status."""
    try:
        with _interruptible(), warnings.catch_warnings():
            warnings.showwarning = _show_warning
            warnings.simplefilter("always", SoundWarning)
            return _run(list(sys.argv[1:] if arguments is None else arguments))
    except CodeTalkerError as error:
        print("error:", one_line(str(error)), file=sys.stderr)
        return 2
    except OSError as error:  # a name that the system does not take, a folder that it guards
        if error.filename is None:
            raise
        print(f"error: {error.filename}: {error.strerror}; name another", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        with suppress(OSError):  # the terminal may be what is gone
            print("interrupted", file=sys.stderr)
        return 128 + (interrupt.args[0] if interrupt.args else signal.SIGINT)


def _show_warning(message: Warning | str, *rest: object, **more: object) -> None:
    print("warning:", one_line(str(message)), file=sys.stderr)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Signals that end a process do so as Ctrl-C does, by a `KeyboardInterrupt`, with their number:
    so what is half done is cleaned up. Those that the caller has us ignore are ignored."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        named = (getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP"))
        for number in filter(None, named):
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                before[number] = signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, _: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # once is enough: the next one would end the cleaning up
    raise KeyboardInterrupt(number)


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if arguments[0] == "--version":
        print(version("codetalker-face"))
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        raise OptionError(f"there is no command {name!r}; {did_you_mean(name, COMMANDS, str)}")
    return _call(COMMANDS[name], name, rest)


def _call(command: Command, name: str, arguments: list[str]) -> int:
    import tyro

    module, function = command.target.split(":")
    try:
        target = getattr(import_module(module), function)
        if command.parses:
            return target(arguments) or 0
        return tyro.cli(target, args=arguments, prog=f"codetalker {name}") or 0
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if command.extra and package != "codetalker":
            raise MissingExtraError(package, command.extra) from None
        raise


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {command.help}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: codetalker COMMAND ...",
            "",
            "Speech in, a talking 3D face out.",
            "",
            *lines,
            "",
            "codetalker COMMAND --help lists a command's options; codetalker --version.",
        ]
    )
