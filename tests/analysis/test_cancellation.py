"""Positive and negative paths against explicit enumeration, and against networks without negative weights."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import atlas
from atlas.analysis.cancellation import Cancellation, cancellation, flows, kernels, ratios
from atlas.analysis.weights import expanded_weights
from atlas.core.errors import LayerError
from atlas.core.records import Floats
from atlas.model.graph.backend import tf
from atlas.model.network import Network
from atlas.model.reading.load import load_model
from toys import hand_made, kernel

Taken = Callable[[Floats], Floats]
K1, K2, K3 = kernel(3, 3, 3, 4), kernel(3, 1, 4, 5, seed=1), kernel(1, 3, 5, 7, seed=2)


def chain(x: Any) -> None:
    """Three convolutions, 3 -> 4 -> 5 -> 7."""
    for name, weights in (("first", K1), ("second", K2), ("third", K3)):
        x = tf.nn.relu(tf.nn.conv2d(x, weights, 1, "SAME"), name=name)


def branching(x: Any, taken: Taken, *, minus: bool) -> None:
    """Concatenation, residual sum, batch norm, depthwise convolution, pool, constant factors, minus signs."""

    def conv(y: Any, *shape: int) -> Any:
        return tf.nn.conv2d(y, taken(kernel(*shape, seed=sum(shape))), 1, "SAME")

    a = tf.nn.relu(conv(x, 3, 3, 3, 4), name="a")
    left, right = tf.nn.relu(conv(a, 3, 1, 4, 5)), conv(tf.nn.max_pool2d(a, 3, 1, "SAME"), 1, 1, 4, 2)
    joined = tf.concat([left, right * taken(kernel(2, seed=3))], -1, name="joined")
    scale, zero, one = taken(kernel(7, seed=4)), np.zeros(7, "f4"), np.ones(7, "f4")
    normed = tf.compat.v1.nn.fused_batch_norm(joined, scale, zero, zero, one, is_training=False)[0]
    deep = tf.nn.depthwise_conv2d(tf.nn.relu(normed), taken(kernel(3, 5, 7, 1)), [1, 1, 1, 1], "SAME")
    back = conv(deep, 1, 1, 7, 7)
    turned = tf.subtract(joined, tf.negative(back)) if minus else tf.add(joined, back)
    taken_off = tf.subtract(turned, deep) if minus else tf.add(turned, deep)
    tf.nn.relu(conv(taken_off, 1, 1, 7, 6), name="end")


def whole(parts: Cancellation) -> Floats:
    """Return what all paths add up to, whatever their sign."""
    return parts.positive + parts.negative


def close(found: Floats, expected: Floats) -> None:
    """Assert equality to 1e-5 of the largest."""
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


class TestCancellation:
    """cancellation()."""

    def test_every_path_by_hand(self) -> None:
        """Positive and negative are the sums over all explicit paths of that sign."""
        expected = np.zeros((2, 3, 3, 4, 7))
        for (i, m), (j, n) in itertools.product(np.ndindex(3, 1), np.ndindex(1, 3)):
            for s, via, t in np.ndindex(4, 5, 7):
                weight = float(K2[i, m, s, via]) * float(K3[j, n, via, t])
                expected[int(weight < 0), i + j, m + n, s, t] += abs(weight)
        found = cancellation(hand_made(chain), "first", "third")
        close(found.positive, expected[0])
        close(found.negative, expected[1])
        left, flowing = np.abs(expected[0] - expected[1]).sum((0, 1)), expected.sum((0, 1, 2))
        np.testing.assert_allclose(found.ratio, 1 - left / flowing, atol=1e-5)
        np.testing.assert_allclose(found.total_ratio, 1 - left.sum(0) / flowing.sum(0), atol=1e-5)

    @pytest.mark.parametrize(("source", "target"), [("a", "end"), ("joined", "end"), ("input", "joined")])
    def test_sums_and_differences(self, source: str, target: str) -> None:
        """The difference is the net; the sum is the net of the network whose constants are all absolute."""
        network = hand_made(lambda x: branching(x, np.asarray, minus=True))
        absolute = hand_made(lambda x: branching(x, np.abs, minus=False))
        found = atlas.cancellation(network, source, target)
        close(found.positive - found.negative, expanded_weights(network, source, target))
        close(found.net, expanded_weights(network, source, target))
        close(whole(found), expanded_weights(absolute, source, target))
        assert min(found.positive.min(), found.negative.min()) >= 0
        assert 0 < found.total_ratio.min() <= found.total_ratio.max() < 1

    def test_one_path_cannot_cancel(self) -> None:
        """Over a single convolution every pair has one path a position: the ratio is exactly 0."""
        found = cancellation(hand_made(chain), "first", "second")
        np.testing.assert_array_equal(found.positive, np.maximum(K2, 0))
        np.testing.assert_array_equal(found.negative, np.maximum(-K2, 0))
        assert not found.ratio.any()
        assert not found.total_ratio.any()

    def test_what_cancels_wholly(self) -> None:
        """Two paths of equal weight and opposite sign leave nothing: 1, and 0 where there is no path."""
        first, second = np.zeros((1, 1, 4, 2), "f4"), np.zeros((1, 1, 2, 3), "f4")
        first[0, 0, 1], second[0, 0, :, 2] = (2, 2), (1, -1)

        def build(x: Any) -> None:
            a = tf.nn.relu(tf.nn.conv2d(x, kernel(1, 1, 3, 4), 1, "SAME"), name="a")
            b = tf.nn.relu(tf.nn.conv2d(a, first, 1, "SAME"), name="b")
            tf.nn.relu(tf.nn.conv2d(b, second, 1, "SAME"), name="c")

        found = cancellation(hand_made(build), "a", "c")
        assert found.ratio.tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]]
        assert found.total_ratio.tolist() == [0, 0, 1]
        assert found.positive[0, 0, 1, 2] == found.negative[0, 0, 1, 2] == 2

    def test_dense_ends(self) -> None:
        """Over whole maps and a matrix, positive and negative paths are told apart as well."""
        matrix, weights = kernel(4, 7), kernel(1, 1, 3, 4)

        def build(x: Any) -> None:
            first = tf.nn.relu(tf.nn.conv2d(x, weights, 1, "SAME"), name="first")
            tf.matmul(tf.reduce_mean(first, [1, 2], name="mean"), matrix, name="classes")

        found = cancellation(hand_made(build, shape=(8, 10, 3)), "input", "classes")
        sums = np.abs(weights[0, 0]) @ np.abs(matrix) / 80
        close(whole(found), np.broadcast_to(sums, (8, 10, 3, 7)).astype("f4"))

    def test_the_image_in_its_range(self) -> None:
        """From the image both parts are for values in [0, 1], also where black is the larger value."""
        network = replace(hand_made(chain), value_range=(1.0, -1.0))
        found = cancellation(network, "input", "second")
        plain = cancellation(hand_made(chain), "input", "second")
        close(found.positive, 2 * plain.negative)
        close(found.negative, 2 * plain.positive)

    def test_a_smaller_window(self) -> None:
        """A width crops all three alike and says what share of the net it cuts off."""
        network = hand_made(chain)
        full, found = (cancellation(network, "first", "third", width=width) for width in (None, 1))
        for name in ("net", "positive", "negative"):
            np.testing.assert_array_equal(getattr(found, name), getattr(full, name)[1:2, 1:2])
        inner = np.abs(full.net[1, 1]).sum() / np.abs(full.net).sum()
        assert found.cropped == pytest.approx(1 - inner)
        assert full.cropped == 0

    def test_the_source_comes_first(self) -> None:
        """A source after its target is refused, with what to do."""
        with pytest.raises(LayerError, match="nearer the image first"):
            cancellation(hand_made(chain), "third", "first")

    @pytest.mark.slow
    def test_googlenet(self, shared: Path) -> None:
        """From mixed3a to mixed3b both parts add up to the net of InceptionV1 with absolute kernels."""
        network = load_model(shared / "models" / "googlenet")
        absolute = network.with_parameters({n: np.abs(w) for n, w in network.parameters.items()})
        found = cancellation(network, "mixed3a", "mixed3b")
        close(found.positive - found.negative, expanded_weights(network, "mixed3a", "mixed3b"))
        close(whole(found), expanded_weights(absolute, "mixed3a", "mixed3b"))
        assert 0.7 < float(np.median(found.total_ratio)) < 0.8


class TestFlows:
    """flows()."""

    def network(self) -> Network:
        """Return the chain."""
        return hand_made(chain)

    def test_chunks_are_the_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Taken one target at a time the weights are those taken at once, in the same order."""
        at_once = list(flows(self.network(), "first", "third", width=2))
        monkeypatch.setattr("atlas.analysis.cancellation.FLOW_BYTES", 1)
        one_by_one = list(flows(self.network(), "first", "third", width=2))
        assert [part.net.shape for part in at_once] == [(2, 2, 4, 7)]
        assert [part.net.shape for part in one_by_one] == [(2, 2, 4, 1)] * 7
        close(np.concatenate([part.net for part in one_by_one], -1), at_once[0].net)
        close(np.concatenate([part.positive for part in one_by_one], -1), at_once[0].positive)
        assert np.sum([part.cut for part in one_by_one], 0) == pytest.approx(at_once[0].cut)


class TestKernels:
    """kernels() and ratios()."""

    def test_rows_are_targets(self) -> None:
        """Row t holds the kernels from the source neurons of row t of the index."""
        weights = kernel(2, 3, 4, 5)
        index = np.array([[3, 0], [1, 2], [0, 1], [2, 3], [3, 1]], np.int32)
        found = kernels(weights, index)
        assert found.shape == (5, 2, 2, 3)
        np.testing.assert_array_equal(found[3, 1], weights[:, :, 3, 3])

    def test_nothing_flows(self) -> None:
        """Where there is no path at all nothing cancels, without a warning."""
        pair, total = ratios(np.zeros((2, 3, 4, 5), "f4"), np.zeros((2, 3, 4, 5), "f4"))
        assert pair.shape == (4, 5)
        assert total.tolist() == [0] * 5
