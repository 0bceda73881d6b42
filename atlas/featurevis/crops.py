"""The network cropped to the receptive field of a layer's centre position: same value, less work.

Every tensor is computed only where the centre depends on it. Where a convolution would read its own padding,
a separate node pads its input.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from atlas.featurevis.demand import ALL, Demand, Shapes, Window, clip
from atlas.featurevis.fitting import Crop, fitting
from atlas.model.graph.backend import tf as tensorflow
from atlas.model.graph.ops import CONVOLUTIONS, OPS
from atlas.model.graph.view import node_of, tensor_of
from atlas.model.network import Network

tf = tensorflow.compat.v1


def of_centre(network: Network, tensor: str, net: tuple[int, int]) -> Crop:
    """Return the receptive-field crop of a tensor's centre position, size // 2 of each axis.

    A tensor without positions is returned uncropped.
    """
    full, shapes = fitting(network, tensor, net)
    shape = shapes.get(tensor_of(tensor), ())
    if len(shape) != 4:
        return full
    demand = _demand(network, shapes)
    h, w = shape[1] // 2, shape[2] // 2
    needed = demand.needed(tensor, ((h, h + 1), (w, w + 1)))
    cut = _Cut(demand, needed, tf.GraphDef(versions=network.graph_def.versions))
    for node in full.graph_def.node:
        cut.add(node)
    centre = cut.read(tensor_of(tensor), ((h, h + 1), (w, w + 1)))
    return Crop(cut.graph_def, centre, full.net, needed[network.input_tensor])


def _demand(network: Network, shapes: Shapes) -> Demand:
    data = network.view.descendants(network.input_tensor)
    return Demand(network.view, data, shapes, network.input_tensor)


def multiplications(
    network: Network, tensors: Sequence[str], net: tuple[int, int], *, centre: bool
) -> list[int]:
    """Return the number of multiplications in the convolutions of one pass to each tensor.

    `net` is the (h, w) of the input. `centre` counts only those that the centre position depends on.
    """
    return [_products(_demand(network, fitting(network, t, net)[1]), t, centre=centre) for t in tensors]


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
    """Return whether the centres of a tensor and of each of its parts have the same receptive field."""
    shapes = fitting(network, tensor, net)[1]
    demand = _demand(network, shapes)
    windows = set()
    for name in (tensor, *parts):
        shape = shapes.get(tensor_of(name), ())
        if len(shape) != 4:
            return False
        h, w = shape[1] // 2, shape[2] // 2
        windows.add(demand.needed(name, ((h, h + 1), (w, w + 1)))[network.input_tensor])
    return len(windows) == 1


class _Cut:
    """Builds the cropped graph; `needed` gives the window that each tensor will hold."""

    def __init__(self, demand: Demand, needed: dict[str, Window], graph_def: Any) -> None:
        self.demand, self.needed, self.graph_def = demand, needed, graph_def
        # An output that is needed of each node; of a split that need not be the first. All have one window.
        self._output = {node_of(tensor): tensor for tensor in needed}
        self._made: set[str] = set()

    def add(self, node: Any) -> None:
        """Add a node, changed so that it computes only the needed window of its output."""
        window = self.needed.get(self._output.get(node.name, ""))
        copy = tf.NodeDef()
        copy.CopyFrom(node)
        if window is not None and not self._untouched(node.name):
            if self.demand.croppable(node.name, window):
                self._crop(copy, self.demand.inputs(node.name, window))
            else:
                self._read_whole(copy)
        elif window is None:
            self._read_whole(copy)
        self.graph_def.node.append(copy)

    def _untouched(self, name: str) -> bool:
        """Return whether a node's whole output is needed, and so are its whole inputs."""
        tensors = [self._output[name], *self.demand.data_inputs(name)]
        maps = [t for t in tensors if len(self.demand.shapes[t]) == 4]
        return all(clip(ALL, self.demand.shapes[t]) == self.needed.get(t) for t in maps)

    def _read_whole(self, copy: Any) -> None:
        """Make a node read every map whole; `needed` holds all of these maps."""
        for i, name in enumerate(self.demand.view.inputs(copy.name)):
            if name in self.needed:
                copy.input[i] = self.read(name, clip(ALL, self.demand.shapes[name]))

    def read(self, tensor: str, window: Window) -> str:
        """Return the name of a tensor that holds a window of `tensor`; the window must lie inside."""
        available = self.needed[tensor]
        if window == available:
            return tensor
        begin = [0, window[0][0] - available[0][0], window[1][0] - available[1][0], 0]
        size = [-1, window[0][1] - window[0][0], window[1][1] - window[1][0], -1]
        return self._derived(tensor, "Slice", begin, size)

    def _crop(self, copy: Any, inputs: Window) -> None:
        data = self.demand.data_inputs(copy.name)
        window = OPS[copy.op].window
        if window == "slide":
            copy.attr["padding"].s = b"VALID"
            copy.attr.pop("explicit_paddings", None)
        for i, name in enumerate(self.demand.view.inputs(copy.name)):
            if name in data:
                copy.input[i] = self._padded(name, inputs, self._value_outside(copy))
        if window == "shift":
            self._unpad(copy)

    def _value_outside(self, node: Any) -> float:
        """Return the value that a node reads at positions outside the map."""
        if node.op == "PadV2":
            return float(self.demand.layouts.constant(node.name, 2))
        return -np.inf if node.op == "MaxPool" else 0

    def _padded(self, tensor: str, window: Window, value: float) -> str:
        """Return the name of a tensor that holds a window of `tensor`, padded with `value` outside."""
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
        for key in ("Tpaddings", "mode"):
            copy.attr.pop(key, None)

    def _derived(self, tensor: str, op: str, *operands: Any) -> str:
        """Add (once) a node that applies `op` with constant operands to a tensor; return its name."""
        key = "_".join(str(np.array(o).ravel().tolist()) for o in operands)
        name = f"crop/{tensor.replace(':', '_')}/{op}/{re.sub(r'[^0-9a-z]+', '_', key)}"
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
