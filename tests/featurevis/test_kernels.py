"""Faster kernels and other gradients, against TensorFlow's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from atlas.featurevis import gradients, kernels
from atlas.featurevis.fitting import whole
from atlas.featurevis.replay import replay
from atlas.model.graph.backend import tf as tensorflow
from atlas.model.reading.assembly import Frozen, network_of
from featurevis_toy import INPUT, network

tf = tensorflow.compat.v1


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    ("size", "stride", "h", "w"), [(7, 2, 20, 23), (5, 3, 19, 25), (3, 2, 9, 8), (1, 2, 7, 8)]
)
def test_phases_are_the_gradient(size: int, stride: int, h: int, w: int) -> None:
    """The gradient made of one convolution equals TensorFlow's, for any stride and remainder."""
    kernel = noise(size, size, 3, 5)
    out = ((h - size) // stride + 1, (w - size) // stride + 1)
    grad = noise(2, *out, 5, seed=1)
    with tf.Graph().as_default(), tf.Session() as session:
        strides = [1, stride, stride, 1]
        expected = tf.nn.conv2d_backprop_input([2, h, w, 3], kernel, tf.constant(grad), strides, "VALID")
        found = kernels.input_gradient(tf.constant(grad), kernel, stride=stride, shape=(2, h, w, 3))
        expected, found = session.run([expected, found])
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("beta", [0.75, 0.5, 0.7])
def test_normalization_is_lrn(beta: float) -> None:
    """Value and gradient equal those of tf.nn.lrn."""
    x = noise(2, 4, 5, 7) * 3
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.constant(x)
        ours = kernels.normalization(images, radius=2, bias=1.5, alpha=0.1, beta=beta, dtype=tf.float32)
        theirs = tf.nn.lrn(images, 2, 1.5, 0.1, beta)
        weight = tf.constant(noise(2, 4, 5, 7, seed=2))
        grads = [tf.gradients(tf.reduce_sum(y * weight), images)[0] for y in (ours, theirs)]
        ours, theirs, ours_grad, theirs_grad = session.run([ours, theirs, *grads])
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    np.testing.assert_allclose(ours_grad, theirs_grad, atol=1e-5)


def relu_gradient(op: str, value: list[float], loss_grad: list[float], *, redirect: bool) -> list[float]:
    """The gradient of one batch entry through Relu or Relu6."""
    with tf.Graph().as_default() as graph, tf.Session() as session:
        x = tf.constant([value], tf.float32)
        with graph.gradient_override_map({op: gradients.name_for(op)}):
            y = tf.nn.relu6(x) if op == "Relu6" else tf.nn.relu(x)
        with gradients.redirected(redirect):
            (grad,) = tf.gradients(y, x, grad_ys=tf.constant([loss_grad], tf.float32))
        return session.run(grad)[0].tolist()


class TestRedirectedRelu:
    def test_plain_gradient_is_tensorflows(self) -> None:
        """Without redirection a ReLU blocks what is below zero, and a ReLU6 what is above six."""
        assert relu_gradient("Relu", [-1, 2, -3], [1, 1, -1], redirect=False) == [0, 1, 0]
        assert relu_gradient("Relu6", [-1, 2, 7], [1, 1, -1], redirect=False) == [0, 1, 0]

    def test_passes_what_leads_back_where_all_is_blocked(self) -> None:
        """When nothing passes, a descent direction that raises a negative input is let through."""
        assert relu_gradient("Relu", [-1, -2, -3], [1, -1, -2], redirect=True) == [0, -1, -2]
        assert relu_gradient("Relu6", [-1, 7, 8], [-1, 1, -2], redirect=True) == [-1, 1, 0]

    def test_is_plain_where_something_passes(self) -> None:
        """One open unit keeps the plain gradient for the whole entry."""
        assert relu_gradient("Relu", [-1, 2, -3], [-1, 1, -1], redirect=True) == [0, 1, 0]


def value_and_gradient(precision: str, images: np.ndarray) -> Any:
    net = network()
    with tf.Graph().as_default(), tf.Session() as session:
        feed = tf.constant(images)
        out = replay(net, whole(net, "end:0", INPUT), feed, precision=precision)
        (grad,) = tf.gradients(tf.reduce_sum(out[:, 3, 3]), feed)
        return session.run([out, grad])


def threshold(x: Any) -> Any:
    with tf.get_default_graph().gradient_override_map({"SelectV2": gradients.name_for("SelectV2")}):
        return tf.where_v2(x > 0.5, x, 0.0)


@pytest.mark.parametrize("values", [[[0.1, 0.7], [0.2, 0.3]]])
def test_threshold_is_redirected_where_it_blocks_all(values: list[list[float]]) -> None:
    """A ReLU with a threshold has TensorFlow's gradient, and passes all of one where nothing gets through."""
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.constant(values)
        y = threshold(x)
        with gradients.redirected(False):
            (plain,) = tf.gradients(y, x)
        with gradients.redirected(True):
            (passed,) = tf.gradients(y, x)
        plain, passed = session.run([plain, passed])
    assert plain.tolist() == [[0, 1], [0, 0]]
    assert passed.tolist() == [[0, 1], [1, 1]]


def test_choice_sums_over_what_is_stretched() -> None:
    """The gradient towards an operand that is laid over a larger one is the sum over all it was laid on."""
    with tf.Graph().as_default() as graph, tf.Session() as session:
        x, bias = tf.constant([[1.0, 2.0], [3.0, 4.0]]), tf.constant([10.0, 20.0]) * 1
        with graph.gradient_override_map({"SelectV2": gradients.name_for("SelectV2")}):
            y = tf.where_v2(x > 1.5, x, tf.identity(bias))
        found = session.run(tf.gradients(y, [x, bias]))
    assert found[0].tolist() == [[0, 1], [1, 1]]
    assert found[1].tolist() == [1, 0]


def test_replayed_network_is_the_imported_one() -> None:
    """Value and gradient of a replayed network equal those of the graph as TensorFlow imports it."""
    images = np.random.default_rng(0).uniform(size=(2, *INPUT, 3)).astype(np.float32)
    net = network()
    with tf.Graph().as_default(), tf.Session() as session:
        feed = tf.constant(images)
        out = net.import_into(feed)("end:0")
        (grad,) = tf.gradients(tf.reduce_sum(out[:, 3, 3]), feed)
        expected, expected_grad = session.run([out, grad])
    found, found_grad = value_and_gradient("float32", images)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    np.testing.assert_allclose(found_grad, expected_grad, atol=1e-4 * np.abs(expected_grad).max())


def test_bfloat16_is_close() -> None:
    """In bfloat16 the value stays within 2 % of the largest, and the gradient points the same way."""
    images = np.random.default_rng(0).uniform(size=(2, *INPUT, 3)).astype(np.float32)
    exact, exact_grad = value_and_gradient("float32", images)
    found, grad = value_and_gradient("bfloat16", images)
    np.testing.assert_allclose(found, exact, atol=0.02 * np.abs(exact).max())
    cosine = np.sum(grad * exact_grad) / np.linalg.norm(grad) / np.linalg.norm(exact_grad)
    assert cosine > 0.99


def strided(kernel: np.ndarray) -> Any:
    """A valid convolution of stride 2 by a kernel [h, w, source of a group, target]."""
    return lambda x: tf.raw_ops.Conv2D(
        input=x, filter=tf.constant(kernel), strides=[1, 2, 2, 1], padding="VALID", name="op"
    )


def depthwise(kernel: np.ndarray, *, padding: str, dilations: tuple[int, int]) -> Any:
    return lambda x: tf.raw_ops.DepthwiseConv2dNative(
        input=x,
        filter=tf.constant(kernel),
        strides=[1, 1, 1, 1],
        padding=padding,
        dilations=[1, *dilations, 1],
        name="op",
    )


def blocks(kernel: np.ndarray, groups: int, n_source: int) -> np.ndarray:
    """The dense kernel of a grouped one: zero wherever source and target stand in different groups."""
    h, w, held, n_target = kernel.shape
    dense = np.zeros((h, w, n_source, n_target), np.float32)
    for g in range(groups):
        rows, columns = (
            slice(g * held, (g + 1) * held),
            slice(g * n_target // groups, (g + 1) * n_target // groups),
        )
        dense[:, :, rows, columns] = kernel[..., columns]
    return dense


def both_gradients(op: Any, dense: Any, op_type: str, *, n_source: int) -> tuple[np.ndarray, np.ndarray]:
    """Gradients towards three unlike images: ours through an op, TensorFlow's through its dense twin."""
    images = noise(3, 13, 11, n_source, seed=3)
    with tf.Graph().as_default() as graph, tf.Session() as session:
        x = tf.constant(images)
        with graph.gradient_override_map({op_type: gradients.name_for(op_type)}):
            ours = op(x)
        theirs = dense(x)
        weight = tf.constant(noise(*[int(n) for n in theirs.shape], seed=4))
        grads = [tf.gradients(tf.reduce_sum(y * weight), x)[0] for y in (ours, theirs)]
        found, expected = session.run(grads)
    return found, expected


@pytest.mark.parametrize(("groups", "n_source"), [(2, 6), (3, 12)])
def test_grouped_strided_convolution_has_its_gradient(groups: int, n_source: int) -> None:
    """A grouped convolution with few channels a group gives the gradient of its dense twin."""
    kernel = noise(3, 3, n_source // groups, 2 * groups)
    dense = blocks(kernel, groups, n_source)
    found, expected = both_gradients(
        strided(kernel), lambda x: tf.nn.conv2d(x, dense, 2, "VALID"), "Conv2D", n_source=n_source
    )
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("dilations", [(1, 1), (2, 2), (3, 3)])
def test_dilated_depthwise_convolution_has_its_gradient(padding: str, dilations: tuple[int, int]) -> None:
    """A depthwise convolution has its dense twin's gradient at any dilation; TensorFlow's own is wrong."""
    kernel = noise(3, 3, 4, 2)
    dense = blocks(kernel.reshape(3, 3, 1, 8), 4, 4)
    found, expected = both_gradients(
        depthwise(kernel, padding=padding, dilations=dilations),
        lambda x: tf.nn.conv2d(x, dense, 1, padding, dilations=dilations),
        "DepthwiseConv2dNative",
        n_source=4,
    )
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_mixed_precision_is_replayed_in_float32() -> None:
    """A network of mixed precision gives Keras' own values in float32, and has a gradient."""
    keras = tensorflow.keras
    half = keras.mixed_precision.Policy("mixed_float16")
    model = keras.Sequential(
        [
            keras.Input((12, 10, 3)),
            keras.layers.Conv2D(4, 3, activation="relu", dtype=half),
            keras.layers.Conv2D(5, 3, strides=2, activation="relu", dtype=half),
        ]
    )
    images = np.random.default_rng(0).uniform(size=(3, 12, 10, 3)).astype(np.float32)
    function = tensorflow.function(model).get_concrete_function(tensorflow.TensorSpec((None, 12, 10, 3)))
    frozen = convert_variables_to_constants_v2(function)
    net = network_of(Frozen("half", "0" * 64, frozen.graph.as_graph_def(), value_range=(0.0, 1.0)))
    with tf.Graph().as_default(), tf.Session() as session:
        feed = tf.constant(images)
        out = replay(net, whole(net, net.layers[-1].tensor, (12, 10)), feed, precision="float32")
        (grad,) = tf.gradients(tf.reduce_sum(out), feed)
        value, grad = session.run([out, grad])
    np.testing.assert_allclose(value, np.asarray(model(images), np.float32), atol=5e-3)
    assert out.dtype == tf.float32
    assert np.abs(grad).max() > 0
