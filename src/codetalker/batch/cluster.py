"""The machines of a Ray cluster: Ray Data with actors that hold a worker, and so a talker, each.

In the flow **speech -> features -> codes -> motion -> mesh -> file**, all of it. Recordings go out
as small blocks of the manifest and rows of the ledger come back; sounds and faces do not pass
through Ray. An actor that is lost is started again, and its block is done again.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, cast

import pyarrow as pa

from codetalker.batch import ledger
from codetalker.batch.pool import row_of, workers
from codetalker.batch.work import Plan, Row
from codetalker.errors import MissingExtraError, OptionError

LOCAL = "local"
"""An address: a cluster of this machine alone, which lives as long as we."""
_BLOCKS, _LARGEST_BLOCK = 1000, 64
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
_STORE = 256 << 20
"""Bytes of the object store of a local cluster; what passes through it is small."""


class Animator:
    """What an actor runs: the rows of a ledger from those of a manifest."""

    def __init__(self, plan: dict[str, Any], seconds: float) -> None:
        self._plan = Plan(**plan)
        self._runner = asyncio.Runner()
        self._workers = workers(1, seconds)

    def __call__(self, block: pa.Table) -> pa.Table:
        rows = [
            self._runner.run(row_of(self._workers, self._plan, recording))
            for recording in block.to_pylist()
        ]
        return ledger.table_of(rows)


def on_cluster(
    recordings: pa.Table, plan: Plan, address: str, count: int | None, seconds: float
) -> Iterator[Row]:
    """The rows of recordings, as they are done.

    Args:
        address: of a cluster that runs, `auto` for that of this machine, or `LOCAL`.
        count: of actors; as many as there are processors for None. Ray starts no more than the
            memory of its machines holds.
        seconds: that a recording may take.

    Raises:
        MissingExtraError: Ray is not installed.
        OptionError: no cluster answers there.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError:
        raise MissingExtraError("ray", "batch") from None

    _join(address, count)
    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_no_progress_timeout_s = -1  # a film may take an hour
        size = min(_LARGEST_BLOCK, max(1, len(recordings) // _BLOCKS))
        blocks = [recordings.slice(i, size) for i in range(0, len(recordings), size)]
        most = count or max(1, int(ray.cluster_resources().get("CPU", 1)))
        rows = ray.data.from_arrow(blocks).map_batches(
            Animator,
            batch_format="pyarrow",
            fn_constructor_args=(asdict(plan), seconds),
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=most, initial_size=most),
            num_cpus=1,
            memory=plan.memory,
        )
        for batch in rows.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            yield from cast(pa.Table, batch).to_pylist()
    finally:
        ray.shutdown()


def _join(address: str, count: int | None) -> None:
    """Become part of a cluster, quietly."""
    import ray

    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address == LOCAL:
            ray.init(
                LOCAL,
                num_cpus=count,
                object_store_memory=_STORE,
                include_dashboard=False,
                **quiet,
            )
        else:
            ray.init(address, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        why = " ".join(str(error).split())[:200]
        raise OptionError(f"no Ray cluster answers at {address} ({why}); correct --ray") from None
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
