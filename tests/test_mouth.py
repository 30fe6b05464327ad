"""The mouth's curves: linear ones against posed vertices, the lip at the teeth against geometry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from codetalker.errors import RigError
from codetalker.evaluation.mouth import Mouth
from rig_motion import HEAD, MOUTH, column


def posed(**weights: float) -> tuple[np.ndarray, np.ndarray]:
    """(1, 52) weights and the (V, 3) vertices in mm that they give."""
    row = np.zeros((1, 52), np.float32)
    for name, value in weights.items():
        row[0, column(name)] = value
    return row, HEAD.vertices(row)[0].astype(np.float64) * 1000


POSES = [
    {"jawOpen": 0.3, "mouthClose": 0.1, "mouthPucker": 0.4},
    {"mouthSmileLeft": 0.7, "mouthSmileRight": 0.7, "mouthUpperUpLeft": 0.2},
]


@pytest.mark.parametrize("pose", POSES)
def test_curves_are_what_the_vertices_do(pose: dict[str, float]) -> None:
    weights, vertices = posed(**pose)
    rest = HEAD.template.astype(np.float64) * 1000
    heights = [(v[HEAD.lip_gap[0], 1] - v[HEAD.lip_gap[1], 1]) for v in (vertices, rest)]
    gaps = heights[0] - heights[1]
    assert (weights @ MOUTH.gap)[0] == pytest.approx(gaps.mean(), abs=1e-3)
    assert (weights @ MOUTH.central_gap)[0] == pytest.approx(gaps[2:7].mean(), abs=1e-3)
    chin = HEAD.landmarks[8]
    assert (weights @ MOUTH.chin)[0] == pytest.approx(rest[chin, 1] - vertices[chin, 1], abs=1e-3)


def test_width_is_that_of_the_corners_to_first_order() -> None:
    """Corners move evenly on both sides, so what is left of the order is below 2% of the width."""
    for name, sign in (("mouthSmile", 1), ("mouthStretch", 1), ("mouthPucker", -1)):
        sides = [name] if name == "mouthPucker" else [f"{name}Left", f"{name}Right"]
        weights, vertices = posed(**dict.fromkeys(sides, 0.5))
        ends = HEAD.landmarks[[54, 48]]
        faces = (vertices, HEAD.template * 1000.0)
        exact = [float(np.linalg.norm(face[ends[0]] - face[ends[1]])) for face in faces]
        widened = (weights @ MOUTH.width)[0]
        assert widened * sign > 1
        assert widened == pytest.approx(exact[0] - exact[1], abs=0.02 * exact[1])


def test_the_lower_lip_comes_to_the_teeth_when_it_is_rolled_in() -> None:
    rolled = [posed(mouthRollLower=share)[0][0] for share in (0.0, 0.4, 0.7, 1.0)]
    distance = MOUTH.lip_to_teeth_mm(np.stack(rolled))
    assert (np.diff(distance) < 0).all()
    assert distance[0] > 4
    assert distance[-1] < 1
    open_ = MOUTH.lip_to_teeth_mm(posed(jawOpen=0.5)[0])
    assert open_ > distance[0] + 2


def test_the_distance_to_the_teeth_is_that_of_the_surface(monkeypatch: pytest.MonkeyPatch) -> None:
    """Points 1.1 mm apart find a surface within 0.15 mm of what points five times closer find."""
    random = np.random.default_rng(0)
    weights = (random.random((20, 52)) * 0.3).astype(np.float32)
    weights[:, column("mouthRollLower")] = random.random(20)
    coarse = MOUTH.lip_to_teeth_mm(weights)
    monkeypatch.setattr("codetalker.evaluation.mouth._GRID", 40)
    fine = Mouth(HEAD).lip_to_teeth_mm(weights)
    assert (coarse >= fine - 1e-9).all()
    np.testing.assert_allclose(coarse, fine, atol=0.15)


def test_a_rig_without_teeth_says_so() -> None:
    with pytest.raises(RigError, match="has no teeth"):
        Mouth(replace(HEAD, surface=None)).lip_to_teeth_mm(np.zeros((1, 52)))
