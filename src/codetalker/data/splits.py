"""The official splits of VOCASET and BIWI, by name.

A data set is named here and nowhere in the mathematics. Source: the released configurations
(Xing et al., CodeTalker, 2023), which follow VOCA and FaceFormer.
"""

from __future__ import annotations

from dataclasses import dataclass

UNUSED = "unused"
"""The split of clips that the official protocol leaves out."""


@dataclass(frozen=True)
class Portion:
    """Subjects and the sentences of theirs that belong to a split."""

    split: str
    subjects: tuple[str, ...]
    sentences: range


@dataclass(frozen=True)
class Protocol:
    """A data set's frame rate, unit and splits.

    Attributes:
        name: of the data set.
        fps: frames per second of the motion as it is modelled.
        unit_mm: millimetres per unit of its coordinates; None where they have no physical unit.
        clip_name: pattern of a clip's name, of `subject` and `sentence`; None where the set of
            clips is not fixed.
        parts: the splits; the subjects of the first are the styles, in the official order.
    """

    name: str
    fps: float
    unit_mm: float | None
    clip_name: str | None
    parts: tuple[Portion, ...]

    def split(self, subject: str, sentence: int) -> str:
        """The split that a clip belongs to; `UNUSED` if none."""
        for part in self.parts:
            if subject in part.subjects and sentence in part.sentences:
                return part.split
        return UNUSED

    def clip_names(self) -> list[tuple[str, str]]:
        """Name and split of every clip in the splits; none where the set is not fixed."""
        if self.clip_name is None:
            return []
        return [
            (self.clip_name.format(subject=subject, sentence=sentence), part.split)
            for part in self.parts
            for subject in part.subjects
            for sentence in part.sentences
        ]


def _voca(*numbers: str) -> tuple[str, ...]:
    return tuple(f"FaceTalk_{number}_TA" for number in numbers)


VOCASET = Protocol(
    "vocaset",
    30.0,
    1000.0,
    "{subject}_sentence{sentence:02d}",
    (
        Portion(
            "train",
            _voca(
                "170728_03272",
                "170904_00128",
                "170725_00137",
                "170915_00223",
                "170811_03274",
                "170913_03279",
                "170904_03276",
                "170912_03278",
            ),
            range(1, 41),
        ),
        Portion("val", _voca("170811_03275", "170908_03277"), range(21, 41)),
        Portion("test", _voca("170809_00138", "170731_00024"), range(21, 41)),
    ),
)

_BIWI_SEEN = ("F2", "F3", "F4", "M3", "M4", "M5")

BIWI = Protocol(
    "biwi",
    25.0,
    None,
    "{subject}_e{sentence:02d}",
    (
        Portion("train", _BIWI_SEEN, range(1, 33)),
        Portion("val", _BIWI_SEEN, range(33, 37)),
        Portion("test-a", _BIWI_SEEN, range(37, 41)),
        Portion("test-b", ("F1", "F5", "F6", "F7", "F8", "M1", "M2", "M6"), range(37, 41)),
    ),
)

PROTOCOLS = {protocol.name: protocol for protocol in (VOCASET, BIWI)}
