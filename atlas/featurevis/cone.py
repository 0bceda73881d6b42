"""The network cut to the cone that the centre position of a layer sees: same value, less work.

Every tensor is computed only where the centre depends on it; what a convolution would have read from
its own padding is padded by a node of its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from atlas.featurevis.demand import CONVOLUTIONS, Demand, Shapes, Window, clip
from atlas.model.backend import tf as tensorflow
from atlas.model.graph import node_of, tensor_of
from atlas.model.network import Network

tf = tensorflow.compat.v1


ALL: Window = ((0, 2**31), (0, 2**31))


@dataclass(frozen=True, slots=True)
class Cone:
    """A GraphDef that computes `tensor` from `window` of the network's input of size `net`."""

    graph_def: Any
    tensor: str
    net: tuple[int, int]
    window: Window

    @property
    def origin(self) -> tuple[int, int]:
        """The (h, w) of the window's first pixel."""
        return self.window[0][0], self.window[1][0]

    @property
    def view(self) -> tuple[int, int]:
        """The (h, w) of the window in pixels."""
        (a, b), (c, d) = self.window
        return b - a, d - c

    def same_work(self, other: Cone) -> bool:
        """Tell whether the two cones are one graph on windows of one size, wherever they stand."""
        return (self.tensor, self.view, self.graph_def) == (other.tensor, other.view, other.graph_def)

    def cut(self, images: Any) -> Any:
        """Return the window of images [n, h, w, channel] of size `net`."""
        (a, b), (c, d) = self.window
        return images[:, a:b, c:d]


def whole(network: Network, tensor: str, net: tuple[int, int]) -> Cone:
    """Return everything that a tensor depends on, uncut, for an input of size `net` (h, w)."""
    view, source = network.view, node_of(network.input_tensor)
    needed = view.ancestors(tensor)
    names = [name for name in view.order if name in needed and name != source]
    graph_def = tf.GraphDef(versions=network.graph_def.versions)
    graph_def.node.extend(view.nodes[name] for name in names)
    return Cone(graph_def, tensor, net, ((0, net[0]), (0, net[1])))


def of_centre(network: Network, tensor: str, net: tuple[int, int]) -> Cone:
    """Return the cone of a tensor's centre position, size // 2 of each axis."""
    full = whole(network, tensor, net)
    shapes = _shapes(full, network)
    shape = shapes.get(tensor_of(tensor), ())
    if len(shape) != 4:
        return full
    data = network.view.descendants(network.input_tensor)
    demand = Demand(network.view, data, shapes)
    h, w = shape[1] // 2, shape[2] // 2
    needed = demand.needed(tensor, ((h, h + 1), (w, w + 1)))
    cut = _Cut(demand, needed, tf.GraphDef(versions=network.graph_def.versions))
    for node in full.graph_def.node:
        cut.add(node)
    return Cone(cut.graph_def, cut.read(tensor, needed[tensor_of(tensor)]), net, needed[network.input_tensor])


def multiplications(
    network: Network, tensors: Sequence[str], net: tuple[int, int], *, centre: bool
) -> list[int]:
    """Return how many products the convolutions of one pass to each tensor take, for an input of size `net`.

    `centre` counts only what the centre position depends on.
    """
    shapes = _shapes(whole(network, tensors[0], net), network)
    demand = Demand(network.view, network.view.descendants(network.input_tensor), shapes)
    return [_products(demand, tensor, centre=centre) for tensor in tensors]


