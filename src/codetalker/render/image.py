"""Pictures as PNG and JPEG files, through PyAV, which the package needs for sound and film too."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray


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


def decode_png(data: bytes) -> NDArray[np.uint8]:
    """The bytes of a PNG file -> (H, W, 4) uint8 sRGB with alpha."""
    with av.open(io.BytesIO(data), "r", format="png_pipe") as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgba")
    return np.asarray(picture, np.uint8)
