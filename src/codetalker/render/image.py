"""Pictures as PNG and JPEG files, through PyAV, which the package needs for sound and film too."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import cast

import av
import av.error
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from codetalker.reading import Malformed

_MOST_PIXELS = 1 << 26


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """(H, W, 3) or (H, W, 4) uint8 sRGB -> the bytes of a PNG file."""
    layout = {3: "rgb24", 4: "rgba"}[image.shape[2]]
    return _encoded(image, "png", layout, {"pred": "mixed", "compression_level": "9"})


def encode_jpeg(image: NDArray[np.uint8]) -> bytes:
    """(H, W, 3) uint8 sRGB -> the bytes of a JPEG file, near to the picture.

    Colour has half the resolution of brightness: for all of it FFmpeg writes sampling factors that
    jpgd, which Godot read with up to 4.4, does not take.
    """
    return _encoded(image, "mjpeg", "yuvj420p", {"qmin": "2", "qmax": "2", "huffman": "optimal"})


def _encoded(
    image: NDArray[np.uint8], codec_name: str, layout: str, options: dict[str, str]
) -> bytes:
    codec = cast(VideoCodecContext, av.CodecContext.create(codec_name, "w"))
    codec.width, codec.height, codec.pix_fmt = image.shape[1], image.shape[0], layout
    codec.time_base = Fraction(1)
    codec.sample_aspect_ratio = Fraction(1)  # else the file says that its pixels are 0 by 1
    codec.options = options
    given = {3: "rgb24", 4: "rgba"}[image.shape[2]]
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format=given)
    packets = [*codec.encode(frame.reformat(format=layout)), *codec.encode(None)]
    return b"".join(bytes(packet) for packet in packets)


def decode_picture(data: bytes, side: int) -> NDArray[np.uint8]:
    """The bytes of a PNG or JPEG file -> (H, W, 4) uint8 sRGB with alpha, made smaller where it is
    longer than `side`.

    Raises:
        Malformed: it is neither, damaged, or immense.
    """
    kind = {b"\x89PNG": "png_pipe", b"\xff\xd8\xff": "jpeg_pipe"}
    name = next((name for start, name in kind.items() if data.startswith(start)), None)
    if name is None:
        raise Malformed("a picture is neither PNG nor JPEG")
    try:
        with av.open(io.BytesIO(data), "r", format=name) as container:
            stream = container.streams.video[0]
            if not 0 < stream.width * stream.height <= _MOST_PIXELS:
                raise Malformed("a picture is immense")
            frame = next(container.decode(stream))
            scale = min(1, side / max(frame.width, frame.height))
            width, height = (max(round(n * scale), 1) for n in (frame.width, frame.height))
            shown = frame.reformat(width, height, "rgba", interpolation="AREA")
            return np.asarray(shown.to_ndarray(), np.uint8)
    except (av.error.FFmpegError, StopIteration, IndexError) as error:
        raise Malformed("a picture is damaged") from error


def decode_png(data: bytes) -> NDArray[np.uint8]:
    """The bytes of a PNG file -> (H, W, 4) uint8 sRGB with alpha."""
    with av.open(io.BytesIO(data), "r", format="png_pipe") as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgba")
    return np.asarray(picture, np.uint8)
