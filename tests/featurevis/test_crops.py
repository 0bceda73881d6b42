"""The cut network gives the centre position's value, from less."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from linear_ops import MAPS

from atlas.featurevis import crops, fitting
from atlas.model.graph.backend import tf as tensorflow
from atlas.model.network import Network
from featurevis_toy import INPUT, network
from toys import hand_made, kernel

tf = tensorflow.compat.v1


def evaluated(net: Network, part: fitting.Crop, images: np.ndarray) -> np.ndarray:
    with tf.Graph().as_default(), tf.Session() as session:
        feed = {net.input_tensor: part.cut(tf.constant(images))}
        outcome = tf.import_graph_def(part.graph_def, feed, [part.tensor], name="")
        return session.run(outcome[0])


@pytest.mark.parametrize("size", [INPUT, (31, 60), (64, 33), (9, 12)])
@pytest.mark.parametrize("tensor", ["stem:0", "norm:0", "one:0", "three_pre:0", "block:0", "end:0"])
def test_centre_is_the_whole_networks(tensor: str, size: tuple[int, int]) -> None:
    """At every depth and size the crop's one position equals the whole network's centre position."""
    net = network()
    images = np.random.default_rng(1).normal(size=(2, *size, 3)).astype(np.float32)
    whole = evaluated(net, fitting.whole(net, tensor, size), images)
    part = crops.of_centre(net, tensor, size)
    centre = whole[:, whole.shape[1] // 2, whole.shape[2] // 2]
    found = evaluated(net, part, images)
    assert found.shape[1:3] == (1, 1)
    np.testing.assert_allclose(found[:, 0, 0], centre, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [(30, 36), (25, 31), (17, 36)])
@pytest.mark.parametrize("name", MAPS)
def test_centre_behind_any_op(name: str, size: tuple[int, int]) -> None:
    """Whatever op lies on the way, the crop's one position equals the whole network's centre position."""

    def build(x: Any) -> None:
        first = tf.nn.relu(tf.nn.conv2d(x, kernel(3, 3, 3, 4), 1, "SAME"))
        gate = tf.sigmoid(tf.reduce_mean(first, [1, 2], keepdims=True))
        made = MAPS[name](first * gate)
        down = tf.nn.avg_pool2d(tf.nn.max_pool2d(made, 3, 1, "SAME"), 3, 2, "SAME")
        last = kernel(3, 3, int(made.shape[3]), 5, seed=1)
        tf.nn.conv2d(down, last, 1, "SAME", name="last")

    net = hand_made(build, (30, 36, 3))
    images = np.random.default_rng(1).random((2, *size, 3)).astype(np.float32)
    whole = evaluated(net, fitting.whole(net, "last:0", size), images)
    part = crops.of_centre(net, "last:0", size)
    centre = whole[:, whole.shape[1] // 2, whole.shape[2] // 2]
    np.testing.assert_allclose(evaluated(net, part, images)[:, 0, 0], centre, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(30, 36), (25, 31), (12, 17)])
def test_centre_behind_a_split_whose_first_part_is_not_needed(size: tuple[int, int]) -> None:
    """As Res2Net has them: a split's later parts are added to maps that need less of the image."""

    def build(x: Any) -> None:
        first = tf.nn.relu(tf.nn.conv2d(x, kernel(3, 3, 3, 6), 1, "SAME"))
        made, rest = tf.split(first, 3, -1)[0], tf.split(first, 3, -1)
        outcomes = []
        for at in (1, 2):
            made = tf.nn.relu(tf.nn.conv2d(made, kernel(3, 3, 2, 2, seed=at), 1, "SAME")) + rest[at]
            outcomes.append(made)
        tf.nn.conv2d(tf.concat(outcomes, -1), kernel(3, 3, 4, 5, seed=3), 1, "SAME", name="last")

    net = hand_made(build, (30, 36, 3))
    images = np.random.default_rng(1).random((2, *size, 3)).astype(np.float32)
    whole = evaluated(net, fitting.whole(net, "last:0", size), images)
    centre = whole[:, whole.shape[1] // 2, whole.shape[2] // 2]
    found = evaluated(net, crops.of_centre(net, "last:0", size), images)
    np.testing.assert_allclose(found[:, 0, 0], centre, rtol=1e-4, atol=1e-4)


def test_sizes_that_a_skip_does_not_join_are_made_fit() -> None:
    """Where a path goes down and up again, the image is set in grey so large that both ends meet."""

    def build(x: Any) -> None:
        first = tf.nn.conv2d(x, kernel(3, 3, 3, 4), 1, "SAME")
        down = tf.nn.max_pool2d(tf.nn.max_pool2d(first, 2, 2, "SAME"), 2, 2, "SAME")
        up = tf.repeat(tf.repeat(down, 4, axis=1), 4, axis=2)
        tf.nn.conv2d(tf.concat([first, up], -1), kernel(3, 3, 8, 5), 1, "SAME", name="last")

    net = hand_made(build, (32, 32, 3))
    assert fitting.whole(net, "last:0", (53, 40)).net == (56, 40)
    assert fitting.whole(net, "last:0", (52, 40)).net == (52, 40)


def test_window_is_the_receptive_field() -> None:
    """Away from the borders the window of the input has the receptive field's size."""
    net = network()
    assert crops.of_centre(net, "stem:0", (80, 90)).view == (5, 5)
    assert crops.of_centre(net, "one:0", (80, 90)).view == (9, 9)
    assert crops.of_centre(net, "block:0", (80, 90)).view == (17, 17)


def test_cones_of_two_sizes_do_the_same_work() -> None:
    """Where no border is seen, the crops of inputs of different sizes are one graph."""
    net = network()
    one, other = (crops.of_centre(net, "block:0", size) for size in ((80, 90), (92, 96)))
    assert one.same_work(other)
    assert not one.same_work(crops.of_centre(net, "block:0", (12, 12)))


def test_dense_layer_keeps_its_whole_network() -> None:
    """A tensor without positions is not cut."""
    net = network()
    part = crops.of_centre(net, "classes:0", INPUT)
    assert part.view == INPUT
    images = np.random.default_rng(1).normal(size=(2, *INPUT, 3)).astype(np.float32)
    assert evaluated(net, part, images).shape == (2, 8)


def test_network_is_left_as_it_was() -> None:
    """Cutting a network changes nothing in it."""
    net = network()
    before = net.graph_def.SerializeToString(deterministic=True)
    crops.of_centre(net, "end:0", INPUT)
    assert net.graph_def.SerializeToString(deterministic=True) == before


def test_branches_share_a_window_where_all_see_the_whole_image() -> None:
    """On an image no larger than what each branch sees the windows are the same; on a larger one not."""
    net, parts = network(), ["one:0", "three:0"]
    assert crops.same_window(net, "block:0", parts, (5, 5))
    assert not crops.same_window(net, "block:0", parts, (40, 40))
    assert not crops.same_window(net, "classes:0", parts, (44, 52))