def _products(demand: Demand, tensor: str, *, centre: bool) -> int:
    shape = demand.shapes.get(tensor_of(tensor), ())
    if len(shape) != 4:
        return 0
    middle = tuple((n // 2, n // 2 + 1) if centre else (0, n) for n in shape[1:3])
    needed = demand.needed(tensor, (middle[0], middle[1]))
    total = 0
    for name in demand.view.ancestors(tensor):
        window = needed.get(tensor_of(name))
        if demand.view.op(name) in CONVOLUTIONS and window is not None:
            (a, b), (c, d) = clip(window, demand.shapes[tensor_of(name)])
            total += (b - a) * (d - c) * math.prod(demand.shapes[demand.view.inputs(name)[1]])
    return total


def same_window(network: Network, tensor: str, parts: Sequence[str], net: tuple[int, int]) -> bool:
    """Tell whether the centre of each of a tensor's parts sees the pixels that the whole's centre sees."""
    shapes = _shapes(whole(network, tensor, net), network)
    demand = Demand(network.view, network.view.descendants(network.input_tensor), shapes)
    windows = set()
    for name in (tensor, *parts):
        shape = shapes.get(tensor_of(name), ())
        if len(shape) != 4:
            return False
        h, w = shape[1] // 2, shape[2] // 2
        windows.add(demand.needed(name, ((h, h + 1), (w, w + 1)))[network.input_tensor])
    return len(windows) == 1


def _shapes(cone: Cone, network: Network) -> Shapes:
    """Return the static shape of every tensor, for one image."""
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, [1, *cone.net, network.input_shape[2]])
        tf.import_graph_def(cone.graph_def, input_map={network.input_tensor: images}, name="")
        shapes = {
            out.name: tuple(out.shape.as_list())
            for op in graph.get_operations()
            for out in op.outputs
            if out.shape.is_fully_defined()
        }
    return {**shapes, network.input_tensor: (1, *cone.net, network.input_shape[2])}


class _Cut:
    """The cut graph in the making: `needed` tells what each tensor will hold."""

    def __init__(self, demand: Demand, needed: dict[str, Window], graph_def: Any) -> None:
        self.demand, self.needed, self.graph_def = demand, needed, graph_def
        self._made: set[str] = set()

    def add(self, node: Any) -> None:
        """Add a node, made to compute the window that is needed of it."""
        window = self.needed.get(tensor_of(node.name))
        copy = tf.NodeDef()
        copy.CopyFrom(node)
        if window is not None and self.demand.croppable(node.name) and not self._untouched(node.name):
            self._crop(copy, self.demand.inputs(node.name, window))
        self.graph_def.node.append(copy)

    def _untouched(self, name: str) -> bool:
        """Tell whether all of a node's output is needed, of the whole of its inputs."""
        tensors = [tensor_of(name), *self.demand.data_inputs(name)]
        return all(clip(ALL, self.demand.shapes[t]) == self.needed.get(t) for t in tensors)

    def read(self, tensor: str, window: Window) -> str:
        """Return the name of a tensor that holds this window of `tensor`, all of it inside."""
        held = self.needed[tensor]
        if window == held:
            return tensor
        begin = [0, window[0][0] - held[0][0], window[1][0] - held[1][0], 0]
        size = [-1, window[0][1] - window[0][0], window[1][1] - window[1][0], -1]
        return self._derived(tensor, "Slice", begin, size)

    def _crop(self, copy: Any, inputs: Window) -> None:
        data = self.demand.data_inputs(copy.name)
        value = -np.inf if copy.op == "MaxPool" else 0
        if self.demand.sliding(copy.name) is not None:
            copy.attr["padding"].s = b"VALID"
            copy.attr.pop("explicit_paddings", None)
        for i, name in enumerate(self.demand.view.inputs(copy.name)):
            if name in data:
                copy.input[i] = self._padded(name, inputs, value)
        if self.demand.padding(copy.name) is not None:
            self._unpad(copy)

    def _padded(self, tensor: str, window: Window, value: float) -> str:
        """Return the name of a tensor that holds a window of `tensor`, padding with `value` outside."""
        inside = clip(window, self.demand.shapes[tensor])
        name = self.read(tensor, inside)
        if inside == window:
            return name
        (a, b), (c, d) = window
        (e, f), (g, h) = inside
        return self._derived(name, "PadV2", [[0, 0], [e - a, b - f], [g - c, d - h], [0, 0]], value)

    def _unpad(self, copy: Any) -> None:
        """Turn a Pad node, whose input is padded already, into an identity."""
        del copy.input[1:]
        copy.op = "Identity"
        copy.attr.pop("Tpaddings", None)

    def _derived(self, tensor: str, op: str, *operands: Any) -> str:
        """Add (once) a node that applies `op` with constant operands to a tensor; return its name."""
        key = "_".join(str(np.array(o).ravel().tolist()) for o in operands)
        name = f"cone/{tensor.replace(':', '_')}/{op}/{re.sub(r'[^0-9a-z]+', '_', key)}"
        if name not in self._made:
            self._made.add(name)
            for i, operand in enumerate(operands):
                self._constant(f"{name}/{i}", operand, np.float32 if np.isscalar(operand) else np.int32)
            node = self.graph_def.node.add(name=name, op=op)
            node.input.extend([tensor, *(f"{name}/{i}" for i in range(len(operands)))])
            node.attr["T"].type = tf.float32.as_datatype_enum
            node.attr["Tpaddings" if op == "PadV2" else "Index"].type = tf.int32.as_datatype_enum
        return name + ":0"

    def _constant(self, name: str, value: Any, dtype: Any) -> None:
        array = np.asarray(value, dtype)
        node = self.graph_def.node.add(name=name, op="Const")
        node.attr["dtype"].type = tf.as_dtype(dtype).as_datatype_enum
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(array))
