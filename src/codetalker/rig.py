"""Rig: a face that blendshape weights can drive (template, blendshapes, regions, landmarks).

In the flow speech -> features -> codes -> motion -> **mesh** -> file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from codetalker.arrays import Arrays, open_npz
from codetalker.errors import RigError
from codetalker.head_pose import matrices

_HEAD_COPYRIGHT = "MakeHuman base mesh and Mika Suominen's Face Units, both CC0 1.0"


@dataclass(frozen=True)
class Material:
    """How a part of the face looks.

    Attributes:
        name: `skin`, `lips`, `teeth`, ...
        colour: sRGB 0..1, the part's mean colour, for readers that do not use the texture.
        roughness: 0 (mirror) to 1 (chalk), as in glTF.
        blended: the texture's alpha shows what lies behind (lashes), instead of being ignored.
    """

    name: str
    colour: tuple[float, float, float]
    roughness: float
    blended: bool = False


@dataclass(frozen=True)
class Surface:
    """Materials and texture of a rig.

    Attributes:
        materials: what `triangle_material` refers to.
        triangle_material: (F,) uint8 index into `materials`, for each of the rig's triangles.
        uv: (U, 2) float32 texture coordinates in glTF's convention: (0, 0) is the upper left
            corner of the image, u to the right, v down.
        uv_triangles: (F, 3) int32, which row of `uv` each triangle's corner takes.
        texture: an sRGB PNG file with alpha (base colour of all materials), as bytes.
    """

    materials: tuple[Material, ...]
    triangle_material: NDArray[np.uint8]
    uv: NDArray[np.float32]
    uv_triangles: NDArray[np.int32]
    texture: bytes


@dataclass(frozen=True, eq=False)
class Rig:
    """A mesh with linear blendshapes. Metres, +x the subject's left, +y up, +z out of the face.

    Attributes:
        name: what the rig is called in files that refer to it.
        template: (V, 3) float32, the neutral face.
        triangles: (F, 3) int32, counter-clockwise seen from outside.
        blendshape_names: K names; the bundled head has Apple's 52 ARKit names in Apple's order.
        blendshapes: (K, V, 3) float32, offsets from the template at weight 1.
        regions: name -> vertex indices int32: `lips`, `upper_face`, ... as far as the rig has them.
        lip_gap: (2, N) int32, facing vertices of the upper (row 0) and lower (row 1) inner lip.
        landmarks: (68,) int32 iBUG-68 vertices, or empty.
        surface: materials and texture, or None (a rig that is drawn in clay grey).
        neck: (V,) float32, the share of the head's turn about the origin that each vertex takes, 0
            at the base of the neck to 1 in the face; None for a face without a neck.
        copyright: whose it is and under which licence, for files that have a place for it.
    """

    name: str
    template: NDArray[np.float32]
    triangles: NDArray[np.int32]
    blendshape_names: tuple[str, ...]
    blendshapes: NDArray[np.float32]
    regions: dict[str, NDArray[np.int32]]
    lip_gap: NDArray[np.int32]
    landmarks: NDArray[np.int32]
    surface: Surface | None = None
    neck: NDArray[np.float32] | None = None
    copyright: str = ""

    def vertices(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Pose the face: (T, K) weights -> (T, V, 3) float32 metres.

        Raises:
            RigError: the weights do not have one column per blendshape.
        """
        weights = np.asarray(weights, np.float32)
        count = len(self.blendshape_names)
        if weights.ndim != 2 or weights.shape[1] != count:
            raise RigError(
                f"rig {self.name!r} has {count} blendshapes and takes weights of shape "
                f"(frames, {count}), not {weights.shape}"
            )
        flat = self.blendshapes.reshape(count, -1)
        offsets = (weights @ flat).reshape(len(weights), -1, 3)
        offsets += self.template
        return offsets

    def turned(
        self, vertices: NDArray[np.float32], head: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """(T, V, 3) positions with the head at (T, 3) pitch, yaw, roll: linear blend skinning."""
        if self.neck is None:
            return vertices
        turned = np.einsum("tij,tvj->tvi", matrices(head), vertices)
        return vertices + self.neck[:, None] * (turned - vertices)

    def basis(self, region: str | None = None) -> NDArray[np.float32]:
        """(K, R, 3) blendshape offsets of one region's vertices, of all vertices for None."""
        return self.blendshapes if region is None else self.blendshapes[:, self.regions[region]]

    @cached_property
    def lip_gap_basis(self) -> NDArray[np.float32]:
        """(K, N) change of each vertical distance of `lip_gap` per unit of weight, metres."""
        upper, lower = self.lip_gap
        return self.blendshapes[:, upper, 1] - self.blendshapes[:, lower, 1]

    @cached_property
    def lip_gap_rest(self) -> float:
        """Mean vertical distance of the facing inner-lip vertices at rest, metres."""
        upper, lower = self.lip_gap
        return float((self.template[upper, 1] - self.template[lower, 1]).mean())


@lru_cache(maxsize=1)
def bundled_head() -> Rig:
    """The head that comes with the package (MakeHuman base mesh and Face Units, both CC0).

    `tools/build_head.py` makes the asset and describes its arrays.
    """
    content = files("codetalker").joinpath("assets/head.npz").read_bytes()
    with open_npz(content) as file:
        return _rig(file.read_all(), "head")


def _rig(arrays: Arrays, name: str) -> Rig:
    return Rig(
        name=name,
        template=arrays["vertices"],
        triangles=arrays["triangles"],
        blendshape_names=tuple(arrays["blendshape_names"].tolist()),
        blendshapes=arrays["blendshape_deltas"] * np.float32(arrays["blendshape_unit"]),
        regions={
            name.removeprefix("region_"): array
            for name, array in arrays.items()
            if name.startswith("region_")
        },
        lip_gap=np.stack([arrays["lip_gap_upper"], arrays["lip_gap_lower"]]),
        landmarks=arrays["landmarks_68"],
        surface=_read_surface(arrays),
        neck=arrays["neck"],
        copyright=_HEAD_COPYRIGHT,
    )


def _read_surface(arrays: Mapping[str, NDArray]) -> Surface:
    materials = tuple(
        Material(str(name), tuple(colour.tolist()), float(roughness), bool(blended))
        for name, colour, roughness, blended in zip(
            arrays["material_names"],
            arrays["material_colour"],
            arrays["material_roughness"],
            arrays["material_blended"],
            strict=True,
        )
    )
    return Surface(
        materials=materials,
        triangle_material=arrays["triangle_material"],
        uv=arrays["uv"],
        uv_triangles=arrays["uv_triangles"],
        texture=arrays["texture_png"].tobytes(),
    )
