"""USD: OpenUSD's own readers find the head, pose it as we do, and have nothing to complain of."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from codetalker import files
from codetalker.audio import Waveform
from codetalker.cli import main
from codetalker.errors import MissingExtraError, OutputError
from codetalker.files import needs
from codetalker.motion import Motion
from codetalker.rig import bundled_head
from codetalker.vertex_motion import VertexMotion

EXAMPLE = Path(__file__).parents[1] / "examples" / "sense_and_sensibility.flac"
SUFFIXES = ["usd", "usda", "usdz"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_without_openusd_the_extra_is_named_before_any_work(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(needs, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"usd-core .* 'codetalker-face\[usd\]'"):
        files.check_output(tmp_path / f"a.{suffix}", [f".{suffix}"])
    assert main(["animate", str(EXAMPLE), "-o", str(tmp_path / f"a.{suffix}")]) == 2
    assert "codetalker-face[usd]" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


pytest.importorskip("pxr", reason="needs the extra usd")

from pxr import Usd, UsdGeom, UsdMedia, UsdShade, UsdSkel  # noqa: E402


@pytest.fixture(scope="module")
def motion() -> Motion:
    random = np.random.default_rng(6)
    names = bundled_head().blendshape_names
    return Motion(
        random.random((12, 52), np.float32),
        names,
        30000 / 1001,
        audio=Waveform.load(EXAMPLE),
        head=random.uniform(-0.3, 0.3, (12, 3)).astype(np.float32),
    )


@pytest.fixture(scope="module", params=SUFFIXES)
def path(
    request: pytest.FixtureRequest, motion: Motion, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return motion.save(tmp_path_factory.mktemp("usd") / f"a.{request.param}")


@pytest.fixture(scope="module")
def stage(path: Path) -> Usd.Stage:
    return Usd.Stage.Open(str(path))


def test_every_validator_of_openusd_is_content(stage: Usd.Stage) -> None:
    validation = pytest.importorskip("pxr.UsdValidation")
    validators = validation.ValidationRegistry().GetOrLoadAllValidators()
    assert len(validators) > 20
    errors = validation.ValidationContext(validators).Validate(stage)
    assert [error.GetErrorAsString() for error in errors] == []


def test_time_space_and_root_are_said(stage: Usd.Stage, motion: Motion) -> None:
    assert stage.GetTimeCodesPerSecond() == stage.GetFramesPerSecond() == motion.fps
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (0, 11)
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1
    assert UsdGeom.GetStageUpAxis(stage) == "Y"
    assert stage.GetDefaultPrim().IsA(UsdSkel.Root)


def test_the_weights_are_those_of_the_motion(stage: Usd.Stage, motion: Motion) -> None:
    (speech,) = (UsdSkel.Animation(p) for p in stage.Traverse() if p.IsA(UsdSkel.Animation))
    assert tuple(speech.GetBlendShapesAttr().Get()) == motion.names
    weights = speech.GetBlendShapeWeightsAttr()
    assert weights.GetTimeSamples() == list(range(12))
    read = np.array([weights.Get(frame) for frame in range(12)])
    np.testing.assert_allclose(read, motion.weights, atol=1e-6)


@pytest.mark.parametrize("frame", [0, 7, 11])
def test_a_frame_posed_by_openusd_is_ours(stage: Usd.Stage, motion: Motion, frame: int) -> None:
    root = UsdSkel.Root(stage.GetDefaultPrim())
    cache = UsdSkel.Cache()
    cache.Populate(root, Usd.PrimDefaultPredicate)
    (binding,) = cache.ComputeSkelBindings(root, Usd.PrimDefaultPredicate)
    skeleton, (target,) = cache.GetSkelQuery(binding.GetSkeleton()), binding.GetSkinningTargets()
    shapes = UsdSkel.BlendShapeQuery(UsdSkel.BindingAPI(target.GetPrim()))
    animation = skeleton.GetAnimQuery()
    weights = animation.ComputeBlendShapeWeights(frame)
    points = UsdGeom.Mesh(target.GetPrim()).GetPointsAttr().Get()
    assert shapes.ComputeDeformedPoints(
        *shapes.ComputeSubShapeWeights(weights),
        shapes.ComputeBlendShapePointIndices(),
        shapes.ComputeSubShapePointOffsets(),
        points,
    )
    assert target.ComputeSkinnedPoints(
        skeleton.ComputeSkinningTransforms(frame), points, Usd.TimeCode(frame)
    )
    ours = motion.on().vertices()[frame]
    np.testing.assert_allclose(np.array(points), ours, atol=1e-5)


def test_triangles_have_their_materials_and_texture(stage: Usd.Stage, path: Path) -> None:
    head = bundled_head()
    assert head.surface
    (mesh,) = (UsdGeom.Mesh(p) for p in stage.Traverse() if p.IsA(UsdGeom.Mesh))
    corners = np.array(mesh.GetFaceVertexIndicesAttr().Get()).reshape(-1, 3)
    np.testing.assert_array_equal(corners, head.triangles)
    subsets = UsdShade.MaterialBindingAPI(mesh.GetPrim()).GetMaterialBindSubsets()
    assert len(subsets) == len(head.surface.materials)
    for subset in subsets:
        material, _ = UsdShade.MaterialBindingAPI(subset.GetPrim()).ComputeBoundMaterial()
        names = [look.name for look in head.surface.materials]
        look = names.index(material.GetPrim().GetName())
        faces = np.array(subset.GetIndicesAttr().Get())
        np.testing.assert_array_equal(faces, np.flatnonzero(head.surface.triangle_material == look))
        shader = UsdShade.Shader(material.GetPrim().GetChild("surface"))
        textured = shader.GetInput("diffuseColor").HasConnectedSource()
        assert textured == (path.suffix == ".usdz")
        see_through = shader.GetInput("opacity")
        assert bool(see_through) == (textured and head.surface.materials[look].blended)
    st = UsdGeom.PrimvarsAPI(mesh).GetPrimvar("st")
    uvs = np.array(st.ComputeFlattened()).reshape(-1, 3, 2)
    meant = head.surface.uv[head.surface.uv_triangles] * (1, -1) + (0, 1)
    np.testing.assert_allclose(uvs, meant, atol=1e-6)


def test_a_package_holds_texture_and_sound(motion: Motion, tmp_path: Path) -> None:
    path = motion.save(tmp_path / "a.usdz")
    with zipfile.ZipFile(path) as package:
        assert package.namelist()[0] == "face.usdc"
        assert set(package.namelist()) == {"face.usdc", "texture.png", "speech.m4a"}
        assert {entry.compress_type for entry in package.infolist()} == {zipfile.ZIP_STORED}
        surface = bundled_head().surface
        assert surface and package.read("texture.png") == surface.texture
        (tmp_path / "speech.m4a").write_bytes(BytesIO(package.read("speech.m4a")).getvalue())
    heard = Waveform.load(tmp_path / "speech.m4a")
    assert motion.audio and heard.duration == pytest.approx(motion.audio.duration, abs=0.05)
    stage = Usd.Stage.Open(str(path))
    (sound,) = (UsdMedia.SpatialAudio(p) for p in stage.Traverse() if p.GetName() == "sound")
    assert sound.GetFilePathAttr().Get().path == "./speech.m4a"
    assert sound.GetAuralModeAttr().Get() == "nonSpatial"
    silent = replace(motion, audio=None).save(tmp_path / "b.usdz")
    with zipfile.ZipFile(silent) as package:
        assert set(package.namelist()) == {"face.usdc", "texture.png"}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_motion_of_no_frames_is_refused(motion: Motion, tmp_path: Path, suffix: str) -> None:
    with pytest.raises(OutputError, match="no frames"):
        motion[:0].save(tmp_path / f"a.{suffix}")
    assert not list(tmp_path.iterdir())


def test_a_face_of_vertices_is_written_too(tmp_path: Path) -> None:
    head = bundled_head()
    moved = head.vertices(np.random.default_rng(1).random((5, 52), np.float32) * 0.3)
    path = VertexMotion(moved, head.template, 30, head.triangles).save(tmp_path / "a.usdz")
    stage = Usd.Stage.Open(str(path))
    (mesh,) = (UsdGeom.Mesh(p) for p in stage.Traverse() if p.IsA(UsdGeom.Mesh))
    assert len(mesh.GetPointsAttr().Get()) == len(head.template)
