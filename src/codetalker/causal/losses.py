"""Vertex-space losses at the cost of blendshape weights.

With B the (K, 3V) blendshape basis, |B'dw|^2 = dw' (B B') dw: the (K, K) Gram matrix turns an error
of weights into the squared distance of the vertices, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codetalker.evaluation.lipgap import CLOSED_MM, OPEN_MM, OPENING_S
from codetalker.rig import Rig


@dataclass(frozen=True)
class GeometryWeights:
    """What an error counts for: mean squared millimetres of each region, and of the lip gap."""

    lips: float = 1.0
    face: float = 0.5
    upper_face: float = 1.0
    lip_gap: float = 0.5
    weights: float = 0.5
    """mm^2 that an error of 1 of any blendshape weight counts for by itself: it settles what the
    vertices leave open."""
    velocity: float = 0.5
    """the error of frame-to-frame differences, relative to the error itself."""


class GeometryLoss(nn.Module):
    """Mean squared vertex error in mm^2 between (..., T, K) weights, and of their velocities."""

    def __init__(self, rig: Rig, counts: GeometryWeights) -> None:
        super().__init__()
        self.velocity = counts.velocity
        names = len(rig.blendshape_names)
        gram = counts.weights * np.eye(names) / names
        for region in ("lips", "face", "upper_face"):
            basis = 1e3 * rig.basis(region).astype(np.float64)
            flat = basis.reshape(names, -1)
            gram += getattr(counts, region) * flat @ flat.T / basis.shape[1]
        gap = 1e3 * rig.lip_gap_basis
        gram += counts.lip_gap * gap @ gap.T / gap.shape[1]
        self.register_buffer("gram", torch.from_numpy(gram).float(), persistent=False)
        self.gram: Tensor

    def forward(self, predicted: Tensor, true: Tensor, mask: Tensor) -> Tensor:
        """Scalar: mean over the frames where `mask` (..., T, K) is 1; masked channels are not
        compared."""
        error = (predicted - true) * mask
        change = error.diff(dim=-2)
        frames = mask.amax(-1).sum().clamp(min=1)
        return (self._energy(error) + self.velocity * self._energy(change)) / frames

    def _energy(self, error: Tensor) -> Tensor:
        return ((error @ self.gram) * error).sum()


class ArticulationLoss(nn.Module):
    """What squared errors let slip: lips that should touch, and how far the mouth moves at all.

    A mean over plausible motions closes no lips and moves less than any of them.
    """

    TARGET = 0.2
    """Lip gap over rest in mm that a closure is brought to: well below what counts as closed."""

    def __init__(self, rig: Rig, fps: float, axes: int = 8) -> None:
        super().__init__()
        self.near = round(OPENING_S * fps)
        gap = 1e3 * rig.lip_gap_basis.mean(1)
        lips = 1e3 * rig.basis("lips").astype(np.float64)
        flat = lips.reshape(len(lips), -1) / np.sqrt(lips.shape[1])
        left, sizes, _ = np.linalg.svd(flat, full_matrices=False)
        self.register_buffer("gap", torch.from_numpy(gap).float(), persistent=False)
        self.register_buffer(
            "axes", torch.from_numpy(left[:, :axes] * sizes[:axes]).float(), persistent=False
        )
        self.gap: Tensor
        self.axes: Tensor

    def closure(self, predicted: Tensor, true: Tensor) -> Tensor:
        """mm^2: how far (B, T, K) lips stay open where the true ones close between openings.

        What is a closure is what the metric `closure_rate` says.
        """
        gap = true @ self.gap
        ahead = F.max_pool1d(F.pad(gap, (0, self.near)), self.near + 1, 1)
        behind = F.max_pool1d(F.pad(gap, (self.near, 0)), self.near + 1, 1)
        closed = (gap < CLOSED_MM) & (ahead > OPEN_MM) & (behind > OPEN_MM)
        open_by = (predicted @ self.gap - self.TARGET).clamp(min=0)
        return (open_by.square() * closed).sum() / closed.sum().clamp(min=1)

    def shut(self, predicted: Tensor, true: Tensor, mask: Tensor) -> Tensor:
        """mm^2: how far (B, T, K) lips are open in any frame whose true ones are shut; `mask`
        (B, T) is 0 where they are not known."""
        closed = (true @ self.gap < CLOSED_MM) * mask
        open_by = (predicted @ self.gap - self.TARGET).clamp(min=0)
        return (open_by.square() * closed).sum() / closed.sum().clamp(min=1)

    def spread(self, predicted: Tensor, true: Tensor) -> Tensor:
        """mm^2: squared difference of the standard deviations over time along the lips' axes."""
        return (self._deviation(predicted) - self._deviation(true)).square().sum(-1).mean()

    def _deviation(self, motion: Tensor) -> Tensor:
        return ((motion @ self.axes).var(dim=1) + 1e-4).sqrt()
