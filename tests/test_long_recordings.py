"""Length: what is written as it comes is what is written whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from codetalker import audio
from codetalker.audio import Waveform, heard
from codetalker.causal.runtime import CausalTalker
from codetalker.cli import main
from codetalker.errors import AudioError
from conftest import write_sound
from tiny_model import babble


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sound(
        tmp_path_factory.mktemp("long") / "a.wav", babble(11, 44100)[:, None], 44100, "pcm_f32le"
    )


@pytest.mark.parametrize("options", [[], ["--life", "full"], ["--mood", "sad"]])
def test_a_file_written_as_it_comes_is_the_one_written_whole(
    recording: Path, tiny_bundle: Path, tmp_path: Path, options: list[str]
) -> None:
    given = ["animate", str(recording), "--model", str(tiny_bundle), *options]
    assert main([*given, "-o", str(tmp_path / "comes.csv")]) == 0
    assert main([*given, "-o", str(tmp_path / "whole.csv"), "-o", str(tmp_path / "a.npz")]) == 0
    assert (tmp_path / "comes.csv").read_text() == (tmp_path / "whole.csv").read_text()


def test_sound_as_it_comes_is_the_sound(recording: Path) -> None:
    np.testing.assert_array_equal(
        np.concatenate(list(heard(recording))), Waveform.load(recording).samples
    )


def test_motion_flows_a_few_seconds_at_a_time(recording: Path, tiny_bundle: Path) -> None:
    talker = CausalTalker.load(tiny_bundle)
    parts = list(talker.flow(heard(recording)))
    assert len(parts) == 4
    assert max(part.duration for part in parts) < 5
    starts = [part.start for part in parts]
    np.testing.assert_allclose(starts[1:], np.cumsum([len(p) / 25 for p in parts])[:-1])


def test_too_long_is_told_before_memory_is_full(
    recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audio, "_MAX_SECONDS_WHOLE", 10)
    with pytest.raises(AudioError, match=r"or write \.csv"):
        Waveform.load(recording)
    assert sum(map(len, heard(recording))) == 11 * 16000
    monkeypatch.setattr(audio, "_MAX_SECONDS", 10)
    with pytest.raises(AudioError, match="longer than 24 hours"):
        sum(map(len, heard(recording)))


def test_a_mistake_leaves_no_file_behind(recording: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.wav"
    cut.write_bytes(recording.read_bytes()[:40])
    assert main(["animate", str(cut), "-o", str(tmp_path / "a.csv")]) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"cut.wav"}
