"""Media: what sound and films are read from, a file or a pipe, opened so that it leads nowhere.

In the flow **speech** -> features -> codes -> motion. Used by `codetalker.sound_file`, and for
films by `codetalker.capture.film`.
"""

from __future__ import annotations

import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, cast

import av
import av.error
from av.codec.codec import Codec, UnknownCodecError, codecs_available
from av.container import InputContainer

from codetalker.errors import AudioError
from codetalker.ogg import Link, links

STANDARD_INPUT = "-"
_FORMATS = (
    "aac ac3 act aiff amr amrnb amrwb ape apm aptx aptx_hd asf au avi caf dsf dss dts dtshd dv "
    "eac3 flac flv g722 g723_1 g729 gsm gxf iff ircam ivf loas matroska mlp mov mp3 mpc mpc8 mpeg "
    "mpegts mxf nistsphere nut ogg oma osq pvf qcp qoa rm rso sbc sds shn smjpeg sox tak truehd "
    "tta voc w64 wav webm wtv wv xa xwma"
)
"""Containers, by FFmpeg's names: playlists and lists of parts, which lead to other files, are none
of them."""
_MAX_SPOOLED = 4 << 30
"""Bytes that may come from a pipe."""


@cache
def _decoders(*kinds: str) -> str:
    """Those that this FFmpeg has: of sound alone, a picture of 32000 x 32000 is not looked at."""
    names = sorted(codecs_available)
    return ",".join(name for name in names if _decodes(name, kinds))


def _decodes(name: str, kinds: tuple[str, ...]) -> bool:
    try:
        return Codec(name, "r").type in kinds
    except UnknownCodecError:
        return False


def _options(kinds: tuple[str, ...]) -> dict[str, str]:
    return {
        "format_whitelist": _FORMATS.replace(" ", ","),
        "codec_whitelist": _decoders(*kinds),
        "protocol_whitelist": "",
    }


@contextmanager
def opened(
    part: IO[bytes], path: Path, kinds: tuple[str, ...] = ("audio",)
) -> Iterator[InputContainer]:
    """A container that leads nowhere else: bytes have no name, and playlists no reader. What is not
    of these kinds, `audio` and `video`, cannot be decoded."""
    try:
        container = av.open(part, "r", options=_options(kinds), metadata_errors="replace")
    except (av.error.FFmpegError, ValueError):
        raise AudioError(
            f"{path} is not an audio or video file that can be decoded; convert it to WAV or FLAC"
        ) from None
    with container:
        yield container


@contextmanager
def parts_of(path: Path) -> Iterator[list[IO[bytes]]]:
    """The file, or the links of a chain, of which each is a file."""
    with _seekable(path) as file:
        yield [cast(IO[bytes], Link(file, *link)) for link in links(file)]


@contextmanager
def _seekable(path: Path) -> Iterator[IO[bytes]]:
    """A file, or all that comes out of a pipe."""
    if str(path) == STANDARD_INPUT:
        with _spooled(sys.stdin.buffer, "standard input") as file:
            yield file
        return
    if _is_pipe(path):
        with path.open("rb") as stream, _spooled(stream, str(path)) as file:
            yield file
        return
    try:
        file = path.open("rb")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise AudioError(f"{path} cannot be read: {reason}; check its mode") from None
    with file:
        yield file


@contextmanager
def _spooled(stream: IO[bytes], name: str) -> Iterator[IO[bytes]]:
    """All that comes out of a pipe, in a file without a name."""
    with tempfile.TemporaryFile() as file:
        while block := stream.read(1 << 20):
            file.write(block)
            if file.tell() > _MAX_SPOOLED:
                raise AudioError(f"{name} gives more than 4 GiB; write it to a file first")
        if not file.tell():
            raise AudioError(f"{name} is empty; see whether what writes to it has failed")
        file.seek(0)
        yield file


def _is_pipe(path: Path) -> bool:
    """Whether it has no end that is known: a pipe, a socket, a terminal.

    Raises:
        AudioError: there is nothing, nothing in it, or a folder.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        raise AudioError(f"{path} does not exist; check the spelling of the path") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise AudioError(f"{path} cannot be read: {reason}; check the path") from None
    if stat.S_ISDIR(found.st_mode):
        raise AudioError(f"{path} is a directory; name an audio or video file in it")
    if not stat.S_ISREG(found.st_mode):
        return True
    if not found.st_size:
        raise AudioError(f"{path} is an empty file; record or copy it again")
    return False
