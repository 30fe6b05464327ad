"""USD: the head with its blendshapes as UsdSkel has them, animated; `.usdz` with texture and sound.

In the flow speech -> features -> codes -> motion -> mesh -> **file**. Frame i is time code i, and
the stage says how many are a second. `.usd` (binary) and `.usda` (text) are single files, so their
materials have a colour each and no texture, and no sound is in them.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from codetalker.errors import OutputError
from codetalker.files.sound_track import SoundTrack
from codetalker.head_pose import quaternions
from codetalker.normals import VertexNormals
from codetalker.render.colour import linear_from_srgb

Gf, Kind, Sdf, Tf, Usd, UsdGeom, UsdMedia, UsdShade, UsdSkel, UsdUtils, Vt = (
    import_module(f"pxr.{name}")  # it says nothing of its types
    for name in (
        *("Gf", "Kind", "Sdf", "Tf", "Usd"),
        *("UsdGeom", "UsdMedia", "UsdShade", "UsdSkel", "UsdUtils", "Vt"),
    )
)

if TYPE_CHECKING:
    from codetalker.animation import Animation
    from codetalker.audio import Waveform
    from codetalker.rig import Rig, Surface

_ROOT = "/face"
_BODY, _HEAD = "body", "body/head"
_TEXTURE, _SOUND = "./texture.png", "./speech.m4a"
"""Files of a package."""
_SAME_NORMAL = 1e-3
_CLAY = (0.45, 0.45, 0.45)


def write_usd(path: Path, animation: Animation) -> None:
    """Write a stage, as text for `.usda`; in metres, y up.

    Raises:
        OutputError: the motion has no frames.
    """
    stage = _stage(path, animation, packed=False)
    form = "usda" if path.suffix == ".usda" else "usdc"
    stage.GetRootLayer().Export(str(path), args={"format": form})


def write_usdz(path: Path, animation: Animation) -> None:
    """Write a package of the stage, the texture and the recording's own sound as AAC.

    Raises:
        OutputError: the motion has no frames.
    """
    stage = _stage(path, animation, packed=True)
    with TemporaryDirectory() as folder:
        if animation.rig.surface is not None:
            Path(folder, _TEXTURE).write_bytes(animation.rig.surface.texture)
        if animation.audio is not None:
            _write_m4a(Path(folder, _SOUND), animation.audio)
        alone = str(Path(folder, "face.usdc"))
        stage.GetRootLayer().Export(alone)
        UsdUtils.CreateNewUsdzPackage(alone, str(path))


def _write_m4a(path: Path, audio: Waveform) -> None:
    with av.open(str(path), "w", format="ipod") as file:
        SoundTrack(file, "aac", audio).finish()


def _stage(path: Path, animation: Animation, packed: bool) -> Any:
    """The `Usd.Stage`, as it is in a package or alone."""
    if not len(animation):
        raise OutputError(f"{path}: the motion has no frames to play; give it longer audio")
    stage = Usd.Stage.CreateInMemory()
    stage.SetTimeCodesPerSecond(animation.fps)
    stage.SetFramesPerSecond(animation.fps)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(len(animation) - 1)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1)
    root = UsdSkel.Root.Define(stage, _ROOT).GetPrim()
    stage.SetDefaultPrim(root)
    Usd.ModelAPI(root).SetKind(Kind.Tokens.component)
    stage.GetRootLayer().customLayerData = {"copyright": animation.rig.copyright}
    mesh = _mesh(stage, animation.rig)
    _add_materials(stage, mesh, animation.rig.surface, packed)
    _add_skeleton(stage, mesh, animation)
    if packed and animation.audio is not None:
        _add_sound(stage)
    return stage


def _mesh(stage: Any, rig: Rig) -> Any:
    """The rig with smooth normals and a blend shape for each of its shapes."""
    smooth = VertexNormals(rig.triangles, len(rig.template))
    normals = smooth.of(rig.template)
    mesh = UsdGeom.Mesh.Define(stage, f"{_ROOT}/head")
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(rig.template))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray(len(rig.triangles), 3))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(rig.triangles.ravel()))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(normals))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    mesh.CreateExtentAttr(UsdGeom.PointBased.ComputeExtent(mesh.GetPointsAttr().Get()))
    paths = []
    for name, offsets in zip(rig.blendshape_names, rig.blendshapes, strict=True):
        turned = smooth.of(rig.template + offsets) - normals
        moved = np.flatnonzero(offsets.any(axis=1) | (np.abs(turned).max(axis=1) > _SAME_NORMAL))
        shape = UsdSkel.BlendShape.Define(stage, mesh.GetPath().AppendChild(_prim_name(name)))
        shape.CreateOffsetsAttr(Vt.Vec3fArray.FromNumpy(offsets[moved]))
        shape.CreateNormalOffsetsAttr(Vt.Vec3fArray.FromNumpy(turned[moved]))
        shape.CreatePointIndicesAttr(Vt.IntArray.FromNumpy(moved.astype(np.int32)))
        paths.append(shape.GetPath())
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateBlendShapesAttr(Vt.TokenArray(list(rig.blendshape_names)))
    binding.CreateBlendShapeTargetsRel().SetTargets(paths)
    if rig.surface is not None:
        uvs = rig.surface.uv * (1, -1) + (0, 1)  # v up
        st = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar(
            "st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.faceVarying
        )
        st.Set(Vt.Vec2fArray.FromNumpy(uvs.astype(np.float32)))
        st.SetIndices(Vt.IntArray.FromNumpy(rig.surface.uv_triangles.ravel()))
    return mesh


def _prim_name(name: str) -> str:
    return Tf.MakeValidIdentifier(name)


def _add_skeleton(stage: Any, mesh: Any, animation: Animation) -> None:
    """A body and the head on it, both at the origin, and what moves shapes and head over time."""
    rig = animation.rig
    still = Vt.Matrix4dArray([Gf.Matrix4d(1)] * 2)
    skeleton = UsdSkel.Skeleton.Define(stage, f"{_ROOT}/skeleton")
    skeleton.CreateJointsAttr(Vt.TokenArray([_BODY, _HEAD]))
    skeleton.CreateBindTransformsAttr(still)
    skeleton.CreateRestTransformsAttr(still)
    speech = UsdSkel.Animation.Define(stage, f"{_ROOT}/skeleton/speech")
    speech.CreateBlendShapesAttr(Vt.TokenArray(list(rig.blendshape_names)))
    weights = speech.CreateBlendShapeWeightsAttr()
    for frame, row in enumerate(np.ascontiguousarray(animation.weights, np.float32)):
        weights.Set(Vt.FloatArray.FromNumpy(row), Usd.TimeCode(frame))
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets([skeleton.GetPath()])
    UsdSkel.BindingAPI.Apply(skeleton.GetPrim()).CreateAnimationSourceRel().SetTargets(
        [speech.GetPath()]
    )
    neck = np.zeros(len(rig.template), np.float32) if rig.neck is None else rig.neck
    joints = np.tile(np.array([1, 0], np.int32), len(neck))
    shares = np.stack([neck, 1 - neck], axis=1).astype(np.float32).ravel()
    binding.CreateJointIndicesPrimvar(False, 2).Set(Vt.IntArray.FromNumpy(joints))
    binding.CreateJointWeightsPrimvar(False, 2).Set(Vt.FloatArray.FromNumpy(shares))
    if animation.head is not None and rig.neck is not None:
        speech.CreateJointsAttr(Vt.TokenArray([_HEAD]))
        speech.CreateTranslationsAttr(Vt.Vec3fArray([Gf.Vec3f(0)]))
        speech.CreateScalesAttr(Vt.Vec3hArray([Gf.Vec3h(1)]))
        turns = speech.CreateRotationsAttr()
        for frame, (x, y, z, w) in enumerate(quaternions(animation.head).tolist()):
            turns.Set(Vt.QuatfArray([Gf.Quatf(w, x, y, z)]), Usd.TimeCode(frame))


def _add_materials(stage: Any, mesh: Any, surface: Surface | None, packed: bool) -> None:
    """A preview surface for each material, bound to the triangles that have it."""
    if surface is None:
        mesh.CreateDisplayColorAttr([_CLAY])
        return
    for i, look in enumerate(surface.materials):
        material = UsdShade.Material.Define(stage, f"{_ROOT}/materials/{_prim_name(look.name)}")
        _shade(stage, material, look, packed)
        faces = np.flatnonzero(surface.triangle_material == i).astype(np.int32)
        part = UsdGeom.Subset.CreateGeomSubset(
            mesh,
            _prim_name(f"of_{look.name}"),
            UsdGeom.Tokens.face,
            Vt.IntArray.FromNumpy(faces),
            UsdShade.Tokens.materialBind,
            UsdGeom.Tokens.partition,
        )
        UsdShade.MaterialBindingAPI.Apply(part.GetPrim()).Bind(material)


def _shade(stage: Any, material: Any, look: Any, packed: bool) -> None:
    kinds = Sdf.ValueTypeNames
    surface = UsdShade.Shader.Define(stage, material.GetPath().AppendChild("surface"))
    surface.CreateIdAttr("UsdPreviewSurface")
    surface.CreateInput("roughness", kinds.Float).Set(look.roughness)
    surface.CreateInput("metallic", kinds.Float).Set(0.0)
    colour = surface.CreateInput("diffuseColor", kinds.Color3f)
    material.CreateSurfaceOutput().ConnectToSource(surface.ConnectableAPI(), "surface")
    if not packed:
        colour.Set(Gf.Vec3f(*linear_from_srgb(np.array(look.colour)).tolist()))
        return
    reader = UsdShade.Shader.Define(stage, material.GetPath().AppendChild("st"))
    reader.CreateIdAttr("UsdPrimvarReader_float2")
    reader.CreateInput("varname", kinds.String).Set("st")
    reader.CreateOutput("result", kinds.Float2)
    texture = UsdShade.Shader.Define(stage, material.GetPath().AppendChild("texture"))
    texture.CreateIdAttr("UsdUVTexture")
    texture.CreateInput("file", kinds.Asset).Set(Sdf.AssetPath(_TEXTURE))
    texture.CreateInput("sourceColorSpace", kinds.Token).Set("sRGB")
    texture.CreateInput("st", kinds.Float2).ConnectToSource(reader.ConnectableAPI(), "result")
    colour.ConnectToSource(texture.ConnectableAPI(), "rgb")
    texture.CreateOutput("rgb", kinds.Float3)
    if look.blended:
        texture.CreateOutput("a", kinds.Float)
        surface.CreateInput("opacity", kinds.Float).ConnectToSource(texture.ConnectableAPI(), "a")


def _add_sound(stage: Any) -> None:
    """From the first frame, as it is unless said otherwise."""
    sound = UsdMedia.SpatialAudio.Define(stage, f"{_ROOT}/sound")
    sound.CreateFilePathAttr(Sdf.AssetPath(_SOUND))
    sound.CreateAuralModeAttr(UsdMedia.Tokens.nonSpatial)
    sound.CreatePlaybackModeAttr(UsdMedia.Tokens.onceFromStart)
