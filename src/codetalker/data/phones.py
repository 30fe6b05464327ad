"""Phone-timed speech: recordings without motion, but with every phone's times; and phone classes.

A folder holds `audio/NAME.flac` and `phones.json`; docs/data.md specifies it. The classes say what
phonetics is sure of about lips and jaw, once for losses and for measures alike.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import ArrayLike, NDArray

from codetalker.arguments import shown
from codetalker.audio import SAMPLE_RATE, Waveform
from codetalker.data.clip import read_sound
from codetalker.disk import replacing
from codetalker.errors import DataError
from codetalker.reading import check_file_name, read_json, refusing
from codetalker.typed import build, convert

FORMAT_VERSION = 1
MANIFEST = "phones.json"
SILENCE = "sil"
_GAP = 2e-3  # seconds between one phone's end and the next one's start that rounding explains

# Vowels by height, after the rows of the IPA chart (2020). ᵻ, ɚ and ɝ are common additions to it.
_VOWEL_ROWS = ("iyɨʉɯu", "ɪʏʊᵻ", "eøɘɵɤo", "əɚ", "ɛœɜɞʌɔɝ", "æɐ", "aɶɑɒ")
VOWEL_HEIGHT: dict[str, float] = {
    vowel: row / (len(_VOWEL_ROWS) - 1)
    for row, vowels in enumerate(_VOWEL_ROWS)
    for vowel in vowels
}
"""Openness of each vowel: 0 is close (i, u), 1 open (a, ɑ)."""

BILABIAL = frozenset("pbmɓ")
"""Both lips meet. (β and ɸ, bilabial fricatives and approximants, leave a gap.)"""
LABIODENTAL = frozenset("fvʋɱⱱ")
"""The lower lip is at the upper teeth."""
ROUNDED = frozenset("uʊʉyʏoɔøœɵɞɒɶwɥʍ")
"""Lips protruded and narrowed: the rounded vowels of the chart and the labial approximants."""
SPREAD = frozenset("iɪejsz")
"""Corners of the mouth drawn apart."""
NEVER_SHUT = frozenset(VOWEL_HEIGHT) | frozenset(
    "tdkɡqɢʈɖcɟnɲŋɳɴszʃʒʂʐɕʑθðçʝxɣχʁħʕhɦlɫɭʎɹɻrɾɽʀjɰwɥʍβɸ"
)
"""Vowels, and consonants whose sound is lost behind closed lips."""

ARPABET: dict[str, str] = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "aʊ", "AX": "ə", "AY": "aɪ", "B": "b",
    "CH": "tʃ", "D": "d", "DH": "ð", "DX": "ɾ", "EH": "ɛ", "ER": "ɝ", "EY": "eɪ", "F": "f",
    "G": "ɡ", "HH": "h", "IH": "ɪ", "IX": "ɨ", "IY": "i", "JH": "dʒ", "K": "k", "L": "l",
    "M": "m", "N": "n", "NG": "ŋ", "OW": "oʊ", "OY": "ɔɪ", "P": "p", "R": "ɹ", "S": "s",
    "SH": "ʃ", "SIL": SILENCE, "T": "t", "TH": "θ", "UH": "ʊ", "UW": "u", "V": "v", "W": "w",
    "Y": "j", "Z": "z", "ZH": "ʒ",
}  # fmt: skip
"""ARPABET without stress digits, as the CMU dictionary and pocketsphinx write it, to IPA."""

_SPELLINGS = str.maketrans({"g": "ɡ", "ʧ": "tʃ", "ʤ": "dʒ", "ʦ": "ts", "ʣ": "dz", "ᵊ": "ə"})
_CEDILLA = "\u0327"


def symbols(phone: str) -> tuple[str, ...]:
    """The plain IPA letters of a phone, in order: `aɪ` has two, and so has `tʃ`; `sil` has none.

    Length, stress, tone, tie bars and diacritics are dropped; ligatures are spelled out.
    """
    if phone == SILENCE:
        return ()
    letters = unicodedata.normalize("NFD", phone.translate(_SPELLINGS))
    plain = [c for c in letters if c == _CEDILLA or unicodedata.category(c) in ("Ll", "Lo")]
    return tuple(unicodedata.normalize("NFC", "".join(plain)))


@dataclass(frozen=True, eq=False)
class PhoneClip:
    """One recording with its phones; the sound stays on disk until `waveform` is called.

    Attributes:
        name: unique within its folder.
        audio: the sound file.
        phones: (P) IPA, `sil` for silence.
        starts, ends: (P,) float64 seconds from sample 0; each phone starts where the last ends.
        language: as espeak-ng names it: `en`, `de`, `fr`, ...
        voice: who or what speaks.
        source: what the sound and the times were made with.
        text: what is said.
    """

    name: str
    audio: Path
    phones: tuple[str, ...]
    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    language: str
    voice: str
    source: str = ""
    text: str = ""

    @property
    def duration(self) -> float:
        """Seconds that the phones cover."""
        return float(self.ends[-1])

    def waveform(self) -> Waveform:
        """Read the sound.

        Raises:
            AudioError: the file is missing or not audio.
        """
        return Waveform.load(self.audio)

    def digest(self) -> str:
        """SHA-256 of who speaks, the phones with their times and the sound's file.

        Raises:
            AudioError: that file cannot be read.
        """
        digest = hashlib.sha256(repr((self.name, self.voice, self.phones)).encode())
        digest.update(self.starts.tobytes() + self.ends.tobytes() + read_sound(self.audio))
        return digest.hexdigest()

    def at(self, times: ArrayLike) -> NDArray[np.int64]:
        """(...) seconds -> (...) indices of the phones then; before and after: first and last."""
        found = np.searchsorted(self.starts, np.asarray(times), side="right") - 1
        return np.clip(found, 0, len(self.phones) - 1)

    def letters(self) -> PhoneClip:
        """The same with one IPA letter a phone: diphthongs and affricates in equal parts.

        Phones that hold no letter (an unknown sign) count as silence.
        """
        parts = [symbols(phone) or (SILENCE,) for phone in self.phones]
        edges = [
            np.linspace(start, end, len(part) + 1)
            for start, end, part in zip(self.starts, self.ends, parts, strict=True)
        ]
        return replace(
            self,
            phones=tuple(letter for part in parts for letter in part),
            starts=np.concatenate([edge[:-1] for edge in edges]),
            ends=np.concatenate([edge[1:] for edge in edges]),
        )

    def during(self, letters: Collection[str], times: ArrayLike) -> NDArray[np.bool_]:
        """(...) seconds -> (...) whether one of these IPA letters (or `sil`) is spoken then."""
        clip = self.letters()
        return np.array([phone in letters for phone in clip.phones])[clip.at(times)]


def read_phones(folder: Path | str) -> tuple[PhoneClip, ...]:
    """Read the phones of every clip, in order of their names.

    Raises:
        DataError: the folder or a sound is missing, or the phones are malformed.
    """
    path = Path(folder) / MANIFEST
    missing = f"{folder} has no {MANIFEST}; see docs/data.md for the layout"
    with refusing(DataError, f"{path} is damaged", "make it again", missing):
        content = read_json(path)
        version = content["format_version"]
        clips = convert(dict[str, Any], content["clips"], "clips")
    if version != FORMAT_VERSION:
        raise DataError(
            f"{path} has format version {shown(version)}, this program reads {FORMAT_VERSION}; "
            "make it again"
        )
    return tuple(_clip(path, name, entry) for name, entry in sorted(clips.items()))


def write_phones(folder: Path | str, clips: Iterable[PhoneClip]) -> None:
    """Write `phones.json` whole or not at all; the sounds are in `folder`/audio already.

    Raises:
        OutputError: the operating system refuses.
    """
    entries = {
        clip.name: {
            "language": clip.language,
            "voice": clip.voice,
            "source": clip.source,
            "text": clip.text,
            "phones": [
                [round(start, 5), round(end, 5), phone]
                for start, end, phone in zip(
                    clip.starts.tolist(), clip.ends.tolist(), clip.phones, strict=True
                )
            ],
        }
        for clip in clips
    }
    with replacing(Path(folder) / MANIFEST) as temporary:
        content = {"format_version": FORMAT_VERSION, "clips": entries}
        temporary.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")


def write_flac(path: Path, samples: NDArray[np.float32]) -> None:
    """Write (N,) float32 samples, -1 to 1 at 16 kHz, as 16-bit FLAC, whole or not at all.

    Raises:
        OutputError: the operating system refuses.
    """
    integers = np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, av.open(str(temporary), "w") as file:
        stream = file.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(integers[None], "s16", "mono")
        frame.sample_rate = SAMPLE_RATE
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


@dataclass(frozen=True)
class _Entry:
    """A clip as `phones.json` has it."""

    phones: tuple[tuple[float, float, str], ...]
    language: str
    voice: str
    source: str = ""
    text: str = ""


def _clip(path: Path, name: str, values: object) -> PhoneClip:
    with refusing(DataError, f"{path}: clip {shown(name)} is malformed", "make it again"):
        audio = path.parent / "audio" / f"{check_file_name(name)}.flac"
        entry = build(_Entry, values, "it", strict=False)
    if not audio.is_file():
        raise DataError(f"{audio} is missing, but {path} names it; make the folder again")
    clip = PhoneClip(
        name=name,
        audio=audio,
        phones=tuple(phone for _, _, phone in entry.phones),
        starts=np.array([start for start, _, _ in entry.phones], np.float64),
        ends=np.array([end for _, end, _ in entry.phones], np.float64),
        language=entry.language,
        voice=entry.voice,
        source=entry.source,
        text=entry.text,
    )
    joins = np.concatenate([[0.0], clip.ends])[: len(clip.starts)]
    follow = np.all(clip.ends >= clip.starts) and np.all(abs(clip.starts - joins) < _GAP)
    if not (clip.phones and follow):
        raise DataError(
            f"{path}: the phones of {name!r} must follow one another from 0 s without gaps; "
            f"fill them with {SILENCE!r}"
        )
    return clip
