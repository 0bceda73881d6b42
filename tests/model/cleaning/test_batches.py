"""A graph made for one batch size treats several images as each alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atlas.core.errors import ModelError
from atlas.model.graph.backend import tf
from atlas.model.reading.load import load_model
from graphs import conv, dense

v1 = tf.compat.v1
SHAPE = (12, 14, 3)
IMAGES = np.random.default_rng(2).random((3, *SHAPE)).astype(np.float32)


def weights(*shape: int) -> Any:
    return tf.constant(np.random.default_rng(0).normal(size=shape).astype(np.float32))


def flat(x: Any, n: int) -> Any:
    return dense(tf.reshape(conv(x, 4, "a"), [n, 12 * 14 * 4]), 5, "end")


def rows(x: Any, n: int) -> Any:
    """A dense layer over positions, written as a product of rows."""
    y = tf.matmul(tf.reshape(conv(x, 4, "a"), [n * 12 * 14, 4]), weights(4, 6))
    return conv(tf.reshape(y, [n, 12, 14, 6]), 5, "end")


def shuffled(x: Any, n: int) -> Any:
    y = tf.reshape(conv(x, 6, "a"), [n, 12, 14, 2, 3])
    return conv(tf.reshape(tf.transpose(y, [0, 1, 2, 4, 3]), [n, 12, 14, 6]), 5, "end")


def open_end(x: Any, n: int) -> Any:
    return dense(tf.reshape(tf.reduce_mean(conv(x, 4, "a"), [1, 2]), [n, -1]) @ weights(4, 4), 5, "end")


def squeezed(x: Any, n: int) -> Any:
    y = tf.reduce_mean(conv(x, 4, "a"), [1, 2], keepdims=True)
    y = tf.squeeze(tf.nn.conv2d(y, weights(1, 1, 4, 5), 1, "SAME"), None if n == 1 else [1, 2])
    return dense(tf.reshape(y, [n, 5]), 6, "end")


def token(x: Any, n: int) -> Any:
    """A class token beside the positions, as in a vision transformer."""
    y = tf.reshape(conv(x, 4, "a"), [n, 12 * 14, 4])
    y = tf.concat([tf.tile(weights(1, 1, 4), [n, 1, 1]), y], 1)
    return dense(tf.reduce_mean(y, 1), 5, "end")


def upsampled(x: Any, n: int) -> Any:
    y = conv(x, 4, "a", stride=2)
    y = tf.nn.conv2d_transpose(y, weights(3, 3, 5, 4), [n, 12, 14, 5], 2, "SAME", name="up")
    return conv(y, 6, "end")


def sliced(x: Any, n: int) -> Any:
    return conv(tf.slice(conv(x, 4, "a"), [0, 1, 2, 0], [n, 9, 8, 4]), 5, "end")


def broadcast(x: Any, n: int) -> Any:
    y = tf.reduce_mean(conv(x, 4, "a"), [1, 2], keepdims=True)
    return conv(tf.broadcast_to(y, [n, 12, 14, 4]) + tf.ones([n, 12, 14, 4]), 5, "end")


GRAPHS = [flat, rows, shuffled, open_end, squeezed, token, upsampled, sliced, broadcast]


def saved(build: Callable[[Any, int], Any], n: int, path: Path) -> tuple[Any, str]:
    """Write the graph of a batch of n, and return it with the name of its last tensor."""
    with tf.Graph().as_default() as graph:
        last = build(v1.placeholder(tf.float32, [n, *SHAPE], name="image"), n)
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return graph, str(last.name)


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("build", GRAPHS)
def test_each_image_as_if_alone(tmp_path: Path, build: Callable[[Any, int], Any], n: int) -> None:
    """Three images at once give what the graph of the file gives for each of them."""
    graph, last = saved(build, n, tmp_path / "net.pb")
    net = load_model(tmp_path / "net.pb", value_range=(0, 1))
    last = last.replace("Softmax", "BiasAdd")  # a layer's tensor is in front of it
    with v1.Session(graph=graph) as session:
        expected = [
            session.run(last, {"image:0": np.repeat(image[None], n, 0)})[0].ravel() for image in IMAGES
        ]
    got = net.activations(IMAGES, [last])[last].reshape(3, -1)
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)


def test_free_placeholder_with_bound_reshape(tmp_path: Path) -> None:
    """A graph whose placeholder is free and whose reshape is not is made free too."""
    with tf.Graph().as_default() as graph:
        flat(v1.placeholder(tf.float32, [None, *SHAPE], name="image"), 1)
    (tmp_path / "net.pb").write_bytes(graph.as_graph_def().SerializeToString())
    net = load_model(tmp_path / "net.pb", value_range=(0, 1))
    assert net.activations(IMAGES, ["end"])["end"].shape == (3, 5)


def _attended(rows: Any) -> Any:
    stacked = rows[None]
    return (tf.nn.softmax(tf.matmul(stacked, stacked, transpose_b=True)) @ stacked)[0]


MIXES: dict[str, Callable[[Any], Any]] = {
    "mean": lambda y: y - tf.reduce_mean(y, 0, keepdims=True),
    "mean of all": lambda y: y - tf.reduce_mean(y),
    "reverse": lambda y: tf.reverse(y, [0]),
    "roll": lambda y: tf.roll(y, [1, 1], [0, 2]),
    "sums": lambda y: tf.cumsum(y, axis=-4),
    "norm of training": lambda y: v1.nn.fused_batch_norm(y, [1.0] * 4, [0.0] * 4, is_training=True)[0],
    "first": lambda y: tf.tile(y[:1], tf.stack([tf.shape(y)[0], 1, 1, 1])),
    "gather": lambda y: tf.gather(y, tf.zeros_like(tf.range(tf.shape(y)[0]))),
    "mean under another axis": lambda y: y - tf.reduce_mean(tf.expand_dims(y, 0), 1),
    "softmax of everything": lambda y: y * 99 * tf.reshape(tf.nn.softmax(tf.reshape(y, [-1])), tf.shape(y)),
    "einsum over images": lambda y: tf.einsum("bhwc,nhwc->nhwc", y, y),
    "sum over images by einsum": lambda y: y + tf.einsum("bhwc->hwc", y),
    "attention among images": lambda y: (
        y + tf.reshape(_attended(tf.reshape(y, [-1, 12 * 14 * 4])), tf.shape(y))
    ),
    "images as a volume": lambda y: tf.squeeze(
        tf.nn.avg_pool3d(tf.expand_dims(y, 0), [3, 1, 1], 1, "SAME"), 0
    ),
    "largest of images": lambda y: y + tf.cast(tf.argmax(y, 0), tf.float32),
    "norm of the batch": lambda y: y / (1 + tf.nn.l2_loss(y)),
    "two axes of one": lambda y: y - tf.reduce_mean(tf.reshape(y, [1, -1, 12, 14, 4]), 1),
    "turned": lambda y: tf.reshape(tf.transpose(y, [1, 0, 2, 3]), tf.shape(y)),
}


@pytest.mark.parametrize("mix", MIXES.values(), ids=MIXES)
@pytest.mark.parametrize("batch", [None, 2], ids=["free", "bound"])
def test_a_graph_that_mixes_images_is_refused(tmp_path: Path, mix: Any, batch: int | None) -> None:
    """Where images of one batch change each other, the first layer of which it is true is named."""

    def build(x: Any, n: int | None) -> Any:
        return conv(mix(conv(x, 4, "a")), 5, "mixed")

    saved(build, batch, tmp_path / "net.pb")
    with pytest.raises(ModelError, match=r"change each other before (?!a/)"):
        load_model(tmp_path / "net.pb", value_range=(0, 1))


@pytest.mark.parametrize("value_range", [(0, 1), (-100, 300)])
def test_mixing_shows_behind_maps_that_are_the_same_for_most_images(
    tmp_path: Path, value_range: tuple[float, float]
) -> None:
    """Images of noise have the same means: only a plain image gives another map, far below a bias."""

    def build(x: Any, n: int | None) -> Any:
        low, high = value_range
        bright = tf.nn.relu(tf.reduce_mean(x, [1, 2], keepdims=True) - (0.1 * low + 0.9 * high)) / (
            high - low
        )
        return conv(
            1 + (bright - tf.reduce_mean(bright, 0, keepdims=True)) * tf.ones_like(x[..., :1]), 5, "mixed"
        )

    saved(build, None, tmp_path / "net.pb")
    with pytest.raises(ModelError, match=r"change each other before"):
        load_model(tmp_path / "net.pb", value_range=value_range)


def test_a_graph_whose_fusion_does_not_run_is_tried_without_it(tmp_path: Path) -> None:
    """TensorFlow joins a convolution, a batch norm and a tanh to an op that fails: that mixes no images."""

    def build(x: Any, n: int | None) -> Any:
        y = tf.nn.conv2d(x, weights(3, 3, 3, 4), 1, "SAME")
        y = v1.nn.fused_batch_norm(y, [1.0] * 4, [0.0] * 4, [0.5] * 4, [2.0] * 4, is_training=False)[0]
        turned = tf.transpose(tf.nn.tanh(y), [1, 2, 0, 3])
        return conv(tf.transpose(turned, [2, 0, 1, 3]), 5, "end")

    saved(build, None, tmp_path / "net.pb")
    assert load_model(tmp_path / "net.pb", value_range=(0, 1)).layer("end").n_channels == 5


def test_a_batch_that_moves_and_comes_back_is_read(tmp_path: Path) -> None:
    """Transposes that bring the batch back, as around an attention, mix nothing."""

    def build(x: Any, n: int | None) -> Any:
        turned = tf.transpose(conv(x, 4, "a"), [1, 2, 0, 3])
        return conv(tf.transpose(2 * turned, [2, 0, 1, 3]), 5, "b")

    saved(build, None, tmp_path / "net.pb")
    assert [one.name for one in load_model(tmp_path / "net.pb", value_range=(0, 1)).layers] == ["a", "b"]


def test_another_size_is_refused_where_it_does_not_fit(tmp_path: Path) -> None:
    """A size that a flattening layer would take for several images is refused; one that fits is taken."""
    saved(
        lambda x, n: dense(tf.reshape(conv(x, 4, "a"), [-1, 12 * 14 * 4]), 5, "end"), 1, tmp_path / "net.pb"
    )
    with pytest.raises(ModelError, match="one size of images"):
        load_model(tmp_path / "net.pb", value_range=(0, 1), input_shape=(24, 28, 3))
    saved(lambda x, n: dense(tf.reduce_mean(conv(x, 4, "a"), [1, 2]), 5, "end"), 1, tmp_path / "free.pb")
    net = load_model(tmp_path / "free.pb", value_range=(0, 1), input_shape=(24, 28, 3))
    assert net.layer("a").shape == (24, 28)
