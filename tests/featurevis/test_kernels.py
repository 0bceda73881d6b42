"""Faster kernels and other gradients, against TensorFlow's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from atlas.featurevis import gradients, kernels
from atlas.featurevis.fitting import whole
from atlas.featurevis.replay import replay
from atlas.model.backend import tf as tensorflow
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


@pytest.mark.parametrize("beta", [0.75, 0.5])
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
