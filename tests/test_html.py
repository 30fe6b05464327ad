"""HTML: one file that holds the head, its motion and its sound, and asks for nothing else."""

from __future__ import annotations

import re
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest

from codetalker.audio import Waveform
from codetalker.errors import OutputError
from codetalker.motion import Motion
from codetalker.rig import bundled_head
from glb_reader import Glb


def part(page: str, name: str) -> bytes | None:
    found = re.search(rf'<script type="[a-z/-]+" id="{name}">([^<]*)</script>', page)
    return b64decode(found[1]) if found else None


@pytest.fixture
def motion() -> Motion:
    random = np.random.default_rng(5)
    weights = random.random((10, 52), np.float32)
    sound = Waveform(random.uniform(-0.5, 0.5, 10_000).astype(np.float32), 22_050)
    return Motion(weights, bundled_head().blendshape_names, 25, audio=sound)


def test_head_and_motion_are_the_glb_file(motion: Motion, tmp_path: Path) -> None:
    page = motion.save(tmp_path / "a.html").read_text("utf-8")
    motion.save(tmp_path / "a.glb")
    assert part(page, "head") == (tmp_path / "a.glb").read_bytes()
    assert Glb(tmp_path / "a.glb").json["animations"]


def test_the_sound_is_in_it_sample_by_sample(motion: Motion, tmp_path: Path) -> None:
    assert motion.audio
    page = motion.save(tmp_path / "a.html").read_text("utf-8")
    (tmp_path / "a.flac").write_bytes(part(page, "sound") or b"")
    heard, meant = Waveform.load(tmp_path / "a.flac"), motion.audio.resampled(16_000)
    assert len(heard.samples) == len(meant.samples)
    assert np.abs(heard.samples - meant.samples).max() < 1e-4


def test_a_motion_without_sound_is_silent(motion: Motion, tmp_path: Path) -> None:
    page = motion[:5].save(tmp_path / "a.html").read_text("utf-8")
    assert part(page, "head")
    assert part(page, "sound") is None


def test_nothing_else_is_asked_for(motion: Motion, tmp_path: Path) -> None:
    page = motion.save(tmp_path / "a.html").read_text("utf-8")
    assert "default-src 'none'" in page
    assert not re.search(r"<(script|img|link)[^>]*\b(src|href)=", page)
    assert page.count("</html>") == 1


def test_a_motion_of_no_frames_is_refused(motion: Motion, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no frames"):
        motion[:0].save(tmp_path / "a.html")
    assert not list(tmp_path.iterdir())
