"""`codetalker train codec|talker`: the bundled model's stages, or with --preset the published ones.

The options depend on the family, and their defaults on the preset; so the arguments are looked at
before they are parsed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import tyro

from codetalker.errors import OptionError

DESCRIPTION = (
    "Train a model: first the codec, then the talker. Without --preset: the bundled model, from a "
    "corpus folder. With --preset vocaset or biwi: the published model, from the store that "
    "`codetalker prepare` makes; its options are listed by: "
    "codetalker train codec --preset vocaset --help"
)


def train(arguments: Sequence[str]) -> None:
    """Train one stage, as the command line says."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--preset", nargs="?", default="")
    first.add_argument("--data", nargs="?")
    known, _ = first.parse_known_args(arguments)
    if known.preset is None or (known.data and not known.preset):
        raise OptionError("name the published model to train: --preset vocaset, or biwi")
    if known.preset:
        from codetalker.commands import train_paper

        codec, talker = train_paper.paper_stages(known.preset)
    else:
        from codetalker.commands import train_causal

        codec, talker = train_causal.stages()
    stage = tyro.cli(
        codec | talker, args=arguments, prog="codetalker train", description=DESCRIPTION
    )
    stage.run()
