"""What others have written, read as data: regular files up to a limit, JSON, and one line for
whatever is wrong with it.

In the flow speech -> features -> codes -> motion -> mesh -> file: before everything that is loaded.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

from codetalker.errors import CodeTalkerError

MAX_JSON_BYTES = 16 << 20
"""Of what others have made: as objects it takes twenty times as much."""
_LONGEST_REASON = 300
_UNSHOWABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that steer a terminal, turn text around, or are none."""


class Malformed(ValueError):
    """What a file holds is not what it should; the message says why, `refusing` says where."""


@contextmanager
def refusing(
    kind: type[CodeTalkerError], what: str, remedy: str, missing: str = ""
) -> Iterator[None]:
    """Read inside: whatever is wrong with the data becomes one line, `what (why); remedy`.

    A file that is not there is told as `missing`. Damaged and hostile data show themselves in any
    exception of any parser, so all of them count.

    Raises:
        CodeTalkerError: of that kind; one that is raised inside passes.
    """
    try:
        yield
    except CodeTalkerError:
        raise
    except FileNotFoundError as error:
        path = error.filename or what
        raise kind(missing or f"{path} does not exist; check the spelling of the path") from None
    except MemoryError as error:
        raise kind(f"{what} (it takes more memory than there is); {remedy}") from error
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        why = " ".join(str(reason).split())
        why = why if len(why) <= _LONGEST_REASON else f"{why[:_LONGEST_REASON]} ..."
        raise kind(f"{what} ({why}); {remedy}") from error


@contextmanager
def open_regular(path: str | os.PathLike[str]) -> Iterator[BufferedReader]:
    """Open a file, or what a link leads to, but no pipe, device or folder, which might never end.

    Raises:
        Malformed, OSError: it is one of these, or cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
    with open(descriptor, "rb") as stream:  # noqa: PTH123  # a descriptor has no path
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Malformed("it is no regular file")
        yield stream


_BINARY = getattr(os, "O_BINARY", 0)


def read_regular(path: str | os.PathLike[str], limit: int) -> bytes:
    """A regular file whole, which may have `limit` bytes.

    Raises:
        Malformed, OSError: it has more, or cannot be read.
    """
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        content = b"" if size > limit else stream.read(size + 1)
    if max(size, len(content)) > limit:
        raise Malformed(f"it is larger than {limit >> 20} MiB")
    return content


def read_json(path: Path, limit: int = MAX_JSON_BYTES) -> Any:
    """The value in a JSON file of at most `limit` bytes.

    Raises:
        OSError, ValueError: as `parse_json` and `read_regular`.
    """
    return parse_json(read_regular(path, limit))


def parse_json(content: bytes) -> Any:
    """A value of JSON as RFC 8259 has it, UTF-8: a name once in an object, and finite numbers.

    Raises:
        ValueError: it is none, or nested beyond reason.
    """
    text = content.decode("utf-8-sig")
    try:
        return json.loads(
            text, object_pairs_hook=_once, parse_float=_finite, parse_constant=_no_constant
        )
    except RecursionError:
        raise Malformed("it is nested beyond reason") from None


def check_text(text: str, where: str = "a text") -> str:
    """The text, if it can be shown.

    Raises:
        Malformed: it holds control characters, marks that turn text around, or half characters.
    """
    if found := _UNSHOWABLE.search(text):
        raise Malformed(f"{where} holds the character U+{ord(found[0]):04X}")
    return text


def check_file_name(name: str) -> str:
    """The name, if it can be that of a file in a folder that is known: no path.

    Raises:
        Malformed: it leads elsewhere, or cannot be shown.
    """
    if name in ("", ".", "..") or set(check_text(name)) & set("/\\\n\t"):
        raise Malformed(f"{name!r} is no name of a file")
    return name


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise Malformed(f"{next(n for n in names if names.count(n) > 1)!r} occurs twice")
    return found


def _finite(text: str) -> float:
    if not isfinite(number := float(text)):
        raise Malformed(f"the number {text[:40]} is too large")
    return number


def _no_constant(text: str) -> NoReturn:
    raise Malformed(f"{text} is no number")
