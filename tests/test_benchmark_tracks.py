"""Tracks of other programs: from the benchmark's own sounds, through Chromium, to this head."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmark_data import JAW, clips_in
from browser import CHROMIUM
from codetalker.audio import Waveform
from codetalker.benchmark.protocols import Data, protocols
from codetalker.benchmark.tracks import (
    fitted_on,
    recorder,
    sound_name,
    system_of,
    write_sound,
)
from codetalker.data.clip import Clip
from codetalker.errors import DataError
from codetalker.motion import Motion
from tiny_model import babble

TOOL = Path(__file__).parents[1] / "tools" / "web_visemes" / "run.py"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    return clips_in(tmp_path_factory.mktemp("corpus"))


def tracks_of(clips: list[Clip], late: int = 0) -> dict:
    """Shapes that say how far the jaw is open, some frames late."""
    tracks = {}
    for clip in clips:
        jaw = clip.weights[:, JAW]
        moved = np.concatenate([np.full(late, jaw[0]), jaw[: len(jaw) - late]])
        tracks[sound_name(clip.waveform())] = np.stack([moved, 1 - moved], 1).tolist()
    return {"program": "a program", "version": "1.2", "licence": "MIT", "fps": 25,
            "shapes": ["open", "shut"], "tracks": tracks}  # fmt: skip


@pytest.mark.parametrize("late", [0, 4])
def test_shapes_that_tell_the_jaw_move_it_also_where_they_come_late(
    clips: list[Clip], tmp_path: Path, late: int
) -> None:
    path = tmp_path / "program.json"
    path.write_text(json.dumps(tracks_of(clips, late)))
    system = system_of(path, clips)
    held = next(clip for clip in clips if clip.split == "val")
    made = system.animate(held.waveform(), None, 0)
    inner = slice(3, 75 - 6)
    true = held.weights[inner, JAW]
    tolerance = 0.02 + 0.01 * late  # the last frames of the clips that are fitted on lack theirs
    np.testing.assert_allclose(made.weights[inner, JAW], true, atol=tolerance)
    assert np.corrcoef(made.weights[inner, JAW], true)[0, 1] > 0.99
    assert system.causal and system.latency == pytest.approx(0.2)
    assert "1.2, MIT" in system.note


def test_only_training_clips_of_the_main_speaker_are_fitted_on(clips: list[Clip]) -> None:
    assert {(clip.speaker, clip.split) for clip in fitted_on(clips)} == {("anna", "train")}


def test_a_sound_that_is_missing_is_named(clips: list[Clip], tmp_path: Path) -> None:
    content = tracks_of(clips)
    path = tmp_path / "program.json"
    path.write_text(json.dumps(content))
    system = system_of(path, clips)
    with pytest.raises(DataError, match="--sounds"):
        system.animate(Waveform(babble(1, seed=99)), None, 0)
    for broken in ({**content, "shapes": ["open"]}, {**content, "tracks": 3}, {}):
        path.write_text(json.dumps(broken))
        with pytest.raises(DataError, match="no file of tracks"):
            system_of(path, clips)


def test_every_sound_that_is_played_is_written(clips: list[Clip], tmp_path: Path) -> None:
    """What a system hears is what lies there under the same name."""
    held = [clip for clip in clips if clip.split != "train"][1:]
    system = recorder(tmp_path / "sounds")
    heard: dict[str, Waveform] = {}

    def hear(sound: Waveform, style: str | None, seed: int) -> Motion:
        heard[sound_name(sound)] = sound
        return system.animate(sound, style, seed)

    for protocol in protocols(Data(held, most=1, minutes=0.2)):
        protocol.measure(replace(system, animate=hear))
    there = {path.stem for path in (tmp_path / "sounds").glob("*.wav")}
    assert there == heard.keys() and len(there) > 10
    name, sound = next(iter(heard.items()))
    again = Waveform.load(tmp_path / "sounds" / f"{name}.wav")
    np.testing.assert_allclose(again.samples, sound.samples.clip(-1, 1), atol=1 / 32767)


STUB = """
export class Lipsync {
  constructor() {
    this.context = new AudioContext();
    this.analyser = this.context.createAnalyser();
    this.analyser.fftSize = 2048;
    this.data = new Float32Array(2048);
    this.viseme = 'viseme_sil';
  }
  processAudio() {
    this.analyser.getFloatTimeDomainData(this.data);
    const power = this.data.reduce((sum, x) => sum + x * x, 0) / this.data.length;
    this.features = { volume: Math.sqrt(power) };
    this.viseme = performance.now() > 900 ? 'viseme_aa' : 'viseme_sil';
  }
}
"""


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium")
def test_a_library_hears_each_sound_by_the_sound_s_own_clock(tmp_path: Path) -> None:
    """A stub in place of one: a sound from 0.5 to 1 s, and a shape from 0.9 s on."""
    spec = importlib.util.spec_from_file_location("web_visemes", TOOL)
    assert spec and spec.loader
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    package = tmp_path / "node_modules" / "wawa-lipsync" / "dist"
    package.mkdir(parents=True)
    (package / "wawa-lipsync.es.js").write_text(STUB)
    samples = np.zeros(24000, np.float32)
    samples[8000:16000] = 0.5 * np.sin(np.arange(8000) * 0.3)
    sound = Waveform(samples)
    write_sound(sound, tmp_path / "sounds")
    exchange = tool.Exchange(tmp_path / "sounds", tmp_path, None)
    assert CHROMIUM
    tool.listen("wawa-lipsync", exchange, CHROMIUM, 1.0)
    track = np.array(exchange.tracks[sound_name(sound)])
    assert track.shape == (38, 16) and exchange.shapes[-1] == "volume"
    volume, aa = track[:, -1], track[:, exchange.shapes.index("aa")]
    assert volume[2:12].max() < 0.02  # until 0.48 s
    assert volume[15:25].min() > 0.3  # 0.6 to 0.96 s
    assert volume[30:].max() < 0.02  # from 1.2 s
    assert aa[:22].max() == 0 and aa[23:].min() == 1
