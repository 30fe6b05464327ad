"""Rig: a face that blendshape weights can drive (template, blendshapes, regions, landmarks).

In the flow speech -> features -> codes -> motion -> **mesh** -> file.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from codetalker.errors import RigError


@dataclass(frozen=True)
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
    """

    name: str
    template: NDArray[np.float32]
    triangles: NDArray[np.int32]
    blendshape_names: tuple[str, ...]
    blendshapes: NDArray[np.float32]
    regions: dict[str, NDArray[np.int32]]
    lip_gap: NDArray[np.int32]
    landmarks: NDArray[np.int32]

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
        return self.template + (weights @ flat).reshape(len(weights), -1, 3)

    def basis(self, region: str | None = None) -> NDArray[np.float32]:
        """(K, R, 3) blendshape offsets of one region's vertices, of all vertices for None."""
        return self.blendshapes if region is None else self.blendshapes[:, self.regions[region]]

    @cached_property
    def lip_gap_rest(self) -> float:
        """Mean vertical distance of the facing inner-lip vertices at rest, metres."""
        upper, lower = self.lip_gap
        return float((self.template[upper, 1] - self.template[lower, 1]).mean())


@lru_cache(maxsize=1)
def bundled_head() -> Rig:
    """The head that comes with the package (MakeHuman base mesh and Face Units, both CC0)."""
    with files("codetalker").joinpath("assets/head.npz").open("rb") as stream:
        return _read(stream, "head")


def _read(stream, name: str) -> Rig:
    with np.load(stream, allow_pickle=False) as arrays:
        return Rig(
            name=name,
            template=arrays["vertices"],
            triangles=arrays["triangles"],
            blendshape_names=tuple(str(n) for n in arrays["blendshape_names"]),
            blendshapes=arrays["blendshape_deltas"].astype(np.float32),
            regions={
                k.removeprefix("region_"): arrays[k] for k in arrays.files if k.startswith("region_")
            },
            lip_gap=np.stack([arrays["lip_gap_upper"], arrays["lip_gap_lower"]]),
            landmarks=arrays["landmarks_68"],
        )
