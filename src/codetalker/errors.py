"""The exceptions that users see: each message names the input and the remedy.

The command line prints the message as one line and exits with status 2; anything that is not a
`CodeTalkerError` is a defect of ours and keeps its traceback.
"""

import difflib
from collections.abc import Callable, Iterable


def did_you_mean(name: object, known: Iterable[str], show: Callable[[str], str] = repr) -> str:
    """The end of a message about an unknown name: the nearest known one, or all there are.

    `show` writes the nearest: quoted, or with `str` as it is, where nobody would type quotes.
    """
    known = list(known)
    near = difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean {show(near[0])}?" if near else f"choose from {', '.join(known)}"


def one_line(message: str) -> str:
    """The message in one line, without characters that steer a terminal or cannot be written."""
    text = " ".join(message.splitlines())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class CodeTalkerError(Exception):
    """Base of every error that the user can mend."""


class SoundWarning(UserWarning):
    """What a listener should know of a recording that can be used all the same."""


class AudioError(CodeTalkerError):
    """The sound cannot be read or used."""


class RigError(CodeTalkerError):
    """The head or character cannot be read, or does not fit the motion."""


class MotionError(CodeTalkerError):
    """A motion is malformed, or a motion file cannot be read."""


class ModelError(CodeTalkerError):
    """A model folder or checkpoint is missing, damaged, or of the wrong kind."""


class StyleError(CodeTalkerError):
    """The model has no speaking style of that name."""


class OutputError(CodeTalkerError):
    """The result cannot be written where or as the user asked."""


class DataError(CodeTalkerError):
    """A corpus or data set is incomplete or malformed."""


class OptionError(CodeTalkerError):
    """An option or configuration value is out of range or unknown."""


class MissingExtraError(CodeTalkerError):
    """An optional dependency is not installed; the message names the extra that brings it."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed; run: pip install 'codetalker-face[{extra}]'")
