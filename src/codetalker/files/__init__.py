"""Files from motion: one registry of formats, one module for each, chosen by suffix.

In the flow speech -> features -> codes -> motion -> mesh -> **file**. A format takes one form of a
motion (its weights, its vertices, a face in motion, a mesh for every frame); whatever has that form
can be written so.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Protocol

from codetalker.disk import (
    check_file,
    check_new_folder,
    check_parent,
    new_folder,
    replacing,
)
from codetalker.errors import OptionError, OutputError, did_you_mean
from codetalker.progress import Progress


class Savable(Protocol):
    """What can be written: it has some of the forms that formats take."""

    FORMS: ClassVar[tuple[str, ...]]

    def form(self, name: str) -> Any:
        """Itself in one of its `FORMS`."""
        ...


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        suffix: of its name.
        takes: the form of motion that is written.
        writer: `module:function`, imported when it is used, of a path and that form; its
            keyword-only parameters are the format's options.
        flow: `module:function` that writes motion as it comes, in constant memory; or None.
        sequence: a file for every frame, in a folder called like the path without its suffix.
        needs: `module:function` that raises where what it is written with is not installed; None
            for what comes with this package.
    """

    suffix: str
    takes: str
    writer: str
    flow: str | None = None
    sequence: bool = False
    needs: str | None = None


_USD = "codetalker.files.needs:openusd"

FORMATS = (
    Format(".glb", "character", "codetalker.characters.clip:write_clip"),
    Format(".vrm", "character", "codetalker.characters.clip:write_clip"),
    Format(".npz", "weights", "codetalker.files.npz:write_weights"),
    Format(".npz", "vertices", "codetalker.files.npz:write_vertices"),
    Format(
        ".csv",
        "weights",
        "codetalker.files.livelink:write_livelink",
        "codetalker.files.livelink:write_flow",
    ),
    Format(".glb", "animation", "codetalker.files.glb:write_glb"),
    Format(".mp4", "animation", "codetalker.files.mp4:write_mp4"),
    Format(".html", "animation", "codetalker.files.html:write_html"),
    Format(".json", "weights", "codetalker.files.json_forms:write_json"),
    Format(".tsv", "weights", "codetalker.files.cues:write_tsv"),
    Format(".dat", "weights", "codetalker.files.cues:write_dat"),
    Format(".usd", "animation", "codetalker.files.usd:write_usd", needs=_USD),
    Format(".usda", "animation", "codetalker.files.usd:write_usd", needs=_USD),
    Format(".usdz", "animation", "codetalker.files.usd:write_usdz", needs=_USD),
    Format(
        ".fbx",
        "animation",
        "codetalker.files.fbx:write_fbx",
        needs="codetalker.files.needs:blender",
    ),
    Format(".obj", "meshes", "codetalker.files.mesh:write_sequence", sequence=True),
    Format(".ply", "meshes", "codetalker.files.mesh:write_sequence", sequence=True),
    Format(".vrma", "character", "codetalker.characters.vrma:write_vrma_of"),
    Format(".vrma", "weights", "codetalker.characters.vrma:write_vrma"),
)
"""What can be written."""


def formats_of(kind: type[Savable]) -> tuple[str, ...]:
    """Suffixes of the formats that a kind of motion can be written in."""
    return tuple(f.suffix for f in FORMATS if f.takes in kind.FORMS)


def suffixes_of(format: str, known: Collection[str]) -> tuple[str, ...]:
    """The suffixes of formats that are named with commas between them: `npz, .csv`.

    Raises:
        OptionError: one is not among `known`; the nearest is named.
    """
    suffixes = tuple(f".{name.strip().lower().removeprefix('.')}" for name in format.split(","))
    unknown = [suffix for suffix in suffixes if suffix not in known]
    if unknown:
        name, names = unknown[0][1:], [suffix[1:] for suffix in known]
        raise OptionError(f"there is no format {name!r}; {did_you_mean(name, names, str)}")
    return suffixes


def save(
    motion: Savable,
    path: str | os.PathLike[str],
    /,
    progress: Progress | None = None,
    **options: Any,
) -> Path:
    """Write a motion in the format of the path's suffix, and say where: the file, or the folder.

    Args:
        motion: what to write.
        path: the file; it appears complete or not at all.
        progress: called now and then by the formats that take long.
        options: passed on to the writer of that format.

    Raises:
        OutputError: the suffix is unknown, or the file cannot be written there.
        OptionError: the format has no such option.
    """
    path = Path(path)
    check_output(path, formats_of(type(motion)))
    place = written_to(path)
    suffix = path.suffix.lower()
    chosen = next(f for f in FORMATS if f.suffix == suffix and f.takes in motion.FORMS)
    write = _named(chosen.writer)
    known = _options(write)
    _check_options(options, known - {"progress"}, suffix)
    if "progress" in known:
        options["progress"] = progress
    content = motion.form(chosen.takes)
    if chosen.sequence:
        with new_folder(place) as folder:
            write(folder / path.name, content, **options)
    else:
        with replacing(place) as temporary:
            write(temporary, content, **options)
    return place


def flows(path: Path) -> bool:
    """Whether a motion of weights can be written there as it comes."""
    return any(f.flow and f.suffix == path.suffix.lower() for f in FORMATS)


def save_flow(parts: Iterable[Savable], path: Path) -> Path:
    """Write motions of weights that follow each other, as they come, and say where.

    Raises:
        OutputError: the file cannot be written there.
    """
    check_output(path, [f.suffix for f in FORMATS if f.flow])
    (writer,) = (f.flow for f in FORMATS if f.flow and f.suffix == path.suffix.lower())
    with replacing(path) as temporary:
        _named(writer)(temporary, parts)
    return path


def written_to(path: Path) -> Path:
    """What appears for an output of that name: the file, or the folder of a mesh sequence."""
    sequences = {f.suffix for f in FORMATS if f.sequence}
    return path.with_suffix("") if path.suffix.lower() in sequences else path


def check_output(path: Path, known: Collection[str]) -> None:
    """See that a motion can be written there, before the work that makes it.

    Args:
        path: the name that the user gives.
        known: the suffixes that the motion can be written with.

    Raises:
        OutputError: the suffix is unknown, the folder does not exist or is not writable, or what
            will be made is there and is not to be replaced, or Blender is not installed for .fbx.
        MissingExtraError: an optional dependency that writes that format is not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in known:
        hint = did_you_mean(suffix, known, str)
        raise OutputError(f"{path}: no format has the suffix {path.suffix!r}; {hint}")
    for needed in {f.needs for f in FORMATS if f.suffix == suffix and f.needs}:
        _named(needed)()
    place = written_to(path)
    if place == path:
        check_file(path)
    else:
        check_new_folder(place)
        check_parent(place)


def _named(name: str) -> Callable[..., Any]:
    """The function called `module:function`."""
    module, function = name.split(":")
    return getattr(import_module(module), function)


def _options(write: Callable[..., Any]) -> set[str]:
    """A writer's options: its keyword-only parameters."""
    parameters = inspect.signature(write).parameters.values()
    return {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}


def _check_options(options: Mapping[str, Any], known: set[str], suffix: str) -> None:
    for name in options:
        if name not in known:
            hint = did_you_mean(name, sorted(known)) if known else "it has none"
            raise OptionError(f"the format {suffix} has no option {name!r}; {hint}")
