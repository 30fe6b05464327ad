"""Baselines: the regression is the closed-form one, whatever the batches."""

from __future__ import annotations

import numpy as np
import pytest

from codetalker.evaluation.baselines import Ridge, motion_taps, static
from codetalker.windows import SpeechWindows


def data(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, 3, 8) and weights (N, 5) that depend on them linearly, within 0..1."""
    features = np.random.default_rng(seed).normal(size=(count, 3, 8)).astype(np.float32)
    matrix = np.random.default_rng(99).normal(size=(24, 5)) * 0.02
    return features, (features.reshape(count, -1) @ matrix + 0.5).astype(np.float32)


def test_ridge_recovers_a_linear_relation() -> None:
    train, test = data(0, 600), data(1, 50)
    ridge = Ridge.fit(lambda: [train], components=8, penalty=0)
    np.testing.assert_allclose(ridge.predict(test[0]), test[1], atol=1e-4)  # float32 products


def test_ridge_agrees_with_the_closed_form() -> None:
    """With all components whitened axes only turn and scale: (X'X + cnI)^-1 X'Y on them."""
    features, weights = data(2, 300)
    ridge = Ridge.fit(lambda: [(features, weights)], components=8, penalty=0.1)
    own = features[:, 1].astype(np.float64)
    values, vectors = np.linalg.eigh(np.cov(own.T, bias=True))
    inputs = ((features - own.mean(0)) @ (vectors / np.sqrt(values))).reshape(300, -1)
    inputs = np.concatenate([inputs, np.ones((300, 1))], 1)
    damping = np.diag([0.1 * 300] * 24 + [0])
    expected = inputs @ np.linalg.solve(inputs.T @ inputs + damping, inputs.T @ weights)
    np.testing.assert_allclose(ridge.predict(features), expected, atol=1e-4)


def test_batches_do_not_matter() -> None:
    features, weights = data(3, 300)
    whole = Ridge.fit(lambda: [(features, weights)], components=4)
    parts = [(features[:70], weights[:70]), (features[70:], weights[70:])]
    split = Ridge.fit(lambda: parts, components=4)
    np.testing.assert_allclose(split.predict(features), whole.predict(features), atol=1e-4)


def test_taps_surround_each_motion_frame() -> None:
    """Feature frames that hold their own number: motion frame i is the mean of 2i and 2i + 1."""
    windows = SpeechWindows(left=32, hop=4, look_ahead=6, past=4)
    first = np.arange(5)[:, None] * windows.hop - windows.past
    features = (first + np.arange(windows.kept))[..., None].astype(np.float32)
    taps = motion_taps(features, windows)
    assert taps.shape == (10, 6, 1)
    for frame in range(10):
        expected = 2 * (frame + np.arange(-2, 4)) + 0.5
        np.testing.assert_array_equal(taps[frame, :, 0], expected)


def test_the_static_face_is_neutral() -> None:
    assert static(7).shape == (7, 52)
    assert not static(7).any()


@pytest.mark.parametrize("components", [3, 50])
def test_predictions_are_weights(components: int) -> None:
    features, weights = data(4, 100)
    ridge = Ridge.fit(lambda: [(features, weights * 3 - 1)], components=components)
    predicted = ridge.predict(features * 5)
    assert predicted.min() >= 0
    assert predicted.max() <= 1
