"""Renderer: vertices of a face -> a picture, on one CPU core, with no display.

In the flow ... -> mesh -> **picture**. The camera and the topology stay the same for a clip, so what
never moves (skull, ears, neck) is drawn once and each frame draws only the moving triangles over it.
Pictures are drawn larger and averaged down, in linear light.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

from codetalker.render.camera import Camera
from codetalker.render.colour import (
    CLAY,
    Colouring,
    Textured,
    VertexColours,
    linear_from_srgb,
    srgb_from_linear,
)
from codetalker.render.light import LightTable
from codetalker.render.normals import VertexNormals
from codetalker.render.raster import Fragments, nearest, scan
from codetalker.rig import Rig

_STILL_M = 1e-7
"""Blendshape offsets up to this many metres count as no motion."""
_BACKGROUND = ((0.23, 0.25, 0.29), (0.10, 0.11, 0.13))
"""sRGB at the middle and at the corners of the picture."""
_TONES = 4096
_SHOULDER, _BRIGHTEST = 0.6, 1.5
"""Linear light: where the tone curve starts to bend, and what becomes white."""
_CLAY_ROUGHNESS = 0.6
_BEHIND_LIPS = ("teeth", "mouth", "tongue")
_WELL_OPEN_M, _MOUTH_SHUT = 0.010, 0.12
"""Lip gap from which the mouth is fully lit, and the light that is left when it is shut."""


class Renderer:
    """Draws one face, frame after frame, into pictures of size x size pixels.

    Args:
        template: (V, 3) float32, the face at rest.
        triangles: (F, 3) int32, counter-clockwise seen from outside.
        colouring: the surface's colours; clay grey if None.
        camera: by default one that shows the whole mesh.
        size: pixels along each side of the picture.
        roughness, kind: the roughnesses that occur, and (F,) which of them each triangle has.
        blended: (F,) bool, triangles that let through what is behind them; drawn last, both sides.
        mouth: (2, N) facing vertices of the upper and lower lip, and (F,) bool, the triangles behind
            them, which get light only as far as the lips are apart; or None.
        moving: (V,) bool, vertices that frames may move; all of them if None.
        samples: samples per pixel along each side.
    """

    def __init__(
        self,
        template: NDArray[np.float32],
        triangles: NDArray[np.int32],
        *,
        colouring: Colouring | None = None,
        camera: Camera | None = None,
        size: int = 512,
        roughness: tuple[float, ...] = (_CLAY_ROUGHNESS,),
        kind: NDArray[np.integer] | None = None,
        blended: NDArray[np.bool_] | None = None,
        mouth: tuple[NDArray[np.integer], NDArray[np.bool_]] | None = None,
        moving: NDArray[np.bool_] | None = None,
        samples: int = 2,
    ) -> None:
        count = len(triangles)
        self.size = size
        self.camera = Camera.around(template) if camera is None else camera
        self._samples = samples
        self._triangles = triangles
        self._colouring = colouring or VertexColours(np.tile(CLAY, (len(template), 1)), triangles)
        self._light = LightTable(roughness)
        self._kind = np.zeros(count, np.intp) if kind is None else kind.astype(np.intp)
        self._mouth = mouth
        self._normals = VertexNormals(triangles, len(template))

        blend = np.zeros(count, bool) if blended is None else blended
        touched = np.ones(count, bool)
        if moving is not None:
            turning = np.zeros(len(template), bool)
            turning[triangles[moving[triangles].any(axis=1)]] = True
            touched = turning[triangles].any(axis=1)
        self._still = np.flatnonzero(~touched & ~blend)
        self._moving = np.flatnonzero(touched & ~blend)
        self._blended = np.flatnonzero(blend)
        self._mouth_light = np.float32(1)
        self._prepare(template)

    @classmethod
    def of(cls, rig: Rig, size: int = 512, *, camera: Camera | None = None) -> Self:
        """A renderer of a rig: its materials and texture if it has them, a portrait if it can."""
        if camera is None and len(rig.landmarks):
            camera = Camera.portrait(rig.template, rig.landmarks)
        moving = (np.abs(rig.blendshapes) > _STILL_M).any(axis=(0, 2))
        surface = rig.surface
        if surface is None:
            return cls(rig.template, rig.triangles, camera=camera, size=size, moving=moving)
        behind = [m.name in _BEHIND_LIPS for m in surface.materials]
        return cls(
            rig.template,
            rig.triangles,
            colouring=Textured(surface),
            camera=camera,
            size=size,
            roughness=tuple(m.roughness for m in surface.materials),
            kind=surface.triangle_material,
            blended=np.array([m.blended for m in surface.materials])[surface.triangle_material],
            mouth=(rig.lip_gap, np.array(behind)[surface.triangle_material]),
            moving=moving,
        )

    def frame(self, vertices: NDArray[np.float32]) -> NDArray[np.uint8]:
        """(V, 3) metres -> (size, size, 3) uint8 sRGB."""
        np.copyto(self._depth, self._still_depth)
        for plane, still in zip(self._planes, self._still_planes, strict=True):
            np.copyto(plane, still)
        points, normals = self._view(vertices)
        self._mouth_light = self._through_lips(vertices)
        self._draw(self._moving, points, normals)
        self._blend(self._blended, points, normals)
        return self._develop()

    def _prepare(self, template: NDArray[np.float32]) -> None:
        """Draw the background and what never moves."""
        side = self.size * self._samples
        self._planes = list(_backdrop(side))
        self._depth = np.full(side * side, np.inf, np.float32)
        self._draw(self._still, *self._view(template))
        self._still_depth = self._depth.copy()
        self._still_planes = [plane.copy() for plane in self._planes]
        tones = srgb_from_linear(_film(np.linspace(0, _BRIGHTEST, _TONES)))
        self._tones = np.rint(255 * tones).astype(np.uint8)

    def _view(self, vertices: NDArray[np.float32]) -> tuple[NDArray, NDArray]:
        points = self.camera.project(vertices, self.size * self._samples)
        return points, self.camera.turn(self._normals.of(vertices))

    def _draw(self, which: NDArray[np.intp], points: NDArray, normals: NDArray) -> None:
        """Draw the opaque triangles `which` that face the camera."""
        which = which[_faces_camera(points[self._triangles[which]])]
        fragments = self._visible(which, points)
        colour = self._shade(fragments, which, normals)
        for plane, values in zip(self._planes, colour, strict=False):
            plane[fragments.sample] = values

    def _blend(self, which: NDArray[np.intp], points: NDArray, normals: NDArray) -> None:
        """Draw translucent triangles over what is there."""
        if not len(which):
            return
        fragments = self._visible(which, points)
        *colour, opacity = self._shade(fragments, which, normals)
        for plane, values in zip(self._planes, colour, strict=True):
            below = plane[fragments.sample]
            plane[fragments.sample] = below + opacity * (values - below)

    def _through_lips(self, vertices: NDArray[np.float32]) -> np.float32:
        """How much of the light reaches the inside of the mouth, 0..1."""
        if self._mouth is None:
            return np.float32(1)
        upper, lower = self._mouth[0]
        gap = float((vertices[upper, 1] - vertices[lower, 1]).mean())
        open_ = min(max(gap / _WELL_OPEN_M, 0.0), 1.0)
        return np.float32(_MOUTH_SHUT + (1 - _MOUTH_SHUT) * open_)

    def _visible(self, which: NDArray[np.intp], points: NDArray) -> Fragments:
        corners = points[self._triangles[which]]
        side = self.size * self._samples
        fragments = scan(corners[:, :, :2], side, side)
        depth = fragments.interpolate(corners[:, :, 2])
        return fragments.keep(nearest(fragments, depth, self._depth))

    def _shade(
        self, fragments: Fragments, which: NDArray[np.intp], normals: NDArray
    ) -> list[NDArray[np.float32]]:
        """Linear red, green, blue and opacity of the fragments, each (M,)."""
        facing = normals[self._triangles[which]]
        cell = self._light.cell(
            fragments.interpolate(facing[:, :, 0]), fragments.interpolate(facing[:, :, 1])
        )
        gloss = self._light.gloss(cell, fragments.per_triangle(self._kind[which]))
        *colour, opacity = self._colouring.at(fragments, which)
        light = self._light.diffuse(cell)
        if self._mouth is not None:
            reached = np.where(self._mouth[1][which], self._mouth_light, np.float32(1))
            reached = fragments.per_triangle(reached)
            gloss *= reached
            for plane in colour:
                plane *= reached
        for plane, lit in zip(colour, light, strict=True):
            plane *= lit
            plane += gloss
        return [*colour, opacity]

    def _develop(self) -> NDArray[np.uint8]:
        """Average the samples of each pixel and turn linear light into sRGB."""
        picture = np.empty((self.size, self.size, 3), np.uint8)
        n = self._samples
        scale = np.float32((_TONES - 1) / _BRIGHTEST / n**2)
        for channel, plane in enumerate(self._planes):
            grid = plane.reshape(self.size * n, self.size * n)
            total = sum(grid[i::n, j::n] for i in range(n) for j in range(n)) * scale
            tone = np.minimum(total, _TONES - 1).astype(np.intp)
            picture[:, :, channel] = self._tones.take(tone)
        return picture


def _faces_camera(corners: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(N, 3, >=2) corners with y down -> (N,) whether they are counter-clockwise to the viewer."""
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0] < 0


def _backdrop(side: int) -> NDArray[np.float32]:
    """(3, side * side) linear light: a soft glow behind the head."""
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    away = np.clip(np.hypot(axis[:, None] + 0.1, axis) / 1.3, 0, 1)
    glow = (1 - away**2 * (3 - 2 * away)).ravel()
    middle, corner = linear_from_srgb(np.array(_BACKGROUND))
    return (corner[:, None] + (middle - corner)[:, None] * glow).astype(np.float32)


def _film(light: NDArray[np.floating]) -> NDArray[np.floating]:
    """Tone curve: 0.._BRIGHTEST to 0..1, straight below _SHOULDER, so that highlights do not clip."""
    over = np.maximum(light - _SHOULDER, 0) / (_BRIGHTEST - _SHOULDER)
    slope = (_BRIGHTEST - _SHOULDER) / (1 - _SHOULDER)
    return np.minimum(light, _SHOULDER) + (1 - _SHOULDER) * (1 - (1 - over) ** slope)
