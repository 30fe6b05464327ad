"""Makes phone-timed speech of recordings with known text, by forced alignment with pocketsphinx.

    pip install pocketsphinx
    python tools/align_phones.py RECORDINGS TEXTS -o FOLDER --voice NAME
    python tools/align_phones.py CORPUS -o FOLDER

The second takes the clips of a corpus and the words of its alignment. TEXTS has a line per
recording: `NAME: text`, or as Sphinx writes it `<s> text </s> (NAME)`. The acoustic model and the
dictionary, both inside the package, are of American English. What cannot be aligned is left out
and named. docs/metrics.md says where two sets for measuring are to be had.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pocketsphinx import Decoder

from codetalker.audio import SAMPLE_RATE, Waveform
from codetalker.data.clip import SILENCE_WORDS
from codetalker.data.corpus import read_corpus
from codetalker.data.phones import ARPABET, SILENCE, PhoneClip, write_flac, write_phones
from codetalker.errors import CodeTalkerError, DataError

FRAME_S = 0.01
"""The aligner's step."""
MARGIN_S = 0.3
"""Silence put around what is aligned, for the aligner wants some; its phones are cut off again."""
LONGEST_PHONE_S = 0.6
"""A longer one is no phone: the text is not what is said."""
LONG_SILENCE_S = 0.6
QUIET = 0.5
"""The level of a long silence is below this share of the phones'."""
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_NAMED = re.compile(r"(?P<name>[^\s:;]+):\s+(?P<text>.+)")
_SPHINX = re.compile(r"(?:<s>)?(?P<text>[^<(]+)(?:</s>)?\s*\((?P<name>\S+)\)")


def texts(path: Path) -> dict[str, str]:
    """Recording -> what is said in it; other lines are ignored.

    Raises:
        DataError: no line has one of the two forms.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    found = [_SPHINX.fullmatch(line) or _NAMED.fullmatch(line) for line in lines]
    table = {match["name"]: match["text"].strip() for match in found if match}
    if not table:
        raise DataError(f"{path} has no line 'NAME: text' or '<s> text </s> (NAME)'")
    return table


def words(text: str) -> list[str]:
    """What the dictionary may know: lower-case words, single digits spelled out."""
    spelled = re.sub(r"\d", lambda digit: f" {DIGITS[int(digit[0])]} ", text.lower())
    return re.findall(r"[a-z]+(?:'[a-z]+)*", spelled.replace("’", "'"))


def align(samples: NDArray[np.float32], text: str) -> list[tuple[str, int, int]]:
    """The phones of a recording with margins: (ARPABET, first frame, end frame), without gaps.

    Raises:
        DataError: a word is unknown, or the text is not what is said.
    """
    # a used decoder remembers levels, and does not recover from every failure
    decoder = Decoder(lm=None, loglevel="FATAL", samprate=SAMPLE_RATE)
    spoken = words(text)
    unknown = [word for word in spoken if decoder.lookup_word(word) is None]
    if not spoken or "[" in text:
        raise DataError(f"no words, but {text}")
    if unknown:
        raise DataError(f"not in the dictionary: {' '.join(unknown)}")
    margin = np.zeros(round(MARGIN_S * SAMPLE_RATE))
    dither = np.random.default_rng(0).normal(0, 1, len(samples) + 2 * len(margin))  # no log of 0
    padded = np.concatenate([margin, samples * 32767, margin]) + dither
    sound = np.clip(np.round(padded), -32768, 32767).astype("<i2").tobytes()
    decoder.set_align_text(" ".join(spoken))
    try:
        _decode(decoder, sound)
        decoder.set_alignment()  # the second pass finds the phones within the words
        _decode(decoder, sound)
    except RuntimeError:  # all that it says of a path that does not reach the end
        raise DataError("the text does not fit the sound") from None
    found = decoder.get_alignment() or ()
    phones = [(p.name, p.start, p.start + p.duration) for word in found for p in word]
    lengths = [(end - start) * FRAME_S for name, start, end in phones if name != "SIL"]
    if not lengths or max(lengths) > LONGEST_PHONE_S or _speaks_in_silence(padded, phones):
        raise DataError("the text does not fit the sound")
    return phones


def _speaks_in_silence(samples: NDArray[np.float64], phones: list[tuple[str, int, int]]) -> bool:
    """Whether a stretch taken for silence is about as loud as the phones: more is said in it."""
    step = round(FRAME_S * SAMPLE_RATE)
    speech, silence = [], [0.0]
    for name, start, end in phones:
        power = np.square(samples[start * step : end * step]).mean()
        if name != "SIL":
            speech.append(power)
        elif (end - start) * FRAME_S > LONG_SILENCE_S:
            silence.append(power)
    return max(silence) > QUIET**2 * np.mean(speech)


def timed(
    phones: list[tuple[str, int, int]], duration: float
) -> tuple[tuple[str, ...], NDArray[np.float64], NDArray[np.float64]]:
    """IPA, starts and ends in seconds of the recording, without the margins put around it.

    What is no phone (breath, noise) counts as silence.
    """
    ipa = [ARPABET.get(name, SILENCE) for name, _, _ in phones]
    edges = np.array([start for _, start, _ in phones] + [phones[-1][2]]) * FRAME_S - MARGIN_S
    edges[[0, -1]] = 0.0, duration
    edges = edges.clip(0, duration)
    kept = [i for i in range(len(ipa)) if edges[i + 1] > edges[i]]
    return tuple(ipa[i] for i in kept), edges[kept], edges[[i + 1 for i in kept]]


def recordings(arguments: argparse.Namespace) -> Iterator[tuple[str, Path | None, str, str]]:
    """Name, sound, text and voice of everything that has a text."""
    if arguments.texts is None:
        for clip in read_corpus(arguments.recordings):
            spoken = " ".join(word for _, _, word in clip.words if word not in SILENCE_WORDS)
            if spoken:
                yield clip.name, clip.audio, spoken, clip.speaker
        return
    for name, text in sorted(texts(arguments.texts).items()):
        yield name, next(arguments.recordings.glob(f"{name}.*"), None), text, arguments.voice


def clips(arguments: argparse.Namespace) -> Iterator[PhoneClip]:
    """Align every recording that has a text; the sounds are written on the way."""
    for name, path, text, voice in recordings(arguments):
        try:
            if path is None:
                raise DataError(f"no such file in {arguments.recordings}")
            waveform = Waveform.load(path)
            phones, starts, ends = timed(align(waveform.samples, text), waveform.duration)
        except CodeTalkerError as error:
            print(f"left out {name}: {error}", file=sys.stderr)
            continue
        flat = name.replace("/", "-")
        audio = arguments.out / "audio" / f"{flat}.flac"
        write_flac(audio, waveform.samples)
        spoken = " ".join(words(text))
        yield PhoneClip(flat, audio, phones, starts, ends, "en", voice, "pocketsphinx", spoken)


def _decode(decoder: Decoder, sound: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(sound, full_utt=True)
    decoder.end_utt()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("texts", type=Path, nargs="?", help="without: the words of a corpus")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--voice", help="who speaks, with TEXTS")
    arguments = parser.parse_args()
    if (arguments.texts is None) != (arguments.voice is None):
        parser.error("TEXTS and --voice go together")
    made = list(clips(arguments))
    write_phones(arguments.out, made)
    print(f"{len(made)} clips, {sum(clip.duration for clip in made):.0f} s")


if __name__ == "__main__":
    main()
