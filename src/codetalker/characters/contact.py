"""Contact: a character's lips meet when the bundled head's do, by its own shapes.

In the flow speech -> ... -> motion -> **mesh** -> file. Weights that close one face leave another
one open: how far a jaw drops and what a closing shape undoes differs from face to face. So the
lips are found through the shapes (the vertices that an open mouth parts), and the weights are
moved, as little as does it, until lip gap, mouth width and chin are those of the bundled head, in
the character's measure: least squares within bounds, whose solution is as smooth as the motion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from codetalker.arkit import ARKIT_NAMES
from codetalker.least_squares import least_squares
from codetalker.rig import Rig, bundled_head
from codetalker.visemes import within_one

_OPEN = {"jawOpen": 0.6}
_ROUND = {"mouthPucker": 0.8, "mouthFunnel": 0.4}
_LIP, _LOWER, _UPPER, _CHIN = 0.25, 0.4, 0.14, 0.7
"""Of the most that rounding moves anything: what it moves lips. Of the most that opening lowers a
lip: a lower lip at least, an upper lip at most; and a chin or the lower teeth, which no rounding
moves."""
_PLACES, _MIDDLE = 9, slice(2, 7)
"""Across the mouth; of which those are the middle that the bundled head's gap is taken at."""
_NEAR, _FRONT = 3.0, 1.0
"""Lips meet where they are so many times as far apart as where they are nearest; what being further
back counts beside being further apart: they meet in front of the teeth."""
_MOST_LIPS = 3000
_GAP, _WIDTH, _JAW, _EASE = 4.0, 0.5, 1.0, 0.1
"""How much a gap, width and chin of the whole range, and a weight of 1, count."""
_PARTED, _PRESSED = 0.05, 0.03
"""Of the open range: the gap of lips at rest that counts as none, and how far lips press."""
_LEAST_OPEN = 0.05
"""Of the mouth's width: what a wide open jaw parts the lips by, if they are lips."""

Weights = NDArray[np.float32]
Curves = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Lips:
    """The mouth of a character, measured through its K shapes, in its own unit.

    Attributes:
        curves: (K, 3) change per unit of weight of the lip gap, the mouth's width and the chin's
            drop; the last one zero if no chin was found.
        rest: the gap at rest.
        range: (3,) what the bundled head's open jaw, for the gap and the chin, and its widest
            mouth do here: one measure for both faces.
        pairs: (2, N) vertices of the upper and the lower lip that meet.
        movable: (K,) whether a shape may be moved for contact.
        shared: the weights of those shapes sum to 1 at most.
    """

    curves: Curves
    rest: float
    range: Curves
    pairs: NDArray[np.int32]
    movable: NDArray[np.bool_]
    shared: bool

    def opening(self, weights: Weights) -> Curves:
        """(T, K) -> (T,) lip gap, as a share of its open range; 0 where the lips just meet."""
        return (weights @ self.curves[:, 0] + self.rest) / self.range[0] - self._met

    @property
    def _met(self) -> float:
        return min(self.rest / self.range[0], _PARTED)

    def closed(self, meant: Weights, weights: Weights) -> Weights:
        """(T, K) weights, moved so that the mouth does as the bundled head's under (T, 52)."""
        wanted = meant.astype(np.float64) @ _head_curves()
        wanted[:, 0] = np.maximum(wanted[:, 0], -_PRESSED)
        wanted[:, 0] += self._met - self.rest / self.range[0]  # lips apart at rest meet, too
        moved = np.flatnonzero(self.movable)
        start = weights[:, moved].astype(np.float64)
        effect = self.curves / self.range
        still = (weights @ effect) - start @ effect[moved]
        counts = np.array([_GAP, _WIDTH, _JAW if self.curves[:, 2].any() else 0.0])
        solved = _least_squares(
            effect[moved] * counts, (wanted - still) * counts, start, _EASE, self.shared
        )
        result = weights.copy()
        result[:, moved] = solved
        return result


