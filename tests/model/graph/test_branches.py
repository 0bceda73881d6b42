"""Concatenated layers know their branches by the layers that end in them."""

from __future__ import annotations

from typing import Any

import numpy as np

from atlas.core.neuron import Branch
from atlas.model.graph.backend import tf
from graphs import conv
from toys import hand_made


def branches_of(build: Any, name: str) -> tuple[Branch, ...]:
    """Return the branches of a layer of the network that `build` makes."""
    return hand_made(build, (20, 24, 3)).layer(name).branches


class TestBranches:
    def test_each_branch_has_its_layer_and_its_neurons(self) -> None:
        """Names, first neurons and counts are those of the parts, in order."""

        def build(x: Any) -> None:
            y = conv(x, 4, "stem")
            conv(tf.concat([conv(y, 5, "m/a"), tf.identity(conv(y, 7, "m/b"))], 3, name="m"), 6, "end")

        assert branches_of(build, "m") == (Branch("m/a", 0, 5), Branch("m/b", 5, 7))
        assert branches_of(build, "end") == ()

    def test_a_part_that_is_no_layer_is_passed_over(self) -> None:
        """A pooled part has no name, yet the parts after it stand in their places."""

        def build(x: Any) -> None:
            y = conv(x, 4, "stem")
            pooled = tf.nn.max_pool2d(y, 3, 1, "SAME", name="m/pool")
            conv(tf.concat([conv(y, 5, "m/a"), pooled, conv(y, 7, "m/b")], 3, name="m"), 6, "end")

        assert branches_of(build, "m") == (Branch("m/a", 0, 5), Branch("m/b", 9, 7))

    def test_values_are_the_branch_s(self) -> None:
        """On an image the whole's neurons have the values of the branch layer's own."""

        def build(x: Any) -> None:
            y = conv(x, 4, "stem")
            inner = tf.concat([conv(y, 3, "m/b"), conv(y, 2, "m/c")], 3, name="inner")
            conv(tf.concat([conv(y, 5, "m/a"), inner], 3, name="m"), 6, "end")

        network = hand_made(build, (20, 24, 3))
        image = np.random.default_rng(0).random((1, 20, 24, 3))
        layer = network.layer("m")
        assert [branch.name for branch in layer.branches] == ["m/a", "m/b", "m/c"]
        values = network.activations(image, ["m", *(branch.name for branch in layer.branches)])
        for branch in layer.branches:
            part = values["m"][..., branch.first : branch.first + branch.n_channels]
            np.testing.assert_array_equal(part, values[branch.name])
