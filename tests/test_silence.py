"""The silence probe: nothing is heard between two sentences, and the lips have 300 ms to rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from codetalker.audio import Waveform
from codetalker.data.clip import Clip
from codetalker.evaluation.silence import inserted_silence_mm, with_silence
from corpus_data import write_flac
from fake_talker import FPS, JAW, FakeTalker


def mouth(late: int, early: int) -> FakeTalker:
    """It opens while there is sound, and stays open for some frames after and before it."""

    def say(audio: Waveform, style: str) -> np.ndarray:
        samples = audio.samples[: len(audio.samples) // 640 * 640]
        loud = np.abs(samples).reshape(-1, 640).max(1) > 0
        reach = np.convolve(loud, np.ones(early + 1 + late))
        weights = np.zeros((len(loud), 52), np.float32)
        weights[:, JAW] = 0.5 * (reach[early : early + len(loud)] > 0)
        return weights

    return FakeTalker(say)


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    write_flac(tmp_path / "clip.flac", np.full(32000, 5000, np.int16))
    words = ((0.0, 0.4, "sil"), (0.4, 1.2, "word"), (1.2, 2.0, "sil"))
    weights = np.zeros((50, 52), np.float32)
    return [Clip(n, "s", "val", tmp_path / "clip.flac", weights, FPS, words) for n in "abc"]


def test_only_words_and_nothing_are_heard(clips: list[Clip]) -> None:
    sound, pause = with_silence(*clips[:2])
    assert pause == (0.8, 2.8)
    assert sound.duration == pytest.approx(3.6)
    silent = sound.samples == 0
    np.testing.assert_array_equal(np.flatnonzero(silent), np.arange(0.8 * 16000, 2.8 * 16000))


@pytest.mark.parametrize(
    ("late", "early", "rests"), [(0, 0, True), (7, 4, True), (9, 0, False), (0, 7, False)]
)
def test_the_mouth_may_take_300_ms_to_rest_and_200_ms_to_open(
    clips: list[Clip], late: int, early: int, rests: bool
) -> None:
    distance = inserted_silence_mm(mouth(late, early), clips)
    assert distance is not None
    assert (distance == 0) == rests


def test_without_word_times_there_is_no_figure(clips: list[Clip]) -> None:
    assert inserted_silence_mm(mouth(0, 0), clips[:1]) is None
