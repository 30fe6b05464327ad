"""What a motion does to the mouth of a rig, frame by frame, in millimetres beyond rest.

All curves but one are linear in the weights, so each is a vector with one entry per blendshape.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from codetalker.errors import RigError
from codetalker.evaluation.lipgap import gap_basis
from codetalker.rig import Rig

Curve = NDArray[np.float64]

CENTRAL = slice(2, 7)
"""The middle five of the nine pairs of the lip gap: what a face mesh sees as inner lips."""
_CORNERS = (48, 54)  # iBUG-68
_CHIN = 8
_MIDDLE_M = 0.0125  # half the width of the upper incisors and what meets them
_GRID = 8  # points along an edge of a tooth's triangle: 1.1 mm apart at most on the bundled head


@dataclass(frozen=True)
class Mouth:
    """The mouth of a rig with lip-gap pairs, landmarks, a `lips` region and teeth.

    Attributes:
        rig: its face.
    """

    rig: Rig

    @cached_property
    def gap(self) -> Curve:
        """(K,) mm: mean lip gap over all pairs, as in `lip_gap_correlation`."""
        return gap_basis(self.rig).astype(np.float64) * 1000

    @cached_property
    def central_gap(self) -> Curve:
        """(K,) mm: mean lip gap over the `CENTRAL` pairs."""
        return self.rig.lip_gap_basis[:, CENTRAL].mean(1).astype(np.float64) * 1000

    @cached_property
    def width(self) -> Curve:
        """(K,) mm: distance of the corners of the mouth, to first order."""
        right, left = self.rig.landmarks[list(_CORNERS)]
        across = self.rig.template[left] - self.rig.template[right]
        across = across.astype(np.float64) / np.linalg.norm(across)
        return (self.rig.blendshapes[:, left] - self.rig.blendshapes[:, right]) @ across * 1000

    @cached_property
    def chin(self) -> Curve:
        """(K,) mm: how far the chin is lowered."""
        chin = self.rig.landmarks[_CHIN]
        return -self.rig.blendshapes[:, chin, 1].astype(np.float64) * 1000

    def lip_to_teeth_mm(self, weights: NDArray[np.floating]) -> Curve:
        """(T, K) weights -> (T,) distance of the lower lip from the upper incisors.

        The least distance between a vertex of the middle of the lower lip and the upper teeth,
        which no jaw moves. On the bundled head 4.5 mm at rest, and 0.5 mm with the lower lip rolled
        in all the way.

        Raises:
            RigError: the rig has no teeth.
        """
        lip, teeth = self.lower_lip, self.upper_teeth
        offsets = np.tensordot(np.asarray(weights, np.float64), self.rig.blendshapes[:, lip], 1)
        lips = (self.rig.template[lip] + offsets).reshape(-1, 3)
        squares = (lips**2).sum(1)[:, None] + (teeth**2).sum(1) - 2 * lips @ teeth.T
        nearest = squares.reshape(len(weights), -1).min(1, initial=np.inf)
        return np.sqrt(nearest.clip(0)) * 1000

    @cached_property
    def _jaw(self) -> NDArray[np.float32]:
        """(V,) how far an open jaw lowers each vertex, metres."""
        return -self.rig.blendshapes[self.rig.blendshape_names.index("jawOpen"), :, 1]

    @cached_property
    def lower_lip(self) -> NDArray[np.int32]:
        """(L,) vertices of the middle of the lower lip: of all lips, those that follow the jaw."""
        lips = self.rig.regions["lips"]
        middle = np.abs(self.rig.template[lips, 0]) < _MIDDLE_M
        lowered = self._jaw[lips] > self._jaw[self.rig.lip_gap[1]].mean() / 2
        return lips[middle & lowered]

    @cached_property
    def upper_teeth(self) -> NDArray[np.float64]:
        """(S, 3) metres, points all over the middle of the upper teeth."""
        surface = self.rig.surface
        names = [material.name for material in surface.materials] if surface else []
        if surface is None or "teeth" not in names:
            raise RigError(f"rig {self.rig.name!r} has no teeth that a lip could touch")
        corners = self.rig.triangles[surface.triangle_material == names.index("teeth")]
        places = self.rig.template[corners].astype(np.float64)
        fixed = (self._jaw[corners] < 1e-5).all(1)
        middle = (np.abs(places[..., 0]) < _MIDDLE_M).all(1)
        steps = np.arange(_GRID + 1) / _GRID
        shares = np.array([(a, b, 1 - a - b) for a in steps for b in steps if a + b <= 1])
        points = np.einsum("sb,tbc->tsc", shares, places[fixed & middle]).reshape(-1, 3)
        return np.unique(points.round(6), axis=0)
