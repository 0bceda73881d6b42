"""Effective fields against gradients that NumPy computes of networks of convolutions alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from atlas.core.records.operating_point import OperatingPoint
from atlas.model.graph.backend import tf
from atlas.model.network import Network
from atlas.model.reading.load import load_model
from graphs import graph_def

SIZE = (41, 47, 3)


def kernel(h: int, w: int, inputs: int, outputs: int, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(h, w, inputs, outputs)).astype(np.float32)


FIRST, SECOND = kernel(5, 3, 3, 4, 1), kernel(3, 7, 4, 2, 2)


def network_of(folder: Path, build: Callable[[Any], Any], **options: Any) -> Network:
    (folder / "net.pb").write_bytes(graph_def(build, (None, *SIZE)).SerializeToString())
    return load_model(folder / "net.pb", **({"value_range": (0, 1)} | options))


def linear_network(folder: Path) -> Network:
    """Return a network of two convolutions, the second of stride 2, without activations."""

    def build(x: Any) -> Any:
        y = tf.nn.conv2d(x, FIRST, 1, "SAME", name="first")
        return tf.identity(tf.nn.conv2d(y, SECOND, 2, "VALID", name="second"), name="end")

    return network_of(folder, build)


def energy_of_second() -> NDArray[np.float64]:
    """Return the squared gradient [7, 9] of a position of the second layer, of all channels and neurons."""
    gradient = np.zeros((7, 9, 3, 2))
    for y in range(3):
        for x in range(7):
            # SAME padding puts two rows and a column before the kernel.
            gradient[y : y + 5, x : x + 3] += np.einsum("hwik,ko->hwio", FIRST, SECOND[y, x])
    return np.square(gradient).sum((2, 3))


def smallest_square(energy: NDArray[np.float64], share: float) -> tuple[int, int]:
    """Return the smallest square around the middle with a share of an energy, by trying all."""
    h, w = energy.shape
    for side in range(1, max(h, w) + 1):
        a, b = min(side, h), min(side, w)
        top, left = round((h - a) / 2), round((w - b) / 2)
        if energy[top : top + a, left : left + b].sum() >= share * energy.sum():
            return a, b
    raise AssertionError


def test_a_linear_network_has_the_energy_of_its_kernels(tmp_path: Path) -> None:
    """The map is the squared gradient itself, the same for every image, and its squares follow from it."""
    network = linear_network(tmp_path)
    field, wanted = network.effective_field("second"), energy_of_second()
    known = network.layer("second").receptive_field
    assert field is not None
    assert known is not None
    assert field.window == wanted.shape == known.size
    # Sums over the neurons with random signs have this mean: 16 images leave a part of chance.
    np.testing.assert_allclose(field.energy, wanted / wanted.sum(), atol=0.03)
    assert field.what == "16 images of noise"


def test_of_one_neuron_it_is_exact(tmp_path: Path) -> None:
    """Without other neurons no sign is drawn but the one that a square forgets."""

    def build(x: Any) -> Any:
        return tf.nn.conv2d(x, FIRST[..., :1], 1, "SAME", name="first")

    network = network_of(tmp_path, build, value_range=(0, 255))
    field, wanted = network.effective_field("first"), np.square(FIRST[..., 0]).sum(2)
    assert field is not None
    np.testing.assert_allclose(field.energy, wanted / wanted.sum(), rtol=1e-4)
    assert field.inner == smallest_square(wanted, 0.95)
    assert field.outer == smallest_square(wanted, 0.99)


def test_it_is_of_what_the_images_excite(tmp_path: Path) -> None:
    """A neuron that black images leave at zero has no gradient there: its squares are the receptive field."""

    def build(x: Any) -> Any:
        return tf.nn.relu(tf.nn.conv2d(x, np.abs(FIRST), 1, "SAME", name="conv") - 1, name="first")

    network = network_of(tmp_path, build)
    black = OperatingPoint("2 of the dataset examples", lambda: [np.zeros(SIZE, np.float32)] * 2)
    field = replace(network, examples=black).effective_field(network.layers[0].name)
    assert field is not None
    assert field.inner == field.outer == field.window == (5, 3)
    assert not field.energy.any()
    assert field.what == "2 of the dataset examples"
    seen = network.effective_field(network.layers[0].name)
    assert seen is not None
    assert seen.energy.sum() == pytest.approx(1)


def test_a_dense_layer_has_none(toy_graph: Path) -> None:
    """It has no positions."""
    assert load_model(toy_graph, value_range=(0, 1)).effective_field("classes") is None


@pytest.mark.parametrize("kept", [1, 3, 16, 33])
def test_so_many_images_are_read(tmp_path: Path, kept: int) -> None:
    """Sixteen at most, spread over those of the operating point."""
    network = linear_network(tmp_path)
    images = [np.full(SIZE, i / kept, np.float32) for i in range(kept)]
    point = OperatingPoint(f"{kept} of the dataset examples", lambda: images)
    field = replace(network, examples=point).effective_field("first")
    assert field is not None
    assert field.what == f"{min(kept, 16)} of the dataset examples"
