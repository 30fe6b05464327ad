"""The `codetalker` command: finds the subcommand, runs it, turns users' mistakes into one line.

Exit status: 0 done, 2 the user's mistake, 130 interrupted, 1 (with a traceback) a defect of ours.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version

from codetalker.errors import (
    CodeTalkerError,
    MissingExtraError,
    OptionError,
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
    "evaluate": Command("codetalker.commands.evaluate:evaluate", "how good a model is, in figures"),
    "info": Command("codetalker.commands.info:info", "what a model is"),
    "train": Command(
        "codetalker.commands.train:train", "train a model, stage by stage", "train", parses=True
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
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except CodeTalkerError as error:
        print("error:", one_line(str(error)), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


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
