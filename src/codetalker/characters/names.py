"""What drives a shape, from its name: Apple's as they are spelt in the wild, and others' by table.

In the flow speech -> ... -> motion -> **mesh** -> file. A shape is driven by shares of `SOURCES`:
Apple's 52 shapes, 15 visemes, five vowels. Where a character has shapes of several systems, only
one of them moves the mouth.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from codetalker.arkit import ARKIT_NAMES, MOUTH
from codetalker.errors import OptionError, RigError, did_you_mean
from codetalker.reading import Malformed, read_regular, refusing
from codetalker.typed import convert
from codetalker.visemes import VISEMES, VOWELS

VISEME_SOURCES = tuple(f"viseme_{name}" for name in VISEMES)
SOURCES = (*ARKIT_NAMES, *VISEME_SOURCES, *VOWELS)
"""What a shape can be driven by."""
Shares = dict[str, float]
"""Source -> share: a shape's weight is the sum of the sources' weights times their shares."""

_MAX_MAP_BYTES = 1 << 20
_SIDES = (("L", "Left"), ("R", "Right"))
_SHORT = (
    (dict(zip("aiueo", VOWELS, strict=True)), frozenset("aiueo")),
    ({name.casefold(): f"viseme_{name}" for name in VISEMES}, frozenset(("pp", "ff", "dd", "aa"))),
)
"""Names too short to mean anything unless others stand beside them in the mesh."""
_WORD_MARKS = re.compile(r"[\W_]+")
_COPY = re.compile(r"(\.\d{3}|_div2)$")
"""What Blender puts after the name of a copy, and Daz after that of half a shape."""
_OWN, _HALF, _DIALECT, _BOTH = range(4)
"""How near to Apple's a name is: the same; one side of what is one shape there; of another system;
one shape of what are two sides there. For each source the nearest names count."""
_FULL, _ENOUGH_VISEMES, _ENOUGH_VOWELS = 8, 8, 3


def read_map(path: Path) -> dict[str, Shares]:
    """A user's map of names: shape -> what drives it.

    Raises:
        OptionError: there is no such file, it is no TOML, or it names what drives nothing.
    """
    what = f"{path} is no map of shape names"
    remedy = 'write lines such as "Mouth_Open" = "jawOpen"'
    with refusing(OptionError, what, remedy):
        lines = tomllib.loads(read_regular(path, _MAX_MAP_BYTES).decode())
        return {name: _shares(value, name) for name, value in lines.items()}


def drives(
    meshes: Iterable[tuple[str, ...]], own: Mapping[str, Shares], meant: Mapping[str, Shares]
) -> dict[str, Shares]:
    """What drives each shape; those that nothing drives are left out.

    Args:
        meshes: the names of each mesh's shapes.
        own: the user's map, which has the last word.
        meant: what the file itself says of shapes whose names say nothing.

    Raises:
        RigError: the user's map names shapes that no mesh has.
    """
    meshes = [names for names in meshes if names]
    known = {name for names in meshes for name in names}
    for name in own:
        if name not in known:
            raise RigError(f"the map names the shape {name!r}; {did_you_mean(name, sorted(known))}")
    found: dict[str, Shares] = {}
    superseded: set[str] = set()
    for names in meshes:
        matches = {name: match for name in names if (match := _match(name, names)) is not None}
        found |= {name: shares for name, (shares, _) in matches.items()}
        superseded |= _superseded(matches)
    found = {name: shares for name, shares in found.items() if name not in superseded}
    served = {source for shares in found.values() for source in shares}
    found |= {
        name: shares
        for name, shares in meant.items()
        if name not in found and not shares.keys() & served
    }
    mouth = system(own) or system({**found, **own})
    return {**_with_one_mouth(found, mouth), **own}


def system(driven: Mapping[str, Shares]) -> str | None:
    """Who moves the mouth: "shapes", "visemes", "vowels", or None if nothing opens it."""
    sources = {source for shares in driven.values() for source in shares}
    shapes, visemes = sources & set(MOUTH), sources & set(VISEME_SOURCES)
    vowels = sources & set(VOWELS)
    opened = "jawOpen" in shapes
    if opened and len(shapes) >= _FULL:
        return "shapes"
    if "viseme_aa" in visemes and len(visemes) >= _ENOUGH_VISEMES:
        return "visemes"
    if "aa" in vowels and len(vowels) >= _ENOUGH_VOWELS:
        return "vowels"
    if opened:
        return "shapes"
    return "visemes" if "viseme_aa" in visemes else "vowels" if "aa" in vowels else None


def _with_one_mouth(driven: dict[str, Shares], mouth: str | None) -> dict[str, Shares]:
    """Without the mouth shapes of the systems that do not move it."""
    kinds = {"shapes": MOUTH, "visemes": VISEME_SOURCES, "vowels": VOWELS}
    others = {s for kind, sources in kinds.items() if kind != mouth for s in sources}
    left = {
        name: {source: share for source, share in shares.items() if source not in others}
        for name, shares in driven.items()
    }
    return {name: shares for name, shares in left.items() if shares}


def _superseded(matches: Mapping[str, tuple[Shares, int]]) -> set[str]:
    """Shapes of a mesh all of whose sources are served by names that are nearer."""
    nearest: dict[str, int] = {}
    for shares, nearness in matches.values():
        for source in shares:
            nearest[source] = min(nearness, nearest.get(source, nearness))
    return {
        name
        for name, (shares, nearness) in matches.items()
        if all(nearest[source] < nearness for source in shares)
    }


def shares_of(name: str) -> Shares:
    """What drives a shape or an expression of that name; nothing if it is unknown."""
    match = _match(name, (name,))
    return {} if match is None else match[0]


def _match(name: str, names: tuple[str, ...]) -> tuple[Shares, int] | None:
    """What drives a shape among its mesh's, and how near its name is to Apple's."""
    before, after, last_words = _habits(names)
    words = _words(name)
    for short, needed in _SHORT:
        if words[-1] in short and last_words >= needed:
            return {short[words[-1]]: 1.0}, _DIALECT
    spellings = ["".join(words[i:]) for i in range(len(words))]
    if before or after:
        end = len(name) - after
        spellings += [_key(name[before:end]), _key(name[before:]), _key(name[:end])]
    table = _table()
    return next((table[spelling] for spelling in spellings if spelling in table), None)


@lru_cache(maxsize=64)
def _habits(names: tuple[str, ...]) -> tuple[int, int, frozenset[str]]:
    """How many letters all names of a mesh start and end with, and their last words."""
    last_words = frozenset(_words(name)[-1] for name in names)
    if len(names) < 2:
        return 0, 0, last_words
    return _shared_start(names), _shared_start([name[::-1] for name in names]), last_words


def _shared_start(names: Sequence[str]) -> int:
    """Characters that all of them start with."""
    first, last = min(names), max(names)
    same = (a == b for a, b in zip(first, last, strict=False))
    return next((i for i, equal in enumerate(same) if not equal), min(len(first), len(last)))


def _words(name: str) -> list[str]:
    """In small letters; at least one, which may be empty."""
    return [w for w in _WORD_MARKS.split(_COPY.sub("", name).casefold()) if w] or [""]


def _key(name: str) -> str:
    return _WORD_MARKS.sub("", name).casefold()


@lru_cache(maxsize=1)
def _table() -> dict[str, tuple[Shares, int]]:
    """Key of a name -> what drives the shape, and how near the name is to Apple's."""
    table: dict[str, tuple[Shares, int]] = {}
    sided = {name.removesuffix("Left") for name in ARKIT_NAMES if name.endswith("Left")}
    both = {base for base in sided if base not in ("jaw", "mouth")}
    for base in both:
        table[_key(base)] = ({f"{base}Left": 0.5, f"{base}Right": 0.5}, _BOTH)
    text = (files("codetalker.characters") / "names.toml").read_text(encoding="utf-8")
    for section in tomllib.loads(text).values():
        for name, value in section.items():
            for key, shares in _both_sides(name, value):
                table[key] = (shares, _DIALECT)
    for name in (*VISEME_SOURCES, *VOWELS):
        table[_key(name)] = ({name: 1.0}, _DIALECT)
    for name in ARKIT_NAMES:
        if name.removesuffix("Left").removesuffix("Right") not in sided:
            for ending in ("l", "r", "left", "right"):
                table[_key(name) + ending] = ({name: 1.0}, _HALF)
    for name in ARKIT_NAMES:
        for key in (_key(name), *_sided_keys(name)):
            table[key] = ({name: 1.0}, _OWN)
    return table


def _sided_keys(name: str) -> list[str]:
    for letter, word in _SIDES:
        if name.endswith(word):
            base = _key(name.removesuffix(word))
            return [base + letter.lower(), letter.lower() + base, word.lower() + base]
    return []


def _both_sides(name: str, value: object) -> Iterable[tuple[str, Shares]]:
    if "*" not in name:
        return [(_key(name), _shares(value, name))]
    sided = []
    for letter, word in _SIDES:
        shares = {value: 1.0} if isinstance(value, str) else dict(convert(Shares, value, name))
        there = {source.replace("*", word): share for source, share in shares.items()}
        sided += [(_key(name.replace("*", side)), there) for side in (letter, word)]
    return sided


def _shares(value: object, name: str) -> Shares:
    """A line's right side: a source, or a table of sources with shares."""
    shares = {value: 1.0} if isinstance(value, str) else convert(Shares, value, name)
    for source in shares:
        if source not in SOURCES:
            raise Malformed(f"{name!r} is driven by {source!r}; {did_you_mean(source, SOURCES)}")
    return shares
