"""The alignment tool: texts as they are found, phones where they are spoken."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

from codetalker.audio import Waveform
from codetalker.data.phones import read_phones
from codetalker.errors import DataError

pytest.importorskip("pocketsphinx", reason="pocketsphinx aligns, and is not installed")

ROOT = Path(__file__).parents[1]
TOOL = ROOT / "tools" / "align_phones.py"
SPOKEN = (
    "had he married a more amiable woman he might have been made still more respectable than he was"
)


@pytest.fixture(scope="module")
def tool():
    spec = spec_from_file_location("align_phones", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_texts_come_in_two_forms(tool, tmp_path: Path) -> None:
    table = tmp_path / "texts.txt"
    table.write_text(
        "; a comment\n\none: Press 1 now.\n<s> hello world </s> (two-2)\nbare (three)\n"
    )
    assert tool.texts(table) == {"one": "Press 1 now.", "two-2": "hello world", "three": "bare"}
    table.write_text("nothing of the kind\n")
    with pytest.raises(DataError, match="has no line"):
        tool.texts(table)


def test_words_are_those_of_a_dictionary(tool) -> None:
    assert tool.words("Don't press 12, mister-X!") == [
        "don't", "press", "one", "two", "mister", "x",
    ]  # fmt: skip


def test_margins_are_cut_off_again(tool) -> None:
    """0.3 s are put before the sound: frame 30 is its beginning."""
    found = [("SIL", 0, 50), ("HH", 50, 60), ("AY", 60, 90), ("+NSN+", 90, 95), ("SIL", 95, 130)]
    phones, starts, ends = tool.timed(found, 0.9)
    assert phones == ("sil", "h", "aɪ", "sil", "sil")
    np.testing.assert_allclose(starts, [0, 0.2, 0.3, 0.6, 0.65])
    np.testing.assert_allclose(ends, [0.2, 0.3, 0.6, 0.65, 0.9])
    phones, starts, _ = tool.timed([("SIL", 0, 20), ("P", 20, 40), ("SIL", 40, 90)], 0.3)
    assert (phones, starts.tolist()) == (("p", "sil"), [0, pytest.approx(0.1)])


def test_another_text_is_refused(tool) -> None:
    samples = Waveform.load(ROOT / "examples" / "sense_and_sensibility.flac").samples
    with pytest.raises(DataError, match="does not fit the sound"):
        tool.align(samples, "no")
    with pytest.raises(DataError, match="not in the dictionary: xyzzyx"):
        tool.align(samples, "say xyzzyx")


def test_the_example_is_aligned_by_the_command(tmp_path: Path) -> None:
    table = tmp_path / "texts.txt"
    table.write_text(f"sense_and_sensibility: {SPOKEN}\nmissing: nobody\n")
    command = [sys.executable, TOOL, ROOT / "examples", table, "-o", tmp_path, "--voice", "reader"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout == "1 clips, 6 s\n"
    assert "left out missing: no such file" in run.stderr
    (clip,) = read_phones(tmp_path)
    assert (clip.language, clip.voice, clip.text) == ("en", "reader", SPOKEN)
    assert clip.duration == pytest.approx(clip.waveform().duration)
    said = "".join(clip.phones).replace("sil", "")
    assert said.startswith("hædhi")
    assert said.count("m") == 7  # married, more, amiable, woman, might, made, more
    samples = clip.waveform().samples
    level = {
        phone: np.sqrt(
            np.mean([
                np.square(samples[round(16000 * a) : round(16000 * b)]).mean()
                for p, a, b in zip(clip.phones, clip.starts, clip.ends, strict=True)
                if p == phone
            ])
        )
        for phone in ("sil", "s", "ɑ", "æ")
    }  # fmt: skip
    assert level["sil"] < 0.1 * min(level["ɑ"], level["æ"])
    assert level["s"] < level["ɑ"]
