"""Phone-timed speech: what is written is read, times index phones, classes follow phonetics."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codetalker.data import phones
from codetalker.data.phones import PhoneClip, read_phones, symbols, write_flac, write_phones
from codetalker.errors import DataError


@pytest.fixture
def clip(tmp_path: Path) -> PhoneClip:
    audio = tmp_path / "audio" / "pie.flac"
    write_flac(audio, np.sin(np.arange(16000) / 20).astype(np.float32) / 2)
    edges = np.array([0.0, 0.2, 0.3, 0.7, 1.0])
    spoken = ("sil", "p", "aɪ", "sil")
    return PhoneClip("pie", audio, spoken, edges[:-1], edges[1:], "en", "bella", "made", "pie")


def test_a_folder_reads_as_it_was_written(clip: PhoneClip, tmp_path: Path) -> None:
    write_phones(tmp_path, [clip])
    (back,) = read_phones(tmp_path)
    np.testing.assert_allclose(back.starts, clip.starts)
    np.testing.assert_allclose(back.ends, clip.ends)
    assert replace(back, starts=clip.starts, ends=clip.ends).__dict__ == clip.__dict__
    wave = back.waveform()
    assert wave.rate == 16000
    expected = np.sin(np.arange(16000) / 20) / 2
    np.testing.assert_allclose(wave.samples, expected, atol=1 / 32767)
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["phones.json", "pie.flac"]


def test_clips_come_in_the_order_of_their_names(clip: PhoneClip, tmp_path: Path) -> None:
    write_flac(tmp_path / "audio" / "ape.flac", np.zeros(160, np.float32))
    write_phones(tmp_path, [clip, replace(clip, name="ape")])
    assert [c.name for c in read_phones(tmp_path)] == ["ape", "pie"]


def test_a_time_finds_the_phone_that_is_spoken_then(clip: PhoneClip) -> None:
    np.testing.assert_array_equal(clip.at([-1.0, 0.1, 0.2, 0.29, 0.5, 9.0]), [0, 0, 1, 1, 2, 3])


def test_diphthongs_are_halved_between_their_targets(clip: PhoneClip) -> None:
    letters = clip.letters()
    assert letters.phones == ("sil", "p", "a", "ɪ", "sil")
    np.testing.assert_allclose(letters.starts, [0.0, 0.2, 0.3, 0.5, 0.7])
    np.testing.assert_allclose(letters.ends, [0.2, 0.3, 0.5, 0.7, 1.0])


def test_classes_are_found_in_time(clip: PhoneClip) -> None:
    times = [0.1, 0.25, 0.4, 0.6, 0.8]
    assert clip.during(phones.BILABIAL, times).tolist() == [False, True, False, False, False]
    assert clip.during({"sil"}, times).tolist() == [True, False, False, False, True]
    assert clip.during(phones.SPREAD, times).tolist() == [False, False, False, True, False]


@pytest.mark.parametrize(
    ("phone", "letters"),
    [
        ("sil", ""),
        ("iː", "i"),
        ("ˈɑ̃", "ɑ"),
        ("t͡ʃ", "tʃ"),
        ("ʤ", "dʒ"),
        ("g", "ɡ"),
        ("bʲʰ", "b"),
        ("ç", "ç"),
        ("pf", "pf"),
        ("œ̃", "œ"),
        ("l̩", "l"),
        ("a5", "a"),
    ],
)
def test_letters_lose_marks_but_not_identity(phone: str, letters: str) -> None:
    assert symbols(phone) == tuple(letters)


def test_vowels_open_from_i_to_a() -> None:
    heights = [phones.VOWEL_HEIGHT[vowel] for vowel in "iɪeəɛæa"]
    np.testing.assert_allclose(heights, np.arange(7) / 6)


def test_what_must_close_is_never_among_what_must_not() -> None:
    closed = phones.BILABIAL | phones.LABIODENTAL
    assert not closed & phones.NEVER_SHUT
    assert not phones.BILABIAL & phones.LABIODENTAL
    assert not phones.ROUNDED & phones.SPREAD
    assert set(phones.VOWEL_HEIGHT) <= phones.NEVER_SHUT


def test_every_arpabet_phone_is_in_a_class_or_a_known_consonant() -> None:
    classified = phones.NEVER_SHUT | phones.BILABIAL | phones.LABIODENTAL
    for ipa in phones.ARPABET.values():
        assert set(symbols(ipa)) <= classified


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ({"language": "en", "voice": "v", "phones": [[0.1, 0.2, "a"]]}, "gaps"),
        ({"language": "en", "voice": "v", "phones": [[0, 0.2, "a"], [0.5, 0.6, "b"]]}, "gaps"),
        ({"language": "en", "voice": "v", "phones": [[0, -1, "a"]]}, "gaps"),
        ({"language": "en", "voice": "v", "phones": []}, "gaps"),
        ({"language": "en", "voice": "v", "phones": [[0, "a"]]}, "malformed"),
        ({"voice": "v", "phones": [[0, 1, "a"]]}, "malformed"),
        ([], "malformed"),
        ({"language": 3, "voice": "v", "phones": [[0, 1, "a"]]}, "language must be str"),
        ({"language": "en", "voice": "v", "phones": [[0, True, "a"]]}, "malformed"),
        ({"language": "en", "voice": "\x1b[31m", "phones": [[0, 1, "a"]]}, r"U\+001B"),
    ],
)
def test_a_malformed_clip_is_named(
    clip: PhoneClip, tmp_path: Path, entry: object, complaint: str
) -> None:
    content = {"format_version": 1, "clips": {"pie": entry}}
    (tmp_path / "phones.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"pie.*{complaint}"):
        read_phones(tmp_path)


def test_a_missing_sound_is_named(clip: PhoneClip, tmp_path: Path) -> None:
    write_phones(tmp_path, [clip, replace(clip, name="lost")])
    with pytest.raises(DataError, match=r"lost\.flac is missing"):
        read_phones(tmp_path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "has no phones.json"),
        ("{", "damaged"),
        ("[]", "damaged"),
        ("[" * 100_000, "nested beyond reason"),
        ('{"format_version": 1, "clips": {"a": {}, "a": {}}}', "'a' occurs twice"),
        ('{"format_version": 1, "clips": {"a": {"phones": [[0, NaN, "a"]]}}}', "NaN is no number"),
        ('{"format_version": 1, "clips": {"a": {"phones": [[0, 1e999, "a"]]}}}', "too large"),
        ('{"format_version": 2, "clips": {}}', "format version 2"),
    ],
)
def test_a_folder_of_another_kind_is_refused(
    tmp_path: Path, text: str | None, complaint: str
) -> None:
    if text is not None:
        (tmp_path / "phones.json").write_text(text)
    with pytest.raises(DataError, match=complaint):
        read_phones(tmp_path)
