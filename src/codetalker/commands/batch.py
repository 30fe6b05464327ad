"""`codetalker batch`: a manifest or a folder of recordings in, a folder of faces and a ledger out.

In the flow **speech -> features -> codes -> motion -> mesh -> file**, all of it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import pyarrow as pa
from tyro.conf import Positional, arg

import codetalker
from codetalker.batch.cluster import on_cluster
from codetalker.batch.ledger import FAILED, FOLDER, Ledger
from codetalker.batch.location import Location, sending
from codetalker.batch.manifest import recordings
from codetalker.batch.pool import free_memory, on_this_machine
from codetalker.batch.run import plain_rows, recorded, with_known
from codetalker.batch.work import Plan, digest_of, plain
from codetalker.disk import check_parent, explained
from codetalker.errors import OptionError
from codetalker.files import FORMATS, check_output, suffixes_of
from codetalker.model_folder import FOR_FILES, find_model
from codetalker.places import check_files_kept
from codetalker.rendition import Rendition, Wishes, shown_as
from codetalker.workers import CORES

_AS_TRAINED = Wishes()


def batch(
    source: Annotated[Positional[str], shown_as("MANIFEST|FOLDER")],
    *,
    output: Annotated[str, shown_as("OUT", "-o")],
    format: Annotated[str, shown_as("NPZ,GLB,...")] = "glb",
    model: Annotated[str | None, shown_as("MODEL")] = None,
    ray: Annotated[str | None, shown_as("ADDRESS")] = None,
    workers: Annotated[int | None, shown_as("N")] = None,
    memory: float = 2.0,
    timeout: float = 3600.0,
    wishes: Annotated[Wishes, arg(name="")] = _AS_TRAINED,
) -> int:
    """Turn many recordings into talking faces, on all cores or on a cluster.

    Started again, it does what is not done yet, or what has changed: the content of sound, model
    and options decides. OUT/ledger, Parquet, says what has become of each recording.

    Args:
        source: a folder, or a table (.csv, .jsonl, .parquet) with a recording in the column
            `sound` of each row and, if you like, `name`, of the output, and options of its own
            such as `style` or `character`; here or at a URL, such as s3://bucket/clips.
        output: folder, here or at a URL.
        format: the formats to write, separated by commas.
        model: folder or name of a model, on every machine; by default the bundled `studio`.
        ray: of a Ray cluster: HOST:PORT, `auto` for one that this machine is part of, `local` for
            one of this machine alone; without it the work is done by processes of this machine.
        workers: how many recordings at once; as many as there are processors, and memory for.
        memory: gigabytes that one recording may take.
        timeout: seconds that one recording may take.
    """
    if workers is not None and workers < 1:
        raise OptionError(f"--workers {workers} do nothing; ask for 1 or more")
    if not (memory > 0 and timeout > 0):
        raise OptionError("--memory and --timeout are more than 0; correct them")
    folder, out = find_model(model or FOR_FILES), Location.of(output)
    rendition = Rendition.of(codetalker.load(folder), wishes)
    suffixes = tuple(dict.fromkeys(suffixes_of(format, rendition.formats)))
    sequences = {f.suffix for f in FORMATS if f.sequence} & {*suffixes}
    if sequences:
        raise OptionError(f"{min(sequences)} is a file for every frame; write one as .npz or .glb")
    rendition.check_wanted({*suffixes})
    table = recordings(Location.of(source), out)
    _check_out(out, table, suffixes, rendition.formats, (Path(source), folder, *wishes.inputs))
    ledger = Ledger(out)
    table = with_known(table, ledger)
    most = int(memory * 2**30)
    plan = Plan(out.url, suffixes, str(folder.absolute()), digest_of(folder), plain(wishes), most)
    if ray is None:
        count = workers or max(1, min(CORES, free_memory() // most))
        rows = on_this_machine(plain_rows(table), plan, count, timeout)
    else:
        rows = on_cluster(table, plan, ray, workers, timeout)
    tally = recorded(rows, ledger, len(table))
    for failure in tally.failures:
        print("error:", failure, file=sys.stderr)
    failed = tally.counts[FAILED]
    if failed > len(tally.failures):
        more = failed - len(tally.failures)
        print(f"error: {more} more have failed; {out.url}/{FOLDER} has them", file=sys.stderr)
    print(f"{out.url}: {tally}")
    return 2 if tally.counts[FAILED] else 0


def _check_out(
    out: Location,
    table: pa.Table,
    suffixes: tuple[str, ...],
    known: tuple[str, ...],
    inputs: tuple[Path, ...],
) -> None:
    """See that the folder can be written to, and that no output is an input."""
    with sending(out), explained(Path(out.path)):
        out.system.makedirs(out.path, exist_ok=True)
    if out.local is None:
        return
    check_parent(out.local / "face")
    for suffix in suffixes:
        check_output(out.local / f"face{suffix}", known)
    read = (*map(Path, table["sound"].to_pylist()), *inputs)
    names = table["name"].to_pylist()
    outputs = (out.local / f"{name}{suffix}" for name in names for suffix in suffixes)
    in_danger = [path for path in read if path.suffix.lower() in suffixes]
    if in_danger:
        check_files_kept(outputs, in_danger)
