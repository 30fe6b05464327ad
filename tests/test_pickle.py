"""A talker goes into other processes, and says there what it says here."""

from __future__ import annotations

import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codetalker.causal.runtime import CausalTalker

SPEECH = 0.1 * np.random.default_rng(0).standard_normal(20_000).astype(np.float32)


def in_another_process(talker: Any) -> Any:
    """The motion that a spawned process, which has nothing of ours, makes with the talker."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(talker.animate, (SPEECH,), {"rate": 16_000})


def test_the_bundled_family(tiny_bundle: Path) -> None:
    talker = CausalTalker.load(tiny_bundle)
    there, here = in_another_process(talker), talker.animate(SPEECH, rate=16_000)
    np.testing.assert_array_equal(there.weights, here.weights)
    assert len(here) == 32
    again = pickle.loads(pickle.dumps(talker))
    assert (again.styles, again.bundle.digest) == (talker.styles, talker.bundle.digest)


def test_the_published_family() -> None:
    pytest.importorskip("transformers")
    from codetalker.files.mesh import Mesh
    from codetalker.paper.runtime import PaperTalker
    from paper_random import random_model

    model = random_model("vocaset")
    face = np.random.default_rng(1).normal(size=(model.config.codec.vertices, 3))
    talker = PaperTalker(model, Mesh(face.astype(np.float32)))
    there, here = in_another_process(talker), talker.animate(SPEECH, rate=16_000)
    np.testing.assert_allclose(there.vertices, here.vertices, atol=1e-6)  # another thread count
    np.testing.assert_array_equal(there.codes, here.codes)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_published_family_keeps_its_precision(precision: str, tmp_path: Path) -> None:
    torch, _ = pytest.importorskip("torch"), pytest.importorskip("transformers")
    from codetalker.paper.folder import write_model
    from codetalker.paper.runtime import PaperTalker
    from paper_random import random_model

    model = random_model("biwi")
    write_model(tmp_path / "model", model.config, model.state_dict())
    talker = PaperTalker.load(tmp_path / "model", device="cpu", precision=precision)
    again = pickle.loads(pickle.dumps(talker))
    assert again.face is None
    assert again.config == talker.config
    ours, theirs = talker.model.state_dict(), again.model.state_dict()
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert theirs[name].dtype == tensor.dtype
        assert torch.equal(theirs[name], tensor)
    face = np.zeros((model.config.codec.vertices, 3), np.float32)
    moved = [t.animate(SPEECH, rate=16_000, template=face).vertices for t in (talker, again)]
    np.testing.assert_allclose(*moved, atol=1e-5)  # where memory lies changes the rounding
