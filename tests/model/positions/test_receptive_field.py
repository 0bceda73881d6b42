from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from linear_ops import MAPS, gradient

from atlas.core.neuron import ReceptiveField
from atlas.model.graph.backend import tf
from toys import hand_made, kernel


def branching(x: Any) -> None:
    a = tf.nn.conv2d(x, np.abs(kernel(7, 5, 3, 4)), 2, "SAME", name="a")
    b = tf.nn.avg_pool2d(a, [3, 2], [2, 2], "SAME", name="b")
    c = tf.nn.conv2d(b, np.abs(kernel(3, 1, 4, 5)), 1, "VALID", name="c")
    tf.nn.conv2d(
        tf.pad(c, [[0, 0], [2, 1], [0, 3], [0, 0]]), np.abs(kernel(3, 5, 5, 7)), 1, "VALID", name="d"
    )


class TestReceptiveFields:
    @pytest.mark.parametrize("layer", ["a", "c", "d"])
    @pytest.mark.parametrize("shape", [(60, 64, 3), (61, 63, 3)])
    def test_is_where_pixels_count(self, layer: str, shape: tuple[int, int, int]) -> None:
        """A pixel moves a position exactly when it lies in the field that arithmetic gives it."""
        network = hand_made(branching, shape)
        field = network.layer(layer).receptive_field
        h, w = network.layer(layer).shape
        at = (h // 2, w // 2)
        base = network.activations(np.zeros((1, *shape)), [layer])[layer][0, at[0], at[1]].sum()
        for axis in (0, 1):
            first = at[axis] * field.stride[axis] + field.offset[axis]
            for pixel in range(first - 1, first + field.size[axis] + 1):
                image = np.zeros((1, *shape))
                image[(0, pixel) if axis == 0 else (0, slice(None), pixel)] = 1
                value = network.activations(image, [layer])[layer][0, at[0], at[1]].sum()
                inside = first <= pixel < first + field.size[axis]
                assert (value > base) == inside, (axis, pixel)

    def test_googlenet(self, shared: Any) -> None:
        """GoogLeNet's fields are the known ones: 59 pixels for mixed3a, 91 for mixed3b, 171 for mixed4a."""
        from atlas.model.reading.load import load_model

        network = load_model(shared / "models" / "googlenet")
        sizes = {n: network.layer(n).receptive_field.size[0] for n in ("mixed3a", "mixed3b", "mixed4a")}
        assert sizes == {"mixed3a": 59, "mixed3b": 91, "mixed4a": 171}

    @pytest.mark.parametrize("name", MAPS)
    def test_is_the_support_of_gradients(self, name: str) -> None:
        """The field of nine neighbouring positions is as large as the largest support of their gradients."""

        def build(x: Any) -> None:
            first = tf.nn.conv2d(x, np.abs(kernel(3, 3, 3, 4)), 1, "SAME", name="first")
            made = MAPS[name](first)
            last = np.abs(kernel(2, 3, int(made.shape[3]), 5, seed=1))
            tf.nn.conv2d(made, last, 1, "VALID", name="last")

        network = hand_made(build, (30, 36, 3))
        field, (h, w) = network.layer("last").receptive_field, network.layer("last").shape
        units = [(h // 2 + i, w // 2 + j, 0) for i in range(3) for j in range(3)]
        sizes = []
        for unit, grad in zip(units, gradient(network, network.input_tensor, "last", units), strict=True):
            seen = np.argwhere(np.abs(grad).sum(-1) > 1e-7 * np.abs(grad).max())
            first, last = seen.min(0), seen.max(0) + 1
            sizes.append(last - first)
            start = np.array(field.offset) + np.array(unit[:2]) * field.stride
            # After upsampling one line stands for windows that begin at several phases.
            exact = all(number % 1 == 0 for number in (*field.offset, *field.stride))
            slack = 0 if exact else np.maximum(field.stride, 1)
            assert (start - slack <= first).all()
            assert (last <= start + field.size + slack).all()
        assert tuple(np.max(sizes, 0)) == field.size

    def test_gate_is_told(self) -> None:
        """A factor from the whole image is not part of the window, and the field says that there is one."""

        def build(x: Any) -> None:
            first = tf.nn.conv2d(x, kernel(3, 3, 3, 4), 1, "SAME", name="first")
            gate = tf.sigmoid(tf.reduce_mean(first, [1, 2], keepdims=True))
            tf.nn.conv2d(first * gate, kernel(3, 3, 4, 5), 1, "SAME", name="last")

        network = hand_made(build)
        assert network.layer("first").receptive_field == ReceptiveField((3, 3), (1, 1), (-1, -1))
        assert network.layer("last").receptive_field == ReceptiveField((5, 5), (1, 1), (-2, -2), gated=True)

    def test_attention_sees_all(self) -> None:
        """A layer behind a product over positions has no window: it sees the whole image."""

        def build(x: Any) -> None:
            first = tf.nn.conv2d(x, kernel(3, 3, 3, 4), 4, "SAME", name="first")
            flat = tf.reshape(first, [-1, 110, 4])
            scores = tf.nn.softmax(tf.matmul(flat, flat, transpose_b=True))
            mixed = first + tf.reshape(tf.matmul(scores, flat), [-1, 10, 11, 4])
            tf.nn.conv2d(mixed, kernel(1, 1, 4, 5), 1, "SAME", name="last")

        assert hand_made(build).layer("last").receptive_field is None
