"""What a model must beat: a face that does not move, and a linear regression from speech.

Regressions follow the mean and so move too little, as the paper says (section 1); the figures of
`RigMetrics` show by how much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codetalker.windows import SpeechWindows

Batches = Callable[[], Iterable[tuple[NDArray[np.floating], NDArray[np.floating]]]]
"""Gives (N, taps, D) features and (N, K) weights, batch by batch, as often as it is called."""


def static(frames: int, channels: int = 52) -> NDArray[np.float32]:
    """(frames, channels) weights of the neutral face."""
    return np.zeros((frames, channels), np.float32)


def motion_taps(features: NDArray[np.floating], windows: SpeechWindows) -> NDArray[np.float32]:
    """Speech around each motion frame, averaged to the motion's frame rate.

    Args:
        features: (W, kept, D) of every window.
        windows: how they were cut.

    Returns:
        (W * frames_per_hop, taps, D): as many motion frames before and after the frame's own as
        the window keeps of them.
    """
    per_frame = windows.hop // windows.frames_per_hop
    count, kept, width = features.shape
    at_motion_rate = np.asarray(features, np.float32).reshape(count, kept // per_frame, -1, width)
    taps = kept // per_frame - windows.frames_per_hop + 1
    sliding = np.lib.stride_tricks.sliding_window_view(at_motion_rate.mean(2), taps, axis=1)
    return sliding.swapaxes(2, 3).reshape(-1, taps, width)


@dataclass(frozen=True)
class Ridge:
    """Ridge regression of blendshape weights on the principal components of speech features.

    Attributes:
        centre: (D,) mean feature.
        axes: (D, P) principal components, scaled to unit variance.
        matrix: (taps * P + 1, K), the last row the offset.
    """

    centre: NDArray[np.float32]
    axes: NDArray[np.float32]
    matrix: NDArray[np.float32]

    @staticmethod
    def fit(batches: Batches, components: int = 160, penalty: float = 0.01) -> Ridge:
        """Solve in two passes over the data, with sums only in memory.

        Args:
            batches: the training data.
            components: principal components that are kept.
            penalty: on the squared matrix, as a share of the number of frames.
        """
        centre, axes = _principal_axes(batches, components)
        products: NDArray[np.float64] | float = 0.0
        targets: NDArray[np.float64] | float = 0.0
        count = 0
        for features, weights in batches():
            inputs = _inputs(features, centre, axes)
            products = products + (inputs.T @ inputs).astype(np.float64)
            targets = targets + (inputs.T @ np.asarray(weights, np.float32)).astype(np.float64)
            count += len(inputs)
        damping = np.full(len(np.atleast_1d(products)), penalty * count)
        damping[-1] = 0  # the offset is free
        matrix = np.linalg.solve(products + np.diag(damping), targets)
        return Ridge(centre, axes, matrix.astype(np.float32))

    def predict(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """(N, taps, D) features -> (N, K) weights in 0..1."""
        weights = _inputs(features, self.centre, self.axes) @ self.matrix
        return np.clip(weights, 0, 1).astype(np.float32)


def _principal_axes(
    batches: Batches, components: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and whitened principal axes of the middle tap."""
    count, total, products = 0, 0.0, 0.0
    for features, _ in batches():
        own = np.asarray(features[:, features.shape[1] // 2], np.float64)
        count += len(own)
        total = total + own.sum(0)
        products = products + own.T @ own
    centre = np.asarray(total / count)
    values, vectors = np.linalg.eigh(products / count - np.outer(centre, centre))
    kept = slice(-min(components, len(values)), None)
    scaled = vectors[:, kept] / np.sqrt(np.maximum(values[kept], 1e-12))
    return centre.astype(np.float32), scaled.astype(np.float32)


def _inputs(
    features: NDArray[np.floating], centre: NDArray[np.float32], axes: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(N, taps, D) -> (N, taps * P + 1), the last column 1."""
    projected = (np.asarray(features, np.float32) - centre) @ axes
    flat = projected.reshape(len(features), -1)
    return np.concatenate([flat, np.ones((len(flat), 1))], 1, dtype=np.float32)
