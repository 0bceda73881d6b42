"""Networks built by hand, and an oracle for expanded weights that knows no windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.analysis.weights import linear_twin
from atlas.model.cleaning.importing import import_graph
from atlas.model.graph.backend import tf
from atlas.model.network import Network
from atlas.model.positions.axes import map_axes
from atlas.model.positions.layout import Layouts
from atlas.model.positions.receptive_field import receptive_fields
from atlas.model.reading.assembly import Frozen, network_of

v1 = tf.compat.v1
Build = Callable[[Any], Any]


def hand_made(build: Build, shape: tuple[int, int, int] = (40, 44, 3)) -> Network:
    """Return the network whose graph `build` makes of its input tensor [1, h, w, c]."""
    with tf.Graph().as_default() as graph:
        build(v1.placeholder(tf.float32, [None, *shape], name="input"))
    frozen = Frozen("toy", "0" * 64, graph.as_graph_def(), value_range=(0.0, 1.0), input_shape=shape)
    return network_of(frozen)


def kernel(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    """Return a random kernel."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def autodiff(network: Network, source: str, target: str, channels: list[int]) -> NDArray[np.float32]:
    """Return the gradient of centre units of the linear twin, cut to the window that arithmetic gives.

    Asserts that nothing lies outside of that window. [h, w, source, len(channels)].
    """
    twin = linear_twin(network, source, target)
    between = network.view.between(twin.source, twin.target)
    start = map_axes(network.shapes[twin.source.partition(":")[0]])
    layouts = Layouts(network.view, network.shapes, twin.source, nodes=between, start=start)
    field = receptive_fields(layouts)[twin.target.partition(":")[0]]
    with tf.Graph().as_default() as graph:
        images = v1.placeholder(tf.float32, [1, *network.input_shape])
        tensor = import_graph(twin.graph_def, network.input_tensor, images)
        h, w = network.shapes[twin.target.partition(":")[0]][1:3]
        units = [tensor(twin.target)[0, h // 2, w // 2, c] for c in channels]
        grads = [v1.gradients(unit, tensor(twin.source))[0] for unit in units]
    with v1.Session(graph=graph) as session:
        maps = session.run(grads, {images: np.full((1, *network.input_shape), 0.5)})
    top, left = (p // 2 * s + o for p, s, o in zip((h, w), field.stride, field.offset, strict=True))
    window = np.s_[:, top : top + field.size[0], left : left + field.size[1]]
    for full in maps:
        assert min(top, left) >= 0
        assert np.isclose(np.abs(full[window]).sum(), np.abs(full).sum(), rtol=1e-5)
    return np.stack([full[window][0] for full in maps], -1)
