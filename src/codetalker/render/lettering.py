"""Lettering: names in pictures, in capitals of 3 by 5 dots; no font file is needed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_WIDE, _HIGH = 4, 6
"""Dots from one letter, and from one line, to the next."""
_ROWS = {
    " ": "00000", "A": "25755", "B": "65656", "C": "34443", "D": "65556", "E": "74647",
    "F": "74644", "G": "34553", "H": "55755", "I": "72227", "J": "11152", "K": "55655",
    "L": "44447", "M": "57755", "N": "65555", "O": "25552", "P": "65644", "Q": "25563",
    "R": "65655", "S": "34216", "T": "72222", "U": "55557", "V": "55552", "W": "55775",
    "X": "55255", "Y": "55222", "Z": "71247", "0": "75557", "1": "26227", "2": "61247",
    "3": "61216", "4": "55711", "5": "74616", "6": "34757", "7": "71122", "8": "75757",
    "9": "75716", "_": "00007", "-": "00700", ".": "00002", ":": "02020", "?": "61202",
}  # fmt: skip
"""Letter -> its five rows from the top, three dots each as the bits of a digit."""


def lettered(
    text: str, width: int, ink: tuple[int, int, int], paper: tuple[int, int, int], size: int = 2
) -> NDArray[np.uint8]:
    """A line of text as a picture, cut off where it is too long; what it cannot write is `?`.

    Args:
        text: the line.
        width: pixels of the picture.
        ink, paper: sRGB.
        size: pixels along each side of a dot.

    Returns:
        (7 * size, width, 3) uint8.
    """
    dots = np.zeros((_HIGH + 1, max(width // size + 1, _WIDE)), bool)
    for place, letter in enumerate(text.upper()[: dots.shape[1] // _WIDE]):
        rows = [int(row) for row in _ROWS.get(letter, _ROWS["?"])]
        cell = [[bool(row >> bit & 1) for bit in (2, 1, 0)] for row in rows]
        dots[1:_HIGH, place * _WIDE + 1 : place * _WIDE + _WIDE] = cell
    inked = dots.repeat(size, axis=0).repeat(size, axis=1)[:, :width]
    return np.array([paper, ink], np.uint8)[inked.astype(np.intp)]
