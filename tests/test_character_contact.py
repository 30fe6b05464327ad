"""Where the bundled head's lips meet, so do every character's, measured without its own help."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

import codetalker
from character_data import HEAD, ShapedMesh, build_characters, character, face_file, heads, speech
from codetalker import Character
from codetalker.evaluation.mouth import CENTRAL, Mouth
from codetalker.motion import Motion
from codetalker.visemes import within_one

EXAMPLE = Path(__file__).parents[1] / "examples" / "sense_and_sensibility.flac"
FROM_HEADS = sorted(name for name in heads() if name != "drawn.glb")
CLOSED = 0.1
"""Of the widest gap of the clip: lips that are apart by less are closed."""


@lru_cache(maxsize=1)
def spoken() -> Motion:
    return codetalker.load("studio").animate(EXAMPLE)


def head_gap(motion: Motion) -> np.ndarray:
    """(T,) of the bundled head, beyond rest."""
    return motion.weights @ Mouth(HEAD).central_gap


def gap(face: Character, weights: np.ndarray) -> np.ndarray:
    """(T,) vertical distance of the pairs that are the inner lips of the head that the face was
    made from, beyond what they are apart there when its mouth is closed."""
    used = build_characters.cut("Face")[0]
    upper, lower = (np.searchsorted(used, side[CENTRAL]) for side in HEAD.lip_gap)
    start = sum(
        len(part.vertices) for part in face.parts[: face.file.gltf.meshes[0].name != "Face"]
    )
    rig = face.rig
    apart = rig.template[upper + start, 1] - rig.template[lower + start, 1]
    moved = rig.blendshapes[:, upper + start, 1] - rig.blendshapes[:, lower + start, 1]
    scale = np.ptp(rig.template[: len(used), 1]) / np.ptp(HEAD.template[used, 1])
    at_rest = (
        HEAD.template[HEAD.lip_gap[0][CENTRAL], 1] - HEAD.template[HEAD.lip_gap[1][CENTRAL], 1]
    )
    return (weights @ moved.mean(1)) + apart.mean() - at_rest.mean() * scale


@pytest.mark.parametrize("name", FROM_HEADS)
def test_lips_meet_where_the_bundled_heads_do(
    name: str, tmp_path: Path, bundled_model: Path
) -> None:
    motion = spoken()
    there = head_gap(motion)
    closed = there <= CLOSED * there.max()
    assert closed.sum() > 20
    face = Character.load(face_file(tmp_path, name))
    here = gap(face, face.weights(motion))
    share = 0.9 if name == "jaw_bone.glb" else 0.95  # a bone bends lips otherwise than jawOpen
    assert (here[closed] <= CLOSED * here.max()).mean() >= share
    assert np.corrcoef(here, there)[0, 1] > 0.97


@pytest.mark.parametrize("name", ["deep_jaw.glb", "perfect_sync.glb", "parted.glb"])
def test_without_it_they_do_not(name: str, tmp_path: Path, bundled_model: Path) -> None:
    motion = spoken()
    closed = head_gap(motion) <= CLOSED * head_gap(motion).max()
    face = Character.load(face_file(tmp_path, name))
    here = gap(face, face.weights(motion, contact=False))
    assert (here[closed] <= CLOSED * here.max()).mean() < 0.6


def test_a_drawn_face_closes_its_slit(tmp_path: Path, bundled_model: Path) -> None:
    motion, face = spoken(), Character.load(face_file(tmp_path, "drawn.glb"))
    upper, lower = 3 * 21 + 10, 4 * 21 + 10  # the middle of the slit's edges
    basis = face.rig.blendshapes[:, upper, 1] - face.rig.blendshapes[:, lower, 1]
    here, there = face.weights(motion) @ basis, head_gap(motion)
    closed = there <= CLOSED * there.max()
    assert (here[closed] <= CLOSED * here.max()).mean() >= 0.95


def test_the_bundled_head_itself_is_hardly_changed(tmp_path: Path, bundled_model: Path) -> None:
    motion, face = spoken(), Character.load(face_file(tmp_path, "arkit.glb"))
    change = face.weights(motion) - face.weights(motion, contact=False)
    assert np.abs(change).max() < 0.02
    moved = np.einsum("tk,kvc->tvc", change[::10], face.rig.blendshapes)
    assert np.linalg.norm(moved, axis=2).max() < 0.0005


@pytest.mark.parametrize("name", ["perfect_sync.glb", "vroid.glb", "visemes.glb"])
def test_weights_stay_in_range_and_what_speech_does_not_move_stays(
    name: str, tmp_path: Path
) -> None:
    motion, face = speech(), Character.load(face_file(tmp_path, name))
    plain, weights = face.weights(motion, contact=False), face.weights(motion)
    assert weights.min() >= 0
    assert weights.max() <= 1
    still = [i for i, shape in enumerate(face.shapes) if "blink" in shape.lower() or "EYE" in shape]
    np.testing.assert_array_equal(weights[:, still], plain[:, still])
    if face.system != "shapes":
        mouth = [i for i, s in enumerate(face.shapes) if s.startswith(("Fcl_MTH", "viseme"))]
        assert weights[:, mouth].sum(1).max() <= 1 + 1e-6
        assert face.system == "visemes" or weights[:, mouth].sum(1).max() <= 1


def test_the_motion_stays_as_smooth_as_it_is(tmp_path: Path) -> None:
    motion = speech(200)
    face = Character.load(face_file(tmp_path, "perfect_sync.glb"))
    rough = [np.abs(np.diff(face.weights(motion, contact=on), n=2, axis=0)).max() for on in (0, 1)]
    assert rough[1] < 1.5 * rough[0]


def test_lips_are_the_pairs_that_meet(tmp_path: Path) -> None:
    face = Character.load(face_file(tmp_path, "arkit.glb"))
    assert face.lips is not None
    used = build_characters.cut("Face")[0]
    middle = face.lips.pairs[:, 2:7]
    inner = [set(HEAD.lip_gap[row].tolist()) for row in (0, 1)]
    apart = [
        min(np.linalg.norm(HEAD.template[used[v]] - HEAD.template[o]) for o in inner[row])
        for row in (0, 1)
        for v in middle[row]
    ]
    assert max(apart) < 0.004


def test_a_face_without_lips_is_moved_as_its_names_say(tmp_path: Path) -> None:
    nods = {"jawOpen": np.array([[0, 0.0, 1]] * 3), "mouthPucker": np.array([[0, 0.1, 0]] * 3)}
    mesh = ShapedMesh("Face", np.eye(3), np.array([[0, 1, 2]]), nods)
    path = tmp_path / "a.glb"
    path.write_bytes(character([mesh]))
    face = Character.load(path)
    assert face.lips is None
    np.testing.assert_array_equal(
        face.weights(speech())[:, 0], speech().weights_for(("jawOpen",))[:, 0]
    )


def test_visemes_that_open_wide_together_share_the_mouth(tmp_path: Path) -> None:
    """A jaw beyond what one viseme opens: the lips find others, and still sum to 1."""
    wide = Motion(np.tile(speech().weights[4:5] * 3, (3, 1)), HEAD.blendshape_names, 25.0)
    for name in ("vroid.glb", "visemes.glb"):
        face = Character.load(face_file(tmp_path, name))
        mouth = [i for i, s in enumerate(face.shapes) if s.startswith(("Fcl_MTH", "viseme"))]
        assert 0.9 < face.weights(wide)[:, mouth].sum(1).max() <= 1 + 1e-6


def test_the_closest_shares_that_sum_to_one_at_most() -> None:
    given = np.array([[0.2, 0.3, 0.1], [0.9, 0.6, -1.0], [-1.0, -2.0, -0.5], [3.0, 0.0, 0.0]])
    found = within_one(given)
    np.testing.assert_allclose(
        found, [[0.2, 0.3, 0.1], [0.65, 0.35, 0], [0, 0, 0], [1, 0, 0]], atol=2e-6
    )
