from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from atlas.model.graph.backend import tf
from toys import hand_made, kernel

raw = tf.raw_ops


def transposed(padding: str) -> Callable[[Any, int, int], Any]:
    def apply(x: Any, h: int, w: int) -> Any:
        # The number that an export for images of h x w writes down.
        lengths = [2 * n if padding == "SAME" else 2 * n + 1 for n in (h, w)]
        weights = kernel(3, 3, 5, 4)
        shape = tf.stack([tf.shape(x)[0], *lengths, 5])
        return raw.Conv2DBackpropInput(
            input_sizes=shape,
            filter=weights,
            out_backprop=x,
            strides=[1, 2, 2, 1],
            padding=padding,
            name="up",
        )

    return apply


GROWING: dict[str, Callable[[Any, int, int], Any]] = {
    "transposed, same": transposed("SAME"),
    "transposed, valid": transposed("VALID"),
    "nearest": lambda x, h, w: raw.ResizeNearestNeighbor(images=x, size=[2 * h, 3 * w], name="up"),
    "bilinear": lambda x, h, w: raw.ResizeBilinear(
        images=x, size=[2 * h, 3 * w], half_pixel_centers=True, name="up"
    ),
}


class TestFreeSizes:
    @pytest.mark.parametrize("name", GROWING)
    def test_another_image_grows_alike(self, name: str) -> None:
        """A graph exported for images of one size computes for others what it does for its own."""

        def build(h: int, w: int) -> Callable[[Any], Any]:
            def network(x: Any) -> None:
                first = tf.nn.relu(tf.nn.conv2d(x, kernel(3, 3, 3, 4), 1, "SAME"), name="first")
                grown = GROWING[name](first, h, w)
                tf.nn.conv2d(grown, kernel(1, 1, int(grown.shape[3]), 6, seed=1), 1, "SAME", name="last")

            return network

        images = np.random.default_rng(0).random((3, 10, 14, 3), np.float32)
        own, other = hand_made(build(10, 14), (10, 14, 3)), hand_made(build(24, 20), (24, 20, 3))
        found = other.activations(images, ["last"])["last"]
        np.testing.assert_allclose(found, own.activations(images, ["last"])["last"], atol=1e-5)
