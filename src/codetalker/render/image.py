"""Pictures as PNG files, through PyAV, which the package needs for sound and video anyway."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """(H, W, 3) or (H, W, 4) uint8 sRGB -> the bytes of a PNG file."""
    layout = {3: "rgb24", 4: "rgba"}[image.shape[2]]
    codec = av.CodecContext.create("png", "w")
    codec.width, codec.height, codec.pix_fmt = image.shape[1], image.shape[0], layout
    codec.time_base = Fraction(1)
    codec.sample_aspect_ratio = Fraction(1)  # else the file says that its pixels are 0 by 1
    codec.options = {"pred": "mixed", "compression_level": "9"}
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format=layout)
    return b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])


def decode_png(data: bytes) -> NDArray[np.uint8]:
    """The bytes of a PNG file -> (H, W, 4) uint8 sRGB with alpha."""
    with av.open(io.BytesIO(data), "r", format="png_pipe") as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgba")
    return np.asarray(picture, np.uint8)
