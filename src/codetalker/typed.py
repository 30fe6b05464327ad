"""Plain values, as JSON has them, into dataclasses by their annotations: strictly.

What a field may hold is said once, by its type; whatever a file holds instead is named.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from math import isfinite
from typing import Any, TypeVar

from codetalker.errors import did_you_mean
from codetalker.reading import Malformed, check_text

LARGEST = 1 << 53
"""Whole numbers beyond are not exact everywhere."""
_SHOWN = 40

_T = TypeVar("_T")


def build(
    kind: type[_T], values: object, where: str, *, strict: bool = True, inner: bool = True
) -> _T:
    """A dataclass from an object of named values; nested ones, tuples, dictionaries and unions of
    these and of plain values are built by their annotations. Whole numbers do for floats. Unless it
    is `strict`, names that are unknown are passed over; unless it is `inner`, in nested ones, too.

    Raises:
        Malformed: a name is unknown (the nearest is named) or missing, or a value of another type.
        Exception: what the dataclass raises of values that exclude each other.
    """
    if not isinstance(values, Mapping):
        raise Malformed(f"{where} must be an object with named values, not {_shown(values)}")
    types_by_name = typing.get_type_hints(kind)
    arguments = {}
    for key, value in values.items():
        if key not in types_by_name and not strict:
            continue
        if key not in types_by_name:
            raise Malformed(f"{where} has no key {key!r}; {did_you_mean(key, types_by_name)}")
        arguments[key] = convert(types_by_name[key], value, f"{where}.{key}", inner)
    fields = dataclasses.fields(typing.cast(Any, kind))
    absent = dataclasses.MISSING
    needed = {f.name for f in fields if f.default is absent and f.default_factory is absent}
    if missing := needed - arguments.keys():
        raise Malformed(f"{where} lacks {', '.join(sorted(missing))}")
    return kind(**arguments)


def convert(kind: Any, value: Any, where: str, strict: bool = True) -> Any:
    """`value` as the annotation `kind`: a dataclass, a tuple, a dictionary or a plain value.

    Raises:
        Malformed: it is of another type, not finite, or a text that cannot be shown.
    """
    if dataclasses.is_dataclass(kind):
        return build(typing.cast(type, kind), value, where, strict=strict, inner=strict)
    if kind is Any:
        return value
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        return _tuple(inner, value, where, strict)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise Malformed(f"{where} must be an object with named values, not {_shown(value)}")
        return {
            check_text(k, where): convert(inner[1], v, f"{where}.{k}", strict)
            for k, v in value.items()
        }
    choices = inner if isinstance(kind, types.UnionType) else (kind,)
    if value is None and type(None) in choices:
        return None
    if nested := [c for c in choices if dataclasses.is_dataclass(c) or typing.get_origin(c)]:
        return convert(nested[0], value, where, strict)
    if float in choices and type(value) is int and abs(value) <= LARGEST:
        return float(value)
    if type(value) not in choices:  # exactly: a bool is no int
        raise Malformed(f"{where} must be {_named(choices)}, not {_shown(value)}")
    if type(value) is str:
        return check_text(value, where)
    if isinstance(value, int) and abs(value) > LARGEST:
        raise Malformed(f"{where} is {_shown(value)}, which is too large")
    if isinstance(value, float) and not isfinite(value):
        raise Malformed(f"{where} is {_shown(value)}, which is no number")
    return value


def _tuple(inner: tuple[Any, ...], value: object, where: str, strict: bool) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise Malformed(f"{where} must be a list, not {_shown(value)}")
    kinds = inner[:1] * len(value) if inner[1:] == (...,) else inner
    if len(kinds) != len(value):
        raise Malformed(f"{where} must be a list of {len(kinds)}, not of {len(value)}")
    return tuple(
        convert(kind, item, where, strict) for kind, item in zip(kinds, value, strict=True)
    )


def _named(choices: tuple[Any, ...]) -> str:
    return " or ".join("null" if kind is type(None) else kind.__name__ for kind in choices)


def _shown(value: object) -> str:
    if isinstance(value, int) and abs(value) > LARGEST:
        return "an immense number"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."
