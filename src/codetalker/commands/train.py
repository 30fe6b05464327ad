"""`codetalker train codec|talker`: the bundled model's stages, or with --preset the published ones.

The options depend on the family and on the system that --model names, and their defaults on the
preset; so the arguments are looked at before they are parsed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import tyro

from codetalker.errors import OptionError

PROGRAM = "codetalker train"
CODETALKER = "codetalker"
"""What --model is where the user names none."""
DESCRIPTION = (
    "Train a model: first the codec, then the talker. Without --preset: the bundled model, from a "
    "corpus folder. With --preset vocaset or biwi: the published model, from the store that "
    "`codetalker prepare` makes; its options are listed by: "
    "codetalker train codec --preset vocaset --help. With --model faceformer, voca or meshtalk "
    "besides: the systems that it was compared with, which have a talker only"
)


def train(arguments: Sequence[str]) -> None:
    """Train one stage, as the command line says."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--model", default=CODETALKER)
    named, arguments = first.parse_known_args(arguments)
    first.add_argument("--preset", nargs="?", default="")
    first.add_argument("--data", nargs="?")
    known, _ = first.parse_known_args(arguments)
    published = known.data or named.model != CODETALKER
    if known.preset is None or (published and not known.preset):
        raise OptionError("name the published model to train: --preset vocaset, or biwi")
    if named.model != CODETALKER:
        stage = _talker(named.model, known.preset, arguments)
    else:
        stage = _stage(known.preset, arguments)
    stage.run()


def _stage(preset: str, arguments: Sequence[str]) -> Any:
    if preset:
        from codetalker.commands import train_paper

        codec, talker = train_paper.paper_stages(preset)
    else:
        from codetalker.commands import train_causal

        codec, talker = train_causal.causal_stages()
    return tyro.cli(codec | talker, args=arguments, prog=PROGRAM, description=DESCRIPTION)


def _talker(model: str, preset: str, arguments: Sequence[str]) -> Any:
    """The one stage of a system that CodeTalker was compared with."""
    from codetalker.commands import train_paper

    kind, default = train_paper.talker_stage(model, preset)
    if arguments[:1] != ["talker"]:
        raise OptionError(f"{model} has no codec to train first; train it by: {PROGRAM} talker")
    prog = f"{PROGRAM} talker --model {model}"
    return tyro.cli(kind, default=default, args=arguments[1:], prog=prog, description=DESCRIPTION)
