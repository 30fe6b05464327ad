"""Numbers that callers pass: of any type that is one, numpy's too; no text, no truth value."""

from __future__ import annotations

import numbers
from math import isfinite
from typing import Any

import numpy as np

from codetalker.errors import OptionError


def number(value: Any, name: str, least: float, most: float, remedy: str = "") -> float:
    """A finite number from `least` to `most`.

    Raises:
        OptionError: it is none; `remedy` ends the message.
    """
    plain = as_number(value)
    if plain is None or not least <= plain <= most:
        raise OptionError(
            f"{name} is {shown(value)}; choose from {least:g} to {most:g}{remedy and ', '}{remedy}"
        )
    return plain


def as_number(value: Any) -> float | None:
    """The value as a finite float; None if it is no number."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if not isinstance(value, numbers.Real) or isinstance(value, bool | np.bool_):
        return None
    try:
        plain = float(value)
    except OverflowError:
        return None
    return plain if isfinite(plain) else None


def as_whole(value: Any) -> int | None:
    """The value as an int, exactly; None if it is no whole number, or beyond 64 bits."""
    if (plain := as_number(value)) is None or abs(plain) > 1 << 64 or plain != int(plain):
        return None
    return int(value)


def shown(value: Any) -> str:
    """The value as it is written in Python, shortened."""
    if isinstance(value, float):
        return f"{value:g}"
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # of more digits than Python writes
        return "an immense number"
    return text if len(text) <= 60 else f"{text[:60]} ..."
