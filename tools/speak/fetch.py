"""The packages that voices and texts are read from: fetched once into a folder, not installed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

NOVELS = "r-cran-janeaustenr"
_NOVELS_FILE = "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb"


def wheels(requirements: Sequence[str], cache: Path) -> list[Path]:
    """The wheels of PyPI packages, each `name==version`, without what they depend on."""
    found = []
    for requirement in requirements:
        name, version = requirement.replace("-", "_").split("==")
        if not (there := sorted(cache.glob(f"{name}-{version}-*.whl"))):
            _run(
                sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", cache, requirement
            )
            there = sorted(cache.glob(f"{name}-{version}-*.whl"))
        found.append(there[0])
    return found


def novels(cache: Path) -> Path:
    """The data base of the R package janeaustenr, from Debian's package; R is not needed."""
    unpacked = cache / NOVELS
    if not (unpacked / _NOVELS_FILE).is_file():
        cache.mkdir(parents=True, exist_ok=True)
        _run("apt-get", "download", "-q", NOVELS, cwd=cache)
        _run("dpkg-deb", "-x", max(cache.glob(f"{NOVELS}_*.deb")), unpacked)
    return unpacked / _NOVELS_FILE


def _run(*command: object, cwd: Path | None = None) -> None:
    subprocess.run([str(part) for part in command], cwd=cwd, check=True, stdout=subprocess.DEVNULL)
