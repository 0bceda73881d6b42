from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from linear_ops import MAPS, gradient

from atlas.analysis.weights import expand, linear_twin
from atlas.model.graph.backend import tf
from atlas.model.linear.composition import Composition
from toys import hand_made, kernel


class TestComposition:
    @pytest.mark.parametrize("name", MAPS)
    def test_is_the_gradient(self, name: str) -> None:
        """Over every op that is linear, expanded weights are the gradient of the centre position."""

        def build(x: Any) -> None:
            first = tf.nn.conv2d(x, kernel(3, 3, 3, 4), 1, "SAME", name="first")
            made = MAPS[name](first)
            last = kernel(2, 3, int(made.shape[3]), 5, seed=1)
            tf.nn.conv2d(made, last, 1, "VALID", name="last")

        network = hand_made(build, (30, 36, 3))
        h, w = network.layer("last").shape
        weights = expand(network, "first", "last").weights
        composition = Composition(linear_twin(network, "first", "last"), network.layouts)
        (top, bottom), (left, right) = composition._windows["first"]
        assert weights.shape[:2] == (bottom - top, right - left)
        for unit in (0, 4):
            (grad,) = gradient(network, "first", "last", [(h // 2, w // 2, unit)])
            expected = grad[top:bottom, left:right]
            assert np.abs(expected).sum() == pytest.approx(np.abs(grad).sum(), rel=1e-5)
            np.testing.assert_allclose(weights[..., unit], expected, atol=1e-5 * np.abs(grad).max())
