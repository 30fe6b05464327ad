"""Renderer: vertices of a face -> a picture, on one CPU core, with no display.

In the flow ... -> mesh -> **picture**. The camera and the topology stay the same for a clip, so
what never moves (skull, ears, shoulders) is drawn once, and each frame draws only the moving
triangles over it. Pictures are drawn larger and averaged down, in linear light.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from codetalker.normals import VertexNormals
from codetalker.render.camera import Camera
from codetalker.render.colour import CLAY, Colouring, Textured, VertexColours
from codetalker.render.film import Film, backdrop
from codetalker.render.light import LightTable
from codetalker.render.raster import DepthTiles, Fragments, nearest, scan
from codetalker.rig import Rig, Surface

_STILL_M = 1e-7
"""Blendshape offsets up to this many metres count as no motion."""
_CLAY_ROUGHNESS = 0.6
"""Chosen by eye: matt, with a soft highlight."""
_BEHIND_LIPS = ("teeth", "mouth", "tongue")
_WELL_OPEN_M, _MOUTH_SHUT = 0.005, 0.08
"""Lip opening from which the mouth is fully lit, and the share of light left when it is shut."""


@dataclass(frozen=True)
class Finish:
    """How the triangles of a mesh take the light.

    Attributes:
        colouring: the surface's colours.
        roughness: the roughnesses that occur, as in glTF.
        kind: (F,) intp, which of them each triangle has.
        blended: (F,) bool, triangles that let through what is behind them; drawn last.
        behind_lips: (F,) bool, triangles that get light only as far as the lips are apart.
        lip_gap: (2, N >= 1) facing vertices of the upper and the lower lip.
    """

    colouring: Colouring
    roughness: tuple[float, ...]
    kind: NDArray[np.intp]
    blended: NDArray[np.bool_]
    behind_lips: NDArray[np.bool_]
    lip_gap: NDArray[np.int32]

    @classmethod
    def clay(cls, triangles: NDArray[np.int32], colours: NDArray[np.floating]) -> Finish:
        """A matt mesh with (V, 3) sRGB 0..1 colours at its vertices."""
        none = np.zeros(len(triangles), bool)
        return cls(
            colouring=VertexColours(colours, triangles),
            roughness=(_CLAY_ROUGHNESS,),
            kind=none.astype(np.intp),
            blended=none,
            behind_lips=none,
            lip_gap=np.zeros((2, 1), np.int32),
        )

    @classmethod
    def of(cls, surface: Surface, lip_gap: NDArray[np.int32]) -> Finish:
        """The materials and the texture of a rig; `lip_gap` (2, N), N = 0 if it is not known."""
        known = lip_gap.shape[1] > 0
        kind = surface.triangle_material.astype(np.intp)
        return cls(
            colouring=Textured(surface),
            roughness=tuple(m.roughness for m in surface.materials),
            kind=kind,
            blended=np.array([m.blended for m in surface.materials])[kind],
            behind_lips=np.array([known and m.name in _BEHIND_LIPS for m in surface.materials])[
                kind
            ],
            lip_gap=lip_gap if known else np.zeros((2, 1), np.int32),
        )


class Renderer:
    """Draws one face, frame after frame, into pictures of size x size pixels.

    Args:
        template: (V, 3) float32, the face at rest.
        triangles: (F, 3) int32, counter-clockwise seen from outside.
        finish: clay grey if None.
        camera: by default one that shows the whole mesh.
        size: pixels along each side of the picture.
        moving: (V,) bool, vertices that frames may move; all of them if None.
        samples: samples per pixel along each side.
    """

    def __init__(
        self,
        template: NDArray[np.float32],
        triangles: NDArray[np.int32],
        *,
        finish: Finish | None = None,
        camera: Camera | None = None,
        size: int = 512,
        moving: NDArray[np.bool_] | None = None,
        samples: int = 2,
    ) -> None:
        clay = np.tile(CLAY, (len(template), 1))
        self._finish = finish or Finish.clay(triangles, clay)
        self._camera = camera or Camera.around(template)
        self._side = size * samples
        self._triangles = triangles
        self._light = LightTable(self._finish.roughness)
        self._normals = VertexNormals(triangles, len(template))

        # what lies behind the lips may keep its place, but not its light
        touched = _touched(triangles, len(template), moving) | self._finish.behind_lips
        solid = ~self._finish.blended
        self._still = np.flatnonzero(~touched & solid)
        redrawn = np.flatnonzero(touched & solid)
        self._blended = np.flatnonzero(self._finish.blended)

        self._lips_at_rest = self._lip_gap(template)
        self._planes = backdrop(self._side)
        self._depth = np.full(self._side**2, np.inf, np.float32)
        self._film = Film(size, samples, self._planes, fade=camera is not None and camera.fades)
        self._draw(self._still, *self._view(template))
        self._still_depth, self._still_planes = self._depth.copy(), self._planes.copy()

        shown = self._shown(redrawn, template)
        behind_lips = self._finish.behind_lips[redrawn]
        self._front = redrawn[shown & ~behind_lips]
        self._hidden = redrawn[~shown & ~behind_lips]
        self._mouth = redrawn[behind_lips]

    @classmethod
    def of(
        cls,
        rig: Rig,
        size: int = 512,
        *,
        camera: Camera | None = None,
        head_turns: bool = False,
    ) -> Self:
        """A renderer of a rig: its materials and texture if it has them, a portrait if it can.

        With `head_turns`, frames may turn its head, which costs more than a still one.
        """
        if camera is None and len(rig.landmarks):
            camera = Camera.portrait(rig.template, rig.landmarks)
        elif camera is None and len(rig.regions.get("face", ())):
            camera = Camera.around(rig.template[rig.regions["face"]])
        moving = np.asarray(np.abs(rig.blendshapes).max(axis=(0, 2)) > _STILL_M)
        if head_turns and rig.neck is not None:
            moving |= rig.neck > 0
        return cls(
            rig.template,
            rig.triangles,
            finish=Finish.of(rig.surface, rig.lip_gap) if rig.surface else None,
            camera=camera,
            size=size,
            moving=moving,
        )

    def frame(self, vertices: NDArray[np.float32]) -> NDArray[np.uint8]:
        """(V, 3) metres -> (size, size, 3) uint8 sRGB."""
        np.copyto(self._depth, self._still_depth)
        np.copyto(self._planes, self._still_planes)
        points, normals = self._view(vertices)
        self._draw(self._front, points, normals)
        tiles = DepthTiles(self._depth, self._side)
        for which, light in ((self._hidden, 1.0), (self._mouth, self._through_lips(vertices))):
            self._draw(
                which[tiles.may_show(points[self._triangles[which]])], points, normals, light
            )
        self._blend(self._blended, points, normals)
        return self._film.develop(self._planes)

    def _view(self, vertices: NDArray[np.float32]) -> tuple[NDArray, NDArray]:
        points = self._camera.project(vertices, self._side)
        return points, self._camera.turn(self._normals.of(vertices))

    def _lip_gap(self, vertices: NDArray[np.float32]) -> float:
        upper, lower = self._finish.lip_gap
        return float((vertices[upper, 1] - vertices[lower, 1]).mean())

    def _through_lips(self, vertices: NDArray[np.float32]) -> float:
        """How much of the light reaches the inside of the mouth, 0..1."""
        gap = self._lip_gap(vertices) - self._lips_at_rest
        return _MOUTH_SHUT + (1 - _MOUTH_SHUT) * min(max(gap / _WELL_OPEN_M, 0.0), 1.0)

    def _draw(
        self, which: NDArray[np.intp], points: NDArray, normals: NDArray, light: float = 1.0
    ) -> None:
        """Draw the opaque triangles `which` that face the camera."""
        which = which[_faces_camera(points[self._triangles[which]])]
        fragments = self._visible(which, points)
        for plane, values in zip(
            self._planes, self._shade(fragments, which, normals, light), strict=True
        ):
            plane[fragments.sample] = values

    def _blend(self, which: NDArray[np.intp], points: NDArray, normals: NDArray) -> None:
        """Draw translucent triangles, both their sides, over what is there."""
        if not len(which):
            return
        fragments = self._visible(which, points)
        opacity = self._finish.colouring.opacity(fragments, which)
        for plane, values in zip(
            self._planes, self._shade(fragments, which, normals, 1.0), strict=True
        ):
            below = plane[fragments.sample]
            plane[fragments.sample] = below + opacity * (values - below)

    def _shown(self, which: NDArray[np.intp], template: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which of the triangles can be seen at rest; the others (the lids' insides, the mouth) are
        likely to stay hidden, so frames draw them last and test them against what is there."""
        points, _ = self._view(template)
        seen = self._visible(which, points)
        shown = np.zeros(len(which), bool)
        shown[seen.triangle[seen.span]] = True
        np.copyto(self._depth, self._still_depth)
        return shown

    def _visible(self, which: NDArray[np.intp], points: NDArray) -> Fragments:
        corners = points[self._triangles[which]]
        fragments = scan(corners[:, :, :2], self._side, self._side)
        depth = fragments.interpolate(corners[:, :, 2])
        return fragments.keep(nearest(fragments, depth, self._depth))

    def _shade(
        self, fragments: Fragments, which: NDArray[np.intp], normals: NDArray, light: float
    ) -> list[NDArray[np.float32]]:
        """Linear red, green and blue of the fragments, each (M,)."""
        facing = normals[self._triangles[which]]
        cell = self._light.cell(
            fragments.interpolate(facing[:, :, 0]), fragments.interpolate(facing[:, :, 1])
        )
        gloss = self._light.gloss(cell, fragments.per_triangle(self._finish.kind[which]))
        colour = self._finish.colouring.at(fragments, which)
        for plane, lit in zip(colour, self._light.diffuse(cell), strict=True):
            plane *= lit
            plane += gloss
            if light != 1:
                plane *= np.float32(light)
        return colour


def _touched(
    triangles: NDArray[np.int32], count: int, moving: NDArray[np.bool_] | None
) -> NDArray[np.bool_]:
    """(F,) triangles whose place or whose shading can change: a vertex or its normal moves."""
    if moving is None:
        return np.ones(len(triangles), bool)
    turning = np.zeros(count, bool)
    turning[triangles[moving[triangles].any(axis=1)]] = True
    return np.asarray(turning[triangles].any(axis=1))


def _faces_camera(corners: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(N, 3, >=2) corners with y down -> (N,) whether they are counter-clockwise to the viewer."""
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return np.asarray(a[:, 0] * b[:, 1] < a[:, 1] * b[:, 0])
