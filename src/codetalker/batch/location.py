"""Locations: files and folders on this machine or at any URL that fsspec knows.

Around the flow speech -> features -> codes -> motion -> mesh -> file: the work itself is done on
local files, to which what is remote is fetched and from which it is sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import fsspec
import pyarrow.fs
from fsspec.implementations.arrow import ArrowFSWrapper
from fsspec.implementations.local import LocalFileSystem

from codetalker.errors import CodeTalkerError, DataError, OptionError, OutputError
from codetalker.reading import refusing


@dataclass(frozen=True)
class Location:
    """A file or a folder.

    Attributes:
        system: that of fsspec which holds it.
        path: its name there.
        url: its name for users, and for other machines.
    """

    system: Any
    path: str
    url: str

    @staticmethod
    def of(url: str) -> Location:
        """What a path, which becomes absolute, or a URL names; nothing need be there.

        Raises:
            OptionError: no installed package opens such URLs.
        """
        if "://" not in url:
            path = str(Path(url).absolute())
            return Location(LocalFileSystem(), path, path)
        try:
            system, path = fsspec.url_to_fs(url)
        except ImportError as error:
            return _by_arrow(url, str(error))
        except ValueError as error:
            raise OptionError(f"{url} cannot be opened ({error}); correct the URL") from None
        return Location(system, path, path if isinstance(system, LocalFileSystem) else url)

    @property
    def local(self) -> Path | None:
        """The path, of what is on this machine."""
        return Path(self.path) if isinstance(self.system, LocalFileSystem) else None

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.path).name

    def __truediv__(self, name: str) -> Location:
        """What has that relative name in this folder."""
        base, url = self.path.rstrip("/"), self.url.rstrip("/")
        return Location(self.system, f"{base}/{name}", f"{url}/{name}")

    @property
    def parent(self) -> Location:
        """The folder that it is in."""
        return Location(self.system, self.path.rpartition("/")[0], self.url.rpartition("/")[0])

    def beside(self, name: str) -> str:
        """The URL or absolute path of what this folder's files call `name`."""
        return name if "://" in name or name.startswith("/") else (self / name).url

    def exists(self) -> bool:
        """Whether anything is there."""
        return self.system.exists(self.path)

    @contextmanager
    def fetched(self, kind: type[CodeTalkerError]) -> Iterator[Path]:
        """The file itself where it is on this machine, else a copy for the time of the block.

        Raises:
            CodeTalkerError: of that kind, it cannot be fetched.
        """
        if self.local:
            yield self.local
            return
        with TemporaryDirectory() as folder:
            copy = Path(folder, self.name)
            missing = f"{self.url} does not exist; check the spelling of the URL"
            with refusing(kind, f"{self.url} cannot be fetched", "check the rights", missing):
                self.system.get_file(self.path, str(copy))
            yield copy

    @contextmanager
    def sent(self) -> Iterator[Path]:
        """A file to write, which is sent to a remote place at the end of the block, if it does not
        raise. On this machine it is the file itself; what writes it has it appear whole.

        Raises:
            OutputError: it cannot be sent.
        """
        if self.local:
            yield self.local
            return
        with TemporaryDirectory() as folder:
            copy = Path(folder, self.name)
            yield copy
            with sending(self):
                self.system.put_file(str(copy), self.path)


@contextmanager
def sending(place: Location) -> Iterator[None]:
    """A block that writes to a location.

    Raises:
        OutputError: it is refused.
    """
    with refusing(OutputError, f"{place.url} cannot be written", "choose another place"):
        yield


def files_in(folder: Location, without: Location) -> list[str]:
    """Names, relative to the folder, of all files in it and in its folders that are not hidden,
    in order; without those in a folder of it.

    Raises:
        DataError: it cannot be listed.
    """
    with refusing(DataError, f"{folder.url} cannot be listed", "check the rights"):
        found = folder.system.find(folder.path)
    base = folder.path.rstrip("/") + "/"
    left_out = without.path.rstrip("/") + "/" if without.system == folder.system else None
    names = (p[len(base) :] for p in found if left_out is None or not p.startswith(left_out))
    return sorted(name for name in names if not any(n.startswith(".") for n in name.split("/")))


def _by_arrow(url: str, lacking: str) -> Location:
    """Through pyarrow, which opens S3, Google's storage and HDFS without another package."""
    try:
        system, path = pyarrow.fs.FileSystem.from_uri(url)
    except (ValueError, OSError, NotImplementedError):
        raise OptionError(f"{url} cannot be opened ({lacking}); install that package") from None
    return Location(ArrowFSWrapper(system), path, url)