def find_lips(
    rig: Rig, by_name: Callable[[Weights], Weights], movable: NDArray[np.bool_], shared: bool
) -> Lips | None:
    """Where the lips of a face are; None if its shapes do not part any.

    Args:
        rig: its geometry.
        by_name: (T, 52) of Apple's weights -> (T, K) of the rig's.
        movable, shared: as `Lips` has them.
    """
    opened, rounded = (by_name(_pose(pose)) @ _flat(rig) for pose in (_OPEN, _ROUND))
    drop = -opened.reshape(-1, 3)[:, 1]
    moved = np.linalg.norm(rounded.reshape(-1, 3), axis=1)
    pairs = _pairs(rig.template, drop, moved)
    if pairs is None:
        return None
    upper, lower = pairs
    right, left = pairs[:, 0], pairs[:, -1]
    middle = pairs[:, _MIDDLE]
    shapes = rig.blendshapes.astype(np.float64)
    gap = (shapes[:, middle[0], 1] - shapes[:, middle[1], 1]).mean(1)
    width = (shapes[:, left, 0] - shapes[:, right, 0]).mean(1)
    chin = np.flatnonzero((drop > _CHIN * drop[lower].max()) & (moved < _LIP / 2 * moved.max()))
    jaw = -shapes[:, chin, 1].mean(1) if len(chin) else np.zeros(len(gap))
    template = rig.template
    rest = float((template[middle[0], 1] - template[middle[1], 1]).mean())
    own = by_name(_pose(_OPEN))[0].astype(np.float64)
    across = float((template[left, 0] - template[right, 0]).mean())
    share = _OPEN["jawOpen"]
    spans = np.array([own @ gap / share, across, own @ jaw / share])
    if spans[1] <= 0 or spans[0] < _LEAST_OPEN * spans[1]:
        return None
    spans[2] = spans[2] if spans[2] > 0 else 1.0
    return Lips(
        np.stack([gap, width, jaw], 1), rest, spans, np.stack([upper, lower]), movable, shared
    )


def _pairs(
    template: NDArray[np.float32], drop: NDArray[np.floating], moved: NDArray[np.floating]
) -> NDArray[np.int32] | None:
    """(2, `_PLACES`) vertices of the upper and the lower lip that meet, from the right to the left
    corner of the mouth."""
    lips = np.flatnonzero(moved > _LIP * moved.max()) if moved.max() > 0 else np.arange(len(drop))
    if not len(lips) or drop[lips].max() <= 0:
        return None
    most = drop[lips].max()
    upper, lower = lips[drop[lips] < _UPPER * most], lips[drop[lips] > _LOWER * most]
    if min(len(upper), len(lower)) < _PLACES:
        return None
    upper, lower = (side[:: len(side) // _MOST_LIPS + 1] for side in (upper, lower))
    apart = np.linalg.norm(template[lower][:, None] - template[upper][None], axis=2)
    nearest, apart = upper[apart.argmin(1)], apart.min(1)
    near = apart <= _NEAR * np.percentile(apart, 5)
    across = template[lower, 0]
    edges = np.linspace(across[near].min(), across[near].max(), _PLACES + 1)
    cost = np.where(near, apart - _FRONT * template[lower, 2], np.inf)
    found = []
    for low, high in pairwise(edges):
        inside = np.flatnonzero(near & (across >= low) & (across <= high))
        if len(inside):
            best = inside[cost[inside].argmin()]
            found.append((nearest[best], lower[best]))
    if len(found) < 3:
        return None
    places = np.rint(np.linspace(0, len(found) - 1, _PLACES)).astype(int)
    return np.array(found, np.int32)[places].T


def _least_squares(
    effect: Curves, wanted: Curves, start: Curves, ease: float, shared: bool
) -> Curves:
    """(T, M) weights w from 0 to 1, or to where they start, with the least |w effect - wanted|^2 +
    |ease (w - start)|^2. Where they are `shared`, they sum to 1 at most."""
    curvature = effect @ effect.T + ease**2 * np.eye(len(effect))
    slope = wanted @ effect.T + ease**2 * start
    lowest, highest = np.minimum(start, 0), np.maximum(start, 1)
    within = within_one if shared else lambda weights: weights.clip(lowest, highest)
    return least_squares(curvature, slope, start, within)


@lru_cache(maxsize=1)
def _head_curves() -> Curves:
    """(52, 3) lip gap, width and chin of the bundled head, found as on any face, as shares of what
    its open jaw and its width at rest are."""
    head = bundled_head()
    lips = find_lips(head, lambda weights: weights, np.ones(len(ARKIT_NAMES), bool), shared=False)
    assert lips is not None
    return lips.curves / lips.range


def _pose(shapes: dict[str, float]) -> Weights:
    """(1, 52)."""
    return np.array([[shapes.get(name, 0.0) for name in ARKIT_NAMES]], np.float32)


def _flat(rig: Rig) -> NDArray[np.float32]:
    return rig.blendshapes.reshape(len(rig.blendshapes), -1)
