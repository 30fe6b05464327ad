"""The README's picture: frames of the example over its waveform.

python tools/draw_strip.py -o docs/strip.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import codetalker
from codetalker.render.image import encode_png
from codetalker.render.strip import Strip, strip

EXAMPLE = Path(__file__).parents[1] / "examples" / "sense_and_sensibility.flac"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--audio", type=Path, default=EXAMPLE)
    parser.add_argument("--mouth", action="store_true", help="the mouth alone")
    parser.add_argument("--frames", type=int, default=10)
    arguments = parser.parse_args()
    motion = codetalker.load("studio").animate(arguments.audio)
    look = Strip(tile=180, wave=80, mouth=arguments.mouth)
    arguments.out.write_bytes(encode_png(strip(motion.on(), arguments.frames, look=look)))


if __name__ == "__main__":
    main()
