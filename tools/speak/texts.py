"""Sentences to be spoken: free vocabulary, unpredictable ones, and rows rich in lips.

English prose is Jane Austen's (public domain), read from Debian's package r-cran-janeaustenr. The
rest is ours. Every sentence belongs to one split, by its checksum, whatever the seed.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from functools import lru_cache
from itertools import cycle, islice
from pathlib import Path

import numpy as np

VALIDATION_SHARE = 0.1
_SENTENCES = Path(__file__).with_name("sentences")
LANGUAGES = tuple(sorted(path.stem for path in _SENTENCES.glob("*.txt")))
_WORDS = (4, 24)  # shorter is often a fragment, longer is several breaths
_TITLES = {"Mr.": "Mister", "Mrs.": "Missus", "Dr.": "Doctor", "St.": "Saint", "&c.": "et cetera"}

MINIMAL_SETS = """
pie buy my why fie vie|pea bee me we fee|pan ban man fan van|pet bet met wet vet|
pail bail mail wail fail veil|pat bat mat fat vat|peel beal meal wheel feel veal|
pine mine wine fine vine|pole bowl mole foal vole|pool boom moon womb food|pit bit mitt wit fit|
park bark mark|rope robe roam rove|cap cab calf cave|tripe tribe time five|ape Abe aim wave|
sue see|shoe she|who he|two tea|new knee|do dee|loom leap|food feed|boot beat|hoop heap|
soup seep|loop leap|group grip|moo me|woo we|poor peer|cool keel|pill bill mill will fill|
pack back Mac whack|pound bound mound wound found|pay bay may way|post boast most|pig big wig fig|
pear bear mare wear fair|pest best west vest|port bort wart fort|pun bun won fun|purse worse verse|
simple symbol|rapid rabbit|dapple dabble|staple stable|amber ember umber|happen habit ham have|
lap lab lamb laugh|rip rib rim riff|tap tab tam|cup cub come|hope home hove|lip limb live|
ripe bribe rhyme rife|leper leaver lever|summer supper suburb suffer|apple able amble awful|
prime brine frame|plume bloom flume|play blade flavour|pride bride fried|movie woofer beaver
"""
CARRIERS = (
    "{0}, {1}.", "Was it {0}, or was it {1}?", "I said {0}, not {1}.", "Please say {0} again.",
    "{0} and {1} sound alike.", "She wrote {0} above {1}.", "{1}, {0}, {1}, {0}.",
    "They heard {0} when he meant {1}.", "{0}.", "A {0}, a {1}, another {0}.",
)  # fmt: skip
ADJECTIVES = """
big warm empty famous purple remote bumpy violent wooden proper abrupt febrile wobbly quiet modern
public vivid rapid humble feeble foamy bitter simple brave wet new cool gloomy smooth blue loose
sweet greasy creamy deep cheap awful thirsty yellow orange young silver ancient heavy happy foggy
"""
NOUNS = """
bumper camera computer phone bubble pepper window vehicle forest river baboon movie weapon pump
web family pupil barber lamb beaver volume wife wolf wave vapour maple apple umbrella number
member problem program summer museum pavement moment boom room shoe fruit juice tooth blueberry
cheese sheep street machine village orchestra battery thumb robot passport airport bus bike boat
photo
"""
VERBS = """
pushes moves believes improves shaves wipes washes swamps grabs bombs approves proves removes
forgives weaves behaves employs amuses follows weighs answers borrows copies climbs whips feeds
needs cools boosts chews sees keeps loses greets teaches squeezes hums mops views wraps
"""
PLACES = (
    "before we move", "above the bay", "by the pub", "from Poland to Peru", "with my umbrella",
    "for five weeks", "in the warm room", "without a map", "behind the beach house",
    "at half past two", "between the boats",
    "if you believe me", "every Wednesday evening", "under the blue moon",
)  # fmt: skip


def english(novels: Path, split: str, random: np.random.Generator) -> Iterator[str]:
    """Sentences without end: three of five from the novels, the others made up.

    Args:
        novels: `Rdata.rdb` of the R package janeaustenr.
        split: `train` or `val`; a sentence is never in both.
        random: draws them.
    """
    prose = [sentence for sentence in austen(novels) if split_of(sentence) == split]
    order = random.permutation(len(prose))
    place = 0
    while True:
        kind = random.random()
        if kind < 0.6:
            yield prose[order[place % len(order)]]
            place += 1
        else:
            made = _pairs(random) if kind < 0.8 else _unpredictable(random)
            if split_of(made) == split:
                yield made


def others(language: str, start: int) -> Iterator[str]:
    """Our sentences in another language, over and over, from number `start` on."""
    lines = (_SENTENCES / f"{language}.txt").read_text(encoding="utf-8").splitlines()
    return islice(cycle(lines), start, None)


def split_of(sentence: str) -> str:
    """`train` or `val`, for ever the same for a sentence."""
    return "val" if zlib.crc32(sentence.encode()) < VALIDATION_SHARE * 2**32 else "train"


@lru_cache(maxsize=1)
def austen(path: Path) -> tuple[str, ...]:
    """The sentences of the novels, with titles spelled out.

    The file is R's lazy-load data base: records of a 4-byte length and a zlib stream, each a
    serialised vector of lines (a CHARSXP: flags for ASCII or UTF-8, a length, the bytes).
    """
    data = path.read_bytes()
    sentences = []
    while data:
        stream = zlib.decompressobj()
        sentences += _sentences(_lines(stream.decompress(data[4:])))
        data = stream.unused_data
    return tuple(sentences)


def _lines(record: bytes) -> list[str]:
    lines = []
    for header in re.finditer(rb"\x00(?:\x04\x00|\x00\x80)\x09", record):
        (length,) = struct.unpack(">i", record[header.end() : header.end() + 4])
        lines.append(record[header.end() + 4 : header.end() + 4 + max(length, 0)].decode())
    return lines


def _sentences(lines: list[str]) -> list[str]:
    paragraphs = "\n".join(lines).split("\n\n")
    found = []
    for paragraph in paragraphs:
        if not re.search(r"[.!?][\"')_]*$", paragraph):
            continue  # headings
        text = re.sub(r"[_\"()\[\]*]", "", " ".join(paragraph.split()))
        for short, long in _TITLES.items():
            text = text.replace(short, long)
        text = re.sub(r"([.,;:!?])\s*--+\s*", r"\1 ", text)
        text = re.sub(r"\s*--+\s*", ", ", text)
        for sentence in re.split(r"(?<=[.!?])\s+", text):
            words = len(sentence.split())
            plain = re.fullmatch(r"[A-Z][A-Za-z ,;:'.!?-]+[.!?]", sentence)
            if plain and _WORDS[0] <= words <= _WORDS[1] and not re.search(r"\b[A-Z]{2}", sentence):
                found.append(sentence)
    return found


def _pairs(random: np.random.Generator) -> str:
    sets = [row.split() for row in MINIMAL_SETS.replace("\n", "").split("|")]
    one, other = random.choice(sets[random.integers(len(sets))], 2, replace=False)
    sentence = CARRIERS[random.integers(len(CARRIERS))].format(one, other)
    return sentence[0].upper() + sentence[1:]


def _unpredictable(random: np.random.Generator) -> str:
    """Grammatical and without sense (Benoît, Grice and Hazan, 1996): no word helps another."""

    def draw(words: str | tuple[str, ...]) -> str:
        choices = words.split() if isinstance(words, str) else words
        return choices[random.integers(len(choices))]

    subject = f"the {draw(ADJECTIVES)} {draw(NOUNS)}"
    what = f"the {draw(ADJECTIVES)} {draw(NOUNS)}"
    sentence = f"{subject} {draw(VERBS)} {what} {draw(PLACES)}."
    return sentence[0].upper() + sentence[1:]
