"""Results: one JSON file per system, training and protocol, named by what it was made from.

So a benchmark that was stopped goes on where it was, and what has changed is measured anew.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from codetalker.benchmark.observed import Measured, Observed
from codetalker.benchmark.protocols import VERSION, Protocol
from codetalker.benchmark.systems import System
from codetalker.evaluation.report import write_json
from codetalker.reading import read_json


@dataclass(frozen=True)
class Store:
    """A folder of results."""

    folder: Path

    def measured(self, system: System, protocol: Protocol) -> Measured:
        """As it is there, or as it is measured now and kept."""
        made_from = [VERSION, system.digest, protocol.name, protocol.data]
        key = hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:16]
        path = self.folder / f"{system.name}-{system.seed}" / f"{protocol.name}-{key}.json"
        if path.exists():
            kept = read_json(path)
            return Measured(tuple(map(Observed.from_json, kept["clips"])), kept["curves"])
        found = protocol.measure(system)
        path.parent.mkdir(parents=True, exist_ok=True)
        clips = [observed.as_json() for observed in found.clips]
        write_json(
            path,
            {"system": system.name, "seed": system.seed, "digest": system.digest,
             "protocol": protocol.name, "clips": clips, "curves": found.curves},
        )  # fmt: skip
        return found


Results = dict[str, dict[str, list[Measured]]]
"""Protocol -> system -> one per training."""
