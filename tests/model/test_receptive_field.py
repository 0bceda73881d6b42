from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from atlas.errors import LayerError
from atlas.model.backend import tf
from atlas.model.receptive_field import Window, hull, same_padding
from atlas.neuron import ReceptiveField
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
        from atlas.model.load import load_model

        network = load_model(shared / "models" / "googlenet")
        sizes = {n: network.layer(n).receptive_field.size[0] for n in ("mixed3a", "mixed3b", "mixed4a")}
        assert sizes == {"mixed3a": 59, "mixed3b": 91, "mixed4a": 171}


class TestWindow:
    def test_composes(self) -> None:
        """A window of 3 with stride 2 on a field of 5, 4, -2 sees 13 pixels, 8 apart, from -6 on."""
        field = ReceptiveField((5, 5), (4, 4), (-2, -2))
        after = Window((3, 3), (2, 2), (1, 1)).then(field)
        assert after == ReceptiveField((13, 13), (8, 8), (-6, -6))


class TestSamePadding:
    @pytest.mark.parametrize(
        ("length", "size", "stride"), [(n, k, s) for n in (7, 8) for k in (2, 3, 5) for s in (1, 2, 3)]
    )
    def test_is_tensorflows(self, length: int, size: int, stride: int) -> None:
        """The padding before an axis is what TensorFlow's SAME convolution uses."""
        image = np.arange(1, length + 1, dtype=np.float32).reshape(1, length, 1, 1)
        picker = np.zeros((size, 1, 1, 1), np.float32)
        before = same_padding(length, size, stride)
        picker[before] = 1
        assert np.asarray(tf.nn.conv2d(image, picker, stride, "SAME"))[0, 0, 0, 0] == 1


class TestHull:
    def test_holds_all(self) -> None:
        """The hull of two fields starts at the first pixel of either and ends at the last."""
        small, large = ReceptiveField((3, 3), (2, 2), (-1, 0)), ReceptiveField((5, 1), (2, 2), (-2, 1))
        assert hull([small, large]) == ReceptiveField((5, 3), (2, 2), (-2, 0))

    def test_strides_must_agree(self) -> None:
        """Tensors of different strides do not meet."""
        with pytest.raises(LayerError, match="different strides"):
            hull([ReceptiveField((3, 3), (2, 2), (0, 0)), ReceptiveField((3, 3), (4, 4), (0, 0))])
