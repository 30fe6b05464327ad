"""Places: which names lead to the same file, so that nothing is written over what is read.

A file has many names: through links, `sub/../`, another case, or as a hard link; and a place has a
name before anything is there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from codetalker.errors import OutputError

Place = tuple[int, int, tuple[str, ...]]
"""Device and inode of what exists, and the names from there on."""


def place(path: Path) -> Place:
    """What a name leads to, the same for every name of it, whether or not anything is there."""
    there = Path(os.path.realpath(path))
    missing: list[str] = []
    while (found := _inode(there)) is None and there != there.parent:
        missing.insert(0, there.name)
        there = there.parent
    if missing and _ignores_case(there):
        missing = [name.casefold() for name in missing]
    device, inode = found or (0, 0)
    return device, inode, tuple(missing)


def same_place(one: Path, other: Path) -> bool:
    """Whether two names lead to the same file or folder."""
    return place(one) == place(other)


def check_inputs_kept(output: Path, inputs: Iterable[Path]) -> None:
    """See that a file or folder that is to be written takes nothing away that is read.

    Args:
        output: written as a whole: what is there now is lost.
        inputs: files, or folders of which any file may be read.

    Raises:
        OutputError: the output is an input, a file of one, or holds one.
    """
    for source in inputs:
        if _lies_within(source, output):
            raise OutputError(f"{output} would replace the input {source}; choose another place")
        if _holds(source, output):
            raise OutputError(
                f"{output} would replace a file of the input {source}; choose another place"
            )


def check_files_kept(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """See that none of many files that are to be written is one of many that are read.

    Raises:
        OutputError: one is.
    """
    written = {place(output): output for output in outputs}
    for source in inputs:
        output = written.get(place(source))
        if output is not None:
            raise OutputError(f"{output} would replace the input {source}; choose another place")


def check_run_kept(folder: Path, written: Iterable[str], inputs: Iterable[Path]) -> None:
    """See that a run's folder, which may be there from an earlier start, takes no input away.

    Args:
        folder: of the run.
        written: names of what the run makes in there.
        inputs: files and folders that are read; they may lie in the folder under other names.

    Raises:
        OutputError: the folder is an input, or something in it that is written is one or holds one.
    """
    places = [folder / name for name in written]
    for source in inputs:
        if same_place(folder, source) or any(_lies_within(source, made) for made in places):
            raise OutputError(f"{folder} holds the input {source}; name another folder with -o")


def _lies_within(path: Path, folder: Path) -> bool:
    """Whether a name leads into a folder, or to the folder itself."""
    real, wanted = Path(os.path.realpath(path)), place(folder)
    return any(place(above) == wanted for above in (path, *real.parents))


def _holds(folder: Path, path: Path) -> bool:
    """Whether a file is there already, and is one of a folder or of what is linked into it."""
    wanted, walked = _inode(path), set()
    if wanted is None or not folder.is_dir():
        return False
    for root, folders, names in os.walk(folder, followlinks=True):
        here = _inode(Path(root))
        if here in walked:  # a link that leads back
            folders.clear()
        elif any(_inode(Path(root, name)) == wanted for name in names):
            return True
        walked.add(here)
    return False


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _ignores_case(folder: Path) -> bool:
    """Whether a folder is found by its name in other case too."""
    other = folder.parent / folder.name.swapcase()
    return other != folder and _inode(other) == _inode(folder)
