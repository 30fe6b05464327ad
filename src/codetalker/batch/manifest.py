"""Manifests: which recordings, with which names and options of their own, as an Arrow table.

**Speech** -> features -> codes -> motion -> mesh -> file: before all of it. A table, because a
million rows take 100 MB so, and what is wrong with one of them is found without a loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from codetalker.batch.location import Location, files_in
from codetalker.errors import DataError, did_you_mean
from codetalker.reading import refusing
from codetalker.rendition import Wishes

pc: Any = pyarrow.compute
"""Its functions are made when it is imported, unseen by type checkers."""

_SUFFIXES = (
    "wav w64 flac mp3 mp2 ogg oga opus m4a aac aif aiff aifc au caf wma amr ac3 mka "
    "mp4 m4v mov mkv webm avi mpg mpeg ts mts 3gp wmv flv mxf ogv"
)
SOUNDS = frozenset(f".{suffix}" for suffix in _SUFFIXES.split())
"""Suffixes of the recordings in a folder; a manifest may name any file."""
OWN = tuple(field.name for field in fields(Wishes))
"""Columns of options that a recording may have of its own."""
FILES = ("template", "character", "names")
"""Those of them that name files."""
COLUMNS = ("sound", "name", *OWN)
_BAD_NAME = r"^/|(^|/)\.*(/|$)|[\x00-\x1f\x7f\\]|^ledger/"


def recordings(source: Location, out: Location) -> pa.Table:
    """The recordings of a folder, or of a manifest (.csv, .jsonl, .parquet).

    Returns:
        Columns `sound` (a location), `name` (of the output, without suffix) and those of `OWN` that
        a manifest has; all of text, null where it says nothing.

    Raises:
        DataError: there is no such thing, it holds nothing, or two outputs would have one name.
    """
    if source.system.isdir(source.path):
        names = [n for n in files_in(source, out) if PurePosixPath(n).suffix.lower() in SOUNDS]
        table = pa.table({"sound": names}, schema=pa.schema({"sound": pa.string()}))
        folder, what = source, f"the folder {source.url}"
    else:
        table, folder, what = _manifest(source), source.parent, f"the manifest {source.url}"
    if not len(table):
        raise DataError(f"{what} holds no recordings; name another")
    own = dict(zip(table.column_names, table.columns, strict=True))
    in_folder = what.startswith("the folder")
    stems = [_stem(sound, whole=in_folder) for sound in own["sound"].to_pylist()]
    own["name"] = pc.coalesce(own["name"], pa.array(stems)) if "name" in own else pa.array(stems)
    for column in ("sound", *FILES):
        if column in own:
            values = own[column].to_pylist()
            own[column] = pa.array([v and folder.beside(v) for v in values], pa.string())
    table = pa.table(own)
    _check_names(table, what)
    return table


def _stem(sound: str, whole: bool) -> str:
    path = PurePosixPath(sound)
    return str(path.with_suffix("")) if whole else path.stem


def _manifest(source: Location) -> pa.Table:
    """The table in a manifest, with the columns that we know, all of text."""
    suffix = PurePosixPath(source.path).suffix.lower()
    if suffix not in _READERS:
        kinds = ", ".join(_READERS)
        exists = source.exists()
        why = f"is neither a folder nor a manifest ({kinds})" if exists else "does not exist"
        raise DataError(f"{source.url} {why}; name a folder of recordings or a manifest")
    with source.fetched(DataError) as path:
        what, remedy = f"{source.url} is not a manifest", "write one row for each recording"
        missing = f"{source.url} does not exist; check the spelling of the path"
        with refusing(DataError, what, remedy, missing):
            table = _READERS[suffix](path)
            known = [name for name in table.column_names if name in COLUMNS]
            texts = {name: _text(table[name]) for name in known}
    for name in table.column_names:
        hint = did_you_mean(name, COLUMNS)
        if name not in COLUMNS and hint.startswith("did"):
            raise DataError(f"{source.url} has the column {name!r}; {hint}")
    if "sound" not in texts:
        raise DataError(f"{source.url} has no column 'sound'; name the recordings in one")
    if texts["sound"].null_count:
        row = pc.index(texts["sound"].is_null(), True).as_py() + 1
        raise DataError(f"{source.url} names no sound in row {row}; complete it")
    return pa.table(texts)


def _text(column: Any) -> pa.ChunkedArray:
    text = pc.utf8_trim_whitespace(column.cast(pa.string()))
    return pc.if_else(pc.equal(text, ""), None, text)


def _csv(path: Path) -> pa.Table:
    options = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(COLUMNS, pa.string()))
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    return pyarrow.csv.read_csv(path, convert_options=options, parse_options=parse)


_READERS: dict[str, Callable[[Path], pa.Table]] = {
    ".csv": _csv,
    ".jsonl": pyarrow.json.read_json,
    ".parquet": pq.read_table,
}


def _check_names(table: pa.Table, what: str) -> None:
    """See that each output has a name of its own that stays in the folder."""
    bad = table.filter(pc.match_substring_regex(table["name"], _BAD_NAME))
    if len(bad):
        name, sound = bad["name"][0].as_py(), bad["sound"][0].as_py()
        raise DataError(f"{what} gives {sound} the name {name!r}; name it in the folder, in text")
    counts = table.group_by("name").aggregate([("name", "count")])
    twice = counts.filter(pc.greater(counts["name_count"], 1))
    if len(twice):
        name = twice["name"][0].as_py()
        one, other = table.filter(pc.equal(table["name"], name))["sound"].to_pylist()[:2]
        raise DataError(
            f"{one} and {other} would both be written to {name!r}; give one another name"
        )
